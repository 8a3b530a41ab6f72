"""Proven intervals of a layer core's registers, from the contract's bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Interval, Node, NodeBounds
from mintaka.artifact.bounds import leak_range
from mintaka_hw.plan.schedule import Schedule

ZERO = Interval(0, 0)


@dataclass(frozen=True)
class Ranges:
    """Padding lanes (beyond the last channel) sum nothing, so that 0 is in every interval.

    direct : of the direct edges' sum after each preload.
    k : of K, and of what else is in its register: the preloads' sums.
    start : of what an accumulation starts from.
    membrane : of U + B, which CUBA-LIF adds after the accumulator.
    accumulator : of every value that it takes, before `input_shift`, in any order of addition.
    """

    direct: tuple[Interval, ...]
    k: Interval
    start: Interval
    membrane: Interval
    accumulator: Interval


def lane_ranges(schedule: Schedule, bounds: NodeBounds, bias: np.ndarray, node: Node) -> Ranges:
    """All of them, from the contract's `bounds` of `node` and the order in which its edges are summed."""
    state = node.neuron or node.integrator
    membrane_max = 0 if state is None else state.membrane_max
    current = None if node.neuron is None else node.neuron.current
    biases = ZERO.hull(Interval(int(bias.min()), int(bias.max())))
    stored = Interval(-membrane_max, membrane_max)
    sums = bounds.sums  # of each edge in any order of addition, before its shifts
    kept = ZERO
    if current is not None:
        kept = ZERO.hull(leak_range(current.leak, current.max))

    direct: list[Interval] = []
    accumulator = ZERO
    for number in schedule.preloads:
        input_shift, shift = schedule.edge_shifts[number]
        before = direct[-1] if direct else ZERO
        begins = Interval(*((end >> shift) << input_shift for end in (before.lo, before.hi)))
        accumulator = accumulator.hull(begins + sums[number])
        direct.append(before + _current(schedule, number, sums[number]))

    so_far = direct[-1] if direct else ZERO
    k = bounds.k.hull(ZERO)
    summed = bounds.j or k
    if direct:
        k = k.hull(so_far)

    membrane = (stored + biases).hull(stored)
    if current is not None:
        start = kept + so_far
    elif state is None or schedule.preloads_in_first_step:
        start = k.hull(biases)
    else:
        start = membrane + so_far
    right = schedule.sum_shifts[-1][0]
    whole = Interval(summed.lo << right, ((summed.hi + 1) << right) - 1)
    partly = Interval(start.lo << right, start.hi << right)
    if current is None:
        scaled = ZERO
        for number in schedule.step_edges:
            scaled += Interval(*(end << schedule.plane_shift(number) for end in (sums[number].lo, sums[number].hi)))
        partly = partly.hull(Interval(biases.lo << right, biases.hi << right) + scaled)
    return Ranges(tuple(direct), k, start, membrane, accumulator.hull(whole).hull(partly))


def _current(schedule: Schedule, number: int, found: Interval) -> Interval:
    """An edge's sum after its shifts."""
    input_shift, shift = schedule.edge_shifts[number]
    return Interval(*((end >> input_shift) << shift for end in (found.lo, found.hi)))
