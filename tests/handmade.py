"""Networks made by hand (a seed and sizes), where a test wants one certain network rather than a drawn one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mintaka.artifact import Edge, Input, IntTensor, LeakTerm, Network, Neuron, Node, Output, check

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
