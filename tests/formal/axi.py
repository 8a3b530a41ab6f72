"""The AXI side of the host: every request is answered once, and the slices between streams lose nothing."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Module, Signal, Value
from formal.kit import Followed, Inside, free, mutated, offers, past, property_module, takes, transfer
from formal.prove import NoPath, Proof

from mintaka_hw.host.axi_lite import OKAY, SLVERR, AxiLite
from mintaka_hw.host.slice import Slice

INPUTS = ("awvalid", "wvalid", "bready", "arvalid", "rready", "write_ok", "read_ok")
PAYLOADS = {"aw": ("awaddr",), "w": ("wdata", "wstrb"), "ar": ("araddr",), "b": ("bresp",), "r": ("rdata", "rresp")}


def any_bus(m: Module, lite: AxiLite) -> None:
    """Any manager that keeps the rules of AXI, any register file behind; the answers keep the rules, too."""
    for name in (*INPUTS, "awaddr", "awprot", "wdata", "wstrb", "araddr", "arprot", "read_data"):
        free(m, getattr(lite, name), name)
    for channel, payloads in PAYLOADS.items():
        valid, ready = getattr(lite, f"{channel}valid"), getattr(lite, f"{channel}ready")
        waited = past(m, valid & ~ready, f"{channel}_waited")
        kept: Value = valid
        for name in payloads:
            kept = kept & (getattr(lite, name) == past(m, getattr(lite, name), f"{name}_waited"))
        m.d.comb += (Assert if channel in "br" else Assume)(~waited | kept)


def requests_are_answered_once(kind: Any) -> Module:
    """A write is done once, when its address and its data have come, with these; then it is answered once. A read too.

    An answer is offered as long as one is owed, and none else. So a manager that takes answers has them all.
    """
    m = property_module()
    Inside(m, lite := kind())
    any_bus(m, lite)
    for name, does, address, needs in (
        ("write", lite.write_en, lite.write_address, ("aw", "w")),
        ("read", lite.read_en, lite.read_address, ("ar",)),
    ):
        answer = "b" if name == "write" else "r"
        owed, wanted = Signal(name=f"{name}_owed"), Signal(2, name=f"{name}_answer")
        answers = getattr(lite, f"{answer}valid") & getattr(lite, f"{answer}ready")
        m.d.comb += [
            Assert(~answers | owed),
            Assert(getattr(lite, f"{answer}valid") == owed),
            Assert(~(does & owed)),  # one at a time
            Assert(~owed | (getattr(lite, f"{answer}resp") == wanted)),
        ]
        m.d.sync += owed.eq((owed | does) & ~answers)
        all_here: Value = ~owed
        for channel in needs:
            here = Signal(name=f"{channel}_here")  # a request that has come and is not done
            comes = getattr(lite, f"{channel}valid") & getattr(lite, f"{channel}ready")
            m.d.sync += here.eq((here | comes) & ~does)
            m.d.comb += [Assert(~(comes & here)), Assert(getattr(lite, f"{channel}ready") == ~here)]
            all_here = all_here & here
            for port in PAYLOADS[channel]:
                value = getattr(lite, port)
                came = Signal(value.shape(), name=f"{port}_came")
                with m.If(comes):
                    m.d.sync += came.eq(value)
                used = address if port.endswith("addr") else lite.write_data if port == "wdata" else lite.write_strobe
                m.d.comb += Assert(~here | (used == came))
        m.d.comb += Assert(does == all_here)
        with m.If(does):
            m.d.sync += wanted.eq(Array([SLVERR, OKAY])[getattr(lite, f"{name}_ok")])
        if name == "read":
            data = Signal(lite.read_data.shape(), name="data_read")
            with m.If(does):
                m.d.sync += data.eq(lite.read_data)
            m.d.comb += Assert(~owed | (lite.rdata == data))
    return m


def bus(kind: Any) -> Module:
    """Nothing but the ports."""
    m = property_module()
    Inside(m, lite := kind())
    any_bus(m, lite)
    return m


def slice_is_fifo(kind: Any) -> Module:
    """Words leave as they came, each once."""
    m = property_module()
    inside = Inside(m, two := kind(3))
    offers(m, two.i, "i")
    takes(m, two.o, "o")
    word = Followed(m, transfer(two.i), two.i.payload, transfer(two.o), 2)
    valid, more, first, second = (inside.value(name) for name in ("valid", "more", "first", "second"))
    m.d.comb += [
        Assert(two.o.valid == (word.level != 0)),
        Assert(two.i.ready == (word.level != 2)),
        Assert(~(word.due & two.o.valid) | (two.o.payload == word.value)),
        Assert(word.level == valid + more),
        Assert(~more | valid),
        Assert(~word.active | (Array([first, second])[word.ahead[0]] == word.value)),
    ]
    return m


READY = ("awready", "wready", "arready", "bvalid", "rvalid")
PROOFS: list[Proof | NoPath] = [
    Proof(
        "axi-lite",
        "every write and every read of AXI4-Lite is done once and answered once, whatever comes in whatever order",
        requests_are_answered_once,
        AxiLite,
        {
            "a write does not wait for its data": mutated(AxiLite, "has_address & has_data &", "has_address &"),
            "a write does not wait for the answer before": mutated(AxiLite, "& has_data & ~self.bvalid", "& has_data"),
            "a read does not wait for the answer before": mutated(AxiLite, "has_read & ~self.rvalid", "has_read"),
            "an answer does not wait": mutated(AxiLite, "with m.If(self.rready):", "with m.If(1):"),
            "refusals are not told": mutated(AxiLite, "Mux(self.write_ok, OKAY, SLVERR)", "OKAY"),
        },
        depth=2,
        fault_depth=8,
    ),
    NoPath(
        "valid-axi-lite",
        "of AxiLite no valid and no ready depends on an input in the same cycle",
        bus,
        AxiLite,
        {"it is ready when data comes": mutated(AxiLite, "wready.eq(~has_data)", "wready.eq(~has_data & self.wvalid)")},
        begins=INPUTS,
        ends=tuple(f"dut.{name}" for name in READY),
    ),
    Proof(
        "slice",
        "a register slice neither loses, repeats nor reorders words",
        slice_is_fifo,
        Slice,
        {
            "a third word is taken": mutated(Slice, "self.i.ready.eq(~more)", "self.i.ready.eq(1)"),
            "a word is given twice": mutated(Slice, "valid.eq(more | takes), more.eq(0)", "valid.eq(more | takes)"),
        },
        depth=2,
        fault_depth=6,
    ),
]
