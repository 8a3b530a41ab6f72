"""The proven intervals: right, and as narrow as they can be. (That they hold is checked in test_reference.py.)"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from contract import samples
from contract.samples import lif, one_neuron, tensor
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, random_inputs

from mintaka.artifact import (
    ArtifactError,
    Edge,
    Input,
    Interval,
    IntTensor,
    Network,
    Node,
    Output,
    Pool,
    check,
    network_bounds,
    run,
    signals,
)

SMALL = st.integers(-300, 300)


@given(SMALL, SMALL, SMALL)
def test_signed_bits_is_the_narrowest_width(a: int, b: int, c: int) -> None:
    interval = Interval(min(a, b), max(a, b))
    bits = interval.signed_bits

    def fits(width: int) -> bool:
        return -(2 ** (width - 1)) <= interval.lo and interval.hi <= 2 ** (width - 1) - 1

    assert fits(bits)
    assert bits == 1 or not fits(bits - 1)
    assert interval.magnitude == max(abs(a), abs(b))
    assert interval.hull(Interval(c, c)) == Interval(min(a, b, c), max(a, b, c))
    assert interval + Interval(c, c + 1) == Interval(interval.lo + c, interval.hi + c + 1)


def test_by_hand() -> None:
    """W = (5, -2, 3), x of 2 bits, B = -1, Qu = 3; the head adds 1 per spike for 6 steps."""
    network = one_neuron(lif([4], membrane_bits=3), [[5, -2, 3]], bias=[-1], steps=6, kind="counts", bits=2)
    bounds = network_bounds(network)
    assert bounds["a"].sums == (Interval(-6, 24),)
    assert bounds["a"].k == Interval(-6 - 1 - 3, 24 - 1 + 3)
    assert bounds["head"].k == Interval(0, 6)


def test_shifts_and_channels_by_hand() -> None:
    """Channel 0: -15 >> 2 = -4, << 1 = -8, + 20; channel 1: 15 >> 2 = 3, << 1 = 6, - 20. A head over 3 steps."""
    edge = Edge("input", 0, tensor([[-1], [1]]), input_shift=2, shift=1)
    head = Node("head", "dense", (edge,), (1,), (2,), tensor([20, -20]))
    network = Network("n", 3, Input("input", (1,), "direct", 4), (head,), Output("head"))
    bounds = network_bounds(network)["head"]
    assert bounds.sums == (Interval(-15, 15),)
    assert bounds.k == Interval(-60, 60)


def test_a_head_is_bounded_from_its_first_step_on() -> None:
    """5..7 after one step and 15..21 after three: the running sum is at least 5, not 15."""
    head = Node("head", "dense", (Edge("input", 0, tensor([[2]])),), (1,), (1,), tensor([5]))
    network = Network("n", 3, Input("input", (1,), "spikes", 1), (head,), Output("head"))
    assert network_bounds(network)["head"].k == Interval(5, 21)


@given(networks(ops=("dense",), chain=True, max_hidden=0), st.booleans())
def test_the_sums_of_a_layer_on_the_input_are_reached(network: Network, high: bool) -> None:
    """The worst input of the worst channel attains the bound, so no narrower width would do."""
    (head,) = network.nodes
    (edge,) = head.inputs
    assert edge.weight is not None
    W = edge.weight.values.astype(np.int64)
    most = 2**network.input.bits - 1
    wanted = W > 0 if high else W < 0
    channel = int(np.argmax((W * wanted).sum(1)) if high else np.argmin((W * wanted).sum(1)))
    x = random_inputs(network, 1, 0, style="zero")
    x[..., :] = (most * wanted[channel]).reshape(network.input.shape)
    bare = dataclasses.replace(
        network,
        time_steps=1,
        nodes=(dataclasses.replace(head, bias=None, inputs=(dataclasses.replace(edge, input_shift=0, shift=0),)),),
    )
    bound = network_bounds(bare)["head"].sums[0]
    logits = run(bare, x if bare.input.static else x[:, :1]).logits
    assert (logits.max() if high else logits.min()) == (bound.hi if high else bound.lo)
    assert network_bounds(network)["head"].sums[0] == bound


def test_k_is_reached_with_a_full_membrane() -> None:
    """Dead neurons that integrate: K climbs to the sum plus Qu, and falls to the opposite."""
    network = one_neuron(lif([2**31 - 1], bits=32, membrane_bits=5), [[7, -7, 3]], steps=4)
    bound = network_bounds(network)["a"].k
    up = run(network, np.array([[[1, 0, 1]] * 4], np.uint8), trace=True).trace["a"].k
    down = run(network, np.array([[[0, 1, 0]] * 4], np.uint8), trace=True).trace["a"].k
    assert (up.max(), down.min()) == (bound.hi, bound.lo) == (25, -22)


def wide(shift: int, bits: int, steps: int = 1) -> Network:
    W = IntTensor(np.full((1, 4), 127, np.int8), 8)
    head = Node("head", "dense", (Edge("input", 0, W, shift=shift),), (4,), (1,))
    return Network("n", steps, Input("input", (4,), "counts", bits), (head,), Output("head"))


def test_the_widest_accumulator() -> None:
    check(wide(14, 16))  # 4 * 127 * 65535 << 14 < 2^39
    with pytest.raises(ArtifactError, match="node 'head': the bits of its accumulator must be 1 to 40, got 41"):
        check(wide(15, 16))
    with pytest.raises(ArtifactError, match="node 'head': the bits of its accumulator must be 1 to 40, got 50"):
        check(wide(14, 16, 1024))


def test_bounds_beyond_64_bits_are_right() -> None:
    network = wide(15, 16, 1024)
    edge = network.nodes[0].inputs[0]
    many = dataclasses.replace(network, nodes=(dataclasses.replace(network.nodes[0], inputs=(edge,) * 2**14),))
    assert network_bounds(many)["head"].k == Interval(0, 4 * 127 * 65535 * 2**15 * 1024 * 2**14)


def chained_pools(count: int) -> Network:
    """Sum pools of 2x2 with stride 1: the largest count is 4^count."""
    size = count + 1
    nodes, source = [], "input"
    for i in range(count):
        shapes = (1, size - i, size - i), (1, size - i - 1, size - i - 1)
        nodes.append(Node(f"p{i}", "pool2d", (Edge(source, 0),), *shapes, pool=Pool("sum", (2, 2), (1, 1))))
        source = f"p{i}"
    head = Node("head", "dense", (Edge(source, 0, tensor([[1]])),), (1, 1, 1), (1,))
    return Network("n", 1, Input("input", (1, size, size), "spikes", 1), (*nodes, head), Output("head"))


def test_counts_of_chained_pools_are_bounded() -> None:
    network = chained_pools(7)
    check(network)
    assert signals(network)["p6"].max_value == 4**7
    assert run(network, random_inputs(network, 1, 0, style="max")).logits.tolist() == [[4**7]]
    for count in (8, 40):
        with pytest.raises(ArtifactError, match="node 'p7': its largest count must be 1 to 65,535, got"):
            check(chained_pools(count))


def test_signals_by_hand() -> None:
    found = signals(samples.everything())
    assert {n: (s.shape, s.size, s.max_value, s.units, s.static) for n, s in found.items()} == {
        "input": ((2, 6, 6), 72, 15, "bits", True),
        "conv": ((4, 6, 6), 144, 1, "bits", False),
        "or": ((4, 3, 3), 36, 1, "bits", False),
        "sum": ((4, 2, 2), 16, 9, "spikes", False),
        "dense": ((5,), 5, 1, "bits", False),
        "head": ((3,), 3, 1, "bits", False),
    }


def test_graphs_built_in_python_are_refused_as_well() -> None:
    """What the file cannot say must not get lost on the way into it."""
    network = samples.everything()

    def with_node(index: int, **changes: object) -> Network:
        nodes = list(network.nodes)
        nodes[index] = dataclasses.replace(nodes[index], **changes)  # type: ignore[arg-type]
        return dataclasses.replace(network, nodes=tuple(nodes))

    conv, pool, dense = network.nodes[0].inputs[0], network.nodes[1].inputs[0], network.nodes[3].inputs[0]
    with pytest.raises(ArtifactError, match="node 'or' is a pool: its input has no weight"):
        check(with_node(1, inputs=(dataclasses.replace(pool, shift=1),)))
    with pytest.raises(ArtifactError, match="node 'or' is a pool2d without pooling parameters"):
        check(with_node(1, pool=None))
    with pytest.raises(ArtifactError, match="node 'dense' is no pool2d, but has pooling parameters"):
        check(with_node(3, pool=network.nodes[1].pool))
    with pytest.raises(ArtifactError, match="node 'dense', input 0 has a stride, padding and groups"):
        check(with_node(3, inputs=(dataclasses.replace(dense, conv=conv.conv),)))
    with pytest.raises(ArtifactError, match="node 'conv', input 0 has no stride, padding and groups"):
        check(with_node(0, inputs=(dataclasses.replace(conv, conv=None),)))
    with pytest.raises(ArtifactError, match="node 'conv', input 0 has no weight"):
        check(with_node(0, inputs=(dataclasses.replace(conv, weight=None),)))
    with pytest.raises(ArtifactError, match="node 'head': the number of inputs must be 1 to 64, got 65"):
        check(with_node(4, inputs=network.nodes[4].inputs * 65))
    with pytest.raises(ArtifactError, match="node 'or' is a pool: it has no neuron and no bias"):
        check(with_node(1, bias=network.nodes[0].bias))
