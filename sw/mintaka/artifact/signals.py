"""What travels on an edge: shape, largest value, and how a value counts as synaptic operations."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mintaka.artifact.schema import Input, Network, Node, Shape


@dataclass(frozen=True)
class Signal:
    """`max_value` bounds the unsigned values.

    `units` says what one addition carries: "bits" (a multi-bit number is the sum of its bit-planes, each set bit is
    one operation) or "spikes" (a pooled count stands for that many spikes). A plain spike is the same either way.
    `static` means the same value at every step, so its operations happen once per sample.
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


def node_signal(node: Node, source: Signal) -> Signal:
    """The signal that `node` emits, given that of its first input."""
    if node.pool is not None and node.pool.kind == "sum":
        window = node.pool.kernel[0] * node.pool.kernel[1]
        return Signal(node.shape_out, window * source.max_value, "spikes", False)
    return Signal(node.shape_out, 1, "bits", False)


def signals(network: Network) -> dict[str, Signal]:
    """Every signal by the name of its source; a pool never reads with a delay, so one pass suffices."""
    found = {network.input.name: input_signal(network.input)}
    for node in network.nodes:
        if node.pool is None:
            found[node.name] = Signal(node.shape_out, 1, "bits", False)
    for node in network.nodes:
        if node.pool is not None:
            found[node.name] = node_signal(node, found[node.inputs[0].node])
    return found
