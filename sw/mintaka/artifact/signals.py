"""What travels on an edge: shape, largest value, and how a value counts as synaptic operations."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod

import numpy as np

from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.schema import Input, Network, Node, Shape


@dataclass(frozen=True)
class Signal:
    """`max_value` bounds the unsigned values.

    `units` says what one addition carries: "bits" (a multi-bit number is the sum of its bit-planes, each set bit is
    one operation) or "spikes" (the count of a sum pool or an add join stands for that many spikes). A plain spike is
    the same either way. `static` means the same value at every step, so its operations happen once per sample.
    """

    shape: Shape
    max_value: int
    units: str
    static: bool

    @property
    def size(self) -> int:
        return prod(self.shape)

    def operations(self, x: np.ndarray) -> np.ndarray:
        """Additions per crossed synapse for values `x`, int64 of x's shape (methods: SOP definition)."""
        return np.bitwise_count(x).astype(np.int64) if self.units == "bits" else x.astype(np.int64)


def input_signal(source: Input) -> Signal:
    """The signal of the network's input."""
    return Signal(source.shape, 2**source.bits - 1, "bits", source.static)


def node_signal(node: Node, sources: list[Signal]) -> Signal:
    """The signal that `node` emits, given those of its inputs (which only sum pools and add joins depend on)."""
    if node.pool is not None and node.pool.kind == "sum":
        window = node.pool.kernel[0] * node.pool.kernel[1]
        return Signal(node.shape_out, window * sources[0].max_value, "spikes", False)
    if node.join == "add":
        return Signal(node.shape_out, sum(source.max_value for source in sources), "spikes", False)
    return Signal(node.shape_out, 1, "bits", False)


def counting_order(network: Network) -> list[Node]:
    """The nodes that emit counts (sum pools and add joins), each behind those that it reads, delayed or not.

    Raises ArtifactError where such nodes form a cycle: their counts would grow without bound.
    """
    nodes = {n.name: n for n in network.nodes if n.join == "add" or (n.pool is not None and n.pool.kind == "sum")}
    read = {name: [edge.node for edge in node.inputs if edge.node in nodes] for name, node in nodes.items()}
    try:
        return [nodes[name] for name in TopologicalSorter(read).static_order()]
    except CycleError as error:
        name = min(name for name in error.args[1] if nodes[name].join is not None)  # only a join reads with a delay
        raise ArtifactError(
            f"node '{name}' adds its own count of the step before, which would grow without bound: put a"
            " spiking node into the cycle"
        ) from None


def signals(network: Network) -> dict[str, Signal]:
    """Every signal by the name of its source.

    Raises ArtifactError where counts would grow without bound.
    """
    found = {network.input.name: input_signal(network.input)}
    order = counting_order(network)
    counting = {node.name for node in order}
    for node in network.nodes:
        if node.name not in counting:
            found[node.name] = node_signal(node, [])
    for node in order:
        found[node.name] = node_signal(node, [found[edge.node] for edge in node.inputs])
    return {name: found[name] for name in (network.input.name, *(node.name for node in network.nodes))}
