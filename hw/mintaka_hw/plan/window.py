"""The row buffer that a convolution or a pool reads its windows from."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.stream import StreamLayout


@dataclass(frozen=True)
class WindowPlan:
    """Windows of `kernel` pixels at `stride` over the frames of `incoming` with zero `padding`, (vertical, horizontal).

    shape_out : windows per frame, (rows, cols).
    """

    incoming: StreamLayout
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    shape_out: tuple[int, ...]

    @property
    def outgoing(self) -> StreamLayout:
        """One window's pixels, each in one word."""
        channels, bits = self.incoming.channels, self.incoming.element_bits
        return StreamLayout(*self.kernel, channels, channels, bits)

    @property
    def buffer_rows(self) -> int:
        """The kernel's rows and as many again as one step down frees, so that reading and writing overlap."""
        return self.kernel[0] + self.stride[0]

    @property
    def pixel_bits(self) -> int:
        """Width of a stored pixel: its words side by side."""
        return self.incoming.words_per_pixel * self.incoming.word_bits

    @property
    def memory(self) -> MemoryPlan:
        return MemoryPlan("rows", self.buffer_rows * self.incoming.cols, self.pixel_bits)

    def rows_needed(self, row: int) -> int:
        """Rows of the frame that must be there before window row `row` is read; all of them for the last.

        No fewer than `rows_freed(row)`: where the stride skips rows, those too, as only what is held can be freed.
        """
        if row == self.shape_out[0] - 1:
            return self.incoming.rows
        below = row * self.stride[0] - self.padding[0] + max(self.kernel[0], self.stride[0])
        return max(0, min(self.incoming.rows, below))

    def rows_freed(self, row: int) -> int:
        """Rows of the frame that no window after window row `row` reads."""
        if row == self.shape_out[0] - 1:
            return self.incoming.rows
        return max(0, min(self.incoming.rows, (row + 1) * self.stride[0] - self.padding[0]))
