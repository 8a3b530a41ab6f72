"""Proven ranges of every number in a network: what widths the hardware needs and where float32 stays exact.

All bounds follow from the artifact's own integers: `sum|W|*xmax + Qu + max|B|`, kept as exact intervals
(`docs/reference/semantics.md`, "Proven widths").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact.schema import Edge, LeakTerm, Network, Node
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

    `k`: of K at every step, refractory ones included; for a head that accumulates, of the running sum at every step.
    `j`: of the exact synaptic current J before it is stored; None where there is none.
    """

    sums: tuple[Interval, ...]
    k: Interval
    j: Interval | None = None


def edge_bounds(edge: Edge, source: Signal) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest partial sum per output channel, (C_out,), over all inputs and orders, of bit-planes too.

    Python integers (dtype object): a bound that is too wide for any hardware must still come out right.
    """
    assert edge.weight is not None
    W = edge.weight.values.reshape(len(edge.weight.values), -1)
    negative, positive = (part.sum(1, dtype=np.int64).astype(object) for part in (np.minimum(W, 0), np.maximum(W, 0)))
    least, most = source.min_value, source.max_value
    return positive * least + negative * most, positive * most + negative * least


def leak_range(leak: tuple[LeakTerm, ...], most: int) -> Interval:
    """Smallest and largest leak(v) over all stored v in [-most, most], most < 2^15: by trying them all."""
    v = np.arange(-most, most + 1)
    kept = sum((term.sign * (v >> term.shift) for term in leak), np.zeros_like(v))
    return Interval(int(kept.min()), int(kept.max()))


def node_bounds(node: Node, source: dict[str, Signal], time_steps: int) -> NodeBounds:
    """Proven intervals of a node that sums a current (not of a pool or a join)."""
    low = np.zeros(node.channels, object)
    high = np.zeros(node.channels, object)
    sums = []
    for edge in node.inputs:
        lo, hi = edge_bounds(edge, source[edge.node])
        sums.append(Interval(int(lo.min()), int(hi.max())))
        low += (lo >> edge.input_shift) << edge.shift
        high += (hi >> edge.input_shift) << edge.shift
    neuron, j = node.neuron, None
    if neuron is not None and neuron.current is not None:
        kept = leak_range(neuron.current.leak, neuron.current.max)
        low, high = low + kept.lo, high + kept.hi
        j = Interval(int(low.min()), int(high.max()))
    if node.bias is not None:
        low += node.bias.values.astype(object)
        high += node.bias.values.astype(object)
    state = neuron or node.integrator
    if state is None:
        low, high = np.minimum(low, low * time_steps), np.maximum(high, high * time_steps)
        return NodeBounds(tuple(sums), Interval(int(low.min()), int(high.max())))
    Qu = state.membrane_max
    k = Interval(int(low.min()) - Qu, int(high.max()) + Qu)
    if neuron is not None and neuron.refractory:
        k = k.hull(Interval(-Qu, Qu))
    return NodeBounds(tuple(sums), k, j)


def network_bounds(network: Network) -> dict[str, NodeBounds]:
    """The bounds of every node that sums a current, by name."""
    source = signals(network)
    return {n.name: node_bounds(n, source, network.time_steps) for n in network.nodes if n.has_synapses}


def logit_bounds(network: Network) -> Interval:
    """Proven interval of the logits; where a head counts, a neuron spikes in every (refractory + 1)-th step at most."""
    neuron = network.head.neuron
    if neuron is not None:
        return Interval(0, -(-network.time_steps // (neuron.refractory + 1)))
    return node_bounds(network.head, signals(network), network.time_steps).k
