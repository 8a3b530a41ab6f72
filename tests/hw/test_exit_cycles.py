"""Early exit to the cycle: when a sample ends, and what its end leaves for the next one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from handmade import HALF, dense_network
from hw.test_accelerator import assert_equal
from strategies import random_inputs

from mintaka.artifact import Edge, Input, IntTensor, Network, Neuron, Node, Output, check
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_hw.plan import make_plan
from mintaka_hw.plan.events import LIST_SLOTS

PATIENCE = 3000


def test_words_of_a_sample_that_ends_early_are_dropped_one_per_cycle() -> None:
    """When the first step is done, lists are waiting: as many empty ones as there can be, or as many as have room. What
    is still to come of the sample delays the next one."""
    network = dense_network([4, 30], time_steps=LIST_SLOTS + 8)
    network = replace(network, output=replace(network.output, margins=(0,) * (network.time_steps - 1)))
    plan = make_plan(network, 1)
    inputs = random_inputs(network, samples=4, seed=1)
    inputs[::2] = 0
    seen = simulate_amaranth(plan, inputs, max_cycles=PATIENCE)
    assert seen.steps.tolist() == [1] * 4
    assert_equal(plan, inputs, seen, stalled=False)


def weight(rng: np.random.Generator, *shape: int) -> IntTensor:
    return IntTensor(rng.integers(-3, 4, shape).astype(np.int8), 3)


def test_a_sample_ends_when_its_slowest_layer_has_finished() -> None:
    """Nothing of the step that is judged reads the layer that has most to do: its spikes are for the next one."""
    rng = np.random.default_rng(1)

    neuron = Neuron(IntTensor(np.full(20, 3, np.int8), 5), ">", "zero", None, HALF, 4)
    nodes = (
        Node("slow", "dense", (Edge("input", 0, weight(rng, 20, 6)),), (6,), (20,), None, neuron),
        Node("head", "dense", (Edge("input", 0, weight(rng, 3, 6)), Edge("slow", 1, weight(rng, 3, 20))), (6,), (3,)),
    )
    network = Network("slow", 4, Input("input", (6,), "spikes", 1), nodes, Output("head", margins=(2, 2, 2)))
    check(network)
    plan = make_plan(network, 1)
    inputs = random_inputs(network, samples=4, seed=1)
    seen = simulate_amaranth(plan, inputs, max_cycles=PATIENCE)
    assert len({*seen.steps.tolist()}) > 1
    assert_equal(plan, inputs, seen, stalled=False)


def test_no_layer_runs_ahead_of_a_sample_that_may_stop() -> None:
    """The first frame of a delayed edge is zeros, which are there before the sample: a layer that reads nothing else
    still begins with it, and its counters count nothing before."""
    rng = np.random.default_rng(1)
    T = IntTensor(np.full(6, 3, np.int8), 5)
    neuron = Neuron(T, ">", "zero", None, HALF, 4)
    nodes = (
        Node("hidden", "dense", (Edge("input", 0, weight(rng, 6, 5)),), (5,), (6,), None, neuron),
        Node("late", "dense", (Edge("hidden", 1, weight(rng, 6, 6)),), (6,), (6,), None, neuron),
        Node("head", "dense", (Edge("hidden", 0, weight(rng, 3, 6)), Edge("late", 0, weight(rng, 3, 6))), (6,), (3,)),
    )
    network = Network("late", 2, Input("input", (5,), "spikes", 1), nodes, Output("head", margins=(99,)))
    check(network)
    plan = make_plan(network, 1)
    inputs = random_inputs(network, samples=3, seed=1)
    seen = simulate_amaranth(plan, inputs, max_cycles=PATIENCE)
    assert_equal(plan, inputs, seen, stalled=False)
