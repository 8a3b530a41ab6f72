"""Proven intervals of a layer core's registers: the contract's bounds, and what padding lanes add to them."""

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
    """Padding lanes (behind the last channel) sum nothing, or -1 per event where weights have 1 bit; they are included.

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
    sums = [_sum(layer, number) for number in range(len(layer.edges))]
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
    if layer.stored_weight_bits == 1:  # padding lanes subtract every event
        least = kept.lo + so_far.lo + leaving.lo
        steps = layer.time_steps if layer.membrane is None else 1
        k = k.hull(Interval(least * steps - layer.state_max, 0))
        summed = summed.hull(Interval(least, 0)) if layer.current is not None else k
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


def _sum(layer: LayerPlan, number: int) -> Interval:
    """An edge's exact sum in any order of addition, before its shifts."""
    edge, found = layer.edges[number], layer.bounds.sums[number]
    if layer.stored_weight_bits == 1:
        found = found.hull(Interval(-edge.fan_in * edge.source.max_value, 0))
    return found


def _current(layer: LayerPlan, number: int, found: Interval) -> Interval:
    """The same behind its shifts."""
    edge = layer.edges[number].edge
    return Interval(*((end >> edge.input_shift) << edge.shift for end in (found.lo, found.hi)))
