"""The LIF lanes equal their specification for every input, at small widths; `width.py` is about full ones.

The specification here is `docs/reference/semantics.md` written once more, in integers wide enough for everything: a
sum, then the rules for K, s, V and U. Nothing of `mintaka_hw.rtl.lif` or `mintaka_hw.rtl.arithmetic` is used in it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from amaranth.hdl import Assert, Assume, Const, Module, Mux, Signal, Value, signed
from formal.kit import Inside, free, mutated, past, property_module, using
from formal.prove import Proof

from mintaka.artifact import LeakTerm
from mintaka_hw.rtl import arithmetic
from mintaka_hw.rtl.lif import LIFCore, LIFParameters


class Lane:
    """The specification of one lane, whose neuron has these `parameters`, in integers of `bits` bits.

    begin, sum, phase : of the group at hand up to the last slot: `start` of its first one, the weights in full scale.
    held : what must be in the accumulator of it; held_next : with the slot at hand.
    k : K, in the cycle in which it is `complete`.
    """

    def __init__(self, m: Module, core: LIFCore, parameters: LIFParameters, lane: int, bits: int):
        p = self.parameters = parameters
        self.m, self.core, self.lane, self.bits = m, core, lane, bits
        self.begin, self.sum = self._exact("begin"), self._exact("sum")
        self.phase = Signal.like(core.phase, name=f"phase_{lane}")
        self.weight_now, self.begin_now = self._exact("weight_now"), self._exact("begin_now")
        sum_now, summed = self._exact("sum_now"), Signal(name=f"summed_{lane}")
        weight = core.weight[lane]
        m.d.comb += [
            self.weight_now.eq(_chosen(core.nibble, [weight * 16**nibble for nibble in range(p.nibbles)])),
            self.begin_now.eq(Mux(core.first, core.start[lane], self.begin)),
            sum_now.eq(Mux(core.first, 0, self.sum) + self.weight_now),
            Assume(~core.valid | core.first | (core.phase == self.phase)),
        ]
        m.d.sync += summed.eq(core.valid & core.last)
        with m.If(core.valid):
            m.d.sync += [self.begin.eq(self.begin_now), self.sum.eq(sum_now), self.phase.eq(core.phase)]
        most_left = max(left for _, left in p.shifts)
        if most_left:  # sums so far are multiples: `Phases.passes`
            m.d.comb += [Assume(core.start[lane][:most_left] == 0), Assert(self.begin[:most_left] == 0)]
        self.held = self._held(self.phase, self.begin, self.sum)
        self.held_next = self._held(core.phase, self.begin_now, sum_now)
        total = self._exact("total")
        m.d.comb += total.eq(
            _chosen(self.phase, [self.begin + ((self.sum >> right) << left) for right, left in p.shifts])
        )
        self._complete(total, summed)

    def _exact(self, name: str) -> Signal:
        return Signal(signed(self.bits), name=f"{name}_{self.lane}")

    def _held(self, phase: Value, begin: Value, total: Value) -> Value:
        """The sum in the scale in which it is summed."""
        return _chosen(phase, [((begin >> left) << right) + total for right, left in self.parameters.shifts])

    def _later(self, value: Value, name: str, cycles: int = 1) -> Value:
        for cycle in range(cycles):
            value = past(self.m, value, f"{name}_{self.lane}_{cycle + 1}")
        return value

    def _complete(self, total: Value, summed: Value) -> None:
        """From the sum to K; with a synaptic current the sum is J, and K comes a cycle later."""
        p, m, core, lane = self.parameters, self.m, self.core, self.lane
        self.k, self.complete, self.current = total, summed, total
        self.silent = self._later(core.silent[lane], "silent") if p.refractory else Const(0, 1)
        if p.current_width is not None:
            k = self._exact("k")
            m.d.comb += k.eq(self._later(core.membrane[lane], "membrane") + Mux(self.silent != 0, 0, total))
            self.k, self.complete, self.current = (
                self._later(value, name) for value, name in ((k, "k"), (summed, "summed"), (total, "j"))
            )
            self.silent = self._later(self.silent, "silent_of_k")

    def compare(self) -> None:
        """Asserts that the lane's result, a cycle behind K, is what the semantics say."""
        p, m, core, lane = self.parameters, self.m, self.core, self.lane
        fires: Value = Const(0, 1)
        if p.threshold_width is not None:
            fires = (self.k > core.threshold[lane]) & (self.silent == 0)
        wanted = {"k": self.k}
        if p.leak is None:
            wanted["u"] = self.k
        else:
            v = Mux(fires, 0 if p.reset_by_width is None else self.k - core.reset_by[lane], self.k)
            kept: Value = Const(0, signed(1))
            for term in p.leak:
                kept = kept + (v >> term.shift) if term.sign > 0 else kept - (v >> term.shift)
            wanted["u"] = _clip(kept, 2 ** (p.state_width - 1) - 1)
        if p.threshold_width is not None:
            wanted["spikes"] = fires
        if p.current_width is not None:
            wanted["j"] = _clip(self.current, 2 ** (p.current_width - 1) - 1)
        if p.refractory:
            wanted["silent_next"] = Mux(fires, p.refractory, Mux(self.silent == 0, 0, self.silent - 1))
        if p.count_width:
            wanted["count_next"] = self._later(core.count[lane], "count", 1 if p.current_width is None else 2) + fires
        m.d.comb += Assert(core.done == self._later(self.complete, "done"))
        for name, value in wanted.items():
            exact = self._exact(f"wanted_{name}")
            m.d.comb += exact.eq(value)
            m.d.comb += Assert(~core.done | (getattr(core, name)[lane] == self._later(exact, f"wanted_{name}")))


def _chosen(number: Value, choices: list[Value]) -> Value:
    found = choices[0]
    for n, choice in enumerate(choices[1:], 1):
        found = Mux(number == n, choice, found)
    return found


def _clip(value: Value, most: int) -> Value:
    return Mux(value > most, most, Mux(value < -most, -most, value))


def _fits(value: Value, width: int) -> Value:
    return (value >= -(2 ** (width - 1))) & (value < 2 ** (width - 1))


def any_slots(m: Module, core: LIFCore, p: LIFParameters) -> None:
    """Anything on all ports, within what the plan promises."""
    ports = ["valid", "first", "last", "phase", "nibble", "start", "weight", "threshold", "reset_by"]
    for name in [*ports, "membrane", "silent", "count"]:
        if hasattr(core, name):
            free(m, Value.cast(getattr(core, name)), f"slot_{name}")
    m.d.comb += [Assume(core.nibble < p.nibbles), Assume(core.phase < len(p.shifts))]
    for lane in range(p.lanes):
        if p.fires_above_zero:
            m.d.comb += Assume(core.threshold[lane] >= -1)
        if p.refractory:
            m.d.comb += Assume(core.silent[lane] <= p.refractory)
        if p.count_width:
            m.d.comb += Assume(core.count[lane] != 2**p.count_width - 1)


def lanes_meet_the_specification(kind: Any, parameters: LIFParameters) -> Module:
    """Any slots in any rhythm, as long as sums stay within the widths that the plan has proven for them."""
    m = property_module()
    inside = Inside(m, core := kind(parameters))
    any_slots(m, core, parameters)
    for number in range(parameters.lanes):
        lane = Lane(m, core, parameters, number, bits=parameters.accumulator_width + 8)
        lane.compare()
        m.d.comb += [
            Assume(~core.valid | _fits(lane.held_next, parameters.accumulator_width)),
            Assume(~lane.complete | _fits(lane.k, parameters.k_width)),
            Assert(inside.value(f"accumulator_{number}") == lane.held),
        ]
    return m


# ---- the kinds of neurons


HALF, SEVEN_EIGHTHS, ALL = (LeakTerm(1, 1),), (LeakTerm(1, 0), LeakTerm(-1, 3)), (LeakTerm(1, 0),)
WIDTH = 6


def lanes(**changes: Any) -> LIFParameters:
    values: dict[str, Any] = {
        "lanes": 1,
        "weight_width": 4,
        "start_width": WIDTH,
        "accumulator_width": WIDTH,
        "k_width": WIDTH,
        "state_width": 3,
        "nibbles": 1,
        "shifts": ((0, 0),),
        "leak": HALF,
        "threshold_width": WIDTH,
    }
    return LIFParameters(**{**values, **changes})


KINDS = {
    "zero": lanes(lanes=2, leak=SEVEN_EIGHTHS),
    "zero-above": lanes(leak=HALF, fires_above_zero=True),
    "subtract": lanes(lanes=2, reset_by_width=WIDTH, leak=SEVEN_EIGHTHS),
    "subtract-no-leak": lanes(reset_by_width=WIDTH, leak=ALL, state_width=4),
    "refractory": lanes(refractory=2),
    "cuba": lanes(current_width=3, membrane_width=4, reset_by_width=WIDTH),
    "cuba-refractory": lanes(current_width=4, membrane_width=5, refractory=3, count_width=2),
    "no-membrane": lanes(leak=()),
    "counts": lanes(count_width=3, leak=ALL),
    "planes": lanes(nibbles=2, accumulator_width=9, k_width=9),
    "passes": lanes(shifts=((2, 1), (1, 0), (0, 0)), accumulator_width=9, start_width=7, k_width=8),
    "sums": lanes(leak=None, threshold_width=None, state_width=WIDTH),
    "integrates": lanes(leak=SEVEN_EIGHTHS, threshold_width=None),
}


def with_other(**changes: int) -> Any:
    """Lanes with other parameters than they should have."""
    return lambda parameters: LIFCore(replace(parameters, **changes))


def narrower(parameters: LIFParameters) -> LIFCore:
    return LIFCore(replace(parameters, accumulator_width=parameters.accumulator_width - 1))


ROUNDS_UP = using(LIFCore, leaked=mutated(arithmetic.leaked, "(value, term.shift)", "(value + 1, term.shift)"))
WRAPS = "clamped(value[:bits], value[-1], outside(value, bits)) if len(value) > bits else value"
FAULTS: dict[str, dict[str, Any]] = {
    "zero": {
        "K = T fires": using(LIFCore, greater=lambda a, b: a >= b),
        "the leak rounds up": ROUNDS_UP,
        "a spike keeps the membrane": mutated(LIFCore, "(~spike).replicate(bits)", "C(1, 1).replicate(bits)"),
    },
    "zero-above": {
        "-Qu - 1 is stored": using(
            LIFCore,
            clamped=mutated(arithmetic.clamped, "held[0] | least | (beyond & sign)", "held[0] | (beyond & sign)"),
        ),
        "it is above -2 that neurons fire": mutated(LIFCore, "fires = greater(k,", "fires = greater(k + 1,"),
    },
    "subtract": {
        "R is added": mutated(LIFCore, "k - self.reset_by[lane]", "k + self.reset_by[lane]"),
        "R is subtracted behind the leak": mutated(
            LIFCore, "leaked(Mux(spike, reduced, k_held), p.leak)", "Mux(spike, reduced, leaked(k_held, p.leak))"
        ),
    },
    "subtract-no-leak": {"U wraps": using(LIFCore, clipped=mutated(arithmetic.clipped, WRAPS, "value"))},
    "refractory": {
        "silent neurons fire": mutated(LIFCore, "fires & (silent[0] == 0) if p.refractory else fires", "fires"),
        "silence is a step too short": mutated(
            LIFCore, "Mux(spike, p.refractory, left)", "Mux(spike, p.refractory - 1, left)"
        ),
    },
    "cuba": {"J wraps": mutated(LIFCore, "clip.eq(clipped(total, 2 ** (p.current_width - 1) - 1))", "clip.eq(total)")},
    "cuba-refractory": {"J reaches silent neurons": mutated(LIFCore, "Mux(silent != 0, 0, total)", "total")},
    "no-membrane": {"U is kept": with_other(leak=ALL)},
    "counts": {"spikes count twice": mutated(LIFCore, "before + self.spikes[lane]", "before + 2 * self.spikes[lane]")},
    "planes": {"nibbles of 3 bits": using(LIFCore, PLANES_PER_NIBBLE=3), "a narrower accumulator": narrower},
    "passes": {
        "the sum is shifted to the left first": mutated(
            LIFCore, "shifted_right(accumulator, right) << left", "shifted_right(accumulator << left, right)"
        )
    },
    "sums": {"groups are not begun anew": mutated(LIFCore, "Mux(self.first, begin, accumulator)", "accumulator")},
    "integrates": {"the leak rounds up": ROUNDS_UP},
}


PROOFS = [
    Proof(
        f"lif-{name}",
        f"lanes ({name}) equal the semantics for all inputs, in K, s, U and what else they store",
        partial(lanes_meet_the_specification, parameters=parameters),
        LIFCore,
        FAULTS[name],
        depth=5,
        fault_depth=8,
    )
    for name, parameters in KINDS.items()
]
