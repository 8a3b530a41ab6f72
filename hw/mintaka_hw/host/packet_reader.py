"""From the beats of AXI4-Stream packets to the beats of samples: always as many as a sample has, whatever comes in."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.packets import BYTE, ERRORS, PacketLayout


def packet_beat(beat_bytes: int) -> data.StructLayout:
    """A beat of AXI4-Stream."""
    return data.StructLayout({"data": beat_bytes * BYTE, "keep": beat_bytes, "last": 1})


def frame_beat(beat_bytes: int) -> data.StructLayout:
    """A beat of a frame; `end` marks its last one, in which bytes behind the frame are 0."""
    return data.StructLayout({"data": beat_bytes * BYTE, "end": 1})


class PacketReader(wiring.Component):
    """Makes each packet one whole sample: of a short one missing bytes are 0, of a long one the rest is dropped.

    Null beats (TKEEP of 0), which an interconnect may add anywhere, are dropped. One with TLAST ends the packet where
    the beat before it would have done. So a sample whose last beat came without TLAST is said to end only with what
    follows: a null beat with TLAST, or another beat, which makes the packet too long.

    Attributes
    ----------
    i : In(stream of beats of packets)
    o : Out(stream of beats of frames)
    frames : In
        Frames per sample. Changes between packets only.
    open : In(1)
        A new packet may begin.
    abort : In(1)
        One cycle: the sample at hand is forgotten, and what its packet has left is dropped. If it was being dropped
        already, the next beat begins a packet.
    begins, ends : Out(1)
        A sample's first beat leaves; its last one has left, and its packet has ended or is too long.
    errors : Out(3)
        With `ends`: what was wrong with the packet, in the order of `ERRORS`.
    inside, drops : Out(1)
        In the middle of a packet; the rest of a packet is being dropped.
    """

    def __init__(self, layout: PacketLayout):
        self.layout = layout
        super().__init__(
            {
                "i": In(stream.Signature(packet_beat(layout.beat_bytes))),
                "o": Out(stream.Signature(frame_beat(layout.beat_bytes))),
                "frames": In(range(layout.frames + 1)),
                "open": In(1),
                "abort": In(1),
                "begins": Out(1),
                "ends": Out(1),
                "errors": Out(len(ERRORS)),
                "inside": Out(1),
                "drops": Out(1),
            }
        )

    def describe(self) -> dict[str, Any]:
        layout = self.layout
        frames = layout.frames if layout.static else f"up to {layout.frames}"
        return {
            "bytes per beat": layout.beat_bytes,
            "beats per frame": layout.frame_beats,
            "frames per sample": frames,
            "bytes used in a frame's last beat": layout.rest_bytes,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layout = self.layout
        m = Module()
        beat, frame = Signal(range(max(2, layout.frame_beats))), Signal(range(max(2, layout.frames)))
        pads = Signal()  # the packet has ended before the sample has
        closing = Signal()  # the sample has ended before the packet has
        beat_ends, sample_ends = beat == layout.frame_beats - 1, Signal()
        keep, last = self.i.payload.keep, self.i.payload.last
        null, skips = Signal(), Signal()
        m.d.comb += [
            null.eq(keep == 0),
            skips.eq(null & ~last),
            sample_ends.eq(beat_ends & (frame == (self.frames - 1)[: len(frame)])),
            self.inside.eq((beat != 0) | (frame != 0) | closing),
        ]

        # ---- one beat in, or none where the packet has ended; one beat out
        allowed, transfer, whole, closes = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            allowed.eq(~self.drops & ~closing & ~self.abort & (self.inside | self.open)),
            self.o.valid.eq(allowed & (pads | (self.i.valid & ~skips))),
            self.i.ready.eq(~self.abort & (self.drops | skips | (closing & null) | (allowed & ~pads & self.o.ready))),
            transfer.eq(self.o.valid & self.o.ready),
            whole.eq(transfer & sample_ends),
            closes.eq(closing & self.i.valid & ~skips & ~self.abort),
            self.begins.eq(transfer & ~self.inside),
            self.ends.eq((whole & (pads | last)) | closes),
        ]
        everything = (1 << layout.beat_bytes) - 1
        needed = Mux(beat_ends, Const((1 << layout.rest_bytes) - 1, layout.beat_bytes), everything)
        used = Signal(layout.beat_bytes)
        m.d.comb += used.eq(Mux(pads, 0, needed & keep))
        bytes_of = [self.i.payload.data.word_select(n, BYTE) for n in range(layout.beat_bytes)]
        m.d.comb += [
            self.o.payload.data.eq(Cat(Mux(used[n], byte, 0) for n, byte in enumerate(bytes_of))),
            self.o.payload.end.eq(beat_ends),
        ]

        # ---- what is wrong with it
        lacks, front = Signal(), Signal()  # a byte with data is left out; all bytes that are not come first
        partial = Signal()  # so it was with the beat before, without TLAST: right where the packet ends behind it
        found, noted = Signal(len(ERRORS)), Signal(len(ERRORS))
        short = last & (~sample_ends | (lacks & front))
        lost = (lacks & ~front) | (partial & ~null)
        m.d.comb += [
            lacks.eq(used != needed),
            front.eq((keep & (keep + 1)[: len(keep)]) == 0),
            found.eq(Mux(closing, Cat(null & partial, ~null, ~null & partial), Mux(pads, 0, Cat(short, 0, lost)))),
            self.errors.eq(noted | found),
        ]
        with m.If(transfer):
            m.d.sync += [
                beat.eq(Mux(beat_ends, 0, beat + 1)),
                noted.eq(Mux(self.ends, 0, self.errors)),
                partial.eq(~pads & ~last & lacks & front),
                pads.eq(~sample_ends & (pads | last)),
                closing.eq(sample_ends & ~pads & ~last),
            ]
            with m.If(beat_ends):
                m.d.sync += frame.eq(Mux(sample_ends, 0, frame + 1))
        with m.If(closes):
            m.d.sync += [closing.eq(0), noted.eq(0), partial.eq(0), self.drops.eq(~null)]
        with m.If(self.drops & self.i.valid & self.i.ready & last):
            m.d.sync += self.drops.eq(0)
        with m.If(self.abort):
            m.d.sync += [beat.eq(0), frame.eq(0), noted.eq(0), pads.eq(0), closing.eq(0), partial.eq(0)]
            m.d.sync += self.drops.eq(self.inside & ~pads)
        return m
