"""From an artifact and a choice of lanes to a plan of the whole accelerator, or one sentence why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from mintaka.artifact import Network, Node, content_hash, network_bounds, run, signals
from mintaka_hw.plan.layer import LayerPlan, MemoryPlan

INPUT_WORD_BITS = 32
MAX_LANES = 1024
AUTO_LANES = 32
ASSUMED_RATE = 0.1

Lanes = int | str | Mapping[str, int]


class PlanError(ValueError):
    """The network cannot be built as asked; the message is one sentence that names the node."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The accelerator of one network: its layer cores in the order that data takes.

    input_elements : elements of the input per beat of the input stream.
    """

    network: Network
    artifact_hash: str
    input_elements: int
    layers: tuple[LayerPlan, ...]

    def layer(self, name: str) -> LayerPlan:
        """The layer of that name; KeyError where there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def lanes(self) -> dict[str, int]:
        return {layer.name: layer.lanes for layer in self.layers}

    @property
    def logit_width(self) -> int:
        return self.layers[-1].k_width

    @property
    def memories(self) -> list[tuple[str, MemoryPlan]]:
        """Every memory with the name of its layer."""
        return [(layer.name, memory) for layer in self.layers for memory in layer.memories]

    @property
    def memory_bits(self) -> int:
        return sum(memory.bits for _, memory in self.memories)


def make_plan(network: Network, lanes: Lanes = "auto") -> Plan:
    """Plan the accelerator.

    lanes : one number for every layer, a number per layer by name (others are chosen), or "auto": 32 lanes for the
        layer with most synapses and, for the others, the fewest that keep pace with it on the artifact's test vectors
        (at an assumed rate of 10 % where it has none).

    Raises PlanError where the hardware has no core for a node, or the lanes make no sense.
    """
    nodes = _buildable(network)
    chosen = _lanes(network, nodes, lanes)
    source, bounds = signals(network), network_bounds(network)
    first = source[network.input.name]
    elements = min(first.size, max(1, INPUT_WORD_BITS // network.input.bits))
    layers: list[LayerPlan] = []
    words = elements
    for node in nodes:
        P = chosen[node.name]
        layers.append(LayerPlan(node, P, network.time_steps, words, source[node.inputs[0].node], bounds[node.name]))
        words = P
    return Plan(network, content_hash(network), elements, tuple(layers))


def _buildable(network: Network) -> list[Node]:
    """The nodes in the order of the chain, where each has a core."""
    before = network.input.name
    for node in network.nodes:
        name = f"node '{node.name}'"
        if node.op != "dense":
            raise PlanError(
                f"{name} is a {node.op}, for which there is no hardware yet: only dense layers are generated"
            )
        if len(node.inputs) > 1 or node.inputs[0].delay:
            raise PlanError(f"{name} has several or delayed inputs, for which there is no hardware yet")
        if node.inputs[0].node != before:
            raise PlanError(
                f"{name} reads '{node.inputs[0].node}' instead of '{before}': only chains of layers are generated yet"
            )
        if node.inputs[0].shift:
            raise PlanError(f"{name} shifts its current left, for which there is no hardware yet: use shift 0")
        before = node.name
    if before != network.output.node:
        raise PlanError(
            f"node '{before}' comes behind the head '{network.output.node}', so nothing reads it: remove it"
        )
    return list(network.nodes)


def _lanes(network: Network, nodes: list[Node], lanes: Lanes) -> dict[str, int]:
    names = [node.name for node in nodes]
    if isinstance(lanes, Mapping):
        for name in lanes:
            if name not in names:
                raise PlanError(f"lanes are given for '{name}', but the layers are {', '.join(names)}")
        chosen = {**auto_lanes(network, nodes), **lanes}
    elif isinstance(lanes, str):
        if lanes != "auto":
            raise PlanError(f"lanes are '{lanes}'; a number, 'auto' or LAYER=NUMBER is wanted")
        chosen = auto_lanes(network, nodes)
    else:
        chosen = {node.name: min(lanes, node.size_out) for node in nodes}
    for name, number in chosen.items():
        if not 1 <= number <= MAX_LANES:
            raise PlanError(f"layer '{name}' has {number} lanes; 1 to {MAX_LANES} are possible")
        if number > network.node(name).size_out:
            size = network.node(name).size_out
            raise PlanError(f"layer '{name}' has {number} lanes for {size} neurons; give it at most {size}")
    return chosen


def auto_lanes(network: Network, nodes: list[Node]) -> dict[str, int]:
    """The lanes that `make_plan(..., "auto")` chooses."""
    events = _events_per_sample(network, nodes)

    def slots(node: Node, lanes: int) -> float:
        return ceil(node.size_out / lanes) * max(events[node.name], network.time_steps)

    largest = max(nodes, key=lambda node: node.size_in * node.size_out)
    lanes = {largest.name: min(AUTO_LANES, largest.size_out)}
    pace = slots(largest, lanes[largest.name])
    for node in nodes:
        if node is not largest:
            fits = (n for n in range(1, min(MAX_LANES, node.size_out)) if slots(node, n) <= pace)
            lanes[node.name] = next(fits, min(MAX_LANES, node.size_out))
    return lanes


def _events_per_sample(network: Network, nodes: list[Node]) -> dict[str, float]:
    """Mean events that enter each layer per sample: from the test vectors, or assumed."""
    source = signals(network)
    if network.vectors is None:
        steps = {n.name: 1 if source[n.inputs[0].node].static else network.time_steps for n in nodes}
        planes = {n.name: int(source[n.inputs[0].node].max_value).bit_length() for n in nodes}
        return {n.name: ASSUMED_RATE * n.size_in * planes[n.name] * steps[n.name] for n in nodes}
    inputs = network.vectors.inputs
    spikes = run(network, inputs).spikes
    events = {network.input.name: np.bitwise_count(inputs).sum() / len(inputs)}
    events |= {name: float(count.mean()) for name, count in spikes.items()}
    return {node.name: float(events[node.inputs[0].node]) for node in nodes}
