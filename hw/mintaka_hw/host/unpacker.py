"""From the beats of a frame to the accelerator's words, which may have another width."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.packet_reader import frame_beat
from mintaka_hw.host.packets import BYTE, PacketLayout


class Unpacker(wiring.Component):
    """Cuts the bytes of a frame into words: one per cycle, as long as beats come.

    Attributes
    ----------
    i : In(stream of beats of frames)
    o : Out(stream of words)
    """

    def __init__(self, layout: PacketLayout):
        self.layout = layout
        beats = stream.Signature(frame_beat(layout.beat_bytes))
        super().__init__({"i": In(beats), "o": Out(stream.Signature(layout.word_bits))})

    def describe(self) -> dict[str, Any]:
        layout = self.layout
        return {
            "bytes per beat": layout.beat_bytes,
            "bytes per word": layout.word_bytes,
            "words per frame": layout.frame_words,
            "bits per word": layout.word_bits,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layout = self.layout
        m = Module()
        granule, size = layout.granule_bytes, layout.granule_bytes * BYTE
        per_beat, per_word, rest = (n // granule for n in (layout.beat_bytes, layout.word_bytes, layout.rest_bytes))
        places = per_beat + per_word - 1
        store, count = Signal(places * size), Signal(range(places + 1))
        m.d.comb += [self.o.valid.eq(count >= per_word), self.o.payload.eq(store)]

        # ---- a word leaves, what is behind it moves up, a beat goes behind that
        leaves, stays = Signal(), Signal.like(count)
        left = Signal.like(store)
        m.d.comb += [
            leaves.eq(self.o.valid & self.o.ready),
            stays.eq(Mux(leaves, count - per_word, count)),
            left.eq(Mux(leaves, store >> (per_word * size), store)),
            self.i.ready.eq(stays < per_word),
        ]
        m.d.sync += [count.eq(stays), store.eq(left)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += count.eq(stays + Mux(self.i.payload.end, rest, per_beat))
            with m.Switch(stays):
                for n in range(per_word):
                    with m.Case(n):
                        m.d.sync += store.eq(left | (self.i.payload.data << (n * size)))
        return m
