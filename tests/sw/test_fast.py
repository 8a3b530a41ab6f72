"""The fast integer engine equals the reference in every number."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import EVERYTHING, examples, inputs_for, networks
from sw.same import assert_same

from mintaka.artifact import (
    ArtifactError,
    ConvGeometry,
    Edge,
    Input,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    Pool,
    SynapticCurrent,
    check,
    network_bounds,
    run,
)
from mintaka.snn.exact import dtype_for
from mintaka.snn.fast import groups_in_order, run_fast


@examples(100)
@given(st.data())
def test_equals_reference(data: st.DataObject) -> None:
    network = data.draw(networks())
    x = data.draw(inputs_for(network, samples=(1, 5)))
    assert_same(run(network, x, trace=True), run_fast(network, x, trace=True, batch=data.draw(st.integers(1, 5))))
    assert_same(run(network, x), run_fast(network, x))


@examples(150)
@given(st.data())
def test_equals_reference_in_what_1_1_brings(data: st.DataObject) -> None:
    network = data.draw(networks(features=EVERYTHING, max_hidden=6))
    x = data.draw(inputs_for(network, samples=(1, 5)))
    assert_same(run(network, x, trace=True), run_fast(network, x, trace=True, batch=data.draw(st.integers(1, 5))))
    assert_same(run(network, x), run_fast(network, x))


def _vector(values: list[int], bits: int = 32) -> IntTensor:
    return IntTensor(np.array(values, np.int32), bits)


def _two_layers(N: int, op: str = "dense", threshold: int = 0, reset_by: int = 3) -> Network:
    """N 8-bit inputs of 8-bit weights at their limit but one: sums pass 2^24 from N = 519 on."""
    W = np.full((2, N), 127, np.int8)
    W[:, 0] = 126
    neuron = Neuron(_vector([threshold] * 2), ">", "subtract", _vector([reset_by] * 2), (LeakTerm(1, 0),), 16)
    shape: tuple[int, ...] = (N,)
    shape_out: tuple[int, ...] = (2,)
    conv = None
    if op == "conv2d":
        W, shape, shape_out, conv = W[:, :, None, None], (N, 1, 1), (2, 1, 1), ConvGeometry((1, 1), (0, 0), 1)
    first = Node("first", op, (Edge("x", 0, IntTensor(W, 8), conv=conv),), shape, shape_out, neuron=neuron)
    head = Node("head", "dense", (Edge("first", 0, IntTensor(np.ones((2, 2), np.int8), 4)),), shape_out, (2,))
    network = Network("big", 3, Input("x", shape, "direct", 8), (first, head), Output("head"))
    check(network)
    return network


@pytest.mark.parametrize("op", ["dense", "conv2d"])
@pytest.mark.parametrize("N", [517, 518, 519, 600, 5000])
def test_sums_beyond_float32(op: str, N: int) -> None:
    network = _two_layers(N, op, threshold=2**24, reset_by=2**24 + 1)
    x = np.full((2, *network.input.shape), 255, np.uint8)
    x[1, ::3] = 254
    expected = run(network, x, trace=True)
    assert (N < 519) == (network_bounds(network)["first"].sums[0].magnitude < 2**24)
    assert_same(expected, run_fast(network, x, trace=True))


@pytest.mark.parametrize("threshold", [2**31 - 1, -(2**31), 2**24 + 1, -(2**24) - 1])
def test_thresholds_beyond_float32(threshold: int) -> None:
    network = _two_layers(10, threshold=threshold)
    x = np.arange(10, dtype=np.uint8)[None]
    assert_same(run(network, x, trace=True), run_fast(network, x, trace=True))


def test_reduced_precision_products_are_not_used() -> None:
    """A user who allows bfloat16 products for his own models still gets exact integers here."""
    network = _two_layers(400)
    x = np.random.default_rng(0).integers(0, 256, (64, 400)).astype(np.uint8)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        actual = run_fast(network, x, trace=True)
        assert dtype_for(1) == torch.float64  # few processors have such products, where float32 would show
    finally:
        torch.set_float32_matmul_precision(before)
    assert dtype_for(1) == torch.float32
    assert_same(run(network, x, trace=True), actual)


@pytest.mark.parametrize("samples", [1, 2, 33])
def test_convolution_of_every_size_is_exact(samples: int) -> None:
    """3x3 convolutions are where libraries switch to transforms; odd sums near 2^24 would show it."""
    rng = np.random.default_rng(samples)
    W = rng.integers(-127, 128, (16, 16, 3, 3)).astype(np.int8)
    conv = ConvGeometry((1, 1), (1, 1), 1)
    neuron = Neuron(_vector([1000] * 16), ">", "zero", None, (LeakTerm(1, 1),), 16)
    shape = (16, 20, 20)
    first = Node("first", "conv2d", (Edge("x", 0, IntTensor(W, 8), conv=conv),), shape, shape, neuron=neuron)
    V = rng.integers(-7, 8, (3, 6400)).astype(np.int8)
    head = Node("head", "dense", (Edge("first", 0, IntTensor(V, 4)),), shape, (3,))
    network = Network("conv", 2, Input("x", shape, "direct", 8), (first, head), Output("head"))
    x = rng.integers(0, 256, (samples, *shape)).astype(np.uint8)
    assert_same(run(network, x, trace=True), run_fast(network, x, trace=True))


@given(st.one_of(networks(), networks(features=EVERYTHING)))
def test_groups_come_after_what_they_read(network: Network) -> None:
    done = {network.input.name}
    for group in groups_in_order(network):
        names = {node.name for node in group}
        for node in group:
            assert {edge.node for edge in node.inputs} <= done | names
        done |= names
    assert done == {network.input.name, *(node.name for node in network.nodes)}


def test_a_delayed_edge_may_point_forward_to_a_loop() -> None:
    """'first' reads the step before of 'loop', which comes later in the list and reads itself."""
    rng = np.random.default_rng(0)

    def edge(source: str, delay: int, size: int) -> Edge:
        return Edge(source, delay, IntTensor(rng.integers(-7, 8, (4, size)).astype(np.int8), 4))

    neuron = Neuron(_vector([2] * 4), ">", "zero", None, (LeakTerm(1, 1),), 6)
    first = Node("first", "dense", (edge("loop", 1, 4), edge("x", 0, 5)), (4,), (4,), neuron=neuron)
    loop = Node("loop", "dense", (edge("x", 0, 5), edge("loop", 1, 4)), (5,), (4,), neuron=neuron)
    head = Node("head", "dense", (edge("first", 0, 4),), (4,), (4,))
    network = Network("forward", 6, Input("x", (5,), "spikes", 1), (first, loop, head), Output("head"))
    check(network)
    assert [[node.name for node in group] for group in groups_in_order(network)] == [["loop"], ["first"], ["head"]]
    x = rng.integers(0, 2, (7, 6, 5)).astype(np.uint8)
    expected = run(network, x, trace=True)
    assert min(v.min() for v in expected.spikes.values()) > 0
    assert_same(expected, run_fast(network, x, trace=True))


@pytest.mark.parametrize("N", [517, 518, 600])
def test_a_synaptic_current_beyond_float32(N: int) -> None:
    """Sums just below and beyond 2^24, to which the kept current adds: stored narrow, but exact before that."""
    network = _two_layers(N, threshold=2**24, reset_by=2**24 + 1)
    first = network.nodes[0]
    assert first.neuron is not None
    current = SynapticCurrent((LeakTerm(1, 0), LeakTerm(1, 1)), 16)
    neuron = replace(first.neuron, current=current, refractory=1)
    network = replace(network, time_steps=5, nodes=(replace(first, neuron=neuron), *network.nodes[1:]))
    check(network)
    x = np.full((2, *network.input.shape), 255, np.uint8)
    x[1, ::3] = 254
    expected = run(network, x, trace=True)
    assert expected.trace["first"].k.max() > 2**24
    assert expected.trace["first"].j is not None
    assert_same(expected, run_fast(network, x, trace=True))


def test_joins_and_pools_of_a_cycle_read_outside_of_it() -> None:
    """veto = not what 'b' gave before, and x (from outside, of this step); a pool of it feeds 'b'."""
    one = IntTensor(np.ones((4, 4), np.int8), 2)
    shape = (1, 2, 2)
    neuron = Neuron(IntTensor(np.array([1], np.int8), 4), ">", "zero", None, (LeakTerm(1, 1),), 6)
    W = IntTensor(np.full((1, 1, 1, 1), 2, np.int8), 3)
    nodes = (
        Node("veto", "join", (Edge("b", 1), Edge("x", 0)), shape, shape, join="iand"),
        Node("p", "pool2d", (Edge("veto", 0),), shape, shape, pool=Pool("max", (1, 1), (1, 1))),
        Node("total", "join", (Edge("p", 0), Edge("x", 1), Edge("b", 1)), shape, shape, join="add"),
        Node("b", "conv2d", (Edge("total", 0, W, conv=ConvGeometry((1, 1), (0, 0), 1)),), shape, shape, neuron=neuron),
        Node("head", "dense", (Edge("b", 0, one),), shape, (4,)),
    )
    network = Network("cycle", 9, Input("x", shape, "spikes", 1), nodes, Output("head"))
    check(network)
    assert [[n.name for n in group] for group in groups_in_order(network)] == [["veto", "p", "total", "b"], ["head"]]
    x = np.random.default_rng(1).integers(0, 2, (5, 9, *shape)).astype(np.uint8)
    expected = run(network, x, trace=True)
    assert expected.spikes["b"].min() > 0
    assert_same(expected, run_fast(network, x, trace=True))


def test_inputs_may_be_read_only_and_of_any_strides() -> None:
    network = _two_layers(10)
    x = np.random.default_rng(0).integers(0, 256, (10, 6)).astype(np.uint8)
    x.flags.writeable = False
    assert_same(run(network, x.T.copy()), run_fast(network, x.T))


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(ArtifactError, match=r"must be uint8, .* got float64"):
        run_fast(_two_layers(3), np.zeros((1, 3)))
    with pytest.raises(ArtifactError, match="shape"):
        run_fast(_two_layers(3), np.zeros((1, 4), np.uint8))
