"""A register slice: what leaves it on either side comes from a register."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Slice(wiring.Component):
    """Two words between two streams, so that neither side waits for the other within a cycle; takes one per cycle.

    Attributes
    ----------
    i : In(stream)
    o : Out(stream)
    """

    def __init__(self, shape: Any):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def describe(self) -> dict[str, Any]:
        return {"bits": len(self.i.payload.as_value())}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        valid, more = Signal(), Signal()  # a word is at the output; another one waits behind it
        first = Signal(self.i.payload.shape(), reset_less=True)
        second = Signal(self.i.payload.shape(), reset_less=True)
        m.d.comb += [
            self.i.ready.eq(~more),
            self.o.valid.eq(valid),
            self.o.payload.eq(first),
        ]
        takes = self.i.valid & self.i.ready
        with m.If(~valid | self.o.ready):
            m.d.sync += [valid.eq(more | takes), more.eq(0), first.eq(Mux(more, second, self.i.payload))]
        with m.Elif(takes):
            m.d.sync += [more.eq(1), second.eq(self.i.payload)]
        return m
