"""Proven intervals of a layer core's registers, from the contract's bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mintaka.artifact import Interval
from mintaka.artifact.bounds import leak_range

if TYPE_CHECKING:
    from mintaka_hw.plan.layer import LayerPlan

ZERO = Interval(0, 0)


@dataclass(frozen=True)
class Ranges:
    """Padding lanes (behind the last channel) sum nothing, so that 0 is in every interval.

    direct : of the direct edges' sum behind each pass.
    k : of K, and of what else is in its register: the passes' sums.
    start : of what an accumulation starts from.
    membrane : of U + B, which CUBA-LIF adds behind the accumulator.
    accumulator : of every value that it takes, before `input_shift`, in any order of addition.
    """

    direct: tuple[Interval, ...]
    k: Interval
    start: Interval
    membrane: Interval
    accumulator: Interval


def lane_ranges(layer: LayerPlan) -> Ranges:
    """All of them, from `layer`'s edges, neurons and phases."""
    bias = ZERO.hull(Interval(int(layer.bias.min()), int(layer.bias.max())))
    stored = Interval(-layer.state_max, layer.state_max)
    sums = layer.bounds.sums  # of each edge in any order of addition, before its shifts
    kept, leaving = ZERO, ZERO
    if layer.current is not None:
        kept = ZERO.hull(leak_range(layer.current.leak, layer.current.max))

    direct: list[Interval] = []
    accumulator = ZERO
    for number in layer.phases.passes:
        edge = layer.edges[number].edge
        before = direct[-1] if direct else ZERO
        begins = Interval(*((end >> edge.shift) << edge.input_shift for end in (before.lo, before.hi)))
        accumulator = accumulator.hull(begins + sums[number])
        direct.append(before + _current(layer, number, sums[number]))
    for number in layer.phases.step_edges:
        leaving += _current(layer, number, sums[number])

    so_far = direct[-1] if direct else ZERO
    k = layer.bounds.k.hull(ZERO)
    summed = layer.bounds.j or k
    if direct:
        k = k.hull(so_far)

    membrane = (stored + bias).hull(stored)
    if layer.current is not None:
        start = kept + so_far
    elif layer.membrane is None or layer.phases.merged:
        start = k.hull(bias)
    else:
        start = membrane + so_far
    right = layer.phases.shifts[-1][0]
    whole = Interval(summed.lo << right, ((summed.hi + 1) << right) - 1)
    partly = Interval(start.lo << right, start.hi << right)
    if layer.current is None:
        scaled = ZERO
        for number in layer.phases.step_edges:
            scaled += Interval(*(end << layer.phases.plane_shift(number) for end in (sums[number].lo, sums[number].hi)))
        partly = partly.hull(Interval(bias.lo << right, bias.hi << right) + scaled)
    return Ranges(tuple(direct), k, start, membrane, accumulator.hull(whole).hull(partly))


def _current(layer: LayerPlan, number: int, found: Interval) -> Interval:
    """An edge's sum behind its shifts."""
    edge = layer.edges[number].edge
    return Interval(*((end >> edge.input_shift) << edge.shift for end in (found.lo, found.hi)))
