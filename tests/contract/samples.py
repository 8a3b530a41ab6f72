"""Small networks written out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mintaka.artifact import (
    ConvGeometry,
    Edge,
    Encoding,
    Input,
    Integrator,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    Pool,
    Quantizer,
    SynapticCurrent,
    TestVectors,
    run,
)

HALF = (LeakTerm(1, 1),)
KEEP = (LeakTerm(1, 0),)


def tensor(values: Any, bits: int = 8) -> IntTensor:
    return IntTensor(np.array(values, np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32), bits)


def lif(
    threshold: Any,
    *,
    reset_by: Any = None,
    leak: tuple[LeakTerm, ...] = KEEP,
    membrane_bits: int = 8,
    bits: int = 8,
    refractory: int = 0,
    current: SynapticCurrent | None = None,
    boundaries: IntTensor | None = None,
) -> Neuron:
    reset = "zero" if reset_by is None else "subtract"
    back = None if reset_by is None else tensor(reset_by, bits)
    return Neuron(tensor(threshold, bits), ">", reset, back, leak, membrane_bits, refractory, current, boundaries)


def one_neuron(neuron: Neuron, weights: Any, *, bias: Any = None, steps: int = 4, **source: Any) -> Network:
    """Input -> one spiking dense layer "a" -> a head that counts its spikes."""
    W = np.array(weights, np.int8)
    kind = {"kind": "spikes", "bits": 1} | source
    return Network(
        "by hand",
        steps,
        Input("input", (W.shape[1],), **kind),
        (
            Node(
                "a",
                "dense",
                (Edge("input", 0, IntTensor(W, 8)),),
                (W.shape[1],),
                (W.shape[0],),
                None if bias is None else tensor(bias),
                neuron,
            ),
            Node("head", "dense", (Edge("a", 0, tensor(np.eye(W.shape[0]))),), (W.shape[0],), (W.shape[0],)),
        ),
        Output("head"),
    )


def everything() -> Network:
    """Every feature of the format in one small network: conv, both pools, recurrence, shifts, vectors."""
    rng = np.random.default_rng(7)

    def some(*shape: int, bits: int = 4) -> IntTensor:
        Q = 2 ** (bits - 1) - 1
        return IntTensor(rng.integers(-Q, Q + 1, shape).astype(np.int8), bits)

    conv = ConvGeometry((1, 1), (1, 1), 1)
    nodes = (
        Node(
            "conv",
            "conv2d",
            (
                Edge("input", 0, some(4, 2, 3, 3), input_shift=2, conv=conv),
                Edge("conv", 1, some(4, 4, 3, 3), conv=conv),
            ),
            (2, 6, 6),
            (4, 6, 6),
            some(4),
            lif([9, 3, 0, 5], reset_by=[9, 3, 1, 5], leak=(LeakTerm(1, 0), LeakTerm(-1, 2)), membrane_bits=6),
        ),
        Node("or", "pool2d", (Edge("conv", 0),), (4, 6, 6), (4, 3, 3), pool=Pool("max", (2, 2), (2, 2))),
        Node("sum", "pool2d", (Edge("conv", 0),), (4, 6, 6), (4, 2, 2), pool=Pool("sum", (3, 3), (3, 3))),
        Node(
            "dense",
            "dense",
            (Edge("or", 0, some(5, 36, bits=2), shift=1), Edge("sum", 0, some(5, 16)), Edge("dense", 1, some(5, 5))),
            (4, 3, 3),
            (5,),
            None,
            lif([4] * 5, leak=HALF, membrane_bits=5),
        ),
        Node("head", "dense", (Edge("dense", 0, some(3, 5, bits=8)),), (5,), (3,), some(3)),
    )
    network = Network(
        "everything",
        5,
        Input("input", (2, 6, 6), "direct", 4),
        nodes,
        Output("head"),
        {"recipe": {"epochs": 3}, "accuracy": {"float": 0.5}, "note": "π"},
    )
    x = rng.integers(0, 16, (3, 2, 6, 6)).astype(np.uint8)
    return Network(*[*vars(network).values()][:-1], TestVectors(x, run(network, x).logits))


def newer() -> Network:
    """Every feature of format 1.1: joins, identity edges, CUBA and refractory neurons, a head read by its membrane."""
    W = tensor([[3, -2, 0, 1], [1, 1, -3, 2], [0, 2, 2, -1], [-1, 0, 3, 3]], 4)
    current = SynapticCurrent((LeakTerm(1, 0), LeakTerm(-1, 2)), 4)
    own = Edge("cuba", 1, tensor([1, -1, 0, 2], 3), shift=1, op="identity")
    nodes = (
        Node("lif", "dense", (Edge("x", 0, W),), (4,), (4,), None, lif([1] * 4, leak=HALF, refractory=2)),
        Node("cuba", "dense", (Edge("x", 0, W), own), (4,), (4,), None, lif([2] * 4, leak=HALF, current=current)),
        Node("veto", "join", (Edge("lif", 0), Edge("cuba", 0)), (4,), (4,), join="iand"),
        Node("sum", "join", (Edge("veto", 0), Edge("lif", 1), Edge("x", 0)), (4,), (4,), join="add"),
        Node("head", "dense", (Edge("sum", 0, W),), (4,), (4,), tensor([1, 0, -1, 0]), integrator=Integrator(HALF, 6)),
    )
    network = Network("newer", 6, Input("x", (4,), "spikes", 1), nodes, Output("head", "membrane"))
    x = np.random.default_rng(3).integers(0, 2, (3, 6, 4)).astype(np.uint8)
    return Network(*[*vars(network).values()][:-1], TestVectors(x, run(network, x).logits))


def coded() -> Network:
    """What format 1.2 brought: nodes with codebooks, one of two edges, one without 0 and with an entry unused."""
    W, V = tensor([[90, -7, 0, 13], [-7, -7, 90, 0], [13, 90, 0, 0]], 8), tensor([13, 0, -7], 5)
    U = tensor([[3, -2, 3], [-2, 3, 1]], 3)
    nodes = (
        Node(
            "a",
            "dense",
            (Edge("x", 0, W), Edge("a", 1, V, op="identity")),
            (4,),
            (3,),
            None,
            lif([20] * 3, leak=HALF, membrane_bits=8),
            codebook=(-7, 0, 13, 90),
        ),
        Node("head", "dense", (Edge("a", 0, U),), (3,), (2,), codebook=(-3, -2, 1, 2, 3)),
    )
    network = Network("coded", 4, Input("x", (4,), "spikes", 1), nodes, Output("head"))
    x = np.random.default_rng(5).integers(0, 2, (3, 4, 4)).astype(np.uint8)
    return Network(*[*vars(network).values()][:-1], TestVectors(x, run(network, x).logits))


def early() -> Network:
    """What format 1.3 brought: margins of early exit. Its test vectors stop after steps 0, 2 and 3."""
    W = tensor([[3, -2, 1, 0], [-2, 3, 0, 1], [1, 1, -3, 2]], 3)
    V = tensor([[2, -1, -1], [-1, 2, -1], [0, -1, 3]], 3)
    nodes = (
        Node("a", "dense", (Edge("x", 0, W),), (4,), (3,), None, lif([2, 2, 2], leak=HALF)),
        Node("head", "dense", (Edge("a", 0, V),), (3,), (3,)),
    )
    network = Network("early", 4, Input("x", (4,), "spikes", 1), nodes, Output("head", margins=(2, None, 1)))
    x = np.random.default_rng(11).integers(0, 2, (12, 4, 4)).astype(np.uint8)
    return Network(*[*vars(network).values()][:-1], TestVectors(x, run(network, x).logits))


def stepped() -> Network:
    """What format 1.3 brought: membranes that are stored by boundaries, of a LIF and of a refractory CUBA layer."""
    W = tensor([[3, -2, 0, 1], [1, 1, -3, 2], [0, 2, 2, -1]], 4)
    V = tensor([[5, 1, 2], [-2, 3, 3]], 4)
    current = SynapticCurrent(HALF, 4)
    nodes = (
        Node(
            "a",
            "dense",
            (Edge("x", 0, W), Edge("a", 1, tensor([1, -1, 2], 3), op="identity")),
            (4,),
            (3,),
            None,
            lif(
                [3, 2, 4],
                leak=(),
                membrane_bits=3,
                boundaries=tensor([[-4, -2, -1, 1, 3, 5], [-1, -1, 0, 1, 2, 2], [-128, -3, -1, 2, 4, 127]]),
            ),
        ),
        Node(
            "b",
            "dense",
            (Edge("a", 0, V),),
            (3,),
            (2,),
            None,
            lif(
                [4, 3],
                reset_by=[3, 5],
                leak=(),
                membrane_bits=2,
                refractory=1,
                current=current,
                boundaries=tensor([[-1, 2], [-300, 1]], 10),
            ),
        ),
        Node("head", "dense", (Edge("b", 0, tensor([[3, -1], [-2, 2]], 3)),), (2,), (2,)),
    )
    network = Network("stepped", 6, Input("x", (4,), "spikes", 1), nodes, Output("head"))
    x = np.random.default_rng(5).integers(0, 2, (3, 6, 4)).astype(np.uint8)
    return Network(*[*vars(network).values()][:-1], TestVectors(x, run(network, x).logits))


def signed() -> Network:
    """What format 1.4 brought: a signed input of real numbers, read with and without a shift."""
    W, V = tensor([[3, -2, 0], [-3, 1, 2]], 4), tensor([[1, -1], [-1, 2]], 3)
    quantizer = Quantizer((0.5, 0.1, 1e-3), (0.0, 2.5, -1.0))
    source = Input("x", (3,), "direct", 4, True, Encoding("none", None, quantizer))
    nodes = (
        Node("a", "dense", (Edge("x", 0, W, input_shift=1),), (3,), (2,), None, lif([2, 2], leak=HALF)),
        Node("head", "dense", (Edge("a", 0, V), Edge("x", 0, W)), (2,), (2,)),
    )
    network = Network("signed", 3, source, nodes, Output("head"))
    x = np.random.default_rng(5).integers(-8, 8, (3, 3)).astype(np.int8)
    return Network(*[*vars(network).values()][:-1], TestVectors(x, run(network, x).logits))


def warm() -> Network:
    """What format 1.4 brought: spikes by a thermometer of 16 levels."""
    network = wired(Node("head", "dense", (Edge("x", 0, tensor([[1, 2]])),), (2,), (1,)), shape=(2,))
    return replace(network, input=replace(network.input, encoding=Encoding("thermometer", 16)))


def wired(*nodes: Node, steps: int = 4, read: str = "accumulate", **source: Any) -> Network:
    """A network of these nodes on the input "x"; the last one is the head."""
    return Network(
        "by hand", steps, Input("x", **{"kind": "spikes", "bits": 1} | source), nodes, Output(nodes[-1].name, read)
    )
