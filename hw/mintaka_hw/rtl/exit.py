"""Early exit: the head's logits after every step are judged, and a sample that may stop makes room for the next one."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import StreamLayout
from mintaka_hw.rtl.logits import logit_layout
from mintaka_hw.rtl.steps import step_shape


def margin_layout(logit_width: int, time_steps: int) -> data.ArrayLayout:
    """The margins as a port, that of the first step in the low bits: each a `value`, or `never`."""
    return data.ArrayLayout(data.StructLayout({"value": logit_width, "never": 1}), time_steps - 1)


class EarlyExit(wiring.Component):
    """Takes the logits of a step, one per cycle, and keeps them and the two largest; then decides in one cycle.

    A sample stops after a step where the largest is the step's margin above the second largest, and after the last
    step. It waits until all layers have finished that step, then pulses `restart` and sends the logits, while the
    layers begin the next sample. What they have begun of later steps is dropped by the restart.

    Attributes
    ----------
    i : In(stream of `logits`' words), T times per sample
    o : Out(stream of struct: logit, winner, last)
        `winner` is the class and `steps` the steps taken once `last` is set; one beat per class, in order.
    steps : Out
    step : Out
        The step that is being judged.
    finished : In(1)
        All layers have finished that step.
    restart : Out(1)
        One cycle: the sample ends here.

    Only with steps at run time:

    last_step : In(number of a sample's last step)
    margins : In(margin_layout)
    """

    def __init__(self, logits: StreamLayout, margins: tuple[int | None, ...], *, run_time: bool = False):
        self.logits, self.constants, self.run_time = logits, margins, run_time
        ports: dict[str, Any] = {}
        if run_time:
            steps = len(margins) + 1
            ports = {"last_step": In(step_shape(steps)), "margins": In(margin_layout(logits.element_bits, steps))}
        self.layout = logit_layout(logits)
        super().__init__(
            {
                "i": In(stream.Signature(logits.word_bits)),
                "o": Out(stream.Signature(self.layout)),
                "steps": Out(range(len(margins) + 2)),
                "step": Out(range(len(margins) + 1)),
                "finished": In(1),
                "restart": Out(1),
                **ports,
            }
        )

    def describe(self) -> dict[str, Any]:
        margins = " ".join("none" if margin is None else str(margin) for margin in self.constants)
        if self.run_time:
            margins = "at run time"
        return {"classes": self.logits.elements, "logit bits": self.logits.element_bits, "margins": margins}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        lanes, width, classes = self.logits.word_elements, self.logits.element_bits, self.logits.elements
        lane, number = Signal(range(max(2, lanes))), Signal(range(classes))
        judging, sending = Signal(), Signal()
        last = number == classes - 1

        # ---- take: the two largest so far; strictly greater wins, so ties go to the lowest index
        logit = Signal(signed(width))
        words = Array([self.i.payload[n * width : (n + 1) * width].as_signed() for n in range(lanes)])
        best, second = (Signal(signed(width), name=name, reset_less=True) for name in ("best", "second"))
        winner = Signal.like(number, reset_less=True)
        takes, word_ends, first = self.i.valid & ~judging & ~sending, last | (lane == lanes - 1), number == 0
        wins = first | (logit > best)
        m.d.comb += [logit.eq(words[lane]), self.i.ready.eq(takes & word_ends)]
        with m.If(takes):
            m.d.sync += [lane.eq(Mux(word_ends, 0, lane + 1)), judging.eq(last)]
            with m.If(wins):
                m.d.sync += [best.eq(logit), winner.eq(number)]
            with m.If(first):
                m.d.sync += second.eq(-(1 << (width - 1)))
            with m.Elif(wins):
                m.d.sync += second.eq(best)
            with m.Elif(logit > second):
                m.d.sync += second.eq(logit)

        # ---- judge
        lead, enough, stops = Signal(width), Signal(), Signal()
        last_step = self.last_step if self.run_time else len(self.constants)
        m.d.comb += [lead.eq(best - second), stops.eq((self.step == last_step) | enough)]
        with m.Switch(self.step):
            for step, margin in enumerate(self.constants):
                if self.run_time:
                    with m.Case(step):
                        m.d.comb += enough.eq(~self.margins[step].never & (lead >= self.margins[step].value))
                elif margin is not None and margin < 1 << width:  # no two logits are further apart
                    with m.Case(step):
                        m.d.comb += enough.eq(lead >= Const(margin, width))
        m.d.comb += self.restart.eq(judging & stops & self.finished)
        with m.If(judging & ~stops):
            m.d.sync += [judging.eq(0), self.step.eq(self.step + 1)]
        with m.If(self.restart):
            m.d.sync += [judging.eq(0), sending.eq(1), self.step.eq(0), self.steps.eq(self.step + 1)]

        # ---- send
        memory = Memory(shape=unsigned(width), depth=classes, init=[])
        m.submodules.kept = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(number),
            write.data.eq(logit),
            write.en.eq(takes),
            read.addr.eq(number),
            self.o.valid.eq(sending),
            self.o.payload.logit.eq(read.data),
            self.o.payload.winner.eq(winner),
            self.o.payload.last.eq(last),
        ]
        sent = sending & self.o.ready
        with m.If(sent & last):
            m.d.sync += sending.eq(0)
        with m.If(takes | sent):
            m.d.sync += number.eq(Mux(last, 0, number + 1))
        return m


class SampleGate(wiring.Component):
    """Lets one sample in at a time: the next one once the sample before has ended, whose missing words are dropped.

    Attributes
    ----------
    i, o : streams of input words
    restart : In(1)
        The sample ends in this cycle.
    last_word : In, with steps at run time the number of a sample's last word; `words` is then the most of them
    """

    def __init__(self, word_bits: int, words: int, *, run_time: bool = False):
        self.words, self.run_time = words, run_time
        words_of = stream.Signature(word_bits)
        known = {"last_word": In(range(max(2, words)))} if run_time else {}
        super().__init__({"i": In(words_of), "o": Out(words_of), "restart": In(1), **known})

    def describe(self) -> dict[str, Any]:
        return {"words per sample": self.words, "bits per word": len(self.i.payload)}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        number = Signal(range(max(2, self.words)))
        whole, drops = Signal(), Signal()  # all words have come in; the sample has ended before they had
        last_word: Value = self.last_word if self.run_time else Const(self.words - 1)
        transfer, last = self.i.valid & self.i.ready, number == last_word
        m.d.comb += [
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & ~whole & ~drops),
            self.i.ready.eq(drops | (self.o.ready & ~whole)),
        ]
        with m.If(transfer):
            m.d.sync += number.eq(Mux(last, 0, number + 1))
        ends = transfer & last
        with m.If(drops):
            m.d.sync += drops.eq(~ends)
        with m.Elif(self.restart):
            begun = (number != 0) | transfer
            m.d.sync += [whole.eq(0), drops.eq(begun & ~ends)]
        with m.Elif(ends):
            m.d.sync += whole.eq(1)
        return m
