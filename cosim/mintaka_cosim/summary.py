"""What an artifact holds, in numbers for people: widths, memories, bounds."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mintaka.artifact import (
    Edge,
    Encoding,
    Input,
    Integrator,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Signal,
    network_bounds,
    signals,
)
from mintaka.artifact.schema import Shape
from mintaka.errors import printable


@dataclass(frozen=True)
class LayerSummary:
    """One node. Bits of memory are the artifact's own (values times their declared width), before any folding into
    lanes; with a codebook those of the weights' places (`place_bits` each) and of the codebook. Those of membranes
    include synaptic currents and refractory counters. `max_sops` bounds the synaptic operations of one sample. None
    where a node has no such thing."""

    name: str
    op: str
    inputs: tuple[str, ...]
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    weights: int
    nonzero_weights: int
    weight_bits: int | None
    place_bits: int | None
    membrane_bits: int | None
    k_bits: int | None
    threshold: tuple[int, int] | None
    reset: str | None
    leak: str | None
    weight_memory_bits: int
    membrane_memory_bits: int
    max_sops: int


@dataclass(frozen=True)
class Summary:
    """A whole network. Its figures follow from the artifact alone."""

    name: str
    hash: str
    time_steps: int
    input_kind: str
    input_shape: tuple[int, ...]
    input_bits: int
    input_signed: bool
    encoding: Encoding | None
    classes: int
    margins: tuple[int | None, ...]
    layers: tuple[LayerSummary, ...]

    @property
    def weight_memory_bits(self) -> int:
        return sum(layer.weight_memory_bits for layer in self.layers)

    @property
    def membrane_memory_bits(self) -> int:
        return sum(layer.membrane_memory_bits for layer in self.layers)

    @property
    def max_sops(self) -> int:
        return sum(layer.max_sops for layer in self.layers)


def summarize(network: Network) -> Summary:
    """The summary of a checked network."""
    from mintaka.artifact import content_hash

    bounds, source = network_bounds(network), signals(network)
    return Summary(
        name=network.name,
        hash=content_hash(network),
        time_steps=network.time_steps,
        input_kind=network.input.kind,
        input_shape=network.input.shape,
        input_bits=network.input.bits,
        input_signed=network.input.signed,
        encoding=network.input.encoding,
        classes=network.classes,
        margins=network.output.margins,
        layers=tuple(
            _layer(network, node, source, bounds[node.name].k.signed_bits if node.name in bounds else None)
            for node in network.nodes
        ),
    )


def encoding_text(source: Input) -> str:
    """How the user's numbers become the input, in a sentence."""
    found = source.encoding
    each = "" if source.static else " of every step"
    if found is None and source.kind == "spikes":
        return "none: samples are spikes with their time steps (for numbers, their levels must be given)"
    if found is None:
        return f"none: integers from {source.low} to {source.high} are the input{each}"
    code = {
        "none": "the input" + each,
        "thermometer": f"spikes by a thermometer of {found.levels} levels",
        "repeat": "spikes, the same at every step",
    }[found.code]
    high = source.high if found.levels is None else found.levels - 1
    if found.quantizer is None:
        return f"integers from {source.low} to {high} become {code}"
    parts = []
    for name, values in (("scale", found.quantizer.scale), ("offset", found.quantizer.offset)):
        several = f"{min(values):.4g} to {max(values):.4g}, one per channel"
        parts.append(f"{name} {several if len(values) > 1 else f'{values[0]:.6g}'}")
    formula = f"rint((x - offset) / scale), clipped to {source.low}..{high}, becomes {code}"
    return f"{formula}; {'; '.join(parts)}"


def leak_text(leak: tuple[LeakTerm, ...]) -> str:
    """For example "V - (V >> 3)"."""
    if len(leak) == 1 and leak[0].sign > 0 and leak[0].shift:
        return f"V >> {leak[0].shift}"
    text = ""
    for term in leak:
        value = f"(V >> {term.shift})" if term.shift else "V"
        text += (" - " if term.sign < 0 else " + ") + value
    return text.removeprefix(" + ").strip() or "0"


def kept_text(state: Neuron | Integrator) -> str:
    """What the membrane keeps: its leak, or that boundaries say it."""
    if isinstance(state, Neuron) and state.boundaries is not None:
        return f"by {2 * state.membrane_max} boundaries"
    return leak_text(state.leak)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested provenance as rows, each one line: "train.epochs" -> "40"."""
    rows: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            rows |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            for index, each in enumerate(value):
                parts = (f"{name} {text}" for name, text in flat(each).items())
                rows[printable(f"{prefix}{key}.{index}")] = ", ".join(parts)
        else:
            rows[printable(f"{prefix}{key}")] = f"{value:.4f}" if isinstance(value, float) else printable(str(value))
    return rows


def max_sops(network: Network, node: Node, source: dict[str, Signal]) -> int:
    """Synaptic operations of one sample in which every input bit is set and every neuron always spikes.

    source : `signals` of the network.
    """
    found = 0
    for edge in node.inputs:
        if edge.weight is not None:
            carried = source[edge.node]
            times = 1 if carried.static else network.time_steps - edge.delay
            found += _crossed(edge, node, carried.shape) * carried.most_operations * times
    return found


def _crossed(edge: Edge, node: Node, shape: Shape) -> int:
    """Synapses with a weight other than 0 that a step crosses where all elements of the source, of `shape`, are set."""
    assert edge.weight is not None
    nonzero = edge.weight.values != 0
    if edge.conv is None:
        return int(nonzero.sum()) * (prod(node.shape_out[1:]) if edge.op == "identity" else 1)

    def uses(axis: int) -> np.ndarray:
        """How many windows have an element of the source, and no padding, at each place of the kernel."""
        assert edge.conv is not None
        first = np.arange(node.shape_out[1 + axis], dtype=np.int64) * edge.conv.stride[axis] - edge.conv.padding[axis]
        places = [first + place for place in range(nonzero.shape[2 + axis])]
        return np.array([((at >= 0) & (at < shape[1 + axis])).sum() for at in places], np.int64)

    return int((nonzero.sum((0, 1)) * np.outer(uses(0), uses(1))).sum())


def _layer(network: Network, node: Node, source: dict[str, Signal], k_bits: int | None) -> LayerSummary:
    weights = [edge.weight for edge in node.inputs if edge.weight is not None]
    widest = max((W.bits for W in weights), default=None)
    weight_memory_bits = sum(W.values.size * (node.place_bits or W.bits) for W in weights)
    if node.codebook is not None and widest is not None:
        weight_memory_bits += len(node.codebook) * widest
    neuron = node.neuron
    state = neuron or node.integrator
    state_bits = 0 if state is None else state.membrane_bits
    if neuron is not None:
        state_bits += neuron.refractory.bit_length() + (0 if neuron.current is None else neuron.current.bits)
    return LayerSummary(
        name=node.name,
        op=f"{node.pool.kind} pool" if node.pool is not None else f"{node.join} join" if node.join else node.op,
        inputs=tuple(edge.node + (" (step before)" if edge.delay else "") for edge in node.inputs),
        shape_in=node.shape_in,
        shape_out=node.shape_out,
        weights=sum(W.values.size for W in weights),
        nonzero_weights=sum(int((W.values != 0).sum()) for W in weights),
        weight_bits=widest,
        place_bits=node.place_bits,
        membrane_bits=None if state is None else state.membrane_bits,
        k_bits=k_bits,
        threshold=None if neuron is None else (int(neuron.threshold.values.min()), int(neuron.threshold.values.max())),
        reset=None if neuron is None else neuron.reset,
        leak=None if state is None else kept_text(state),
        weight_memory_bits=weight_memory_bits,
        membrane_memory_bits=prod(node.shape_out) * state_bits,
        max_sops=max_sops(network, node, source),
    )
