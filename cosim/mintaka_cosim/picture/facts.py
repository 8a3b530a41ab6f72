"""What the picture shows, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Edge, Network, Node, connections, content_hash, network_bounds
from mintaka_cosim.summary import kept_text, leak_text
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import Plan, StageListing, listing
from mintaka_hw.plan.network import ASSUMED_RATE

ASSUMED_SAMPLES = 4
MAX_PREDICTED = 2**30  # connections in all steps: with more of them the cycle model, in Python, takes minutes


@dataclass(frozen=True)
class NodeFacts:
    """A node, or the input: `op` for example "conv2d 3x3", `lines` its shape, widths and neuron."""

    name: str
    op: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class EdgeFacts:
    """From row `source` to row `target` (0 is the input); `label` is empty where there is nothing to say."""

    source: int
    target: int
    delayed: bool
    label: str


@dataclass(frozen=True)
class CycleFacts:
    """Cycles per sample: `busy` by layer, `useful` the part of them in which an event's weights are added.

    interval : between results of samples streamed back to back.
    """

    busy: dict[str, float]
    useful: dict[str, float]
    interval: float
    source: str

    @property
    def slowest(self) -> str:
        return max(self.busy, key=lambda name: self.busy[name])


@dataclass(frozen=True)
class Facts:
    """The network's rows (input first) and its edges; `stages` and `cycles` where it can be built, else `problem`."""

    title: str
    subtitle: str
    nodes: tuple[NodeFacts, ...]
    edges: tuple[EdgeFacts, ...]
    stages: dict[str, StageListing]
    input_words: str
    cycles: CycleFacts | None
    problem: str | None


def gather(network: Network, plan: Plan | None, problem: str | None = None) -> Facts:
    """plan : None where the network cannot be built; `problem` then says why."""
    rows = {name: row for row, name in enumerate([network.input.name, *(node.name for node in network.nodes)])}
    bounds = network_bounds(network)
    nodes = [_input(network)]
    for node in network.nodes:
        nodes.append(_node(network, node, bounds[node.name].k.signed_bits if node.name in bounds else None))
    edges = tuple(
        EdgeFacts(rows[edge.node], rows[node.name], bool(edge.delay), _label(node, edge))
        for node in network.nodes
        for edge in node.inputs
    )
    total = "" if plan is None else f"{plan.memory_bits:,} bits of memory; "
    cycles = None
    if plan is not None:
        if connections(network) * network.time_steps <= MAX_PREDICTED:
            cycles = _cycles(plan)
        else:
            total += "cycles are not predicted, as there are too many connections; "
    return Facts(
        title=network.name,
        subtitle=f"{network.time_steps} time steps; {total}artifact {content_hash(network)[:23]}",
        nodes=tuple(nodes),
        edges=edges,
        stages={} if plan is None else {stage.name: stage for stage in listing(plan)},
        input_words="" if plan is None else _words(plan),
        cycles=cycles,
        problem=problem,
    )


def shape(values: tuple[int, ...]) -> str:
    return "×".join(map(str, values))


def count(number: int, what: str) -> str:
    """For example "1 bit", "2 bits"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _words(plan: Plan) -> str:
    frame = "sample" if plan.network.input.static else "step"
    return f"{count(plan.input.words, 'word')} of {count(plan.input.word_bits, 'bit')} per {frame}"


def _input(network: Network) -> NodeFacts:
    source = network.input
    often = "the same at every step" if source.static else "other values at every step"
    return NodeFacts(
        source.name,
        source.kind,
        (f"{shape(source.shape)}, {count(source.bits, 'bit')}{', signed' * source.signed}", often),
    )


def _node(network: Network, node: Node, k_bits: int | None) -> NodeFacts:
    lines = [f"{shape(node.shape_in)} → {shape(node.shape_out)}"]
    widths = sorted({edge.weight.bits for edge in node.inputs if edge.weight is not None})
    if widths:
        lines[0] += f", weights of {'/'.join(map(str, widths))} {'bit' if widths == [1] else 'bits'}"
    if node.codebook is not None:
        lines[0] += f", {count(len(node.codebook), 'value')} in all"
    if node.neuron is not None:
        reset = "to zero" if node.neuron.reset == "zero" else "by subtraction"
        current = node.neuron.current
        lines.append(f"{node.neuron.kind.upper()}: K {k_bits} bits, U {node.neuron.membrane_bits} bits")
        if current is not None:
            lines.append(f"current of {current.bits} bits, leak {leak_text(current.leak)}")
        lines.append(f"leak {kept_text(node.neuron)}, reset {reset}")
        if node.neuron.refractory:
            lines[-1] += f", silent {node.neuron.refractory}"
    elif node.integrator is not None:
        lines.append(
            f"LI: K {k_bits} bits, U {node.integrator.membrane_bits} bits, leak {leak_text(node.integrator.leak)}"
        )
    elif node.has_synapses:
        lines.append(f"sums over the steps: {k_bits} bits")
    if node is network.head:
        read = {"accumulate": "", "count": " by their spikes", "membrane": " by their membrane"}[network.output.read]
        lines.append(f"{network.classes} classes{read}")
    return NodeFacts(node.name, _op(node), tuple(lines))


def _op(node: Node) -> str:
    if node.pool is not None:
        kh, kw = node.pool.kernel
        stride = "" if node.pool.stride == node.pool.kernel else f" stride {_size(node.pool.stride)}"
        return f"{node.pool.kind} pool {kh}×{kw}{stride}"
    if node.join is not None:
        return f"{node.join} join"
    found = [_conv(edge) for edge in node.inputs if edge.conv is not None]
    return f"{node.op} {found[0]}" if found else node.op


def _conv(edge: Edge) -> str:
    """Kernel, stride and groups, as far as they are not the ordinary ones."""
    assert edge.conv is not None
    assert edge.weight is not None
    kh, kw = edge.weight.values.shape[2:]
    stride = "" if edge.conv.stride == (1, 1) else f" stride {_size(edge.conv.stride)}"
    return f"{kh}×{kw}{stride}" + ("" if edge.conv.groups == 1 else f" groups {edge.conv.groups}")


def _size(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}×{values[1]}"


def _label(node: Node, edge: Edge) -> str:
    parts = []
    if edge.op is not None:
        parts.append(edge.op)
    elif edge.conv is not None and _op(node) != f"{node.op} {_conv(edge)}":
        parts.append(_conv(edge))
    if edge.delay:
        parts.append("step before")
    if edge.input_shift:
        parts.append(f">> {edge.input_shift}")
    if edge.shift:
        parts.append(f"<< {edge.shift}")
    return ", ".join(parts)


def _cycles(plan: Plan) -> CycleFacts:
    """Exact for the artifact's test vectors; without any, for random inputs at an assumed rate."""
    network = plan.network
    if network.vectors is not None:
        inputs = network.vectors.inputs
        source = f"predicted for {count(len(inputs), 'test vector')} of the artifact"
    else:
        rng, entering = np.random.default_rng(0), network.input
        planes = rng.random((*network.input_shape(ASSUMED_SAMPLES), entering.bits)) < ASSUMED_RATE
        patterns = (planes << np.arange(entering.bits)).sum(-1)
        inputs = (patterns - 2**entering.bits * (patterns > entering.high)).astype(entering.dtype)
        source = f"estimated: random, {ASSUMED_RATE:.0%} of input bits set"
    found = predict_cycles(plan, inputs)
    busy = {name: float(values.mean()) for name, values in found.busy.items()}
    return CycleFacts(busy, {name: found.utilisation(name) for name in busy}, found.interval, source)
