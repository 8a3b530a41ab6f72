"""The pooling core: an OR or a sum of each window's pixels, channel by channel."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.pool import PoolPlan
from mintaka_hw.rtl.windows import WindowReader


class PoolCore(wiring.Component):
    """One pixel of a window per cycle; the window's result leaves with its last pixel.

    Attributes
    ----------
    i : In(stream of the incoming layout's words)
    o : Out(stream of whole pixels)
    """

    def __init__(self, pool: PoolPlan):
        self.pool = pool
        super().__init__(
            {
                "i": In(stream.Signature(pool.incoming.word_bits)),
                "o": Out(stream.Signature(pool.outgoing.word_bits)),
            }
        )

    def describe(self) -> dict[str, Any]:
        node = self.pool.node
        return {"layer": node.name, "pool": "sum" if self.pool.is_sum else "or", "shape out": node.shape_out}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        pool = self.pool
        m = Module()
        m.submodules.windows = windows = WindowReader(pool.window_buffer)
        wiring.connect(m, wiring.flipped(self.i), windows.i)

        pixels = pool.window_buffer.outgoing.pixels
        position = Signal(range(max(2, pixels)))
        first, last = position == 0, position == pixels - 1
        so_far = Signal(pool.outgoing.word_bits, reset_less=True)
        result = Signal.like(so_far)
        taken = Signal()
        m.d.comb += [
            result.eq(self._joined(windows.o.payload, Mux(first, 0, so_far))),
            self.o.valid.eq(windows.o.valid & last),
            self.o.payload.eq(result),
            windows.o.ready.eq(~last | self.o.ready),
            taken.eq(windows.o.valid & windows.o.ready),
        ]
        with m.If(taken):
            m.d.sync += [so_far.eq(result), position.eq(Mux(last, 0, position + 1))]
        return m

    def _joined(self, pixel: Signal, so_far: Signal) -> Signal:
        pool = self.pool
        if not pool.is_sum:
            return pixel | so_far
        narrow, wide = pool.incoming.element_bits, pool.element_bits
        return Cat(
            (pixel[c * narrow : (c + 1) * narrow] + so_far[c * wide : (c + 1) * wide])[:wide]
            for c in range(pool.incoming.channels)
        )
