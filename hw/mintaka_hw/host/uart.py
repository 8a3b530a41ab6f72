"""The accelerator behind a serial line: samples in, results out, in frames (docs/reference/host-uart.md)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.protocol import Kind, beat_bytes, beats_per_sample, identity
from mintaka_hw.host.uart_buffers import ResultBuffer, SampleBuffer
from mintaka_hw.host.uart_frame import FrameReader, FrameWriter
from mintaka_hw.host.uart_line import UartReceiver, UartTransmitter
from mintaka_hw.host.uart_reply import Reply
from mintaka_hw.plan import Plan, PlanError
from mintaka_hw.plan.layer import COUNTER_WIDTH
from mintaka_hw.rtl import Accelerator

SHORTEST_BIT = 4  # cycles
BAUD_TOLERANCE = 0.02  # both sides together may be off by half a bit in ten


class State(IntEnum):
    """What the host does with a request."""

    IDLE, CLEAR, RUN, START, REPLY = range(5)


class UartHost(wiring.Component):
    """The accelerator as a device on a serial line (8 bits, no parity, 1 stop bit).

    A sample is kept until its frame has turned out whole, then streamed into the accelerator at one word per cycle.
    Each sample finds the accelerator as after reset: nothing that was on the line can leave a trace in it, and its
    cycles are those of the cycle model for a first sample.

    Attributes
    ----------
    rx : In(1)
    tx : Out(1)
    busy : Out(1)
        A sample is being computed.
    """

    def __init__(self, plan: Plan, *, clock_hz: int, baud: int):
        self.plan, self.clock_hz, self.baud = plan, clock_hz, baud
        self.divisor = cycles_per_bit(clock_hz, baud)
        self.clear = Signal()  # resets the accelerator
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1)})

    def describe(self) -> dict[str, Any]:
        return {
            "network": self.plan.network.name,
            "clock": f"{self.clock_hz} Hz",
            "baud": self.baud,
            "bytes per sample": beats_per_sample(self.plan) * beat_bytes(self.plan),
        }

    def info(self) -> dict[str, Any]:
        return {"kind": "uart", "clock_hz": self.clock_hz, "baud": self.baud, "cycles_per_bit": self.divisor}

    def files(self, top: str) -> dict[str, str]:  # noqa: ARG002
        return {}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        plan = self.plan
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        sample_bytes = beats_per_sample(plan) * beat_bytes(plan)
        m.submodules.reader = reader = FrameReader({Kind.IDENTIFY: 0, Kind.RUN: sample_bytes})
        m.submodules.writer = writer = FrameWriter()
        m.submodules.sample = sample = SampleBuffer(beats_per_sample(plan), plan.input.word_bits)
        m.submodules.result = result = ResultBuffer(plan.network.classes, plan.logit_width)
        numbers = 3 + len(plan.layers)
        m.submodules.reply = reply = Reply(
            identity(plan, self.clock_hz), numbers, plan.network.classes, plan.logit_width
        )
        accelerator = Accelerator(plan)
        m.submodules.accelerator = ResetInserter(self.clear)(accelerator)

        # ---- the line
        state = Signal(range(len(State)))
        running = (state == State.CLEAR) | (state == State.RUN)
        waiting = Signal()
        kind = Signal(8)
        tag = Signal(8)
        faulty = Signal()
        fault = Signal(8)
        fault_tag = Signal(8)
        wiring.connect(m, reply.o, writer.i)
        wiring.connect(m, writer.o, transmitter.i)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.busy.eq(running),
            reader.i_valid.eq(receiver.valid),
            reader.i_data.eq(receiver.data),
            reader.i_broken.eq(receiver.broken),
            reader.busy.eq(waiting | (running & (reader.kind == Kind.RUN))),
            sample.fresh.eq(reader.begins),
            sample.i_valid.eq(reader.data_valid),
            sample.i_data.eq(reader.data),
        ]

        # ---- the accelerator, for which every sample is the first
        finished = Signal(len(plan.layers))
        whole = Signal()
        winner, steps, cycles = (Signal(COUNTER_WIDTH, name=name) for name in ("winner", "steps", "cycles"))
        done = Cat(getattr(accelerator, f"{layer.name}_done") for layer in plan.layers)
        sops = [getattr(accelerator, f"{layer.name}_sops") for layer in plan.layers]
        m.d.comb += [
            accelerator.i_valid.eq(sample.o.valid),
            accelerator.i_data.eq(sample.o.payload),
            sample.o.ready.eq(accelerator.i_ready),
            accelerator.o_ready.eq(1),
            result.i_valid.eq(accelerator.o_valid),
            result.i_logit.eq(accelerator.o_logit),
            result.clear.eq(self.clear),
            result.address.eq(reply.address),
            reply.logit.eq(result.logit),
            reply.numbers.eq(Cat(winner, steps, cycles, *sops)),
            self.clear.eq(state == State.CLEAR),
            sample.send.eq(self.clear),
        ]
        m.d.sync += finished.eq(finished | done)
        with m.If(accelerator.o_valid & accelerator.o_last):
            taken = accelerator.o_steps if plan.exits else plan.network.time_steps
            m.d.sync += [
                whole.eq(1),
                winner.eq(accelerator.o_class),
                steps.eq(taken),
                cycles.eq(accelerator.o_cycles),
            ]

        # ---- what is asked for: one request may wait, and the last fault; a request comes first
        with m.Switch(state):
            with m.Case(State.IDLE):
                m.d.sync += [reply.kind.eq(kind), reply.tag.eq(tag)]
                with m.If(waiting):
                    m.d.sync += [waiting.eq(0), state.eq(Mux(kind == Kind.RUN, State.CLEAR, State.START))]
                with m.Elif(faulty):
                    m.d.sync += [
                        faulty.eq(0),
                        reply.kind.eq(Kind.ERROR),
                        reply.tag.eq(fault_tag),
                        reply.fault.eq(fault),
                        state.eq(State.START),
                    ]
            with m.Case(State.CLEAR):
                m.d.sync += [finished.eq(0), whole.eq(0), state.eq(State.RUN)]
            with m.Case(State.RUN), m.If(sample.empty & whole & finished.all()):
                m.d.sync += state.eq(State.START)
            with m.Case(State.START):
                m.d.comb += reply.start.eq(1)
                m.d.sync += state.eq(State.REPLY)
            with m.Case(State.REPLY), m.If(reply.o.valid & reply.o.ready & reply.o.payload.last):
                m.d.sync += state.eq(State.IDLE)
        with m.If(reader.good):
            m.d.sync += [waiting.eq(1), kind.eq(reader.kind), tag.eq(reader.tag)]
        with m.If(reader.bad):
            m.d.sync += [faulty.eq(1), fault.eq(reader.fault), fault_tag.eq(reader.tag)]
        return m


def cycles_per_bit(clock_hz: int, baud: int) -> int:
    """Raises PlanError where the clock cannot make the baud rate."""
    divisor = max(1, round(clock_hz / max(1, baud)))
    if baud < 1 or divisor < SHORTEST_BIT:
        raise PlanError(
            f"a clock of {clock_hz} Hz cannot make {baud} baud: a bit takes at least {SHORTEST_BIT} cycles, so 1 to"
            f" {clock_hz // SHORTEST_BIT} baud are possible"
        )
    error = clock_hz / divisor / baud - 1
    if abs(error) > BAUD_TOLERANCE:
        raise PlanError(
            f"a clock of {clock_hz} Hz cannot make {baud} baud: with {divisor} cycles per bit it is {error:+.1%} off,"
            f" and {BAUD_TOLERANCE:.0%} are allowed"
        )
    return divisor
