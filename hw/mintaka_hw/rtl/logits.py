"""The logit serializer: the head's sums leave one per beat, the winner with the last."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import LayerPlan


class LogitSerializer(wiring.Component):
    """One comparator finds the argmax while the logits pass; strictly greater wins, so ties go to the lowest index.

    Attributes
    ----------
    i : In(stream of the head's words)
    o : Out(stream of struct: logit, winner, last)
        `winner` is the class once `last` is set; one beat per class, in order.
    """

    def __init__(self, head: LayerPlan):
        self.head = head
        self.layout = data.StructLayout(
            {"logit": signed(head.k_width), "winner": max(1, (head.channels - 1).bit_length()), "last": 1}
        )
        super().__init__({"i": In(stream.Signature(head.outgoing.word_bits)), "o": Out(stream.Signature(self.layout))})

    def describe(self) -> dict[str, Any]:
        return {"layer": self.head.name, "classes": self.head.channels, "logit bits": self.head.k_width}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        head = self.head
        m = Module()
        lane = Signal(range(max(2, head.lanes)))
        number = Signal(self.layout["winner"].shape)
        best = Signal(signed(head.k_width), reset_less=True)
        winner = Signal.like(number, reset_less=True)

        width = head.k_width
        logits = Array([self.i.payload[n * width : (n + 1) * width].as_signed() for n in range(head.lanes)])
        logit = Signal(signed(width))
        m.d.comb += logit.eq(logits[lane])
        wins = (number == 0) | (logit > best)
        last = number == head.channels - 1
        word_ends = last | (lane == head.lanes - 1)
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.logit.eq(logit),
            self.o.payload.last.eq(last),
            self.o.payload.winner.eq(Mux(wins, number, winner)),
            self.i.ready.eq(self.o.ready & word_ends),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [number.eq(Mux(last, 0, number + 1)), lane.eq(Mux(word_ends, 0, lane + 1))]
            with m.If(wins):
                m.d.sync += [best.eq(logit), winner.eq(number)]
        return m
