"""Networks made by hand (a seed and sizes), where a test wants one certain network rather than a drawn one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mintaka.artifact import (
    ConvGeometry,
    Edge,
    Input,
    Integrator,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    Pool,
    SynapticCurrent,
    check,
    run,
)
from mintaka.artifact.reference import lead

HALF = (LeakTerm(1, 1),)


def dense_network(
    sizes: Sequence[int],
    *,
    kind: str = "spikes",
    bits: int = 1,
    time_steps: int = 4,
    weight_bits: int = 4,
    membrane_bits: int = 4,
    leak: tuple[LeakTerm, ...] = HALF,
    reset: str = "zero",
    threshold: int = 5,
    input_shift: int = 0,
    seed: int = 0,
) -> Network:
    """Dense layers `sizes[0]`-...-`sizes[-1]` named hidden1, ..., head, with random weights and biases."""
    rng = np.random.default_rng(seed)
    Q = max(1, 2 ** (weight_bits - 1) - 1)
    nodes: list[Node] = []
    source = "input"
    for index, (n_in, n_out) in enumerate(pairwise(sizes)):
        is_head = index == len(sizes) - 2
        W = rng.integers(-Q, Q + 1, (n_out, n_in)) if weight_bits > 1 else rng.choice([-1, 1], (n_out, n_in))
        weight = IntTensor(W.astype(np.int8), weight_bits)
        T = IntTensor(np.full(n_out, threshold, np.int16), 12)
        neuron = Neuron(T, ">", reset, T if reset == "subtract" else None, leak, membrane_bits)
        shift = input_shift if index == 0 else 0
        nodes.append(
            Node(
                name="head" if is_head else f"hidden{index + 1}",
                op="dense",
                inputs=(Edge(source, 0, weight, input_shift=shift),),
                shape_in=(n_in,),
                shape_out=(n_out,),
                bias=IntTensor(rng.integers(-3, 4, n_out).astype(np.int8), 4),
                neuron=None if is_head else neuron,
            )
        )
        source = nodes[-1].name
    network = Network("handmade", time_steps, Input("input", (sizes[0],), kind, bits), tuple(nodes), Output("head"))
    check(network)
    return network


def graph_network(*, time_steps: int = 3, seed: int = 0) -> Network:
    """Recurrence, a residual add with a shift, delayed skips and a layer that reads nothing of its own step."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> IntTensor:
        return IntTensor(rng.integers(-3, 4, shape).astype(np.int8), 3)

    def lif(channels: int) -> Neuron:
        return Neuron(IntTensor(rng.integers(1, 5, channels).astype(np.int8), 5), ">", "zero", None, HALF, 4)

    same = ConvGeometry(stride=(1, 1), padding=(1, 1), groups=1)
    point = ConvGeometry(stride=(1, 1), padding=(0, 0), groups=1)
    conv1 = (Edge("input", 0, weight(4, 1, 3, 3), conv=same),)
    conv2 = (Edge("conv1", 0, weight(4, 4, 3, 3), conv=same), Edge("conv1", 0, weight(4, 4, 1, 1), shift=1, conv=point))
    loop = (Edge("conv2", 0, weight(6, 100)), Edge("loop", 1, weight(6, 6)), Edge("conv1", 1, weight(6, 100)))
    nodes = (
        Node("conv1", "conv2d", conv1, (1, 5, 5), (4, 5, 5), None, lif(4)),
        Node("conv2", "conv2d", conv2, (4, 5, 5), (4, 5, 5), None, lif(4)),
        Node("loop", "dense", loop, (4, 5, 5), (6,), None, lif(6)),
        Node("late", "dense", (Edge("loop", 1, weight(3, 6)),), (6,), (3,), None, lif(3)),
        Node("head", "dense", (Edge("loop", 0, weight(5, 6)), Edge("late", 0, weight(5, 3), shift=2)), (6,), (5,)),
    )
    network = Network("graph", time_steps, Input("input", (1, 5, 5), "spikes", 1), nodes, Output("head"))
    check(network)
    return network


def picture_network(*, kind: str = "spikes", bits: int = 1, time_steps: int = 2, seed: int = 0) -> Network:
    """2x9x7 -> conv 3x3, stride (2, 1), padded -> sum pool -> grouped conv -> max pool -> dense head of 5."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> IntTensor:
        return IntTensor(rng.integers(-3, 4, shape).astype(np.int8), 3)

    def lif(channels: int) -> Neuron:
        return Neuron(IntTensor(rng.integers(1, 5, channels).astype(np.int8), 5), ">", "zero", None, HALF, 4)

    first = ConvGeometry(stride=(2, 1), padding=(1, 1), groups=1)
    second = ConvGeometry(stride=(1, 1), padding=(0, 1), groups=2)
    nodes = (
        Node(
            "conv1", "conv2d", (Edge("input", 0, weight(6, 2, 3, 3), conv=first),), (2, 9, 7), (6, 5, 7), None, lif(6)
        ),
        Node("sum", "pool2d", (Edge("conv1", 0),), (6, 5, 7), (6, 4, 3), pool=Pool("sum", (2, 2), (1, 2))),
        Node("conv2", "conv2d", (Edge("sum", 0, weight(4, 3, 2, 3), conv=second),), (6, 4, 3), (4, 3, 3), None, lif(4)),
        Node("max", "pool2d", (Edge("conv2", 0),), (4, 3, 3), (4, 2, 2), pool=Pool("max", (2, 2), (1, 1))),
        Node("head", "dense", (Edge("max", 0, weight(5, 16)),), (4, 2, 2), (5,)),
    )
    network = Network("pictures", time_steps, Input("input", (2, 9, 7), kind, bits), nodes, Output("head"))
    check(network)
    return network


def joins_network(*, time_steps: int = 3, seed: int = 0) -> Network:
    """Joins of every kind, of inputs that come early and late, of this step and of the one before; two are pooled."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> IntTensor:
        return IntTensor(rng.integers(-3, 4, shape).astype(np.int8), 3)

    def conv(name: str, source: str, channels: int) -> Node:
        T = IntTensor(rng.integers(1, 4, 3).astype(np.int8), 4)
        edge = Edge(source, 0, weight(3, channels, 3, 3), conv=ConvGeometry((1, 1), (1, 1), 1))
        return Node(name, "conv2d", (edge,), (channels, 4, 4), (3, 4, 4), None, Neuron(T, ">", "subtract", T, HALF, 4))

    def joined(name: str, kind: str, *inputs: Edge) -> Node:
        return Node(name, "join", inputs, (3, 4, 4), (3, 4, 4), join=kind)

    def pooled(name: str, kind: str, source: str) -> Node:
        pool = Pool(kind, (2, 2), (2, 2))
        return Node(name, "pool2d", (Edge(source, 0),), (3, 4, 4), (3, 2, 2), pool=pool)

    early, late, before = Edge("early", 0), Edge("late", 0), Edge("late", 1)
    head = {"any": 12, "all": 48, "veto": 48, "count": 12}
    nodes = (
        conv("early", "input", 2),
        conv("middle", "early", 3),
        conv("late", "middle", 3),
        joined("either", "or", early, late, before),
        joined("all", "and", early, late),
        joined("veto", "iand", early, late),
        joined("sum", "add", early, late, Edge("middle", 0)),
        pooled("any", "max", "either"),
        pooled("count", "sum", "sum"),
        Node("head", "dense", tuple(Edge(name, 0, weight(4, size)) for name, size in head.items()), (3, 2, 2), (4,)),
    )
    network = Network("joins", time_steps, Input("input", (2, 4, 4), "spikes", 1), nodes, Output("head"))
    check(network)
    return network


def neuron_network(*, read: str = "count", time_steps: int = 4, signed: bool = False, seed: int = 0) -> Network:
    """CUBA-LIF and refractory neurons, a direct input that three nodes read (one of them twice, beside a loop), and a
    head of 3 x 2 x 3 pixels that counts spikes, integrates or accumulates."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> IntTensor:
        return IntTensor(rng.integers(-3, 4, shape).astype(np.int8), 3)

    def neuron(channels: int, refractory: int, cuba: bool) -> Neuron:
        T = IntTensor(rng.integers(1, 9, channels).astype(np.int8), 5)
        current = SynapticCurrent((LeakTerm(1, 0), LeakTerm(-1, 2)), 5) if cuba else None
        return Neuron(T, ">", "subtract", T, HALF, 5, refractory, current)

    same = ConvGeometry(stride=(1, 1), padding=(1, 1), groups=1)
    point = ConvGeometry(stride=(1, 1), padding=(0, 0), groups=1)
    conv1 = (Edge("input", 0, weight(4, 2, 3, 3), input_shift=1, conv=same),)
    conv2 = (
        Edge("conv1", 0, weight(4, 4, 3, 3), conv=same),
        Edge("input", 0, weight(4, 2, 1, 1), input_shift=2, shift=1, conv=point),
        Edge("conv2", 1, weight(4), shift=1, op="identity"),
        Edge("input", 0, weight(4, 2, 3, 3), input_shift=3, shift=2, conv=same),
    )
    head = (Edge("conv2", 0, weight(3, 4, 2, 2), conv=point), Edge("input", 0, weight(3, 2, 2, 2), 3, 0, point))
    fires, integrates = neuron(3, 1, False), Integrator((LeakTerm(1, 0), LeakTerm(-1, 3)), 6)
    nodes = (
        Node("conv1", "conv2d", conv1, (2, 3, 4), (4, 3, 4), None, neuron(4, 2, False)),
        Node("conv2", "conv2d", conv2, (4, 3, 4), (4, 3, 4), weight(4), neuron(4, 1, True)),
        Node(
            "head",
            "conv2d",
            head,
            (4, 3, 4),
            (3, 2, 3),
            weight(3),
            fires if read == "count" else None,
            integrator=integrates if read == "membrane" else None,
        ),
    )
    source = Input("input", (2, 3, 4), "direct", 3, signed)
    network = Network("neurons", time_steps, source, nodes, Output("head", read))
    check(network)
    return network


def signed(network: Network) -> Network:
    """The network with its direct input signed, without test vectors."""
    found = replace(network, input=replace(network.input, signed=True), vectors=None)
    check(found)
    return found


def conv_network(
    sizes: Sequence[int],
    *,
    picture: tuple[int, int] = (9, 8),
    kernel: int = 3,
    stride: int = 1,
    groups: Sequence[int] | None = None,
    kind: str = "spikes",
    bits: int = 1,
    time_steps: int = 4,
    threshold: int = 5,
    seed: int = 0,
) -> Network:
    """Padded convolutions `sizes[0]`-...-`sizes[-2]` channels named conv1, ..., and a dense head of `sizes[-1]`.

    groups : per convolution; 1 each without.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    source, shape = "input", (sizes[0], *picture)
    for index, channels in enumerate(sizes[1:-1]):
        number = 1 if groups is None else groups[index]
        W = rng.integers(-3, 4, (channels, shape[0] // number, kernel, kernel)).astype(np.int8)
        conv = ConvGeometry((stride, stride), (kernel // 2, kernel // 2), number)
        T = IntTensor(np.full(channels, threshold, np.int16), 12)
        rows, cols = ((n + 2 * (kernel // 2) - kernel) // stride + 1 for n in shape[1:])
        edge, neuron = Edge(source, 0, IntTensor(W, 3), conv=conv), Neuron(T, ">", "zero", None, HALF, 4)
        nodes.append(Node(f"conv{index + 1}", "conv2d", (edge,), shape, (channels, rows, cols), None, neuron))
        source, shape = nodes[-1].name, (channels, rows, cols)
    head = IntTensor(rng.integers(-3, 4, (sizes[-1], int(np.prod(shape)))).astype(np.int8), 3)
    nodes.append(Node("head", "dense", (Edge(source, 0, head),), shape, (sizes[-1],)))
    network = Network(
        "conv", time_steps, Input("input", (sizes[0], *picture), kind, bits), tuple(nodes), Output("head")
    )
    check(network)
    return network


def with_codebook(network: Network, codebook: tuple[int, ...]) -> Network:
    """The network with every weight moved to the nearest entry, and the codebook given to every layer."""
    entries = np.array(codebook, np.int8)

    def moved(edge: Edge) -> Edge:
        assert edge.weight is not None
        nearest = np.abs(edge.weight.values[..., None].astype(int) - entries).argmin(-1)
        return replace(edge, weight=IntTensor(entries[nearest], edge.weight.bits))

    nodes = tuple(
        replace(node, inputs=tuple(map(moved, node.inputs)), codebook=codebook) if node.has_synapses else node
        for node in network.nodes
    )
    found = replace(network, nodes=nodes)
    check(found)
    return found


def with_margins(network: Network, inputs: np.ndarray, *, never: int | None = None) -> Network:
    """The network with the medians of how far the first class is ahead on `inputs` as margins; none at step `never`."""
    margins: list[int | None] = []
    for steps in range(1, network.time_steps):
        begun = replace(network, time_steps=steps)
        logits = run(begun, inputs if network.input.static else inputs[:, :steps]).logits
        margins.append(None if steps - 1 == never else int(np.median(lead(logits))))
    found = replace(network, output=replace(network.output, margins=tuple(margins)))
    check(found)
    return found
