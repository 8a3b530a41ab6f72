"""The LIF core: lanes that accumulate weights, then fire, reset, leak and store a narrow membrane. No multiplier."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from amaranth.hdl import Array, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from mintaka.artifact import LeakTerm
from mintaka_hw.plan import LayerPlan
from mintaka_hw.plan.layer import table_width
from mintaka_hw.rtl.arithmetic import clipped, leaked, shifted_right


@dataclass(frozen=True)
class LIFParameters:
    """Widths in bits; `planes`: a weight counts up to 2^(planes - 1) times.

    neuron_leak : the leak's terms, or None for the head, whose lanes only accumulate.
    """

    lanes: int
    weight_width: int
    start_width: int
    accumulator_width: int
    k_width: int
    state_width: int
    planes: int
    input_shift: int
    leak: tuple[LeakTerm, ...] | None
    threshold_width: int
    reset_by_width: int | None

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {self.lanes}")

    @classmethod
    def of(cls, layer: LayerPlan) -> LIFParameters:
        neuron = layer.node.neuron
        return cls(
            lanes=layer.lanes,
            weight_width=max(2, layer.stored_weight_bits),
            start_width=layer.start.signed_bits,
            accumulator_width=layer.accumulator_width,
            k_width=layer.k_width,
            state_width=layer.state_width,
            planes=layer.planes,
            input_shift=layer.input_shift,
            leak=None if neuron is None else neuron.leak,
            threshold_width=1 if neuron is None else table_width(layer.threshold),
            reset_by_width=None if layer.reset_by is None else table_width(layer.reset_by),
        )


def lanes_of(shape: Shape, lanes: int) -> data.ArrayLayout:
    """One value per lane, lane 0 in the low bits."""
    return data.ArrayLayout(shape, lanes)


class LIFCore(wiring.Component):
    """`lanes` neurons side by side, three cycles from a group's last slot to its result.

    Slot (cycle 0): `valid` with `weight` and its bit-plane; on `first` the accumulator begins at `start` instead.
    Cycle 1 after the `last` slot: K is complete; `threshold` and `reset_by` of its group must be there now.
    Cycle 2: `done` with `spikes`, `state` (what to store: the clipped membrane, or the head's sum) and `k`.

    Attributes
    ----------
    valid, first, last : In(1)
    plane : In(bits of planes - 1)
        The weight counts 2^plane times.
    start, weight, threshold, reset_by : In(lanes x signed)
    done : Out(1)
    spikes : Out(lanes)
    state, k : Out(lanes x signed)
    """

    def __init__(self, parameters: LIFParameters):
        p = self.parameters = parameters
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "plane": In((p.planes - 1).bit_length()),
                "start": In(lanes_of(signed(p.start_width), p.lanes)),
                "weight": In(lanes_of(signed(p.weight_width), p.lanes)),
                "threshold": In(lanes_of(signed(p.threshold_width), p.lanes)),
                "reset_by": In(lanes_of(signed(p.reset_by_width or 1), p.lanes)),
                "done": Out(1),
                "spikes": Out(p.lanes),
                "state": Out(lanes_of(signed(p.state_width), p.lanes)),
                "k": Out(lanes_of(signed(p.k_width), p.lanes)),
            }
        )

    def describe(self) -> dict[str, Any]:
        found = {each.name.replace("_", " "): getattr(self.parameters, each.name) for each in fields(self.parameters)}
        leak = " ".join(f"{'-' if term.sign < 0 else '+'}(V >> {term.shift})" for term in self.parameters.leak or ())
        return {**found, "leak": leak or "none"}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        p = self.parameters
        m = Module()
        complete = Signal()
        m.d.sync += [complete.eq(self.valid & self.last), self.done.eq(complete)]
        for lane in range(p.lanes):
            self._lane(m, lane, complete)
        return m

    def _lane(self, m: Module, lane: int, complete: Signal) -> None:
        p = self.parameters
        weight = self.weight[lane]
        if p.planes > 1:
            # A constant shift per plane: a multiplexer, where a variable shifter would be inferred wider.
            weight = Array([weight << plane for plane in range(p.planes)])[self.plane]
        accumulator = Signal(signed(p.accumulator_width), name=f"accumulator_{lane}", reset_less=True)
        begin = self.start[lane] << p.input_shift
        with m.If(self.valid):
            m.d.sync += accumulator.eq(Mux(self.first, begin, accumulator) + weight)

        k = Signal(signed(p.k_width), name=f"k_complete_{lane}")
        m.d.comb += k.eq(shifted_right(accumulator, p.input_shift))
        k_held = Signal(signed(p.k_width), name=f"k_held_{lane}", reset_less=True)
        with m.If(complete):
            m.d.sync += k_held.eq(k)
        m.d.comb += self.k[lane].eq(k_held)
        if p.leak is None:
            m.d.comb += self.state[lane].eq(k_held)
            return

        spike = Signal(name=f"spike_{lane}", reset_less=True)
        with m.If(complete):
            m.d.sync += spike.eq(k > self.threshold[lane])
        after = 0
        if p.reset_by_width is not None:
            reduced = Signal(signed(max(p.k_width, p.reset_by_width) + 1), name=f"reduced_{lane}", reset_less=True)
            with m.If(complete):
                m.d.sync += reduced.eq(k - self.reset_by[lane])
            after = reduced
        kept = Mux(spike, after, k_held)
        membrane = clipped(leaked(kept, p.leak), 2 ** (p.state_width - 1) - 1)
        m.d.comb += [self.spikes[lane].eq(spike), self.state[lane].eq(membrane)]
