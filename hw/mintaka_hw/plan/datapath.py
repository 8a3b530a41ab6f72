"""The lanes of a layer core: what their neurons compute with, how wide it is, and what is kept from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from mintaka.artifact import Integrator, Interval, LeakTerm, Neuron, Node, NodeBounds, SynapticCurrent
from mintaka_hw.plan.ranges import Ranges, lane_ranges
from mintaka_hw.plan.schedule import Schedule


@dataclass(frozen=True, eq=False)
class Datapath:
    """All arrays are int64 of shape (channels,), all widths in bits.

    membrane : who leaks and stores U; None where the head only sums.
    current : the synaptic current of CUBA-LIF neurons, else None.
    refractory : steps without a spike after one, as far as a sample's steps reach.
    bias : B; zeros where the artifact has none.
    threshold : T, clipped to where it still decides: K > T is unchanged for every K that occurs. None without spikes.
    reset_by : R, or None for the reset to zero.
    ranges : proven intervals of the registers.
    most_spikes : largest count of a head that counts spikes, else 0.
    state_fields : what a neuron keeps from step to step, as name -> bits; nothing where there is but one step.
        u : membrane, or the head's sum. j : synaptic current. silent : refractory steps left. count : spikes so far.
    direct_sum_width : of the direct edges' sum, as it is kept for the later steps: bias included where it was K of the
        first. 0 where there is none to be kept.
    bias_offset : 1 where the table holds B - 1: B + U is then (B - 1) - ~U. Synthesis keeps the order of a subtraction,
        and so puts the gates before U into the adder's own LUTs.
    """

    membrane: Neuron | Integrator | None
    current: SynapticCurrent | None
    refractory: int
    bias: np.ndarray
    threshold: np.ndarray | None
    reset_by: np.ndarray | None
    ranges: Ranges
    most_spikes: int
    state_fields: dict[str, int]
    direct_sum_width: int
    bias_offset: int

    @classmethod
    def of(cls, node: Node, bounds: NodeBounds, schedule: Schedule, read: str | None) -> Datapath:
        """read : of the head, where the logits come from, else None."""
        neuron, membrane, steps = node.neuron, node.neuron or node.integrator, schedule.time_steps
        bias = np.zeros(node.shape_out[0], np.int64) if node.bias is None else node.bias.values.astype(np.int64)
        ranges = lane_ranges(schedule, bounds, bias, node)
        refractory = 0 if neuron is None else min(neuron.refractory, steps - 1)
        # At most every (refractory + 1)-th step has a spike.
        most_spikes = ceil(steps / (neuron.refractory + 1)) if neuron is not None and read == "count" else 0
        fields: dict[str, int] = {}
        if steps > 1:
            if membrane is None or membrane.leak:
                fields["u"] = ranges.k.signed_bits if membrane is None else membrane.membrane_bits
            if neuron is not None and neuron.current is not None and neuron.current.leak:
                fields["j"] = neuron.current.bits
            if refractory:
                fields["silent"] = refractory.bit_length()
            if most_spikes:
                fields["count"] = most_spikes.bit_length()
        direct = 0
        if schedule.preloads:
            direct = ranges.direct[-1].signed_bits
        elif schedule.preloads_in_first_step and steps > 1:
            direct = ranges.k.signed_bits
        return cls(
            membrane,
            None if neuron is None else neuron.current,
            refractory,
            bias,
            None if neuron is None else np.clip(neuron.threshold.values.astype(np.int64), ranges.k.lo - 1, ranges.k.hi),
            None if neuron is None or neuron.reset_by is None else neuron.reset_by.values.astype(np.int64),
            ranges,
            most_spikes,
            fields,
            direct,
            int("u" in fields and not schedule.preloads_in_first_step and not refractory),
        )

    @property
    def fires(self) -> bool:
        return self.threshold is not None

    @property
    def leak(self) -> tuple[LeakTerm, ...] | None:
        """The membrane's terms; None where the head only sums."""
        return None if self.membrane is None else self.membrane.leak

    @property
    def stored_bias(self) -> np.ndarray:
        """What the bias table holds, int64 (channels,)."""
        return self.bias - self.bias_offset

    @property
    def k_width(self) -> int:
        """Of K, and of what else is in its register."""
        return self.ranges.k.signed_bits

    @property
    def accumulator_width(self) -> int:
        return self.ranges.accumulator.signed_bits

    @property
    def state_max(self) -> int:
        """Qu, the largest stored membrane (0 for a head that sums, which is bounded by K)."""
        return 0 if self.membrane is None else self.membrane.membrane_max

    @property
    def state_width(self) -> int:
        """Of U, or of the running sum of a head that has none."""
        return self.k_width if self.membrane is None else self.membrane.membrane_bits

    @property
    def logit_width(self) -> int:
        """Of a head's logit: the count of spikes, or K."""
        return Interval(0, self.most_spikes).signed_bits if self.most_spikes else self.k_width

    @property
    def keeps_state(self) -> bool:
        """True where anything is stored for later slots of the same neuron."""
        return bool(self.state_fields or self.direct_sum_width)

    @cached_property
    def fires_above_zero(self) -> bool:
        """True where every neuron that fires had a K >= 0, which leaks to no less than 0."""
        return (
            self.threshold is not None and bool(self.threshold.min() >= -1) and all(t.sign > 0 for t in self.leak or ())
        )
