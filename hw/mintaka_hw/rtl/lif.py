"""The LIF core: lanes that accumulate weights, then fire, reset, leak and store a narrow membrane. No multiplier."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from mintaka.artifact import LeakTerm
from mintaka_hw.rtl.arithmetic import clamped, clipped, greater, leaked, outside, shifted_right

PLANES_PER_NIBBLE = 4
RESULT_LATENCY = 2  # cycles from a group's last slot at the lanes to `done` with its result
CURRENT_LATENCY = 1  # more with CUBA-LIF, whose membrane meets its current one register after the accumulator


def lif_latency(*, cuba: bool) -> int:
    """Cycles from the last slot of a group at the ports of an `LIFCore` to the cycle of `done`."""
    return RESULT_LATENCY + CURRENT_LATENCY * cuba


@dataclass(frozen=True)
class LIFParameters:
    """Widths in bits; `nibbles`: a weight counts 16^nibble times, for nibbles below this.

    shifts : (right, left) shift of the accumulator's sum, for each phase (`Phases.shifts`).
    leak : the membrane's terms, or None for lanes that only accumulate.
    threshold_width : None for lanes that never fire. fires_above_zero : a spike is proof of a leaked membrane >= 0.
    reset_by_width : None for the reset to zero.
    refractory : steps of silence after a spike. count_width : of the spikes counted, 0 where they are not.
    current_width : of the stored synaptic current (CUBA-LIF), or None. membrane_width : of U + B, then.
    """

    lanes: int
    weight_width: int
    start_width: int
    accumulator_width: int
    k_width: int
    state_width: int
    nibbles: int
    shifts: tuple[tuple[int, int], ...]
    leak: tuple[LeakTerm, ...] | None
    threshold_width: int | None
    fires_above_zero: bool = False
    reset_by_width: int | None = None
    refractory: int = 0
    count_width: int = 0
    current_width: int | None = None
    membrane_width: int = 0

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {self.lanes}")

    @property
    def latency(self) -> int:
        """Cycles from the last slot of a group to the cycle of `done`."""
        return lif_latency(cuba=self.current_width is not None)

    @property
    def silent_width(self) -> int:
        return self.refractory.bit_length()


def lanes_of(shape: Shape | data.Layout, lanes: int) -> data.ArrayLayout:
    """One value per lane, lane 0 in the low bits."""
    return data.ArrayLayout(shape, lanes)


class LIFCore(wiring.Component):
    """`lanes` neurons side by side, three cycles from a group's last slot to its result; CUBA-LIF one more.

    Slot (cycle 0): `valid` with `weight` and its nibble; on `first` the accumulator begins at `start` instead.
    Cycle 1 after the `last` slot: the sum is complete. It is K, and `threshold` and `reset_by` of its group must be
    there now. CUBA-LIF: it is J; a register's cycle is for K = `membrane` + J, so that these must come a cycle later.
    Then: `done` with `spikes`, `k` and what to store.

    Attributes
    ----------
    valid, first, last : In(1)
    phase : In(bits of the number of shifts)
    nibble : In(bits of nibbles - 1)
        The weight counts 16^nibble times.
    start, weight, threshold, reset_by : In(lanes x signed)
    done : Out(1)
    spikes : Out(lanes)
    u, k : Out(lanes x signed)
        u : what to store of the membrane (clipped), or of the sum of lanes that only accumulate.

    Only where the neuron has them:

    membrane : In(lanes x signed)
        U + B with the slot, for CUBA-LIF. j : Out(lanes x signed), the synaptic current to store.
    silent : In(lanes x unsigned)
        Refractory steps left with the slot: unless 0 the lane does not fire, and CUBA-LIF leaves J out (of LIF, `start`
        and `weight` are to leave out all but U). silent_next : Out, the same for the next step.
    count : In(lanes x unsigned)
        Spikes so far with the slot. count_next : Out, with this one.
    """

    def __init__(self, parameters: LIFParameters):
        p = self.parameters = parameters
        ports: dict[str, Any] = {
            "valid": In(1),
            "first": In(1),
            "last": In(1),
            "phase": In((len(p.shifts) - 1).bit_length()),
            "nibble": In((p.nibbles - 1).bit_length()),
            "start": In(lanes_of(signed(p.start_width), p.lanes)),
            "weight": In(lanes_of(signed(p.weight_width), p.lanes)),
            "threshold": In(lanes_of(signed(p.threshold_width or 1), p.lanes)),
            "reset_by": In(lanes_of(signed(p.reset_by_width or 1), p.lanes)),
            "done": Out(1),
            "spikes": Out(p.lanes),
            "u": Out(lanes_of(signed(p.state_width), p.lanes)),
            "k": Out(lanes_of(signed(p.k_width), p.lanes)),
        }
        if p.current_width is not None:
            ports["membrane"] = In(lanes_of(signed(p.membrane_width), p.lanes))
            ports["j"] = Out(lanes_of(signed(p.current_width), p.lanes))
        for name, width in (("silent", p.silent_width), ("count", p.count_width)):
            if width:
                ports[name] = In(lanes_of(unsigned(width), p.lanes))
                ports[f"{name}_next"] = Out(lanes_of(unsigned(width), p.lanes))
        super().__init__(ports)

    def describe(self) -> dict[str, Any]:
        found = {each.name.replace("_", " "): getattr(self.parameters, each.name) for each in fields(self.parameters)}
        leak = " ".join(f"{'-' if term.sign < 0 else '+'}(V >> {term.shift})" for term in self.parameters.leak or ())
        return {**found, "leak": leak or "none"}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        p = self.parameters
        m = Module()
        summed, complete, phase = Signal(), Signal(), Signal.like(self.phase, name="phase_summed")
        m.d.sync += [summed.eq(self.valid & self.last), phase.eq(self.phase), self.done.eq(complete)]
        if p.current_width is None:
            m.d.comb += complete.eq(summed)
        else:
            m.d.sync += complete.eq(summed)
        for lane in range(p.lanes):
            total = self._accumulated(m, lane, phase)
            silent = self._on_the_way(m, lane, "silent", p.silent_width)
            k = total if p.current_width is None else self._membrane(m, lane, total, silent[1])
            self._result(m, lane, complete, k, silent[-2:])
            self._counted(m, lane)
        return m

    def _accumulated(self, m: Module, lane: int, phase: Signal) -> Value:
        """The sum behind its shifts, complete a cycle after the last slot."""
        p = self.parameters
        weight = self.weight[lane]
        if p.nibbles > 1:
            # Constant shifts and a multiplexer, where a variable shifter would be inferred wider.
            weight = Array([weight << PLANES_PER_NIBBLE * nibble for nibble in range(p.nibbles)])[self.nibble]
        accumulator = Signal(signed(p.accumulator_width), name=f"accumulator_{lane}", reset_less=True)
        start = self.start[lane]
        begin = _of_phase(self.phase, [shifted_right(start, left) << right for right, left in p.shifts])
        with m.If(self.valid):
            m.d.sync += accumulator.eq(Mux(self.first, begin, accumulator) + weight)
        total = Signal(signed(p.accumulator_width + max(left for _, left in p.shifts)), name=f"total_{lane}")
        m.d.comb += total.eq(_of_phase(phase, [shifted_right(accumulator, right) << left for right, left in p.shifts]))
        return total

    def _on_the_way(self, m: Module, lane: int, port: str, width: int) -> list[Value]:
        """A port that comes with the slot, in each cycle up to the result's; zeros where there is no such port."""
        found: list[Value] = [getattr(self, port)[lane] if width else C(0, 1)]
        for cycle in range(1, self.parameters.latency + 1):
            if width:
                later = Signal(width, name=f"{port}_{cycle}_{lane}", reset_less=True)
                m.d.sync += later.eq(found[-1])
                found.append(later)
            else:
                found.append(found[0])
        return found

    def _membrane(self, m: Module, lane: int, total: Value, silent: Value) -> Value:
        """K = U + B + J (U alone where silent), a cycle behind J; and J clipped, as it is stored."""
        p = self.parameters
        assert p.current_width is not None
        before = Signal(signed(p.membrane_width), name=f"membrane_{lane}", reset_less=True)
        k = Signal(signed(p.k_width), name=f"k_summed_{lane}", reset_less=True)
        clip = Signal(signed(p.current_width), name=f"j_clipped_{lane}", reset_less=True)
        j = Signal.like(clip, name=f"j_{lane}")
        m.d.sync += [
            before.eq(self.membrane[lane]),
            k.eq(before + Mux(silent != 0, 0, total)),
            clip.eq(clipped(total, 2 ** (p.current_width - 1) - 1)),
            j.eq(clip),
        ]
        m.d.comb += self.j[lane].eq(j)
        return k

    def _result(self, m: Module, lane: int, complete: Signal, total: Value, silent: list[Value]) -> None:
        """Fire, reset, leak, clip. silent : in the cycle of K, and in that of the result."""
        p = self.parameters
        k = Signal(signed(p.k_width), name=f"k_complete_{lane}")
        m.d.comb += k.eq(total)
        k_held = self._held(m, complete, k, f"k_held_{lane}")
        m.d.comb += self.k[lane].eq(k_held)
        if p.leak is None:
            m.d.comb += self.u[lane].eq(k_held)
            return
        spike: Value = C(0, 1)
        if p.threshold_width is not None:
            fires = greater(k, self.threshold[lane])
            spike = self._held(m, complete, fires & (silent[0] == 0) if p.refractory else fires, f"spike_{lane}")
            m.d.comb += self.spikes[lane].eq(spike)
            if p.refractory:
                left = Mux(silent[1] == 0, 0, silent[1] - 1)
                m.d.comb += self.silent_next[lane].eq(Mux(spike, p.refractory, left))
        if p.reset_by_width is None:
            u = self._rest(m, lane, complete, leaked(k, p.leak), spike)
        else:
            reduced = self._held(m, complete, k - self.reset_by[lane], f"reduced_{lane}")
            u = clipped(leaked(Mux(spike, reduced, k_held), p.leak), 2 ** (p.state_width - 1) - 1)
        m.d.comb += self.u[lane].eq(u)

    def _held(self, m: Module, complete: Signal, value: Value, name: str) -> Signal:
        """`value` as it was when the sum was complete."""
        held = Signal(value.shape(), name=name, reset_less=True)
        with m.If(complete):
            m.d.sync += held.eq(value)
        return held

    def _rest(self, m: Module, lane: int, complete: Signal, value: Value, spike: Value) -> Value:
        """Nothing after a spike, else the leaked membrane `value` clipped.

        All that passes the register of it is the bits that are stored and whether it has more.
        """
        p = self.parameters
        bits = p.state_width - 1
        low = self._held(m, complete, Cat(value, value[-1].replicate(bits))[:bits], f"low_{lane}")
        sign = self._held(m, complete, value[-1], f"sign_{lane}")
        beyond = self._held(m, complete, outside(value, bits), f"beyond_{lane}")
        u = clamped(low, sign, beyond)
        silenced = u[:-1] & (~spike).replicate(bits)
        return Cat(silenced, sign if p.fires_above_zero else sign & ~spike).as_signed()

    def _counted(self, m: Module, lane: int) -> None:
        width = self.parameters.count_width
        if width:
            before = self._on_the_way(m, lane, "count", width)[-1]
            m.d.comb += self.count_next[lane].eq(before + self.spikes[lane])


def _of_phase(phase: Value, choices: list[Value]) -> Value:
    return Array(choices)[phase] if len(choices) > 1 else choices[0]
