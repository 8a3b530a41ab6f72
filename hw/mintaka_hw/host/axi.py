"""The accelerator behind AXI: samples in and results out as AXI4-Stream packets, registers on AXI4-Lite."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, ResetInserter, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.axi_lite import AxiLite
from mintaka_hw.host.counters import Counters
from mintaka_hw.host.packet_reader import PacketReader, packet_beat
from mintaka_hw.host.packet_writer import RESULT_BEAT, PacketWriter
from mintaka_hw.host.packets import BYTE, ERRORS, RESULT_BYTES, packet_layout
from mintaka_hw.host.register_file import RegisterFile
from mintaka_hw.host.registers import ADDRESS_BITS, COUNTERS, FLAGS, register_map
from mintaka_hw.host.render import c_header, python_driver
from mintaka_hw.host.slice import Slice
from mintaka_hw.host.unpacker import Unpacker
from mintaka_hw.plan import Plan
from mintaka_hw.rtl import Accelerator

IN_FLIGHT = 32  # samples whose results are still to come, at most


def _for_vivado(kind: str, what: str, parameter: str) -> dict[str, str]:
    """Attributes by which its block designs know what a port is; the streams and the bus they know by their names."""
    return {"X_INTERFACE_INFO": f"xilinx.com:signal:{kind}:1.0 {what}", "X_INTERFACE_PARAMETER": parameter}


class AxiHost(wiring.Component):
    """The accelerator with AXI4-Stream samples and results and AXI4-Lite registers.

    Every packet in gives one packet out, in order, whatever is wrong with it. STEPS and margins take effect between
    packets: the next one waits until what is in flight has left. No READY is high while `rst` is: what a master outside
    that reset offers waits for its end.

    Attributes
    ----------
    s_axis_* : AXI4-Stream in, one packet per sample
    m_axis_* : AXI4-Stream out, one packet per result
    s_axil_* : AXI4-Lite, the registers
    irq : Out(1)
        High while a flag is set that is enabled.
    """

    clk_attributes = _for_vivado("clock", "clk CLK", "ASSOCIATED_BUSIF s_axis:m_axis:s_axil, ASSOCIATED_RESET rst")
    rst_attributes = _for_vivado("reset", "rst RST", "POLARITY ACTIVE_HIGH")

    def __init__(self, plan: Plan):
        self.plan = plan = plan.with_run_time()
        self.layout = packet_layout(plan)
        self.registers = register_map(plan)
        self.clear = Signal()  # resets all that holds a sample, or counts
        width = self.layout.beat_bytes
        super().__init__(
            {
                "s_axis_tdata": In(width * BYTE),
                "s_axis_tkeep": In(width),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "m_axis_tdata": Out(RESULT_BYTES * BYTE),
                "m_axis_tkeep": Out(RESULT_BYTES),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                **{f"s_axil_{name}": member for name, member in AxiLite.CHANNELS.items()},
                "irq": Out(1),
            }
        )
        self.irq.attrs.update(_for_vivado("interrupt", "irq INTERRUPT", "SENSITIVITY LEVEL_HIGH"))

    def describe(self) -> dict[str, Any]:
        return {
            "network": self.plan.network.name,
            "bytes per beat": self.layout.beat_bytes,
            "bytes per frame": self.layout.frame_bytes,
            "bytes per result": self.layout.result_bytes,
            "registers": len(self.registers),
        }

    def info(self) -> dict[str, Any]:
        layout = self.layout
        return {
            "kind": "axi",
            "beat_bytes": layout.beat_bytes,
            "word_bytes": layout.word_bytes,
            "frame_bytes": layout.frame_bytes,
            "frame_per_step": not layout.static,
            "result_bytes": layout.result_bytes,
            "logit_bytes": layout.logit_beats * RESULT_BYTES,
            "address_bits": ADDRESS_BITS,
            "registers": {register.name: register.offset for register in self.registers},
        }

    def files(self, top: str) -> dict[str, str]:
        return {f"{top}_regs.h": c_header(self.plan, top), f"{top}_driver.py": python_driver(self.plan, top)}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        plan, layout = self.plan, self.layout
        m.submodules.registers = registers = RegisterFile(self.registers)
        m.submodules.bus = bus = AxiLite()
        m.submodules.slice_in = slice_in = Slice(packet_beat(layout.beat_bytes))
        m.submodules.reader = reader = PacketReader(layout)
        m.submodules.writer = writer = PacketWriter(layout)
        m.submodules.slice_out = slice_out = Slice(RESULT_BEAT)
        cleared = ResetInserter(self.clear)
        unpacker, accelerator = Unpacker(layout), Accelerator(plan)
        counters, errors = Counters(len(plan.layers)), SyncFIFO(width=len(ERRORS), depth=IN_FLIGHT)
        m.submodules.unpacker = cleared(unpacker)
        m.submodules.accelerator = cleared(accelerator)
        m.submodules.errors = cleared(errors)
        m.submodules.counters = cleared(counters)

        # ---- samples in
        m.d.comb += [
            self.clear.eq(registers.control_soft_reset),
            slice_in.i.payload.data.eq(self.s_axis_tdata),
            slice_in.i.payload.keep.eq(self.s_axis_tkeep),
            slice_in.i.payload.last.eq(self.s_axis_tlast),
            slice_in.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(slice_in.i.ready & ~ResetSignal()),
            accelerator.i_data.eq(unpacker.o.payload),
            accelerator.i_valid.eq(unpacker.o.valid),
            unpacker.o.ready.eq(accelerator.i_ready),
            errors.w_data.eq(reader.errors),
            errors.w_en.eq(reader.ends),
            reader.abort.eq(registers.control_soft_reset),
        ]
        wiring.connect(m, slice_in.o, reader.i)
        wiring.connect(m, reader.o, unpacker.i)

        # ---- results out
        m.d.comb += [
            writer.i.payload.logit.eq(accelerator.o_logit),
            writer.i.payload.last.eq(accelerator.o_last),
            writer.i.payload.winner.eq(accelerator.o_class),
            writer.i.payload.cycles.eq(accelerator.o_cycles),
            writer.i.valid.eq(accelerator.o_valid),
            accelerator.o_ready.eq(writer.i.ready),
            writer.errors.payload.eq(errors.r_data),
            writer.errors.valid.eq(errors.r_rdy),
            errors.r_en.eq(writer.errors.ready),
            writer.abort.eq(registers.control_soft_reset),
            self.m_axis_tdata.eq(slice_out.o.payload.data),
            self.m_axis_tkeep.eq((1 << RESULT_BYTES) - 1),
            self.m_axis_tlast.eq(slice_out.o.payload.last),
            self.m_axis_tvalid.eq(slice_out.o.valid),
            slice_out.o.ready.eq(self.m_axis_tready),
        ]
        wiring.connect(m, writer.o, slice_out.i)

        steps = self._settings(m, registers, reader, counters, accelerator)
        m.d.comb += [
            writer.i.payload.steps.eq(accelerator.o_steps if plan.exits else steps),
            reader.frames.eq(1 if layout.static else steps),
            reader.open.eq(registers.control_enable & ~registers.status_changing & errors.w_rdy),
        ]
        self._bus(m, bus, registers)
        self._monitor(m, registers, reader, writer, counters, accelerator)
        return m

    def _settings(
        self, m: Module, registers: RegisterFile, reader: PacketReader, counters: Counters, accelerator: Accelerator
    ) -> Signal:
        """Steps and margins as the accelerator has them: those of the registers, once nothing is in flight."""
        wanted = [registers.steps_value]
        for step in range(len(self.plan.network.output.margins)):
            wanted += [getattr(registers, f"margin{step}_lead"), getattr(registers, f"margin{step}_never")]
        taken = [Signal.like(value, name=f"taken_{n}", init=value.init) for n, value in enumerate(wanted)]
        m.d.comb += [
            registers.status_changing.eq(Cat(wanted) != Cat(taken)),
            accelerator.steps.eq(taken[0]),
        ]
        with m.If(~counters.flying & ~reader.inside & ~reader.begins):
            m.d.sync += Cat(taken).eq(Cat(wanted))
        if self.plan.exits:
            m.d.comb += accelerator.margins.eq(Cat(taken[1:]))
        return taken[0]

    def _bus(self, m: Module, bus: AxiLite, registers: RegisterFile) -> None:
        for name, member in AxiLite.CHANNELS.items():
            inner, outer = getattr(bus, name), getattr(self, f"s_axil_{name}")
            given = inner & ~ResetSignal() if name.endswith("ready") else inner
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(given)
        for name in ("write_en", "write_address", "write_data", "write_strobe", "read_en", "read_address"):
            m.d.comb += getattr(registers, name).eq(getattr(bus, name))
        for name in ("write_ok", "read_data", "read_ok"):
            m.d.comb += getattr(bus, name).eq(getattr(registers, name))

    def _monitor(
        self,
        m: Module,
        registers: RegisterFile,
        reader: PacketReader,
        writer: PacketWriter,
        counters: Counters,
        accelerator: Accelerator,
    ) -> None:
        """Flags, counters, state; the interrupt comes from a register."""
        events = {
            "done": writer.done,
            **{name: reader.ends & reader.errors[n] for n, name in enumerate(ERRORS)},
            **{name: getattr(registers, name) for name in ("bad_read", "bad_write", "bad_value")},
        }
        m.d.comb += [getattr(registers, f"flags_{name}").eq(events[name]) for name in FLAGS]
        raised = [getattr(registers, f"flags_{name}_now") & getattr(registers, f"irq_enable_{name}") for name in FLAGS]
        m.d.sync += self.irq.eq(Cat(raised).any())

        m.d.comb += [
            counters.snapshot.eq(registers.control_snapshot),
            counters.begins.eq(reader.begins),
            counters.comes.eq(reader.ends),
            counters.leaves.eq(writer.done),
            counters.cycles.eq(accelerator.o_cycles),
            registers.status_busy.eq(counters.working | reader.inside),
            registers.status_receiving.eq(reader.inside),
            registers.status_dropping.eq(reader.drops),
        ]
        for name in ("cycles_low", "cycles_high", "samples_in", "samples_out"):
            m.d.comb += getattr(registers, f"{name}_value").eq(getattr(counters, f"taken_{name}"))
        for number, layer in enumerate(self.plan.layers):
            m.d.comb += getattr(counters, f"layer{number}_done").eq(getattr(accelerator, f"{layer.name}_done"))
            for counter in COUNTERS:
                name = f"layer{number}_{counter}"
                m.d.comb += [
                    getattr(counters, name).eq(getattr(accelerator, f"{layer.name}_{counter}")),
                    getattr(registers, f"{name}_value").eq(getattr(counters, f"taken_{name}")),
                ]
