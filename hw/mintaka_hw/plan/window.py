"""The row buffer that a convolution or a pool reads its windows from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.stream import StreamLayout


@dataclass(frozen=True)
class WindowPlan:
    """Windows of `kernel` pixels at `stride` over the frames of `incoming` with zero `padding`, (vertical, horizontal).

    shape_out : windows per frame, (rows, cols).
    sections : how often each window is given, one time after the other.
    parts : per section the channels that are given, in order (None: a zero); empty where it is always all of them.

    What the reader keeps and walks over is `kept`.
    """

    incoming: StreamLayout
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    shape_out: tuple[int, ...]
    sections: int = 1
    parts: tuple[tuple[int | None, ...], ...] = ()

    @cached_property
    def kept(self) -> WindowPlan:
        """The same windows over the pixels alone that lie in one.

        Where the stride exceeds the kernel, rows or columns between windows are read by none. They take no place in the
        buffer: without them windows follow at a stride of the kernel's size.
        """
        if not any(self.skips):
            return self
        rows, cols = (len(self.positions(axis)) for axis in (0, 1))
        kh, kw = (min(pair) for pair in zip(self.stride, self.kernel, strict=True))
        return replace(self, incoming=replace(self.incoming, rows=rows, cols=cols), stride=(kh, kw))

    @property
    def skips(self) -> tuple[bool, bool]:
        """Whether there are rows, and columns, between the windows."""
        return self.stride[0] > self.kernel[0], self.stride[1] > self.kernel[1]

    def positions(self, axis: int) -> list[int]:
        """Numbers of the frame's rows (axis 0) or columns (axis 1) that are kept."""
        extent = (self.incoming.rows, self.incoming.cols)[axis]
        if not self.skips[axis]:
            return list(range(extent))
        starts = [window * self.stride[axis] - self.padding[axis] for window in range(self.shape_out[axis])]
        return [at for begin in starts for at in range(max(0, begin), min(extent, begin + self.kernel[axis]))]

    @cached_property
    def kept_words(self) -> list[int]:
        """Numbers, among a frame's words, of those that are kept."""
        frame = self.incoming
        per_pixel = range(frame.words_per_pixel)
        pixels = [row * frame.cols + col for row in self.positions(0) for col in self.positions(1)]
        return [pixel * frame.words_per_pixel + word for pixel in pixels for word in per_pixel]

    @property
    def channels(self) -> tuple[tuple[int | None, ...], ...]:
        """The different parts: one of all channels, or `parts`."""
        return self.parts or (tuple(range(self.incoming.channels)),)

    @property
    def part_count(self) -> int:
        """How many different parts there are, without a list of their channels."""
        return len(self.parts) or 1

    @property
    def outgoing(self) -> StreamLayout:
        """One window's pixels, each in one word."""
        channels = len(self.parts[0]) if self.parts else self.incoming.channels
        return StreamLayout(*self.kernel, channels, channels, self.incoming.element_bits)

    @property
    def buffer_rows(self) -> int:
        """The kernel's rows and as many again as one step down frees, so that reading and writing overlap."""
        return self.kernel[0] + self.stride[0]

    @property
    def pixel_bits(self) -> int:
        """Width of a stored pixel: its words side by side."""
        return self.incoming.words_per_pixel * self.incoming.word_bits

    @property
    def has_flags(self) -> bool:
        """True where a window has several pixels, so that those of zeros can be skipped."""
        return self.kernel[0] * self.kernel[1] > 1

    @property
    def block_reads(self) -> int:
        """Blocks that a window's columns lie in. A block is the columns from one window to the next."""
        return (self.kernel[1] - 1) // self.stride[1] + 1

    @property
    def blocks(self) -> int:
        """Blocks of a row: its columns behind the padding, and whatever the last window asks for."""
        last_column = (self.incoming.cols - 1 + self.padding[1]) // self.stride[1]
        return max(last_column, self.shape_out[1] - 1 + self.block_reads - 1) + 1

    @property
    def memories(self) -> list[MemoryPlan]:
        """The pixels, and for each and each part whether it is not zero: a word per block, a bit per pixel and part."""
        if self.kept is not self:
            return self.kept.memories
        found = [MemoryPlan("rows", self.buffer_rows * self.incoming.cols, self.pixel_bits)]
        if self.has_flags:
            found.append(MemoryPlan("flags", self.blocks, self.buffer_rows * self.stride[1] * self.part_count))
        return found

    def inside(self, axis: int, window: int) -> int:
        """Bit per kernel row (axis 0) or column (axis 1): whether it lies inside the picture in that window."""
        extent = (self.incoming.rows, self.incoming.cols)[axis]
        start = window * self.stride[axis] - self.padding[axis]
        return sum(1 << k for k in range(self.kernel[axis]) if 0 <= start + k < extent)

    def rows_needed(self, row: int) -> int:
        """Rows of the frame that must be there before window row `row` is read: its own, and those it frees."""
        own = row * self.stride[0] - self.padding[0] + self.kernel[0]
        return max(self.rows_freed(row), min(self.incoming.rows, own))

    def rows_freed(self, row: int) -> int:
        """Rows of the frame that no window after window row `row` reads."""
        if row == self.shape_out[0] - 1:
            return self.incoming.rows
        return max(0, min(self.incoming.rows, (row + 1) * self.stride[0] - self.padding[0]))
