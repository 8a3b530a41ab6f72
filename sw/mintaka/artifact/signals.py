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
    """The values lie in `min_value`..`max_value`; below 0 they are two's complement of `bits` bits.

    `units` says what one addition carries: "bits" (a multi-bit number is the sum of its bit-planes, each set bit is
    one operation) or "spikes" (the count of a sum pool or an add join stands for that many spikes). A plain spike is
    the same either way. `static` means the same value at every step, so its operations happen once per sample.
    """

    shape: Shape
    max_value: int
    units: str
    static: bool
    min_value: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def signed(self) -> bool:
        """True where values can be negative."""
        return self.min_value < 0

    @property
    def bits(self) -> int:
        """Width of a value, its sign included."""
        return self.max_value.bit_length() + self.signed

    @property
    def magnitude(self) -> int:
        return max(self.max_value, -self.min_value)

    @property
    def most_operations(self) -> int:
        """Most additions of one value per crossed synapse."""
        return self.bits if self.units == "bits" else self.max_value

    def operations(self, x: np.ndarray) -> np.ndarray:
        """Additions per crossed synapse for values `x`, int64 of x's shape: of a number its set bits, the sign's
        included (`docs/reference/semantics.md`, "Synaptic operations")."""
        if self.units == "spikes":
            return x.astype(np.int64)
        return np.bitwise_count(bit_pattern(x, self.bits) if self.signed else x).astype(np.int64)


def bit_pattern(x: np.ndarray, bits: int) -> np.ndarray:
    """Integers as the unsigned number that has their `bits` bits of two's complement, in x's width."""
    unsigned = x.astype(np.dtype(f"u{x.dtype.itemsize}"))
    return unsigned & unsigned.dtype.type(2**bits - 1)


def input_signal(source: Input) -> Signal:
    """The signal of the network's input."""
    return Signal(source.shape, source.high, "bits", source.static, source.low)


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
