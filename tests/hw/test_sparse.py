"""A sparse weight memory: the same numbers as a dense one, fewer rows and cycles, and cycles that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import conv_network, dense_network, graph_network, neuron_network, with_codebook
from hw.test_accelerator import assert_equal, small_networks
from hw.test_plan import assert_listed_as_built
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, random_inputs, with_zeros

from mintaka.artifact import IntTensor, Network, check
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import Plan, PlanError, Sparse, make_plan
from mintaka_hw.plan.network import zeros_problem
from mintaka_hw.verilog import generate
from mintaka_hw.verilog.generate import module_texts

WIDE = dense_network([100, 37, 10], time_steps=3, seed=2)  # several words of spikes, and lanes that divide nothing


def possible(network: Network) -> list[str]:
    """The layers that can have one."""
    return [node.name for node in network.nodes if zeros_problem(node) is None]


def drawn_plan(data: st.DataObject, network: Network) -> Plan:
    """All layers that can be are sparse, the lanes as they come."""
    lanes = {n.name: data.draw(st.integers(1, n.channels), label=n.name) for n in network.nodes if n.has_synapses}
    return make_plan(network, lanes, possible(network))


def pruned_networks() -> st.SearchStrategy[Network]:
    shares = st.sampled_from((0.0, 0.5, 0.9))
    networks = st.builds(with_zeros, small_networks(), shares, st.integers(0, 2**32 - 1))
    return networks.filter(lambda network: bool(possible(network)))


@examples(12)
@given(data=st.data(), network=pruned_networks(), seed=st.integers(0, 2**32 - 1))
def test_bit_and_cycle_exact(data: st.DataObject, network: Network, seed: int) -> None:
    plan = drawn_plan(data, network)
    assert plan.sparse
    inputs = random_inputs(network, samples=3, seed=seed)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


@examples(8)
@given(data=st.data(), network=pruned_networks(), seed=st.integers(0, 2**32 - 1), stalls=st.floats(0.05, 0.95))
def test_bit_exact_under_stalls_and_reset(data: st.DataObject, network: Network, seed: int, stalls: float) -> None:
    plan = drawn_plan(data, network)
    inputs = random_inputs(network, samples=2, seed=seed)
    reset_after = data.draw(st.none() | st.integers(1, 60), label="reset_after")
    seen = simulate_amaranth(plan, inputs, stalls=stalls, seed=seed, reset_after=reset_after)
    assert_equal(plan, inputs, seen, stalled=True)


@pytest.mark.parametrize(("share", "lanes"), [(0.6, 3), (0.9, 10), (1.0, 3)])
def test_several_blocks(share: float, lanes: int) -> None:
    """Words of spikes, and numbers of several bits; also without any synapse."""
    pictures = conv_network([3, 40, 6, 2], picture=(3, 4), time_steps=2, kind="counts", bits=2)
    for network in (WIDE, dense_network([70, 20, 10], kind="direct", bits=5, time_steps=2), pictures):
        pruned = with_zeros(network, share, lanes)
        plan = make_plan(pruned, lanes, possible(pruned))
        inputs = random_inputs(pruned, samples=2, seed=lanes, rate=0.2)
        assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


@pytest.mark.parametrize("time_steps", [1, 3])
def test_loops_codebooks_and_one_step(time_steps: int) -> None:
    """Delayed and several edges, CUBA-LIF, a codebook with a 0."""
    coded = with_codebook(dense_network([40, 13, 6], weight_bits=8, time_steps=time_steps, seed=8), (-77, 0, 101))
    for network in (graph_network(time_steps=time_steps), neuron_network(time_steps=time_steps), coded):
        pruned = with_zeros(network, 0.8, time_steps)
        plan = make_plan(pruned, 2, possible(pruned))
        assert plan.sparse
        inputs = random_inputs(pruned, samples=2, seed=1)
        assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


@examples(20)
@given(data=st.data(), network=pruned_networks())
def test_index_and_rows_are_the_weights(data: st.DataObject, network: Network) -> None:
    """Every weight comes back by its block, place and rank; no stored row is zero; memories are built as listed."""
    for layer in drawn_plan(data, network).layers:
        assert_listed_as_built(layer)
        if layer.weights.sparse is None:
            continue
        sparse, found = (
            layer.weights.sparse,
            np.zeros((layer.folding.groups, layer.weights.fan_in, layer.folding.lanes), np.int64),
        )
        for group, block in np.ndindex(sparse.bases.shape):
            mask = sparse.masks[group, block]
            for place in np.flatnonzero(mask):
                row = sparse.bases[group, block] + mask[:place].sum()
                found[group, sparse.places[block, place]] = sparse.rows[row]
        weights = np.pad(layer.weights.values, ((0, -layer.folding.channels % layer.folding.lanes), (0, 0)))
        np.testing.assert_equal(found, weights.reshape(layer.folding.groups, layer.folding.lanes, -1).swapaxes(1, 2))
        assert (sparse.rows != 0).any(axis=1).all()
        assert sorted(sparse.places[sparse.places >= 0].tolist()) == list(range(layer.weights.fan_in))


@pytest.mark.parametrize(("share", "two"), [(0.0, True), (0.65, True), (0.6, False)])
def test_deep_memories_are_split(share: float, two: bool) -> None:
    """1,000 rows and more of 14 bits: in one memory of a power of two, or in two, whichever has fewer words."""
    plan = make_plan(with_zeros(WIDE, share, 1), 3, ["hidden1"])
    layer = plan.layer("hidden1")
    assert_listed_as_built(layer)
    text = "".join(module_texts(plan, "top", taps=False).values())
    assert ("weights_upper" in text) == two


def test_cycles_follow_the_stored_rows() -> None:
    """A layer that nobody holds up takes a slot per event with a row, and one per group where there is none."""
    network = with_zeros(dense_network([96, 32, 4], time_steps=4, threshold=60, seed=1), 0.85, 3)
    inputs = random_inputs(network, samples=8, seed=2, rate=0.5)
    dense, sparse = (make_plan(network, {"hidden1": 4, "head": 4}, names) for names in ((), ["hidden1"]))
    layer = sparse.layer("hidden1")
    kept = np.array([(layer.weights.values[g : g + 4] != 0).any(axis=0) for g in range(0, 32, 4)])
    events = inputs.reshape(len(inputs), 4, 1, 96) * kept
    slots = np.maximum(1, events.sum(-1)).sum((1, 2))
    found, before = predict_cycles(sparse, inputs), predict_cycles(dense, inputs)
    np.testing.assert_equal(found.slots["hidden1"], slots)
    np.testing.assert_equal(found.events["hidden1"], events.sum((1, 2, 3)))
    assert slots.sum() < 0.6 * before.slots["hidden1"].sum()
    assert slots.sum() <= found.busy["hidden1"].sum() <= 1.05 * slots.sum()
    assert found.interval < 0.65 * before.interval


def test_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    """Without the option nothing changes, whatever the weights; with it, only that layer's core."""
    network = with_zeros(WIDE, 0.9, 1)
    none, auto = make_plan(WIDE, 3), make_plan(WIDE, 3, "auto")
    assert auto.sparse == ()
    assert module_texts(none, "top", taps=False) == module_texts(auto, "top", taps=False)
    dense, one = (module_texts(make_plan(network, 3, names), "top", taps=False) for names in ((), ["head"]))
    different = {name for name in one if one[name] != dense.get(name)}
    assert set(one) - set(dense) == {"top__layer_head__replay__row_index"}
    changed = {name for name in different if name.startswith("top__layer_head")}
    assert different - changed <= {"top"}  # whose header counts the bits of all memories
    assert "stored rows: " in one["top__layer_head__replay__row_index"]
    info = generate(make_plan(network, 3, ["head"]), tmp_path).info
    assert [layer["sparse_rows"] is None for layer in info["layers"]] == [True, False]
    index = next(memory for memory in info["stages"][1]["memories"] if memory["name"] == "index")
    assert index["bits"] == index["depth"] * index["width"]


def test_auto_takes_what_gets_smaller() -> None:
    network = with_zeros(WIDE, 0.9, 1)
    plan, dense = make_plan(network, 3, "auto"), make_plan(network, 3)
    assert plan.sparse
    assert plan.memory_bits < dense.memory_bits
    for layer in plan.layers:
        mine, other = (sum(m.bits for m in each.memories) for each in (layer, dense.layer(layer.name)))
        assert mine < other if layer.name in plan.sparse else mine == other


def one_bit() -> Network:
    return dense_network([12, 8, 3], weight_bits=1)


@pytest.mark.parametrize(
    ("network", "sparse", "sentence"),
    [
        (WIDE, ["hidden"], "^there is no layer 'hidden' to be made sparse: the layers are hidden1, head$"),
        (WIDE, "all", "^sparse layers must be 'auto' or names of layers, got 'all'$"),
        (one_bit(), ["head"], "^layer 'head' cannot have .*: its weights have 1 bit, which cannot be 0$"),
        (with_codebook(WIDE, (-3, 2)), ["head"], "^layer 'head' cannot have .*: no value of its codebook is 0$"),
        (
            conv_network([4, 4, 2], groups=[2]),
            ["conv1"],
            "^layer 'conv1' cannot have .* are stored without zeros as it is$",
        ),
    ],
)
def test_what_cannot_be_sparse_is_refused(network: Network, sparse: Sparse, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        make_plan(network, 2, sparse)
    assert set(make_plan(network, 2, "auto").sparse).isdisjoint(sparse)


def test_a_layer_of_biases_only() -> None:
    """No weight but one is left in the whole layer, and none in most of its groups."""
    hidden = WIDE.nodes[0]
    weights = np.zeros_like(hidden.inputs[0].weight.values)  # type: ignore[union-attr]
    weights[20, 99] = 3
    edge = replace(hidden.inputs[0], weight=IntTensor(weights, 4))
    network = replace(WIDE, nodes=(replace(hidden, inputs=(edge,)), WIDE.nodes[1]))
    check(network)
    plan = make_plan(network, {"hidden1": 4, "head": 5}, ["hidden1"])
    assert plan.layer("hidden1").weights.depth == 1
    inputs = random_inputs(network, samples=3, seed=0)
    seen = simulate_amaranth(plan, inputs)
    assert_equal(plan, inputs, seen, stalled=False)
    np.testing.assert_equal(predict_cycles(plan, inputs).events["hidden1"], inputs[:, :, 99].sum(1))
