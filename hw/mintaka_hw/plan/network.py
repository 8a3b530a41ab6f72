"""From an artifact and a choice of lanes to a plan of the whole accelerator, or one sentence why not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, prod

import numpy as np

from mintaka.artifact import (
    Edge,
    Network,
    Node,
    NodeBounds,
    connections,
    content_hash,
    network_bounds,
    run,
    signals,
)
from mintaka.artifact.checks import require_network
from mintaka.artifact.limits import Range
from mintaka.artifact.reference import node_frames
from mintaka.errors import quoted
from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.folding import Folding
from mintaka_hw.plan.join import JoinPlan
from mintaka_hw.plan.layer import LayerPlan
from mintaka_hw.plan.limits import memory_problem, size_problem
from mintaka_hw.plan.link import links
from mintaka_hw.plan.plan import Plan, PlanError, Stage
from mintaka_hw.plan.pool import PoolPlan
from mintaka_hw.plan.schedule import Schedule
from mintaka_hw.plan.sparse import BLOCK_ELEMENTS, Blocks
from mintaka_hw.plan.stream import StreamLayout

INPUT_WORD_BITS = 32
LANES = Range(1, 1024)  # of one layer
AUTO_LANES = 32
ASSUMED_RATE = 0.1
MOST_WORK = 2**31  # connections that the reference visits for a plan

Lanes = int | str | Mapping[str, int]
Sparse = str | Collection[str]


def make_plan(network: Network, lanes: Lanes = "auto", sparse: Sparse = (), *, run_time: bool = False) -> Plan:
    """Plan the accelerator.

    lanes : one number for every layer, where a layer with fewer neurons or channels has a lane for each; a number per
        layer by name (others are chosen); or "auto": 32 lanes for the layer with most synapses and, for the others,
        the fewest that keep pace with it on the artifact's test vectors (at an assumed rate of 10 % where it has none).
    sparse : names of layers whose weight memory holds only the rows that are not all zero, or "auto": those whose
        memories get smaller by it, index included.
    run_time : make the steps of a sample, and the margins where there are some, inputs of the design instead of
        constants. It takes a few gates and counters, and no cycle.

    Raises PlanError where the hardware has no core for a node, the lanes make no sense, no weight can be left out, or
    the design is too large to be generated (`mintaka_hw.plan.limits`).
    """
    require_network(network, PlanError)
    nodes = _buildable(network)
    problem = None if sparse else memory_problem(network)
    if problem is not None:
        raise PlanError(problem)
    chosen = _lanes(network, nodes, lanes)
    wanted = _sparse(nodes, sparse)
    bounds = network_bounds(network)
    layouts = _layouts(network, nodes, chosen)
    stages: list[Stage] = []

    def layer(node: Node, *, sparse: bool) -> LayerPlan:
        lanes, limits = chosen[node.name], bounds[node.name]
        return _layer(network, node, lanes, layouts, limits, sparse=sparse, run_time=run_time)

    for node in nodes:
        if node.op == "pool2d":
            stages.append(PoolPlan(node, layouts[node.inputs[0].node]))
            continue
        if node.join is not None:
            stages.append(JoinPlan(node, tuple(layouts[edge.node] for edge in node.inputs), layouts[node.name]))
            continue
        stages.append(layer(node, sparse=node.name in wanted))
        if sparse == "auto" and zeros_problem(node) is None:
            choices = (stages[-1], layer(node, sparse=True))
            stages[-1] = min(choices, key=lambda stage: sum(memory.bits for memory in stage.memories))
    plan = Plan(
        network,
        content_hash(network),
        layouts[network.input.name],
        tuple(stages),
        tuple(links(network, layouts)),
        run_time,
    )
    problem = size_problem(plan)
    if problem is not None:
        raise PlanError(problem)
    return plan


def _sparse(nodes: list[Node], sparse: Sparse) -> frozenset[str]:
    """The layers that are named, checked."""
    if isinstance(sparse, str):
        if sparse != "auto":
            raise PlanError(f"sparse layers must be 'auto' or names of layers, got '{sparse}'")
        return frozenset()
    if not isinstance(sparse, Collection):
        raise PlanError(f"sparse layers must be 'auto' or names of layers, got {quoted(sparse)}")
    layers = {node.name: node for node in nodes if node.has_synapses}
    for name in sparse:
        if name not in layers:
            raise PlanError(f"there is no layer '{name}' to be made sparse: the layers are {', '.join(layers)}")
        problem = zeros_problem(layers[name])
        if problem is not None:
            raise PlanError(f"layer '{name}' cannot have a sparse weight memory: {problem}")
    return frozenset(sparse)


def zeros_problem(node: Node) -> str | None:
    """Why no row of weights of that node can be left out, or None."""
    if not node.has_synapses:
        return "it has no weights"
    if any(edge.op == "identity" or (edge.conv is not None and edge.conv.groups > 1) for edge in node.inputs):
        return "its identity edges and grouped convolutions are stored without zeros as it is"
    if node.codebook is not None and 0 not in node.codebook:
        return "no value of its codebook is 0"
    if node.codebook is None and all(edge.weight is not None and edge.weight.bits == 1 for edge in node.inputs):
        return "its weights have 1 bit, which cannot be 0"
    return None


def _layer(
    network: Network,
    node: Node,
    lanes: int,
    layouts: dict[str, StreamLayout],
    bounds: NodeBounds,
    *,
    sparse: bool,
    run_time: bool,
) -> LayerPlan:
    source, folding = signals(network), Folding.of(node, lanes)
    place_bits = 0
    if any(layouts[edge.node].element_bits > 1 for edge in node.inputs):
        place_bits = (BLOCK_ELEMENTS - 1).bit_length()
    edges: list[EdgePlan] = []
    for edge in node.inputs:
        blocks = Blocks(sum(len(e.places) for e in edges), place_bits) if sparse else None
        offset = sum(e.fan_in for e in edges)
        edges.append(
            EdgePlan(node, edge, layouts[edge.node], source[edge.node], offset, lanes, folding.sections, blocks)
        )
    read = network.output.read if node is network.head else None
    schedule = Schedule.of(
        edges,
        network.time_steps,
        cuba=node.neuron is not None and node.neuron.current is not None,
        is_head=read is not None,
        exits=bool(network.output.margins),
        run_time=run_time,
    )
    return LayerPlan(node, tuple(edges), bounds, read, folding, schedule)


def _layouts(network: Network, nodes: list[Node], lanes: dict[str, int]) -> dict[str, StreamLayout]:
    """The stream that the input and each node but the head gives."""
    source = signals(network)
    readers = [n for n in nodes if any(edge.node == network.input.name for edge in n.inputs)]
    found = {network.input.name: _input_stream(network, flat=all(n.op == "dense" for n in readers))}
    for node in nodes:
        rows, cols = node.shape_out[1:] if len(node.shape_out) == 3 else (1, 1)
        if node.op == "pool2d":
            found[node.name] = PoolPlan(node, found[node.inputs[0].node]).outgoing
        elif node.join is not None:
            bits = source[node.name].max_value.bit_length()
            found[node.name] = StreamLayout(rows, cols, node.channels, node.channels, bits)
        elif node is not network.head:
            found[node.name] = StreamLayout(rows, cols, node.channels, lanes[node.name], 1)
    return found


def _input_stream(network: Network, *, flat: bool) -> StreamLayout:
    shape, bits = network.input.shape, network.input.bits
    if flat or len(shape) == 1:
        size = prod(shape)
        return StreamLayout(1, 1, size, min(size, max(1, INPUT_WORD_BITS // bits)), bits)
    channels, rows, cols = shape
    return StreamLayout(rows, cols, channels, channels, bits)


def _buildable(network: Network) -> list[Node]:
    """The network's nodes, where hardware can be built: each is read, and the head waits for the input."""
    within = f" in a sample of {network.time_steps} steps" if network.time_steps > 1 else " in a sample of one step"
    read = {edge.node for node in network.nodes for edge in node.inputs if edge.delay < network.time_steps}
    for node in network.nodes:
        if node.name not in read and node.name != network.output.node:
            raise PlanError(f"node '{node.name}' is read by nothing{within}: remove it")
        if node.neuron is not None and node.neuron.boundaries is not None:
            raise PlanError(
                f"node '{node.name}' stores its membranes by boundaries, for which there is no hardware: each lane "
                f'would need {2 * node.neuron.membrane_max} comparators; train it with membrane_rule = "shift"'
            )
    if network.input.name not in read:
        raise PlanError(f"the input '{network.input.name}' is read by nothing{within}: let a node read it")
    if _delays(network).get(network.output.node, network.time_steps) >= network.time_steps:
        raise PlanError(
            f"the logits of '{network.output.node}' do not depend on the input{within}: no way without as many delays "
            "leads to it, so give more steps or take delays out"
        )
    return list(network.nodes)


def _delays(network: Network) -> dict[str, int]:
    """Fewest delayed edges on a way from the input to each node that it reaches."""
    found = {network.input.name: 0}
    while True:  # as often as there is a shorter way; delayed edges may come from later nodes
        before = dict(found)
        for node in network.nodes:
            ways = [found[edge.node] + edge.delay for edge in node.inputs if edge.node in found]
            if ways:
                found[node.name] = min(ways)
        if found == before:
            return found


def _lanes(network: Network, nodes: list[Node], lanes: Lanes) -> dict[str, int]:
    nodes = [node for node in nodes if node.has_synapses]
    names = [node.name for node in nodes]
    if isinstance(lanes, Mapping):
        for name in lanes:
            if name not in names:
                raise PlanError(f"lanes are given for '{name}', but the layers are {', '.join(names)}")
        chosen = {**auto_lanes(network, nodes), **lanes}
    elif isinstance(lanes, str):
        if lanes != "auto":
            raise PlanError(f"lanes must be a number, 'auto' or a number per layer, got '{lanes}'")
        chosen = auto_lanes(network, nodes)
    else:
        LANES.require(lanes, "lanes", PlanError)
        chosen = {node.name: min(lanes, node.channels) for node in nodes}
    for name, number in chosen.items():
        LANES.require(number, f"layer '{name}': lanes", PlanError)
        most = network.node(name).channels
        if number > most:
            what = "channels" if network.node(name).op == "conv2d" else "neurons"
            raise PlanError(f"layer '{name}' has {number} lanes for {most} {what}; give it at most {most}")
    return chosen


def auto_lanes(network: Network, nodes: list[Node]) -> dict[str, int]:
    """The lanes that `make_plan(..., "auto")` chooses."""
    events, T = _Events(network), network.time_steps

    def direct(node: Node) -> tuple[Edge, ...]:
        return tuple(edge for edge in node.inputs if events.source[edge.node].static)

    def slots(node: Node, lanes: int) -> float:
        windows, passes = prod(node.shape_out[1:]), len(direct(node))
        only_direct = passes == len(node.inputs)
        with_lists = max(events.per_group(node, node.inputs, lanes), windows * (passes + (0 if only_direct else T)))
        return ceil(node.channels / lanes) * (with_lists + (windows * (T - 1) if only_direct else 0))

    def most(node: Node) -> int:
        return min(LANES.most, node.channels)

    largest = max(nodes, key=lambda node: slots(node, most(node)) * node.channels)
    lanes = {largest.name: min(AUTO_LANES, largest.channels)}
    pace = slots(largest, lanes[largest.name])
    for node in nodes:
        if node is not largest:
            fits = (n for n in range(1, most(node)) if slots(node, n) <= pace)
            lanes[node.name] = next(fits, most(node))
    return lanes


class _Events:
    """Mean events per sample, from the artifact's test vectors or at an assumed rate."""

    def __init__(self, network: Network):
        self.source = signals(network)
        self.bits = {  # per element of what each node reads, how many bits come in a sample
            name: signal.bits * (1 if signal.static else network.time_steps) for name, signal in self.source.items()
        }
        self.rates = dict.fromkeys(self.source, ASSUMED_RATE)  # the share of them that is set
        vectors = network.vectors
        # A plan must not take the minutes that the reference needs for a large network.
        if vectors is not None and len(vectors.inputs) * network.time_steps * connections(network) <= MOST_WORK:
            x, joined = vectors.inputs, any(not node.has_synapses for node in network.nodes)
            result = run(network, x, trace=joined)  # pools and joins alone need a trace, which takes memory
            counts = {name: int(spikes.sum()) for name, spikes in result.spikes.items()}
            frames = node_frames(network, x, result) if joined else {network.input.name: x}
            for name in frames.keys() - counts.keys():
                operations = self.source[name].operations(frames[name]).reshape(len(x), -1, self.source[name].size)
                if operations.shape[1] > 1:  # a sample's steps after the one it stops at do not count
                    operations = operations * (np.arange(network.time_steps) < result.steps[:, None])[:, :, None]
                counts[name] = int(operations.sum())
            self.rates |= {n: count / (len(x) * self.source[n].size * self.bits[n]) for n, count in counts.items()}

    def per_group(self, node: Node, edges: tuple[Edge, ...], lanes: int) -> float:
        """Events of those edges that a group of lanes works on.

        A convolution replays a spike in every window that sees it: on average kernel over stride times. A group sees
        the channels of its conv groups only, and takes those of different conv groups at once: it has an event where
        one of them is set, which is taken as independent.
        """
        found = 0.0
        for edge in edges:
            conv_groups, uses = 1, 1.0
            if edge.conv is not None and edge.weight is not None:
                conv_groups, uses = edge.conv.groups, prod(edge.weight.values.shape[2:]) / prod(edge.conv.stride)
            elif edge.op == "identity" and len(node.shape_out) == 3:
                conv_groups = node.channels
            at_once = max(1.0, lanes * conv_groups / node.channels)
            share = 1 - (1 - self.rates[edge.node]) ** at_once
            found += share * self.bits[edge.node] * self.source[edge.node].size / conv_groups * uses
        return found
