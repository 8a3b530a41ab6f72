"""Frames on a serial line: a byte that is nowhere else marks their begin, a length and a CRC their end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.crc import CRC_START, crc16
from mintaka_hw.host.protocol import ESCAPE, FLAG, FLIP, HEADER_BYTES, Fault, Kind

FRAME_BYTE = data.StructLayout({"byte": 8, "last": 1})


class Place(IntEnum):
    """Where a reader is in a frame."""

    NOWHERE, HEADER, PAYLOAD, CRC_HIGH, CRC_LOW = range(5)


class Part(IntEnum):
    """What a writer sends of a frame."""

    FLAG, BODY, CRC_HIGH, CRC_LOW = range(4)


class FrameReader(wiring.Component):
    """Takes frames apart, and finds the next one behind anything.

    A flag always begins a frame, whatever was before. A wrong length, an unknown kind, a broken byte or a wrong CRC end
    it: `bad` says so once, and nothing counts until the next flag.

    Attributes
    ----------
    i_valid, i_data, i_broken : In, as a `UartReceiver` gives them
    busy : In(1)
        No request can be taken.
    kind : Out
    tag : Out(8)
        Of the frame that is read; both hold where `good` or `bad` is set.
    begins : Out(1)
        One cycle: a frame begins.
    data_valid, data : Out
        One cycle per byte of the payload.
    good : Out(1)
        One cycle: the frame is whole.
    bad : Out(1)
    fault : Out
    """

    def __init__(self, lengths: Mapping[Kind, int]):
        self.lengths = dict(lengths)
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(8),
                "i_broken": In(1),
                "busy": In(1),
                "kind": Out(8),
                "tag": Out(8),
                "begins": Out(1),
                "data_valid": Out(1),
                "data": Out(8),
                "good": Out(1),
                "bad": Out(1),
                "fault": Out(8),
            }
        )

    def describe(self) -> dict[str, Any]:
        return {f"payload of {kind.name.lower()}": f"{length} bytes" for kind, length in self.lengths.items()}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        state = Signal(range(len(Place)))
        crc = Signal(16)
        escaped = Signal()
        number = Signal(range(HEADER_BYTES))
        left = Signal(range(max(2, *self.lengths.values()) + 1))

        # ---- bytes as they were before they were escaped
        flag = Signal()
        escape = Signal()
        valid = Signal()
        m.d.comb += [
            flag.eq(self.i_valid & (self.i_data == FLAG)),
            escape.eq(self.i_valid & (self.i_data == ESCAPE) & ~escaped),
            valid.eq(self.i_valid & ~flag & ~escape),
            self.data.eq(Mux(escaped, self.i_data ^ FLIP, self.i_data)),
        ]
        with m.If(self.i_valid):
            m.d.sync += escaped.eq(escape)
        crc_next = crc16(crc, self.data)
        with m.If(valid):
            m.d.sync += crc.eq(crc_next)

        # ---- the length that this kind has, byte by byte
        known = Signal()
        fits = Signal()  # so far
        wanted = Signal(8)
        whole = Signal.like(left)
        with m.Switch(self.kind):
            for kind, length in self.lengths.items():
                with m.Case(kind):
                    m.d.comb += [known.eq(1), whole.eq(length)]
                    with m.Switch(number):
                        for n, byte in enumerate(length.to_bytes(4, "little"), HEADER_BYTES - 4):
                            with m.Case(n):
                                m.d.comb += wanted.eq(byte)
        matches = fits & (self.data == wanted)

        # ---- a frame
        with m.If(valid), m.Switch(state):
            with m.Case(Place.HEADER):
                m.d.sync += number.eq(number + 1)
                with m.If(number == 0):
                    m.d.sync += [self.kind.eq(self.data), fits.eq(1)]
                with m.Elif(number == 1):
                    m.d.sync += self.tag.eq(self.data)
                with m.Else():
                    m.d.sync += [fits.eq(matches), left.eq(whole)]
                with m.If(number == HEADER_BYTES - 1):
                    m.d.sync += state.eq(Mux(whole == 0, Place.CRC_HIGH, Place.PAYLOAD))
                    with m.If(~known | ~matches | self.busy):
                        of_known = Mux(matches, Fault.BUSY, Fault.LENGTH)
                        m.d.comb += [self.bad.eq(1), self.fault.eq(Mux(known, of_known, Fault.KIND))]
                        m.d.sync += state.eq(Place.NOWHERE)
            with m.Case(Place.PAYLOAD):
                m.d.comb += self.data_valid.eq(1)
                m.d.sync += left.eq(left - 1)
                with m.If(left == 1):
                    m.d.sync += state.eq(Place.CRC_HIGH)
            with m.Case(Place.CRC_HIGH):
                m.d.sync += state.eq(Place.CRC_LOW)
            with m.Case(Place.CRC_LOW):
                m.d.comb += [self.good.eq(crc_next == 0), self.bad.eq(crc_next != 0), self.fault.eq(Fault.CRC)]
                m.d.sync += state.eq(Place.NOWHERE)
        with m.If(self.i_broken & (state != Place.NOWHERE)):
            m.d.comb += [self.bad.eq(1), self.fault.eq(Fault.CRC)]
            m.d.sync += state.eq(Place.NOWHERE)
        with m.If(flag):
            m.d.comb += self.begins.eq(1)
            m.d.sync += [state.eq(Place.HEADER), number.eq(0), crc.eq(CRC_START)]
        return m


class FrameWriter(wiring.Component):
    """Makes a frame of the bytes from the kind to the payload's last: flag ahead, CRC behind, escapes between.

    Attributes
    ----------
    i : In(stream of struct: byte, last)
    o : Out(stream of bytes)
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(FRAME_BYTE)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        state = Signal(range(len(Part)))
        crc = Signal(16)
        byte = Signal(8)
        valid = Signal()
        last = Signal()
        flipped = Signal()  # the escape has gone ahead of this byte
        special = (byte == FLAG) | (byte == ESCAPE)
        with m.Switch(state):
            with m.Case(Part.FLAG):
                m.d.comb += [self.o.valid.eq(self.i.valid), self.o.payload.eq(FLAG)]
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += [state.eq(Part.BODY), crc.eq(CRC_START)]
            with m.Case(Part.BODY):
                m.d.comb += [valid.eq(self.i.valid), byte.eq(self.i.payload.byte), last.eq(self.i.payload.last)]
            with m.Case(Part.CRC_HIGH):
                m.d.comb += [valid.eq(1), byte.eq(crc[8:])]
            with m.Case(Part.CRC_LOW):
                m.d.comb += [valid.eq(1), byte.eq(crc[:8])]
        with m.If(valid):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(Mux(flipped, byte ^ FLIP, Mux(special, ESCAPE, byte)))]
            with m.If(self.o.ready):
                m.d.sync += flipped.eq(special & ~flipped)
                with m.If(~special | flipped), m.Switch(state):
                    with m.Case(Part.BODY):
                        m.d.comb += self.i.ready.eq(1)
                        m.d.sync += crc.eq(crc16(crc, byte))
                        with m.If(last):
                            m.d.sync += state.eq(Part.CRC_HIGH)
                    with m.Case(Part.CRC_HIGH):
                        m.d.sync += state.eq(Part.CRC_LOW)
                    with m.Case(Part.CRC_LOW):
                        m.d.sync += state.eq(Part.FLAG)
        return m
