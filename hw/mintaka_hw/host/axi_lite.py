"""AXI4-Lite on one side, single accesses to registers on the other."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.registers import ADDRESS_BITS, DATA_BITS, WORD_BYTES

RESPONSE_BITS, PROTECTION_BITS = 2, 3
OKAY, SLVERR = 0, 2


class AxiLite(wiring.Component):
    """One write and one read at a time; address and data of a write may come in any order. Every request is answered
    once: with SLVERR where the register file refuses it. No output waits for an input of the same cycle.

    Attributes
    ----------
    aw*, w*, b*, ar*, r* : the five channels of AXI4-Lite, as a subordinate
    write_en, write_address, write_data, write_strobe : Out
        One cycle per write.
    write_ok : In(1)
        In that cycle: it is done.
    read_en, read_address : Out
        One cycle per read.
    read_data, read_ok : In
        In that cycle.
    """

    CHANNELS = {  # noqa: RUF012
        "awaddr": In(ADDRESS_BITS),
        "awprot": In(PROTECTION_BITS),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(DATA_BITS),
        "wstrb": In(WORD_BYTES),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(RESPONSE_BITS),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(ADDRESS_BITS),
        "arprot": In(PROTECTION_BITS),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(DATA_BITS),
        "rresp": Out(RESPONSE_BITS),
        "rvalid": Out(1),
        "rready": In(1),
    }

    def __init__(self) -> None:
        super().__init__(
            {
                **self.CHANNELS,
                "write_en": Out(1),
                "write_address": Out(ADDRESS_BITS),
                "write_data": Out(DATA_BITS),
                "write_strobe": Out(WORD_BYTES),
                "write_ok": In(1),
                "read_en": Out(1),
                "read_address": Out(ADDRESS_BITS),
                "read_data": In(DATA_BITS),
                "read_ok": In(1),
            }
        )

    def describe(self) -> dict[str, Any]:
        return {"address bits": ADDRESS_BITS, "data bits": DATA_BITS}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        # ---- write: address and data are kept until both are there and the answer before has gone
        has_address, has_data = Signal(), Signal()
        m.d.comb += [
            self.awready.eq(~has_address),
            self.wready.eq(~has_data),
            self.write_en.eq(has_address & has_data & ~self.bvalid),
        ]
        with m.If(self.awvalid & self.awready):
            m.d.sync += [has_address.eq(1), self.write_address.eq(self.awaddr)]
        with m.If(self.wvalid & self.wready):
            m.d.sync += [has_data.eq(1), self.write_data.eq(self.wdata), self.write_strobe.eq(self.wstrb)]
        with m.If(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(self.write_en):
            m.d.sync += [
                has_address.eq(0),
                has_data.eq(0),
                self.bvalid.eq(1),
                self.bresp.eq(Mux(self.write_ok, OKAY, SLVERR)),
            ]

        # ---- read
        has_read = Signal()
        m.d.comb += [self.arready.eq(~has_read), self.read_en.eq(has_read & ~self.rvalid)]
        with m.If(self.arvalid & self.arready):
            m.d.sync += [has_read.eq(1), self.read_address.eq(self.araddr)]
        with m.If(self.rready):
            m.d.sync += self.rvalid.eq(0)
        with m.If(self.read_en):
            m.d.sync += [
                has_read.eq(0),
                self.rvalid.eq(1),
                self.rdata.eq(self.read_data),
                self.rresp.eq(Mux(self.read_ok, OKAY, SLVERR)),
            ]
        return m
