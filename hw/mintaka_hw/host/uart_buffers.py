"""What a serial line is too slow for: a whole sample on its way in, the logits on their way out."""

from __future__ import annotations

from math import ceil
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class SampleBuffer(wiring.Component):
    """Keeps a sample, then gives its words one per cycle.

    Attributes
    ----------
    fresh : In(1)
        The next byte is the first of a sample.
    i_valid, i_data : In
        A byte: of each word its bits 0 to 7, then 8 to 15, and so on; the bits above the word are ignored.
    send : In(1)
        One cycle: give all words.
    o : Out(stream of words)
    empty : Out(1)
        All of them have been taken.
    """

    def __init__(self, words: int, word_bits: int):
        self.words, self.word_bits = words, word_bits
        super().__init__(
            {
                "fresh": In(1),
                "i_valid": In(1),
                "i_data": In(8),
                "send": In(1),
                "o": Out(stream.Signature(word_bits)),
                "empty": Out(1),
            }
        )

    def describe(self) -> dict[str, Any]:
        return {"words": self.words, "bits per word": self.word_bits}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        memory = Memory(shape=unsigned(self.word_bits), depth=self.words, init=[])
        m.submodules.words = memory
        write, read = memory.write_port(), memory.read_port()

        # ---- bytes in: the last one of a word completes it
        word_bytes = ceil(self.word_bits / 8)
        number = Signal(range(max(2, word_bytes)))
        place = Signal(range(max(2, self.words)))
        complete = number == word_bytes - 1
        held = Signal(8 * (word_bytes - 1), reset_less=True)
        m.d.comb += [
            write.addr.eq(place),
            write.data.eq(Cat(held, self.i_data)),
            write.en.eq(self.i_valid & complete),
        ]
        with m.If(self.i_valid):
            m.d.sync += [held.eq(Cat(held, self.i_data)[8:]), number.eq(Mux(complete, 0, number + 1))]
            with m.If(complete):
                m.d.sync += place.eq(place + 1)
        with m.If(self.fresh):
            m.d.sync += [number.eq(0), place.eq(0)]

        # ---- words out
        at = Signal(range(max(2, self.words)))
        left = Signal()
        valid = Signal()
        m.d.comb += [
            read.addr.eq(at),
            read.en.eq(left & (~valid | self.o.ready)),
            self.o.payload.eq(read.data),
            self.o.valid.eq(valid),
            self.empty.eq(~left & ~valid),
        ]
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        with m.If(read.en):
            m.d.sync += [valid.eq(1), at.eq(at + 1), left.eq(at != self.words - 1)]
        with m.If(self.send):
            m.d.sync += [at.eq(0), left.eq(1)]
        return m


class ResultBuffer(wiring.Component):
    """Keeps the logits of a sample, so that the accelerator never waits for the line.

    Attributes
    ----------
    clear : In(1)
        The next logit is the first of a sample.
    i_valid, i_logit : In
    address : In
    logit : Out
        The logit at `address`, a cycle later.
    """

    def __init__(self, classes: int, logit_width: int):
        self.classes, self.logit_width = classes, logit_width
        super().__init__(
            {
                "clear": In(1),
                "i_valid": In(1),
                "i_logit": In(signed(logit_width)),
                "address": In(range(max(2, classes))),
                "logit": Out(signed(logit_width)),
            }
        )

    def describe(self) -> dict[str, Any]:
        return {"logits": self.classes, "logit bits": self.logit_width}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        memory = Memory(shape=unsigned(self.logit_width), depth=self.classes, init=[])
        m.submodules.logits = memory
        write, read = memory.write_port(), memory.read_port()
        place = Signal.like(self.address)
        m.d.comb += [
            write.addr.eq(place),
            write.data.eq(self.i_logit),
            write.en.eq(self.i_valid),
            read.addr.eq(self.address),
            self.logit.eq(read.data),
        ]
        with m.If(self.i_valid):
            m.d.sync += place.eq(place + 1)
        with m.If(self.clear):
            m.d.sync += place.eq(0)
        return m
