"""Behind the head: logits of several pixels are put in order, then leave one per beat, the winner with the last."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import Folding, StreamLayout


class LogitOrder(wiring.Component):
    """Takes a head's words window by window, group by group, and gives its logits channel by channel (C order).

    Two banks: one sample's words come in while the logits of the sample before leave, one per cycle.

    Parameters
    ----------
    layer : name of the head
    folding : how its logits lie in words
    logit_width : bits of a logit

    Attributes
    ----------
    i : In(stream of the head's words)
    o : Out(stream of single logits)
    """

    def __init__(self, layer: str, folding: Folding, logit_width: int):
        self.layer, self.folding, self.logit_width = layer, folding, logit_width
        words = folding.lanes * logit_width
        super().__init__({"i": In(stream.Signature(words)), "o": Out(stream.Signature(logit_width))})

    def describe(self) -> dict[str, Any]:
        folding = self.folding
        return {"layer": self.layer, "words": folding.states, "logits": folding.channels * folding.windows}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        folding = self.folding
        m = Module()
        memory = Memory(shape=unsigned(len(self.i.payload)), depth=2 * folding.states, init=[])
        m.submodules.logits = memory
        write, read = memory.write_port(), memory.read_port()
        full = Signal(2)

        # ---- words in
        into, place = Signal(), Signal(range(folding.states))
        fills = Signal()
        word_ends = place == folding.states - 1
        m.d.comb += [
            self.i.ready.eq(~full.bit_select(into, 1)),
            write.en.eq(self.i.valid & self.i.ready),
            write.addr.eq(Mux(into, folding.states, 0) + place),
            write.data.eq(self.i.payload),
            fills.eq(write.en & word_ends),
        ]
        with m.If(write.en):
            m.d.sync += [place.eq(Mux(word_ends, 0, place + 1)), into.eq(into ^ word_ends)]

        # ---- logits out: of each channel all windows
        out, valid = Signal(), Signal()
        window, channel = Signal(range(max(2, folding.windows))), Signal(range(max(2, folding.channels)))
        lane, group = Signal(range(max(2, folding.lanes))), Signal(range(max(2, folding.groups)))
        at = Signal(range(folding.states))  # of this window's and group's word
        held = Signal.like(lane, name="lane_held")
        advance, empties = Signal(), Signal()
        width = self.logit_width
        logits = [read.data[n * width : (n + 1) * width] for n in range(folding.lanes)]
        window_ends, channel_ends = window == folding.windows - 1, channel == folding.channels - 1
        lane_ends = lane == folding.lanes - 1
        m.d.comb += [
            advance.eq((~valid | self.o.ready) & full.bit_select(out, 1)),
            empties.eq(advance & window_ends & channel_ends),
            read.en.eq(advance),
            read.addr.eq(Mux(out, folding.states, 0) + at),
            self.o.valid.eq(valid),
            self.o.payload.eq(Array(logits)[held]),
        ]
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        with m.If(advance):
            m.d.sync += [
                valid.eq(1),
                held.eq(lane),
                window.eq(Mux(window_ends, 0, window + 1)),
                at.eq(at + folding.groups),
            ]
            with m.If(window_ends):
                following = Mux(channel_ends, 0, Mux(lane_ends, group + 1, group))
                m.d.sync += [
                    channel.eq(Mux(channel_ends, 0, channel + 1)),
                    lane.eq(Mux(channel_ends | lane_ends, 0, lane + 1)),
                    group.eq(following),
                    at.eq(following),
                    out.eq(out ^ channel_ends),
                ]
        m.d.sync += full.eq((full | (fills << into)) & ~(empties << out))
        return m


def logit_layout(logits: StreamLayout) -> data.StructLayout:
    """A logit on its way out; with the `last` one of a sample, `winner` is the class."""
    winner = max(1, (logits.elements - 1).bit_length())
    return data.StructLayout({"logit": signed(logits.element_bits), "winner": winner, "last": 1})


class LogitSerializer(wiring.Component):
    """One comparator finds the argmax while the logits pass; strictly greater wins, so ties go to the lowest index.

    A logit leaves the cycle after it was taken.

    Attributes
    ----------
    i : In(stream of `logits`' words)
    o : Out(stream of struct: logit, winner, last)
        `winner` is the class once `last` is set; one beat per class, in order.
    """

    def __init__(self, logits: StreamLayout):
        self.logits = logits
        self.layout = logit_layout(logits)
        super().__init__({"i": In(stream.Signature(logits.word_bits)), "o": Out(stream.Signature(self.layout))})

    def describe(self) -> dict[str, Any]:
        return {"classes": self.logits.elements, "logit bits": self.logits.element_bits}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        lanes, width = self.logits.word_elements, self.logits.element_bits

        # ---- the next logit, out of its word
        lane, number = Signal(range(max(2, lanes))), Signal(range(self.logits.elements + 1))
        last = number == self.logits.elements - 1
        word_ends = last | (lane == lanes - 1)
        step, valid = Signal(), Signal()
        logit = Signal(signed(width), reset_less=True)
        given = Signal.like(number, reset_less=True)
        is_last = Signal(reset_less=True)
        logits = Array([self.i.payload[n * width : (n + 1) * width].as_signed() for n in range(lanes)])
        m.d.comb += [step.eq(self.i.valid & (~valid | self.o.ready)), self.i.ready.eq(step & word_ends)]
        m.d.sync += valid.eq(step | (valid & ~self.o.ready))
        with m.If(step):
            m.d.sync += [logit.eq(logits[lane]), given.eq(number), is_last.eq(last)]
            m.d.sync += [number.eq(Mux(last, 0, number + 1)), lane.eq(Mux(word_ends, 0, lane + 1))]

        # ---- is it the largest so far?
        best = Signal(signed(width), reset_less=True)
        winner = Signal(self.layout["winner"].shape, reset_less=True)
        wins = (given == 0) | (logit > best)
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.logit.eq(logit),
            self.o.payload.last.eq(is_last),
            self.o.payload.winner.eq(Mux(wins, given, winner)),
        ]
        with m.If(valid & wins):  # the same again where the reader is not ready
            m.d.sync += [best.eq(logit), winner.eq(given)]
        return m
