"""The serial host: its streams keep the handshake, a frame is its bytes, and the line carries what it was given.

The buffer, the writer and the transmitter follow one another on the way out; what comes in from the line has no
handshake, for a line does not wait.
"""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal
from formal.kit import Inside, free, mutated, offers, past, property_module, takes, transfer
from formal.prove import NoPath, Proof, valid_alone

from mintaka_hw.host.crc import CRC_START, crc16
from mintaka_hw.host.protocol import ESCAPE, FLAG, FLIP
from mintaka_hw.host.uart_buffers import SampleBuffer
from mintaka_hw.host.uart_frame import FrameWriter, Part
from mintaka_hw.host.uart_line import BITS, UartTransmitter
from mintaka_hw.host.uart_reply import Reply

DIVISOR = 4  # cycles per bit: the fewest that the host allows


def replies_wait(kind: Any) -> Module:
    """The handshake of a reply, if inputs hold from the start on and a logit comes a cycle behind its address.

    A start in the middle begins anew.
    """
    m = property_module()
    Inside(m, reply := kind(b"\x01\x02", 1, 2, 12))
    start = free(m, reply.start, "start")
    for name in ("kind", "tag", "fault", "numbers"):
        value = free(m, getattr(reply, name), name)
        m.d.comb += Assume(start | (value == past(m, value, f"{name}_before")))
    logit = free(m, reply.logit, "any_logit")
    address = past(m, reply.address, "address_1")
    same = address == past(m, address, "address_2")
    m.d.comb += Assume(~same | (logit == past(m, logit, "logit_before")))
    takes(m, reply.o, "o", excused=start)
    return m


def frames_are_their_bytes(kind: Any) -> Module:
    """A flag begins a frame and is nowhere else in it; every byte leaves once and in order, escaped where it must be.

    At the end the CRC over all that a reader sees is 0.
    """
    m = property_module()
    inside = Inside(m, writer := kind())
    offers(m, writer.i, "i")
    takes(m, writer.o, "o")
    sent, out = transfer(writer.o), writer.o.payload
    escaped, framed, closing = (Signal(name=name) for name in ("byte_escaped", "in_frame", "bytes_over"))
    second = Signal(name="second_of_crc")
    crc = Signal(16, name="crc_seen", init=CRC_START)
    byte = Signal(8, name="byte_seen")
    m.d.comb += byte.eq(Mux(escaped, out ^ FLIP, out))
    flag, escape = sent & (out == FLAG), sent & (out == ESCAPE)
    seen = sent & framed & ~escape
    ends = seen & closing & second
    crc_now = crc16(crc, byte)
    with m.If(sent):
        m.d.sync += escaped.eq(escape)
    with m.If(flag):
        m.d.sync += [framed.eq(1), crc.eq(CRC_START)]
    with m.If(seen):
        m.d.sync += [crc.eq(crc_now), second.eq(closing & ~second)]
        with m.If(transfer(writer.i)):
            m.d.sync += closing.eq(writer.i.payload.last)
    with m.If(ends):
        m.d.sync += [framed.eq(0), closing.eq(0)]
    crc_sent = inside.value("crc")
    raw = Mux(closing, crc_sent.word_select(~second, 8), writer.i.payload.byte)  # the byte at hand
    there = writer.i.valid | closing
    m.d.comb += [
        Assert(~sent | (flag == ~framed)),
        Assert(~(escape & escaped)),
        Assert(transfer(writer.i) == (seen & ~closing)),
        Assert(~transfer(writer.i) | (byte == writer.i.payload.byte)),
        Assert(~ends | (crc_now == 0)),
        # A byte that is there is on its way, and so is the CRC.
        Assert(writer.o.valid == there),
        # Inside.
        Assert(
            inside.value("state")
            == Mux(~framed, Part.FLAG, Mux(~closing, Part.BODY, Mux(second, Part.CRC_LOW, Part.CRC_HIGH)))
        ),
        Assert(inside.value("flipped") == escaped),
        Assert(framed | ~(escaped | closing)),
        Assert(closing | ~second),
        Assert(~escaped | (there & ((raw == FLAG) | (raw == ESCAPE)))),
        Assert(~framed | (crc == Mux(second, crc16(crc_sent, crc_sent[8:]), crc_sent))),
    ]
    return m


def line_carries_bytes(kind: Any) -> Module:
    """A byte is taken when the line is free; then come start bit, bits and stop bit, each for its cycles."""
    m = property_module()
    inside = Inside(m, sender := kind(DIVISOR))
    offers(m, sender.i, "i")
    frame = Signal(BITS, name="frame", init=-1)
    cycle = Signal(range(BITS * DIVISOR + 1), name="cycle", init=BITS * DIVISOR)  # of the byte on the line; then idle
    idle = cycle == BITS * DIVISOR
    with m.If(transfer(sender.i)):
        m.d.sync += [frame.eq(Cat(Const(0, 1), sender.i.payload, Const(1, 1))), cycle.eq(0)]
    with m.Elif(~idle):
        m.d.sync += cycle.eq(cycle + 1)
    number, left, timer = cycle // DIVISOR, inside.value("left"), inside.value("timer")
    m.d.comb += [
        Assert(sender.i.ready == idle),
        Assert(sender.tx == Mux(idle, 1, frame.bit_select(number, 1))),
        # Inside.
        Assert(cycle <= BITS * DIVISOR),
        Assert(left == BITS - number),
        Assert(idle | (timer == DIVISOR - 1 - cycle % DIVISOR)),
        Assert(idle | (inside.value("bits") == Cat(frame, Const(-1, BITS)).bit_select(number + 1, BITS - 1))),
    ]
    return m


def words_are_kept(kind: Any) -> Module:
    """All words of a sample, each once and in order, whenever they are asked for; none is changed while it waits.

    One word is followed, any one. While words leave no bytes come and nothing is asked for: the host refuses that.
    """
    m = property_module()
    words, bits = 3, 12  # a word is two bytes
    inside = Inside(m, buffer := kind(words, bits))
    fresh, comes, byte, send = (free(m, getattr(buffer, n), n) for n in ("fresh", "i_valid", "i_data", "send"))
    takes(m, buffer.o, "o")
    which, value = Signal(range(words), name="which"), Signal(bits, name="value")
    m.d.comb += [which.eq(AnyConst(len(which))), Assume(which < words)]
    came, low = Signal(range(2 * words + 1), name="bytes_came"), Signal(8, name="low_byte")
    left = Signal(range(words + 1), name="words_left", init=words)  # since they were asked for
    m.d.comb += [
        Assume(~comes | (came < 2 * words)),
        Assume((left == words) | ~(comes | send)),
    ]
    with m.If(comes):
        m.d.sync += [came.eq(came + 1), low.eq(byte)]
        with m.If(came == 2 * which + 1):
            m.d.sync += value.eq(Cat(low, byte))
    with m.If(fresh):
        m.d.sync += came.eq(0)
    with m.If(transfer(buffer.o)):
        m.d.sync += left.eq(left + 1)
    with m.If(send):
        m.d.sync += left.eq(0)
    valid, asking = inside.value("valid"), inside.value("left")
    m.d.comb += [
        Assert(~buffer.o.valid | (left != which) | (buffer.o.payload == value)),
        Assert(~buffer.o.valid | (left < words)),
        Assert(buffer.empty == (left == words)),
        # Inside.
        Assert(came <= 2 * words),
        Assert(2 * inside.value("place") + inside.value("number") == came),
        Assert(~came[0] | (inside.value("held") == low)),
        Assert(asking == (left + valid < words)),
        Assert(~asking | (inside.value("at") == left + valid)),
        Assert(inside.stored(which, "words") == value),
    ]
    return m


PROOFS: list[Proof | NoPath] = [
    Proof(
        "rules-reply",
        "the bytes of a reply keep the handshake, and its inputs need to hold no longer than it takes",
        replies_wait,
        Reply,
        {
            "a byte is given before it is there": mutated(Reply, "active & settled[1]", "active"),
            "a byte is given before its logit is there": mutated(Reply, "active & settled[1]", "active & settled[0]"),
            "a byte does not wait": mutated(Reply, "taken = self.o.valid & self.o.ready", "taken = self.o.valid"),
        },
        depth=4,
        fault_depth=36,
    ),
    Proof(
        "frame-writer",
        "a frame is a flag, its bytes, each once and in order, and a CRC; a flag is nowhere else in it",
        frames_are_their_bytes,
        FrameWriter,
        {
            "flags are not escaped": mutated(FrameWriter, "(byte == FLAG) | (byte == ESCAPE)", "byte == ESCAPE"),
            "a byte leaves with its escape": mutated(FrameWriter, "with m.If(~special | flipped), m", "with m"),
            "the CRC goes on from the frame before": mutated(FrameWriter, ", crc.eq(CRC_START)", ""),
            "bytes do not wait": mutated(FrameWriter, "with m.If(self.o.ready):", "with m.If(1):"),
        },
        depth=2,
        fault_depth=10,
    ),
    Proof(
        "sample-buffer",
        "all words of a sample leave once and in order, as their bytes came, whenever they are asked for",
        words_are_kept,
        SampleBuffer,
        {
            "a word does not wait": mutated(SampleBuffer, "left & (~valid | self.o.ready)", "left"),
            "the last word is left out": mutated(SampleBuffer, "at != self.words - 1", "at != self.words - 2"),
            "a sample goes on where the one before was cut": mutated(
                SampleBuffer, "[number.eq(0), place.eq(0)]", "place.eq(0)"
            ),
        },
        depth=2,
        fault_depth=12,
    ),
    Proof(
        "transmitter",
        "the line carries every byte that is taken, and takes the next one when it is free",
        line_carries_bytes,
        UartTransmitter,
        {
            "it takes bytes while it sends": mutated(
                UartTransmitter, "self.i.ready.eq(left == 0)", "self.i.ready.eq(1)"
            ),
            "there is no stop bit": mutated(UartTransmitter, "left.eq(BITS)", "left.eq(BITS - 1)"),
        },
        depth=2,
        fault_depth=4 * BITS + 4,
    ),
]
PROOFS += [
    valid_alone("reply", Reply, replies_wait, "active & settled[1]"),
    valid_alone("frame-writer", FrameWriter, frames_are_their_bytes, "self.i.valid"),
    valid_alone("sample-buffer", SampleBuffer, words_are_kept, "valid"),
]
