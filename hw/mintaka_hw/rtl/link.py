"""What lies between cores: forks to several readers, queues, and the delay of a step."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan.link import DEEP_QUEUE
from mintaka_hw.rtl.steps import SAMPLE_BITS, step_shape


class Fork(wiring.Component):
    """Every word to every reader; each takes it when it can, and the word leaves when the last one has.

    Attributes
    ----------
    i : In(stream)
    o0, o1, ... : Out(stream)
    """

    def __init__(self, word_bits: int, readers: int):
        self.readers = readers
        outputs = {f"o{n}": Out(stream.Signature(word_bits)) for n in range(readers)}
        super().__init__({"i": In(stream.Signature(word_bits)), **outputs})

    def describe(self) -> dict[str, Any]:
        return {"readers": self.readers, "bits per word": len(self.i.payload)}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        taken, takes = Signal(self.readers), Signal(self.readers)
        for n in range(self.readers):
            port = getattr(self, f"o{n}")
            m.d.comb += [
                port.payload.eq(self.i.payload),
                port.valid.eq(self.i.valid & ~taken[n]),
                takes[n].eq(port.valid & port.ready),
            ]
        m.d.comb += self.i.ready.eq((taken | takes).all())
        with m.If(self.i.valid):
            m.d.sync += taken.eq(Mux(self.i.ready, 0, taken | takes))
        return m


class Queue(wiring.Component):
    """`depth` words; with `delay`, frames arrive one step late: zeros first, and a sample's last frame is dropped.

    Attributes
    ----------
    i : In(stream)
    o : Out(stream)

    Only with steps at run time and a delay:

    last_step : In(number of a sample's last step)
    begun : In(how many samples have begun, modulo)
        A sample's zeros wait for it.
    ended : Out(1)
        A sample's last frame has come in.
    """

    def __init__(
        self, word_bits: int, depth: int, *, frame_words: int = 0, time_steps: int = 0, run_time: bool = False
    ):
        self.depth = depth
        self.frame_words, self.time_steps, self.run_time = frame_words, time_steps, run_time
        ports: dict[str, Any] = {"i": In(stream.Signature(word_bits)), "o": Out(stream.Signature(word_bits))}
        if run_time:
            ports |= {"last_step": In(step_shape(time_steps)), "begun": In(SAMPLE_BITS), "ended": Out(1)}
        super().__init__(ports)

    def describe(self) -> dict[str, Any]:
        delay = {"words per frame": self.frame_words, "time steps": self.time_steps} if self.time_steps else {}
        return {"words": self.depth, "bits per word": len(self.i.payload), "delayed": bool(delay), **delay}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        kind = SyncFIFOBuffered if self.depth >= DEEP_QUEUE else SyncFIFO
        m.submodules.fifo = fifo = kind(width=len(self.i.payload), depth=self.depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.valid.eq(fifo.r_rdy),
            self.o.payload.eq(fifo.r_data),
            fifo.r_en.eq(self.o.ready),
        ]
        if self.time_steps:
            _, dropped, received = self._frames(m, "incoming", self.i.valid & self.i.ready)
            zeros, _, sent = self._frames(m, "outgoing", self.o.valid & self.o.ready)
            with m.If(dropped):
                m.d.comb += [fifo.w_en.eq(0), self.i.ready.eq(1)]
            with m.If(zeros):
                m.d.comb += [fifo.r_en.eq(0), self.o.valid.eq(1), self.o.payload.eq(0)]
            if self.run_time:
                started = Signal(SAMPLE_BITS)  # samples whose zeros are gone
                m.d.sync += started.eq(started + (sent & zeros))
                m.d.comb += self.ended.eq(received & dropped)
                with m.If(zeros):
                    m.d.comb += self.o.valid.eq(started != self.begun)
        return m

    def _frames(self, m: Module, name: str, transfer: Value) -> tuple[Value, Value, Value]:
        """Whether the word at hand belongs to a sample's first and to its last frame, and whether a frame ends."""
        word = Signal(range(max(2, self.frame_words)), name=f"{name}_word")
        step = Signal(range(max(2, self.time_steps)), name=f"{name}_step")
        frame_ends = word == self.frame_words - 1
        last = step == (self.last_step if self.run_time else self.time_steps - 1)
        with m.If(transfer):
            m.d.sync += word.eq(Mux(frame_ends, 0, word + 1))
            with m.If(frame_ends):
                m.d.sync += step.eq(Mux(last, 0, step + 1))
        return step == 0, last, transfer & frame_ends
