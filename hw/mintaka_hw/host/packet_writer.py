"""Results as AXI4-Stream packets."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.packets import ABORTED_BIT, BYTE, ERRORS, RESULT_BYTES, STEPS_BITS, PacketLayout
from mintaka_hw.plan.layer import COUNTER_WIDTH

RESULT_BEAT = data.StructLayout({"data": RESULT_BYTES * BYTE, "last": 1})


class State(IntEnum):
    """Which beat comes next."""

    LOGITS = 0
    CLASS = 1
    STEPS = 2
    CYCLES = 3
    ABORTED = 4


class PacketWriter(wiring.Component):
    """Sends a sample's logits, sign-extended, then its class, its steps with the packet's errors, and its cycles.

    Attributes
    ----------
    i : In(stream of struct: logit, last, winner, steps, cycles)
        One logit per beat; the others are valid with the `last` one.
    errors : In(stream)
        What was wrong with each sample's packet.
    o : Out(stream of struct: data, last)
    abort : In(1)
        One cycle: forget the result. A packet that had begun ends with one beat that says so, or with its cycles if
        nothing else was left of it.
    done : Out(1)
        The last beat of a result leaves; not of one that was aborted.
    """

    def __init__(self, layout: PacketLayout):
        self.layout = layout
        self.result = data.StructLayout(
            {
                "logit": signed(layout.logit_bits),
                "last": 1,
                "winner": max(1, (layout.classes - 1).bit_length()),
                "steps": STEPS_BITS,
                "cycles": COUNTER_WIDTH,
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(self.result)),
                "errors": In(stream.Signature(len(ERRORS))),
                "o": Out(stream.Signature(RESULT_BEAT)),
                "abort": In(1),
                "done": Out(1),
            }
        )

    def describe(self) -> dict[str, Any]:
        return {"logits": self.layout.classes, "beats per logit": self.layout.logit_beats}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        bits = RESULT_BYTES * BYTE
        state = Signal(State)
        winner, steps = (Signal(self.result[name].shape, name=name, reset_less=True) for name in ("winner", "steps"))
        cycles = Signal(COUNTER_WIDTH, reset_less=True)
        begun, forgotten = Signal(), Signal()  # a beat of this packet has left; it counts no more
        part = Signal(range(max(2, self.layout.logit_beats)))
        part_ends = part == self.layout.logit_beats - 1
        logit = Signal(signed(self.layout.logit_beats * bits))
        beat, leaves = self.o.payload, self.o.valid & self.o.ready
        m.d.comb += logit.eq(self.i.payload.logit)
        with m.Switch(state):
            with m.Case(State.LOGITS):
                m.d.comb += [
                    self.o.valid.eq(self.i.valid & ~self.abort),
                    self.i.ready.eq(self.o.ready & part_ends & ~self.abort),
                    beat.data.eq(logit.as_unsigned().word_select(part, bits)),
                ]
                with m.If(leaves):
                    m.d.sync += [begun.eq(1), part.eq(Mux(part_ends, 0, part + 1))]
                    with m.If(part_ends & self.i.payload.last):
                        m.d.sync += [
                            state.eq(State.CLASS),
                            winner.eq(self.i.payload.winner),
                            steps.eq(self.i.payload.steps),
                            cycles.eq(self.i.payload.cycles),
                        ]
            with m.Case(State.CLASS):
                m.d.comb += [self.o.valid.eq(1), beat.data.eq(winner)]
                with m.If(leaves):
                    m.d.sync += state.eq(State.STEPS)
            with m.Case(State.STEPS):
                m.d.comb += [
                    self.o.valid.eq(self.errors.valid & ~self.abort),
                    self.errors.ready.eq(self.o.ready & ~self.abort),
                    beat.data.eq(steps | (self.errors.payload << STEPS_BITS)),
                ]
                with m.If(leaves):
                    m.d.sync += state.eq(State.CYCLES)
            with m.Case(State.CYCLES):
                m.d.comb += [self.o.valid.eq(1), beat.data.eq(cycles), beat.last.eq(1)]
                m.d.comb += self.done.eq(leaves & ~forgotten & ~self.abort)
                with m.If(leaves):
                    m.d.sync += [state.eq(State.LOGITS), begun.eq(0), forgotten.eq(0)]
            with m.Case(State.ABORTED):
                m.d.comb += [self.o.valid.eq(1), beat.data.eq(1 << ABORTED_BIT), beat.last.eq(1)]
                with m.If(leaves):
                    m.d.sync += [state.eq(State.LOGITS), begun.eq(0)]
        with m.If(self.abort):
            m.d.sync += part.eq(0)
            with m.If((state == State.CYCLES) & ~leaves):
                m.d.sync += forgotten.eq(1)
            with m.Elif((state == State.CLASS) | (state == State.STEPS) | ((state == State.LOGITS) & begun)):
                m.d.sync += state.eq(State.ABORTED)
        return m
