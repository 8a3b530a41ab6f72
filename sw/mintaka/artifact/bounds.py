"""Proven ranges of every number in a network: what widths the hardware needs and where float32 stays exact.

All bounds follow from the artifact's own integers: `sum|W|*xmax + Qu + max|B|`, kept as exact intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact.schema import Edge, Network, Node
from mintaka.artifact.signals import Signal, signals


@dataclass(frozen=True)
class Interval:
    """Integers lo..hi, both included."""

    lo: int
    hi: int

    @property
    def signed_bits(self) -> int:
        """Two's complement width that holds the interval (at least 1)."""
        return max(self.lo, self.hi, -self.lo - 1, -self.hi - 1).bit_length() + 1

    @property
    def magnitude(self) -> int:
        return max(abs(self.lo), abs(self.hi))

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lo + other.lo, self.hi + other.hi)

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.lo, other.lo), max(self.hi, other.hi))


@dataclass(frozen=True)
class NodeBounds:
    """`sums`: of each edge's exact sum in any order of addition (so 0 is inside), before `input_shift`.

    `k`: of K = U + I + B at every step; for the head, of the running sum at every step.
    """

    sums: tuple[Interval, ...]
    k: Interval


def edge_bounds(edge: Edge, source: Signal) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest partial sum per output channel, (C_out,), over all inputs and orders.

    Python integers (dtype object): a bound that is too wide for any hardware must still come out right.
    """
    assert edge.weight is not None
    W = edge.weight.values.astype(np.int64).reshape(len(edge.weight.values), -1)
    low, high = np.minimum(W, 0).sum(1), np.maximum(W, 0).sum(1)
    return low.astype(object) * source.max_value, high.astype(object) * source.max_value


def node_bounds(node: Node, source: dict[str, Signal], time_steps: int) -> NodeBounds:
    """Proven intervals of a node that sums a current (not of a pool)."""
    low = np.zeros(node.channels, object)
    high = np.zeros(node.channels, object)
    sums = []
    for edge in node.inputs:
        lo, hi = edge_bounds(edge, source[edge.node])
        sums.append(Interval(int(lo.min()), int(hi.max())))
        low += (lo >> edge.input_shift) << edge.shift
        high += (hi >> edge.input_shift) << edge.shift
    if node.bias is not None:
        low += node.bias.values.astype(object)
        high += node.bias.values.astype(object)
    if node.neuron is not None:
        low, high = low - node.neuron.membrane_max, high + node.neuron.membrane_max
    else:
        low, high = np.minimum(low, low * time_steps), np.maximum(high, high * time_steps)
    return NodeBounds(tuple(sums), Interval(int(low.min()), int(high.max())))


def network_bounds(network: Network) -> dict[str, NodeBounds]:
    """The bounds of every node that sums a current, by name."""
    source = signals(network)
    return {n.name: node_bounds(n, source, network.time_steps) for n in network.nodes if n.pool is None}
