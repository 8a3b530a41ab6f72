"""Between the windows: passes only the words of pixels that a window reads."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.window import WindowPlan


class Skip(wiring.Component):
    """Words of frames in, those of the pixels that lie in a window out. The others are dropped, one per cycle.

    Attributes
    ----------
    i, o : streams of the incoming layout's words
    """

    def __init__(self, window: WindowPlan):
        self.window = window
        words = stream.Signature(window.incoming.word_bits)
        super().__init__({"i": In(words), "o": Out(words)})

    def describe(self) -> dict[str, Any]:
        window, kept = self.window, self.window.kept.incoming
        return {
            "picture": (window.incoming.rows, window.incoming.cols),
            "kept of it": (kept.rows, kept.cols),
            "kernel": window.kernel,
            "stride": window.stride,
            "padding": window.padding,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        frame = self.window.incoming
        word = Signal(range(max(2, frame.words_per_pixel)))
        pixel_ends = word == frame.words_per_pixel - 1
        transfer = self.i.valid & self.i.ready
        with m.If(transfer):
            m.d.sync += word.eq(Mux(pixel_ends, 0, word + 1))
        column_kept, row_ends = self._axis(m, 1, transfer & pixel_ends)
        row_kept: Value = Signal()
        if self.window.skips[0]:
            row_kept, _ = self._axis(m, 0, transfer & pixel_ends & row_ends)
        else:
            m.d.comb += row_kept.eq(1)
        kept = Signal()
        m.d.comb += [
            kept.eq(row_kept & column_kept),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & kept),
            self.i.ready.eq(self.o.ready | ~kept),
        ]
        return m

    def _axis(self, m: Module, axis: int, moves: Value) -> tuple[Value, Value]:
        """Walks along the rows (axis 0) or columns (axis 1) of a frame: whether the one at hand is kept, and the last.

        moves : on to the next one.
        """
        window, name = self.window, ("row", "column")[axis]
        extent = (window.incoming.rows, window.incoming.cols)[axis]
        kernel, stride, padding = (pair[axis] for pair in (window.kernel, window.stride, window.padding))
        at = Signal(range(max(2, extent)), name=name)
        ends = at == extent - 1
        kept = Signal(name=f"{name}_kept")
        with m.If(moves):
            m.d.sync += at.eq(Mux(ends, 0, at + 1))
        behind = window.positions(axis)[-1] + 1  # the last window
        if not window.skips[axis]:
            m.d.comb += kept.eq(1)
        elif window.shape_out[axis] == 1:
            m.d.comb += kept.eq(at < behind)
        else:
            phase = Signal(range(stride), init=padding, name=f"{name}_phase")  # from where a window begins
            with m.If(moves):
                m.d.sync += phase.eq(Mux(ends, padding, Mux(phase == stride - 1, 0, phase + 1)))
            m.d.comb += kept.eq((phase < kernel) & (at < behind))
        return kept, ends
