"""The accelerator in Amaranth's simulator against the reference and the cycle model, on generated networks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis
import numpy as np
import pytest
from handmade import conv_network, dense_network, neuron_network, signed, with_codebook
from hypothesis import given, note, settings
from hypothesis import strategies as st
from strategies import FEATURES, examples, networks, numbers_for, random_inputs, with_zeros

from mintaka.artifact import (
    ConvGeometry,
    Edge,
    Input,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    check,
    encode,
    run,
)
from mintaka.artifact.compare import compare
from mintaka_cosim.bench.amaranth_sim import SimulationTimeoutError, simulate_amaranth
from mintaka_cosim.bench.recording import COUNTERS, Recording
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.estimate.lists import event_lists
from mintaka_hw.plan import Plan, PlanError, make_plan
from mintaka_hw.plan.memory import DEEP_STATES


def small_networks() -> st.SearchStrategy[Network]:
    """Everything that there is hardware for; more often than not with a direct input, now and then as a chain of LIF
    layers, where its sum needs no pass of its own."""

    def drawn(**limits: Any) -> st.SearchStrategy[Network]:
        return networks(**{"max_size": 12, "max_hidden": 3, "max_steps": 4, "max_input_bits": 6, **limits})

    direct = {"kinds": ("direct",)}
    chain = {"chain": True, "features": set(FEATURES) - {"cuba"}}
    everything = {"features": FEATURES}
    chains = drawn(**chain, **direct).filter(lambda network: network.time_steps > 1)
    return st.one_of(drawn(**everything), drawn(**everything, **direct), chains).filter(buildable)


def buildable(network: Network) -> bool:
    """Whether there is hardware for it; `test_plan.py` says what is refused."""
    try:
        make_plan(network, 1)
    except PlanError:
        return False
    return True


def draw_plan(data: st.DataObject, network: Network, *, run_time: bool = False) -> Plan:
    """Lanes that divide nothing included."""
    lanes = {
        node.name: data.draw(st.integers(1, node.channels), label=node.name)
        for node in network.nodes
        if node.has_synapses
    }
    return make_plan(network, lanes, run_time=run_time)


def assert_equal(plan: Plan, inputs: np.ndarray, seen: Recording, *, stalled: bool) -> None:
    """Every K, spike, membrane, logit, class, operation and event; unstalled also every cycle."""
    expected = run(plan.network, inputs, trace=True)
    predicted = predict_cycles(plan, inputs, expected)
    found = compare(seen.result, expected, plan.head.name, traces=True)
    assert found.differences == 0, str(found.first)
    assert found.counts.sums == sum(int(expected.steps.sum()) * layer.node.size_out for layer in plan.layers)
    for layer in plan.layers:
        counters = dict(zip(COUNTERS, seen.counters[layer.name].T, strict=True))
        if not (stalled and plan.exits):  # what is begun of steps that do not count depends on the cycle
            np.testing.assert_equal(counters["events"], predicted.events[layer.name])
        if not stalled:
            np.testing.assert_equal(counters["busy"], predicted.busy[layer.name])
    if not stalled:
        np.testing.assert_equal(seen.cycles, predicted.result)
        np.testing.assert_equal(seen.finished - seen.accepted[0], predicted.result)


def test_variety() -> None:
    """The generated networks ask for everything that a layer core can be."""
    seen: Counter[object] = Counter()

    def look(network: Network) -> None:
        plan = make_plan(network, 1)
        head = plan.head
        seen[head.read, head.folding.windows > 1] += 1
        for layer in plan.layers:
            refractory = 0 if layer.node.neuron is None else layer.node.neuron.refractory
            beside = bool(layer.schedule.preloads) and bool(layer.schedule.step_edges)
            kind = "cuba" if layer.datapath.current is not None else "lif"
            seen["passes", len(layer.schedule.preloads)] += 1
            seen["merged"] += layer.schedule.preloads_in_first_step
            seen["one step", kind] += plan.network.time_steps == 1
            seen["beside others", kind] += beside and layer.datapath.fires
            seen["silence beside others"] += beside and bool(refractory)
            seen["short silence"] += 0 < refractory < plan.network.time_steps
            seen["long silence"] += refractory >= plan.network.time_steps > 1
            seen["deep"] += layer.folding.states >= DEEP_STATES
            seen["signed"] += layer.events.subtracts
            seen["signed, grouped"] += layer.events.subtracts and layer.events.is_grouped
            seen["signed codebook"] += layer.events.subtracts and layer.weights.codebook is not None
            seen["signed beside others"] += (
                layer.events.subtracts and len(layer.schedule.step_edges) > layer.schedule.preloads_in_first_step
            )
        seen["exits", head.folding.windows > 1] += plan.exits

    wanted: set[object] = {(read, several) for read in ("accumulate", "count", "membrane") for several in (False, True)}
    wanted |= {("passes", number) for number in range(3)} | {"merged", "short silence", "long silence", "deep"}
    wanted |= {(what, kind) for what in ("one step", "beside others") for kind in ("lif", "cuba")}
    wanted |= {"silence beside others", ("exits", False), ("exits", True)}
    wanted |= {"signed", "signed, grouped", "signed codebook", "signed beside others"}
    for number in range(10):  # a round's networks resemble one another
        if all(seen[name] for name in wanted):
            break
        hypothesis.seed(number)(settings(max_examples=100, database=None)(given(small_networks())(look)))()
    assert {name for name in wanted if not seen[name]} == set()


@given(data=st.data(), network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_bit_and_cycle_exact(data: st.DataObject, network: Network, seed: int) -> None:
    plan = draw_plan(data, network)
    inputs = random_inputs(network, samples=3, seed=seed)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


@given(
    data=st.data(),
    network=networks(features=FEATURES, max_hidden=1, max_size=6, max_steps=3, max_input_bits=4).filter(buildable),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=6)
def test_a_sample_hangs_on_no_other(data: st.DataObject, network: Network, seed: int) -> None:
    """Numbers of samples in any order, some twice, in one stream: each gives what it gives alone."""
    numbers = numbers_for(network, 2, seed)
    order = data.draw(st.lists(st.integers(0, 1), min_size=2, max_size=4))
    seen = simulate_amaranth(draw_plan(data, network), encode(network, numbers[order]))
    singles = [run(network, encode(network, numbers[n : n + 1])).logits[0].tolist() for n in range(2)]
    assert seen.logits.tolist() == [singles[n] for n in order]


@examples(25)
@given(data=st.data(), network=small_networks(), seed=st.integers(0, 2**32 - 1), stalls=st.floats(0.05, 0.95))
def test_bit_exact_under_stalls_and_reset(data: st.DataObject, network: Network, seed: int, stalls: float) -> None:
    note(f"stall seed {seed}")
    plan = draw_plan(data, network)
    inputs = random_inputs(network, samples=2, seed=seed)
    reset_after = data.draw(st.none() | st.integers(1, 60), label="reset_after")
    seen = simulate_amaranth(plan, inputs, stalls=stalls, seed=seed, reset_after=reset_after)
    assert_equal(plan, inputs, seen, stalled=True)


@pytest.mark.parametrize(("read", "lanes"), [("count", 2), ("membrane", 3)])
def test_every_neuron_and_head_by_hand(read: str, lanes: int) -> None:
    """CUBA-LIF, refractory steps, passes over a direct input with three readers, logits of several pixels."""
    for time_steps in (1, 4):
        network = neuron_network(read=read, time_steps=time_steps, signed=lanes == 3, seed=lanes)
        plan = make_plan(network, lanes)
        inputs = random_inputs(network, samples=2, seed=lanes)
        assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


def direct(bits: int, weight_bits: int) -> Network:
    return dense_network((5, 3, 2), kind="direct", bits=bits, weight_bits=weight_bits, time_steps=2, threshold=2)


GROUPED = conv_network((2, 4, 2), picture=(3, 3), groups=(2,), kind="direct", bits=3, time_steps=2, threshold=2)


@pytest.mark.parametrize(
    ("network", "sparse"),
    [
        (direct(2, 1), ()),
        (direct(9, 3), ()),
        (with_codebook(direct(3, 4), (-4, 1)), ()),  # 3 bits hold the integers, but not the opposite of -4
        (with_zeros(direct(3, 4), 0.5, 1), ("hidden1",)),
        (GROUPED, ()),
    ],
    ids=["1-bit weights", "planes", "codebook", "sparse", "grouped"],
)
def test_signed_inputs_by_hand(network: Network, sparse: tuple[str, ...]) -> None:
    """Whatever stands between an input's bits and the lanes; samples at both ends of the range, too."""
    network = signed(network)
    plan = make_plan(network, 2, sparse)
    parts = [random_inputs(network, 1, 7, style=style) for style in ("random", "min", "max", "ends")]
    inputs = np.concatenate(parts)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


@pytest.mark.parametrize(("bits", "codebook"), [(1, None), (1, (1,)), (3, (1, 3))])
def test_lanes_without_a_neuron_never_spike(bits: int, codebook: tuple[int, ...] | None) -> None:
    """What is stored for a padding lane would be a weight of 1 here, and its threshold of 0 would be passed."""
    dead = Neuron(IntTensor(np.full(3, 100, np.int8), 8), ">", "zero", None, (LeakTerm(-1, 0),), 4)
    point = ConvGeometry(stride=(1, 1), padding=(0, 0), groups=1)
    conv = Edge("input", 0, IntTensor(np.ones((3, 1, 1, 1), np.int8), bits), conv=point)
    flat = Edge("conv", 0, IntTensor(np.ones((2, 12), np.int8), 1))
    nodes = (
        Node("conv", "conv2d", (conv,), (1, 2, 2), (3, 2, 2), None, dead, codebook=codebook),
        Node("head", "dense", (flat,), (3, 2, 2), (2,)),
    )
    network = Network("padding", 4, Input("input", (1, 2, 2), "spikes", 1), nodes, Output("head"))
    check(network)
    plan = make_plan(network, 2)
    inputs = np.zeros(network.input_shape(2), np.uint8)
    inputs[:, 0] = 1
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


@pytest.mark.parametrize("lanes", [1, 3, 16])
def test_a_long_stream(lanes: int) -> None:
    """Many samples back to back: the model stays exact however the layers push back on one another."""
    network = dense_network([30, 20, 16, 5], time_steps=3, seed=2)
    plan = make_plan(network, lanes)
    inputs = random_inputs(network, samples=25, seed=lanes)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


def test_silence_costs_one_slot_per_group_and_step() -> None:
    network = dense_network([30, 20, 5], time_steps=4)
    plan = make_plan(network, {"hidden1": 4, "head": 5})
    inputs = np.zeros(network.input_shape(8), np.uint8)
    seen = simulate_amaranth(plan, inputs)
    assert_equal(plan, inputs, seen, stalled=False)
    assert (seen.counters["hidden1"][2:, COUNTERS.index("busy")] == 4 * 5).all()
    assert (predict_cycles(plan, inputs).slots["hidden1"] == 4 * 5).all()
    assert (seen.counters["hidden1"][:, COUNTERS.index("sops")] == 0).all()


def test_a_hanging_stream_is_reported() -> None:
    network = dense_network([30, 20, 5])
    inputs = random_inputs(network, samples=3, seed=0)
    with pytest.raises(SimulationTimeoutError, match=r"^\d+ logits after 40 cycles \(seed 0\)$"):
        simulate_amaranth(make_plan(network), inputs, max_cycles=40)


@pytest.mark.parametrize(("lanes", "least"), [(32, 0.99), (64, 0.98), (128, 0.93)])
def test_lanes_are_busy(lanes: int, least: float) -> None:
    """784 inputs at 10 %, 128 neurons: the bound is one cycle per event and group (the model is exact, see above)."""
    network = dense_network([784, 128, 10], time_steps=4)
    plan = make_plan(network, lanes)
    inputs = random_inputs(network, samples=20, seed=1, rate=0.1)
    assert predict_cycles(plan, inputs).utilisation("hidden1") >= least


@pytest.mark.parametrize(
    ("groups", "lanes", "kind", "bits"),
    [
        (12, 12, "spikes", 1),
        (12, 5, "direct", 4),
        (4, 3, "counts", 3),
        (4, 6, "direct", 1),
        (2, 3, "spikes", 1),
        (2, 5, "counts", 2),
    ],
)
def test_grouped_convolutions(groups: int, lanes: int, kind: str, bits: int) -> None:
    """Lanes that reach into several conv groups, into one and into part of one, and across the border of two."""
    network = conv_network([12, 12, 12, 2], picture=(4, 3), groups=[groups, 6], kind=kind, bits=bits, time_steps=2)
    plan = make_plan(network, {"conv1": lanes, "conv2": lanes, "head": 1})
    inputs = random_inputs(network, samples=2, seed=lanes, rate=0.3)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


def test_a_depthwise_slot_is_a_pixel() -> None:
    """All lanes work on their own channel at once: a window takes max(1, non-zero pixels) slots."""
    network = conv_network([8, 8, 2], picture=(6, 6), groups=[8], threshold=40)
    plan = make_plan(network, {"conv1": 8, "head": 2})
    inputs = random_inputs(network, samples=4, seed=3, rate=0.1)
    pixels = np.pad(inputs.reshape(-1, *network.input.shape).any(axis=1), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2)).sum((3, 4))
    expected = np.maximum(windows, 1).reshape(len(inputs), -1).sum(1)
    np.testing.assert_equal(predict_cycles(plan, inputs).busy["conv1"], expected)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
@pytest.mark.parametrize(("stride", "lanes"), [(1, 8), (1, 4), (2, 8)])
def test_the_gather_keeps_up(rate: float, stride: int, lanes: int) -> None:
    """A convolution that nobody holds up works all the time: one slot per event and group, one where there is none."""
    network = conv_network([4, 8, 2], picture=(12, 11), stride=stride, threshold=40, seed=1)
    plan = make_plan(network, {"conv1": lanes, "head": 2})
    inputs = random_inputs(network, samples=10, seed=2, rate=rate)
    conv = plan.layer("conv1")
    events = event_lists(conv.edges[0], inputs.reshape(-1, *network.input.shape)).events
    slots = conv.folding.groups * np.maximum(events, 1).sum() / len(inputs)
    words = plan.input.words * network.time_steps
    assert max(slots, words) >= 0.97 * predict_cycles(plan, inputs).interval
