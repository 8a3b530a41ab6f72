"""The join core: OR, AND, IAND or sum of several streams, element by element."""

from __future__ import annotations

from functools import reduce
from operator import add, and_, or_
from typing import Any

from amaranth.hdl import C, Cat, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.join import JoinPlan
from mintaka_hw.rtl.windows import WindowReader


class JoinCore(wiring.Component):
    """One pixel per cycle, when every input has one.

    Attributes
    ----------
    i0, i1, ... : In(stream of the incoming layouts' words)
    o : Out(stream of whole pixels)
    """

    def __init__(self, join: JoinPlan):
        self.join = join
        inputs = {f"i{n}": In(stream.Signature(layout.word_bits)) for n, layout in enumerate(join.incoming)}
        super().__init__({**inputs, "o": Out(stream.Signature(join.outgoing.word_bits))})

    def describe(self) -> dict[str, Any]:
        node = self.join.node
        return {"layer": node.name, "join": node.join, "shape out": node.shape_out}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        readers = []
        for number, window in enumerate(self.join.window_buffers):
            reader = WindowReader(window)
            m.submodules[f"windows{number}"] = reader
            wiring.connect(m, wiring.flipped(getattr(self, f"i{number}")), reader.i)
            readers.append(reader)
        everyone = Cat(reader.o.valid for reader in readers).all()
        m.d.comb += [self.o.valid.eq(everyone), self.o.payload.eq(self._joined([r.o.payload.bits for r in readers]))]
        m.d.comb += [reader.o.ready.eq(everyone & self.o.ready) for reader in readers]
        return m

    def _joined(self, pixels: list[Value]) -> Value:
        join = self.join
        if join.node.join == "add":
            elements = [
                [pixel[c * bits : (c + 1) * bits] for pixel, bits in zip(pixels, self._bits, strict=True)]
                for c in range(join.outgoing.channels)
            ]
            return Cat(_resized(reduce(add, parts), join.outgoing.element_bits) for parts in elements)
        if join.node.join == "iand":
            return ~pixels[0] & pixels[1]
        return reduce(or_ if join.node.join == "or" else and_, pixels)

    @property
    def _bits(self) -> list[int]:
        return [layout.element_bits for layout in self.join.incoming]


def _resized(value: Value, bits: int) -> Value:
    """`value` in exactly `bits` bits, which the contract's bound says are enough."""
    return Cat(value, C(0, bits))[:bits]
