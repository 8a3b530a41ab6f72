"""The window reader: keeps the last rows of a frame and gives, window by window, the kernel's pixels."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.window import WindowPlan


class WindowReader(wiring.Component):
    """Frames in, the pixels of every window out: `kernel` words per window, zero where it lies outside the picture.

    One word per cycle. A window row is read as soon as its rows are there; rows are freed as soon as no window needs
    them. Rows sit in a ring, so that the next frame follows without a gap.

    Attributes
    ----------
    i : In(stream of the incoming layout's words)
    o : Out(stream of whole pixels)
    """

    def __init__(self, plan: WindowPlan):
        self.plan = plan
        super().__init__(
            {
                "i": In(stream.Signature(plan.incoming.word_bits)),
                "o": Out(stream.Signature(plan.outgoing.word_bits)),
            }
        )

    def describe(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "picture": (plan.incoming.rows, plan.incoming.cols),
            "channels": plan.incoming.channels,
            "kernel": plan.kernel,
            "stride": plan.stride,
            "padding": plan.padding,
            "rows kept": plan.buffer_rows,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        plan, frame = self.plan, self.plan.incoming
        m = Module()
        rows, cols = plan.buffer_rows, frame.cols
        memory = Memory(shape=unsigned(plan.pixel_bits), depth=rows * cols, init=[])
        m.submodules.rows = memory
        write = memory.write_port(granularity=frame.word_bits)
        read = memory.read_port()

        # ---- rows in: `arrived` complete rows of the frame being read, `held` rows that occupy the ring
        write_slot, x = Signal(range(rows * cols)), Signal(range(cols))
        word = Signal(range(max(2, frame.words_per_pixel)))
        held, arrived = Signal(range(rows + 1)), Signal(range(rows + frame.rows + 1))
        freed, frame_ends = Signal(range(rows + 1)), Signal()
        row_starts = (x == 0) & (word == 0)
        pixel_ends = word == frame.words_per_pixel - 1
        row_ends = pixel_ends & (x == cols - 1)
        m.d.comb += [
            self.i.ready.eq(~row_starts | (held != rows)),
            write.addr.eq(write_slot),
            write.data.eq(Cat(self.i.payload for _ in range(frame.words_per_pixel))),
        ]
        accept = self.i.valid & self.i.ready
        m.d.comb += write.en.eq(Mux(accept, 1 << word, 0))
        with m.If(accept):
            m.d.sync += word.eq(Mux(pixel_ends, 0, word + 1))
            with m.If(pixel_ends):
                m.d.sync += [
                    x.eq(Mux(row_ends, 0, x + 1)),
                    write_slot.eq(Mux(write_slot == rows * cols - 1, 0, write_slot + 1)),
                ]
        m.d.sync += [
            held.eq(held + (accept & row_starts) - freed),
            arrived.eq(arrived + (accept & row_ends) - Mux(frame_ends, frame.rows, 0)),
        ]

        # ---- windows out: position in the kernel, in the picture and in the ring
        (kh, kw), (sv, sh), (pv, ph) = plan.kernel, plan.stride, plan.padding
        out_rows, out_cols = plan.shape_out
        ky, kx = Signal(range(max(2, kh))), Signal(range(max(2, kw)))
        oy, ox = Signal(range(max(2, out_rows))), Signal(range(max(2, out_cols)))
        top = Signal(signed((max(out_rows * sv, pv) + kh).bit_length() + 1), init=-pv)  # picture row of kernel row 0
        left = Signal(signed((max(out_cols * sh, ph) + kw).bit_length() + 1), init=-ph)
        y, column = Signal.like(top), Signal.like(left)
        m.d.comb += [y.eq(top + ky), column.eq(left + kx)]
        inside = (y >= 0) & (y < frame.rows) & (column >= 0) & (column < cols)
        top_slot, slot = Signal(range(rows)), Signal(range(rows))  # ring row of the first kernel row inside, of y

        kernel_row_ends, kernel_ends = kx == kw - 1, Signal()
        window_row_ends = Signal()
        frame_last = oy == out_rows - 1
        m.d.comb += [
            kernel_ends.eq(kernel_row_ends & (ky == kh - 1)),
            window_row_ends.eq(kernel_ends & (ox == out_cols - 1)),
        ]
        needed = Array([Const(plan.rows_needed(row)) for row in range(out_rows)])[oy]
        valid, masked = Signal(), Signal()
        advance = Signal()
        m.d.comb += advance.eq((~valid | self.o.ready) & (arrived >= needed))
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        base = Array([Const(row * cols) for row in range(rows)])
        m.d.comb += [
            read.addr.eq(base[slot] + column[: max(1, (cols - 1).bit_length())]),
            read.en.eq(advance),
            self.o.valid.eq(valid),
            self.o.payload.eq(Mux(masked, 0, self._pixel(read.data))),
        ]

        def later(value: Signal, rows_on: Signal) -> Mux:
            total = value + rows_on
            return Mux(total >= rows, total - rows, total)

        # Rows that leave the windows at the end of a window row, and ring rows that the first kernel row moves on.
        leaving = [plan.rows_freed(row) - (plan.rows_freed(row - 1) if row else 0) for row in range(out_rows)]
        starts = [max(0, min(frame.rows, row * sv - pv)) for row in range(out_rows)]
        moves = [[*starts, frame.rows][row + 1] - starts[row] for row in range(out_rows)]
        leave = Array([Const(n, range(frame.rows + 1)) for n in leaving])[oy]
        move = Array([Const(n % rows, range(rows)) for n in moves])[oy]

        with m.If(advance):
            m.d.sync += [valid.eq(1), masked.eq(~inside), kx.eq(Mux(kernel_row_ends, 0, kx + 1))]
            with m.If(kernel_row_ends):
                m.d.sync += ky.eq(Mux(ky == kh - 1, 0, ky + 1))
                with m.If(kernel_ends):
                    m.d.sync += slot.eq(Mux(window_row_ends, later(top_slot, move), top_slot))
                with m.Elif(y >= 0):
                    m.d.sync += slot.eq(Mux(slot == rows - 1, 0, slot + 1))
            with m.If(kernel_ends):
                m.d.sync += [ox.eq(ox + 1), left.eq(left + sh)]
            with m.If(window_row_ends):
                m.d.comb += [freed.eq(leave), frame_ends.eq(frame_last)]
                m.d.sync += [
                    ox.eq(0),
                    left.eq(-ph),
                    oy.eq(Mux(frame_last, 0, oy + 1)),
                    top.eq(Mux(frame_last, -pv, top + sv)),
                    top_slot.eq(later(top_slot, move)),
                ]
        return m

    def _pixel(self, word: Signal) -> Signal:
        return word[: self.plan.outgoing.word_bits]
