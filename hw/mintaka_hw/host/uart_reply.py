"""The bytes of a reply, one after the other."""

from __future__ import annotations

from math import ceil

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.protocol import HEADER_BYTES, REPLY, Kind
from mintaka_hw.host.uart_frame import FRAME_BYTE

WORD_BYTES = 4  # of a number


class Reply(wiring.Component):
    """Gives header and payload of the reply to a request, in the order of the protocol. All inputs must hold meanwhile.

    Attributes
    ----------
    start : In(1)
        One cycle: begin.
    kind, tag : In(8)
        Of the request; `Kind.ERROR` replies with `fault`.
    fault : In(8)
    numbers : In
        What the reply to RUN begins with, 32 bits each.
    address : Out
        Of the logit wanted; `logit` has it a cycle later.
    logit : In
    o : Out(stream of struct: byte, last)
    """

    def __init__(self, identity: bytes, numbers: int, classes: int, logit_width: int):
        self.identity, self.number_count = identity, numbers
        self.classes, self.logit_width = classes, logit_width
        super().__init__(
            {
                "start": In(1),
                "kind": In(8),
                "tag": In(8),
                "fault": In(8),
                "numbers": In(8 * WORD_BYTES * numbers),
                "address": Out(range(max(2, classes))),
                "logit": In(signed(logit_width)),
                "o": Out(stream.Signature(FRAME_BYTE)),
            }
        )

    def describe(self) -> dict[str, object]:
        return {"numbers": self.number_count, "logits": self.classes}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        logit_bytes = ceil(self.logit_width / 8)
        of_run = [self.numbers[n : n + 8] for n in range(0, len(self.numbers), 8)]
        payloads: dict[Kind, list[Value]] = {
            Kind.IDENTIFY: [Const(byte, 8) for byte in self.identity],
            Kind.RUN: of_run,
            Kind.ERROR: [self.fault],
        }
        longest = HEADER_BYTES + max(map(len, payloads.values()))
        at = Signal(range(longest + 1))  # stays behind the numbers while the logits follow
        part = Signal(range(max(2, logit_bytes)))  # of a logit, its byte
        byte = Signal(8)
        last = Signal()
        next_byte = Signal(8)
        next_last = Signal()
        in_logits = Signal()
        with m.Switch(self.kind):
            for kind, payload in payloads.items():
                with m.Case(kind):
                    length = len(payload) + (self.classes * logit_bytes if kind is Kind.RUN else 0)
                    head = [
                        Const(kind | REPLY, 8),
                        self.tag,
                        *(Const(byte, 8) for byte in length.to_bytes(4, "little")),
                    ]
                    with m.Switch(at):
                        for n, value in enumerate((*head, *payload)):
                            with m.Case(n):
                                m.d.comb += next_byte.eq(value)
                        if kind is Kind.RUN:
                            with m.Default():
                                m.d.comb += [in_logits.eq(1), next_byte.eq(self.logit >> (part << 3))]
                    ends = (self.address == self.classes - 1) & (part == logit_bytes - 1)
                    m.d.comb += next_last.eq(in_logits & ends if kind is Kind.RUN else at == HEADER_BYTES + length - 1)
        # A logit comes a cycle behind its address, the byte behind that: two cycles from each byte to the next.
        active = Signal()
        settled = Signal(2)
        taken = self.o.valid & self.o.ready
        m.d.sync += [byte.eq(next_byte), last.eq(next_last), settled.eq(settled << 1 | 1)]
        m.d.comb += [
            self.o.valid.eq(active & settled[1]),
            self.o.payload.byte.eq(byte),
            self.o.payload.last.eq(last),
        ]
        with m.If(taken):
            m.d.sync += [active.eq(~last), settled.eq(0)]
            with m.If(in_logits):
                word_ends = part == logit_bytes - 1
                m.d.sync += [part.eq(Mux(word_ends, 0, part + 1)), self.address.eq(self.address + word_ends)]
            with m.Else():
                m.d.sync += at.eq(at + 1)
        with m.If(self.start):
            m.d.sync += [active.eq(1), settled.eq(0), at.eq(0), part.eq(0), self.address.eq(0)]
        return m
