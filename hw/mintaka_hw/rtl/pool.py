"""The pooling core: an OR or a sum of each window's pixels, channel by channel."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.pool import PoolPlan
from mintaka_hw.rtl.windows import WindowReader


class PoolCore(wiring.Component):
    """One non-zero pixel of a window per cycle; the window's result leaves with the last.

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

        pixel = windows.o.payload
        first = Signal(init=1)
        so_far = Signal(pool.outgoing.word_bits, reset_less=True)
        result = Signal.like(so_far)
        m.d.comb += [
            result.eq(self._joined(pixel.bits, Mux(first, 0, so_far))),
            self.o.valid.eq(windows.o.valid & pixel.last),
            self.o.payload.eq(result),
            windows.o.ready.eq(~pixel.last | self.o.ready),
        ]
        with m.If(windows.o.valid & windows.o.ready):
            m.d.sync += [so_far.eq(result), first.eq(pixel.last)]
        return m

    def _joined(self, pixel: Value, so_far: Value) -> Value:
        pool = self.pool
        if not pool.is_sum:
            return pixel | so_far
        narrow, wide = pool.incoming.element_bits, pool.element_bits
        return Cat(
            (pixel[c * narrow : (c + 1) * narrow] + so_far[c * wide : (c + 1) * wide])[:wide]
            for c in range(pool.incoming.channels)
        )
