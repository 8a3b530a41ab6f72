"""The window reader: keeps the last rows of a frame and gives, window by window, the pixels that are not zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, C, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.window import WindowPlan
from mintaka_hw.rtl.skip import Skip

OR_PART = 256


def pixel_layout(plan: WindowPlan) -> data.StructLayout:
    """A pixel of a window: its `bits`, its `position` in the kernel, row by row, and whether it is the window's `last`.

    A window of zeros is one pixel of zeros at position 0.
    """
    position = (plan.outgoing.pixels - 1).bit_length()
    return data.StructLayout({"bits": plan.outgoing.word_bits, "position": position, "last": 1})


@dataclass(frozen=True)
class WindowAhead:
    """What is known of the next window before it is read.

    rows_needed : picture rows that must be complete.
    flags : bit per pixel of the kernel: inside the picture and not zero.
    starts : per kernel row, the address of its first pixel.
    leaving : rows that no window behind this one reads.
    section : of the window.
    """

    rows_needed: Value
    flags: Value
    starts: data.View
    leaving: Value
    section: Value


class WindowReader(wiring.Component):
    """Frames in, the non-zero pixels of every window out, in the kernel's order.

    One word in and one pixel out per cycle: a window takes max(1, non-zero pixels) cycles, and no cycle is lost between
    windows, rows and frames. With sections, each window is given as often, each time the channels of its part: it is
    they that make a pixel non-zero. A window row is read as soon as its rows are there; rows are freed as soon as no
    window needs them. Rows sit in a ring, so that the next frame follows without a gap.

    Beside the pixels there is one flag per pixel: whether it is not zero. A word of flags is a *block*, the columns
    from one window to the next in all rows of the ring, so that the few blocks of a window have neighbouring addresses.
    All its flags are read at once, a window ahead, and put in the kernel's order. Cost: LUT RAM of one bit per pixel,
    read at `block_reads` addresses (the kernel's columns over the stride), a multiplexer over the ring's rows for each
    pixel of the kernel, and a find-first-set. Nothing of it grows with the picture but the RAM's depth.

    Attributes
    ----------
    i : In(stream of the incoming layout's words)
    o : Out(stream of pixel_layout)
    """

    def __init__(self, plan: WindowPlan):
        self.given, self.plan = plan, plan.kept
        super().__init__(
            {
                "i": In(stream.Signature(plan.incoming.word_bits)),
                "o": Out(stream.Signature(pixel_layout(plan))),
            }
        )

    def describe(self) -> dict[str, Any]:
        plan = self.given
        return {
            "picture": (plan.incoming.rows, plan.incoming.cols),
            "channels": plan.incoming.channels,
            "kernel": plan.kernel,
            "stride": plan.stride,
            "padding": plan.padding,
            "rows kept": self.plan.buffer_rows,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        plan, frame = self.plan, self.plan.incoming
        m = Module()
        m.submodules.rows = pixels = Memory(
            shape=unsigned(plan.pixel_bits), depth=plan.buffer_rows * frame.cols, init=[]
        )
        blocks = None
        if plan.has_flags:
            m.submodules.flags = blocks = Memory(
                shape=unsigned(plan.buffer_rows * plan.stride[1] * len(plan.channels)), depth=plan.blocks, init=[]
            )
        words: Any = self.i
        if self.plan is not self.given:  # what lies between windows does not enter
            m.submodules.skip = skip = Skip(self.given)
            wiring.connect(m, wiring.flipped(self.i), skip.i)
            words = skip.o
        freed = Signal(range(plan.buffer_rows + 1))  # rows that leave the ring in this cycle
        row_is_complete = self._rows_in(m, words, pixels, blocks, freed)

        # ---- the window ahead waits for its rows
        arrived = Signal(range(plan.buffer_rows + frame.rows + 1))  # complete rows of its frame and those behind
        load, frame_ends = Signal(), Signal()
        m.d.sync += arrived.eq(arrived + row_is_complete - Mux(frame_ends, frame.rows, 0))
        ahead = self._window_ahead(m, blocks, load, frame_ends)

        # ---- the window at hand: a pixel per cycle
        holding, valid, silent = Signal(), Signal(), Signal(reset_less=True)
        flags = Signal(plan.outgoing.pixels, reset_less=True)
        starts = Signal(ahead.starts.shape(), reset_less=True)
        leaving = Signal.like(freed, reset_less=True)
        section, given_section = (
            Signal(range(plan.sections), reset_less=True, name=n) for n in ("section", "given_section")
        )
        rest, lowest = Signal.like(flags), Signal.like(flags)
        step, ends = Signal(), Signal()
        m.d.comb += [
            rest.eq(flags & (flags - 1)[: len(flags)]),
            lowest.eq(flags & ~rest),
            step.eq(holding & (~valid | self.o.ready)),
            ends.eq(step & (rest == 0)),
            load.eq((~holding | ends) & (arrived >= ahead.rows_needed)),
            freed.eq(Mux(ends, leaving, 0)),
        ]
        m.d.sync += [holding.eq(load | (holding & ~ends)), valid.eq(step | (valid & ~self.o.ready))]
        with m.If(step):
            m.d.sync += [flags.eq(rest), given_section.eq(section)]
        with m.If(load):
            m.d.sync += [flags.eq(ahead.flags), starts.eq(ahead.starts), leaving.eq(ahead.leaving)]
            m.d.sync += section.eq(ahead.section)

        # ---- the pixel: read now, given in the next cycle
        port = pixels.read_port()
        kh, kw = plan.kernel
        by_row = [lowest[ky * kw : (ky + 1) * kw] for ky in range(kh)]
        start = reduce(or_, (Mux(row.any(), starts[ky], 0) for ky, row in enumerate(by_row)))
        column = any_of([Mux(row[kx], kx, 0) for row in by_row for kx in range(kw)])
        m.d.comb += [port.en.eq(step), port.addr.eq(start + column)]
        given = Signal(self.o.payload.shape(), reset_less=True)
        with m.If(step):
            m.d.sync += [given.position.eq(number_of(lowest)), given.last.eq(rest == 0), silent.eq(flags == 0)]
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.eq(given),
            self.o.payload.bits.eq(Mux(silent, 0, self._part(port.data, given_section))),
        ]
        return m

    def _part(self, pixel: Value, section: Value) -> Value:
        """The channels of the section's part, side by side."""
        bits = self.plan.incoming.element_bits
        parts = [
            Cat(C(0, bits) if c is None else pixel[c * bits : (c + 1) * bits] for c in part)
            for part in self.plan.channels
        ]
        return of_section(parts, section)

    def _rows_in(self, m: Module, words: Any, pixels: Memory, blocks: Memory | None, freed: Value) -> Value:
        """Words into the ring, as long as a row is free; the cycle in which a row is complete."""
        plan, frame = self.plan, self.plan.incoming
        rows, cols = plan.buffer_rows, frame.cols
        address, x = Signal(range(rows * cols)), Signal(range(cols))
        word = Signal(range(max(2, frame.words_per_pixel)))
        held = Signal(range(rows + 1))  # rows that occupy the ring
        row_starts = (x == 0) & (word == 0)
        pixel_ends = word == frame.words_per_pixel - 1
        row_ends = pixel_ends & (x == cols - 1)
        accept = words.valid & words.ready
        port = pixels.write_port(granularity=frame.word_bits)
        m.d.comb += [
            words.ready.eq(~row_starts | (held != rows)),
            port.addr.eq(address),
            port.data.eq(Cat(words.payload for _ in range(frame.words_per_pixel))),
            port.en.eq(Mux(accept, 1 << word, 0)),
        ]
        m.d.sync += held.eq(held + (accept & row_starts) - freed)
        with m.If(accept):
            m.d.sync += word.eq(Mux(pixel_ends, 0, word + 1))
            with m.If(pixel_ends):
                m.d.sync += [x.eq(Mux(row_ends, 0, x + 1)), address.eq(Mux(address == rows * cols - 1, 0, address + 1))]
        if blocks is not None:
            nonzero = self._nonzero_parts(words.payload, word)
            self._write_flags(m, blocks, accept, nonzero, pixel_ends, row_ends)
        return accept & row_ends

    def _write_flags(
        self, m: Module, blocks: Memory, accept: Value, word: Value, pixel_ends: Value, row_ends: Value
    ) -> None:
        """The flags of the pixel that ends with this word, at its ring row and column of its block.

        word : bit per part, `_nonzero_parts` of it.
        """
        plan = self.plan
        width, left_out = plan.stride[1], plan.padding[1]
        row = Signal(range(plan.buffer_rows))
        block, column = Signal(range(plan.blocks), init=left_out // width), Signal(range(width), init=left_out % width)
        so_far, nonzero = Signal(len(plan.channels)), Signal(len(plan.channels))
        m.d.comb += nonzero.eq(so_far | word)
        with m.If(accept):
            m.d.sync += so_far.eq(Mux(pixel_ends, 0, nonzero))
            with m.If(pixel_ends):
                block_ends = column == width - 1
                m.d.sync += [column.eq(Mux(block_ends, 0, column + 1)), block.eq(block + block_ends)]
            with m.If(row_ends):
                m.d.sync += [column.eq(column.init), block.eq(block.init)]
                m.d.sync += row.eq(Mux(row == plan.buffer_rows - 1, 0, row + 1))
        here = Cat((row == r) & (column == c) for r in range(plan.buffer_rows) for c in range(width))
        port = blocks.write_port(granularity=1)
        m.d.comb += [
            port.addr.eq(block),
            port.data.eq(Cat(flag.replicate(len(here)) for flag in nonzero)),
            port.en.eq(Mux(accept & pixel_ends, here.replicate(len(nonzero)), 0)),
        ]

    def _nonzero_parts(self, payload: Value, word: Value) -> Value:
        """Bit per part: whether the word at hand, the pixel's word number `word`, has a bit in one of its channels."""
        frame, bits = self.plan.incoming, self.plan.incoming.element_bits
        by_word = []
        for number in range(frame.words_per_pixel):
            here = range(number * frame.word_elements, min((number + 1) * frame.word_elements, frame.channels))
            elements = [payload[(c - here.start) * bits : (c - here.start + 1) * bits] for c in here]
            mine = [
                [elements[c - here.start] for c in part if c is not None and c in here] for part in self.plan.channels
            ]
            by_word.append(Cat(Cat(part).any() for part in mine))
        return Array(by_word)[word] if len(by_word) > 1 else by_word[0]

    def _window_ahead(self, m: Module, blocks: Memory | None, load: Value, frame_ends: Signal) -> WindowAhead:
        """Walks over the windows with each `load`; `frame_ends` with a frame's last one."""
        plan, frame = self.plan, self.plan.incoming
        kh, (sv, sh), (pv, ph) = plan.kernel[0], plan.stride, plan.padding
        rows, (out_rows, out_cols) = plan.buffer_rows, plan.shape_out
        address_bits = (rows * frame.cols - 1).bit_length()
        oy, ox = Signal(range(out_rows)), Signal(range(out_cols))
        top = Signal(range(rows), init=-pv % rows)  # ring row of the kernel's first row
        left = Signal(address_bits, init=-ph % 2**address_bits)  # column of the kernel's first one, modulo
        section = Signal(range(plan.sections))
        window_ends = section == plan.sections - 1
        row_ends = window_ends & (ox == out_cols - 1)
        frame_last = oy == out_rows - 1
        down = Mux(frame_last, (frame.rows - (out_rows - 1) * sv) % rows, sv % rows)
        m.d.comb += frame_ends.eq(load & row_ends & frame_last)
        with m.If(load):
            m.d.sync += section.eq(Mux(window_ends, 0, section + 1))
            with m.If(window_ends):
                m.d.sync += [ox.eq(ox + 1), left.eq(left + sh)]
            with m.If(row_ends):
                m.d.sync += [ox.eq(0), left.eq(left.init), oy.eq(Mux(frame_last, 0, oy + 1))]
                m.d.sync += top.eq(Mux(top + down >= rows, top + down - rows, top + down))

        def by_window_row(of_row: Callable[[int], int]) -> Value:
            return Array([Const(of_row(row)) for row in range(out_rows)])[oy]

        starts = Signal(data.ArrayLayout(address_bits, kh))
        for ky in range(kh):
            base = Array([Const((t + ky) % rows * frame.cols) for t in range(rows)])[top]
            m.d.comb += starts[ky].eq(base + left)
        flags = Signal(plan.outgoing.pixels)
        m.d.comb += flags.eq(1 if blocks is None else self._flags_of(m, blocks, ox, oy, top, section))
        leaving = by_window_row(lambda row: plan.rows_freed(row) - (plan.rows_freed(row - 1) if row else 0))
        return WindowAhead(by_window_row(plan.rows_needed), flags, starts, Mux(row_ends, leaving, 0), section)

    def _flags_of(self, m: Module, blocks: Memory, ox: Signal, oy: Signal, top: Signal, section: Signal) -> Value:
        """The window's flags in the kernel's order, those of the section's part."""
        plan = self.plan
        (kh, kw), rows, width = plan.kernel, plan.buffer_rows, plan.stride[1]
        words = []
        for number in range(plan.block_reads):
            port = blocks.read_port(domain="comb")
            m.d.comb += port.addr.eq(ox + number)
            size = rows * width
            words.append(of_section([port.data[n * size : (n + 1) * size] for n in range(len(plan.channels))], section))
        by_ring_row = [Cat(words[kx // width][r * width + kx % width] for kx in range(kw)) for r in range(rows)]
        columns = Array([Const(plan.inside(1, window), kw) for window in range(plan.shape_out[1])])[ox]
        inside = Array([Const(plan.inside(0, window), kh) for window in range(plan.shape_out[0])])[oy]
        found = []
        for ky in range(kh):
            row = Array([by_ring_row[(t + ky) % rows] for t in range(rows)])[top]
            found.append(Mux(inside.bit_select(ky, 1), row & columns, 0))
        return Cat(found)


def any_of(values: list[Value]) -> Value:
    """The OR of them, in parts: Amaranth descends into an expression call by call; kernels have up to 4,096 pixels."""
    parts = [reduce(or_, values[first : first + OR_PART]) for first in range(0, len(values), OR_PART)]
    return reduce(or_, parts)


def of_section(parts: list[Value], section: Value) -> Value:
    """The section's part: there is one for each, or one for all."""
    return Array(parts)[section] if len(parts) > 1 else parts[0]


def number_of(one_hot: Value) -> Value:
    """The number of the bit that is set."""
    bits = (len(one_hot) - 1).bit_length()
    return Cat(Cat(one_hot[i] for i in range(len(one_hot)) if i >> bit & 1).any() for bit in range(bits))
