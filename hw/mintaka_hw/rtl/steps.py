"""Time steps at run time: each sample brings its number of steps, and waits while another number is still in use."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

SAMPLE_BITS = 16  # of counts of samples in flight, modulo: far more than queues and lists can hold


def step_shape(time_steps: int) -> Shape:
    """Of the number of a step."""
    return Shape.cast(range(max(2, time_steps)))


def last_of_steps(last_step: Value | None, time_steps: int, per_step: int) -> Value:
    """Number of the last of `per_step` things per step, in a sample of `last_step` + 1 steps.

    A constant where the steps are one (`last_step` is None); else a table, for nothing is multiplied in hardware.
    """
    if last_step is None:
        return Const(time_steps * per_step - 1)
    return Array([Const(steps * per_step - 1) for steps in range(1, time_steps + 1)])[last_step]


class StepsGate(wiring.Component):
    """Takes a sample's number of steps over with its first word; what is behind knows the one number `last_step`.

    A first word whose number of steps is another one waits until nothing of the samples before is left in the design
    (`idle`), and one cycle for the new number to be taken over. Others pass at once, so no cycle is lost among samples
    of the same number of steps.

    What could begin a sample before its input has come in, the frames of zeros that delayed edges begin with, asks
    `begun`: so nothing begins a sample whose number of steps is not known.

    Attributes
    ----------
    i, o : streams of input words
    steps : In(range(T + 1))
        With a sample's first word; 0 and more than T count as T.
    ended : In(number of those that take part)
        Bit per part of the design that knows where a sample ends: one cycle for every sample it is done with. With
        early exit there are none: there a restart between samples clears all, this component included.
    last_step : Out(step_shape(T))
        Number of the last step of all samples in the design.
    last_word : Out(number of a word in a sample)
        Number of a sample's last input word.
    begun : Out(SAMPLE_BITS)
        How many samples have begun, modulo; the one whose first word is offered included.
    """

    def __init__(self, word_bits: int, words: int, time_steps: int, *, static: bool, parts: int):
        self.words, self.time_steps, self.static = words, time_steps, static
        self.parts = parts
        words_of = stream.Signature(word_bits)
        super().__init__(
            {
                "i": In(words_of),
                "o": Out(words_of),
                "steps": In(range(time_steps + 1)),
                "ended": In(parts),
                "last_step": Out(step_shape(time_steps)),
                "last_word": Out(range(max(2, words * (1 if static else time_steps)))),
                "begun": Out(SAMPLE_BITS),
            }
        )

    def describe(self) -> dict[str, Any]:
        frame = "words per sample" if self.static else "words per step"
        return {frame: self.words, "bits per word": len(self.i.payload), "most time steps": self.time_steps}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        most = self.time_steps - 1
        current = Signal(step_shape(self.time_steps), init=most)
        wanted = Signal(current.shape())
        all_steps = self.steps == 0
        if self.time_steps < (1 << len(self.steps)) - 1:
            all_steps |= self.steps > self.time_steps
        m.d.comb += [wanted.eq(Mux(all_steps, most, self.steps - 1)), self.last_step.eq(current)]
        m.d.comb += self.last_word.eq(
            Const(self.words - 1) if self.static else last_of_steps(current, self.time_steps, self.words)
        )

        # ---- words: the first of a sample may have to wait, but not once it was offered
        number = Signal.like(self.last_word)
        first, offered, waits = Signal(), Signal(), Signal()
        transfer = self.o.valid & self.o.ready
        begins = transfer & first
        m.d.comb += [
            first.eq(number == 0),
            waits.eq(first & ~offered & (wanted != current)),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & ~waits),
            self.i.ready.eq(self.o.ready & ~waits),
        ]
        m.d.sync += offered.eq(self.o.valid & ~self.o.ready)
        with m.If(transfer):
            m.d.sync += number.eq(Mux(number == self.last_word, 0, number + 1))

        # ---- samples: how many have begun, and how many each part has still to end
        count = Signal(SAMPLE_BITS)
        m.d.comb += self.begun.eq(count + (first & self.o.valid))
        m.d.sync += count.eq(count + begins)
        left = [Signal(SAMPLE_BITS, name=f"left_{part}") for part in range(self.parts)]
        for samples, ends in zip(left, self.ended, strict=True):
            m.d.sync += samples.eq(samples + begins - ends)
        idle = ~Cat(samples.any() for samples in left).any() if left else Const(1, 1)
        with m.If(self.i.valid & waits & idle):
            m.d["sync" if left else "total"] += current.eq(wanted)  # `total` outlives the restart
        return m
