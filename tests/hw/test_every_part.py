"""Small networks that together have every part of the hardware, each as the reference and the cycle model say.

Quick and always the same: where one of these fails, `test_accelerator.py` searches among all networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from handmade import (
    conv_network,
    dense_network,
    joins_network,
    neuron_network,
    picture_network,
    signed,
    with_codebook,
    with_margins,
)
from hw.test_accelerator import assert_equal
from strategies import random_inputs

from mintaka.artifact import Network
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_hw.plan import Plan, make_plan

SAMPLES = 1  # what follows a sample is in `test_accelerator.py` and `test_coincidences.py`


def exits(network: Network) -> Network:
    return with_margins(network, random_inputs(network, samples=12, seed=1), never=1)


PARTS: dict[str, Callable[[], Plan]] = {
    "dense": lambda: make_plan(dense_network([37, 11, 5]), 3),
    "direct": lambda: make_plan(dense_network([9, 7, 5], kind="direct", bits=5, input_shift=2), 2),
    "signed": lambda: make_plan(signed(dense_network([9, 7, 5], kind="direct", bits=5, input_shift=1)), 3),
    "codebook": lambda: make_plan(with_codebook(dense_network([12, 9, 3]), (-5, 0, 1, 6)), 4),
    "pictures": lambda: make_plan(picture_network(kind="counts", bits=2), 4),
    "groups": lambda: make_plan(conv_network([4, 8, 4], groups=[4], picture=(3, 3)), 3),
    "strides": lambda: make_plan(conv_network([2, 3, 4], kernel=1, stride=3), 2),
    "joins": lambda: make_plan(joins_network(time_steps=2), 2),
    "sparse": lambda: make_plan(sparse_network(), 2, sparse=("hidden1",)),
    "exits": lambda: make_plan(exits(dense_network([12, 9, 3], time_steps=5)), 2),
    "exits of several pixels": lambda: make_plan(exits(neuron_network(read="accumulate", time_steps=3)), 3),
}


def sparse_network() -> Network:
    """Of most rows nothing is stored."""
    network = dense_network([40, 8, 3])
    first = network.nodes[0]
    (edge,) = first.inputs
    assert edge.weight is not None
    W = edge.weight.values.copy()
    W[:, 1::2] = 0
    W[2:4, ::3] = 0
    edge = replace(edge, weight=replace(edge.weight, values=W))
    return replace(network, nodes=(replace(first, inputs=(edge,)), *network.nodes[1:]))


@pytest.mark.parametrize("name", PARTS)
def test_every_part(name: str) -> None:
    plan = PARTS[name]()
    inputs = random_inputs(plan.network, samples=SAMPLES, seed=3)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs, max_cycles=5_000), stalled=False)


def test_they_have_every_part() -> None:
    """Joins and pools of every kind, every way to read a head, and whatever else a layer core can be."""
    plans = [build() for build in PARTS.values()]
    plans += [make_plan(neuron_network(read=read), 2) for read in ("count", "membrane")]  # in `test_accelerator.py`
    nodes = [node for plan in plans for node in plan.network.nodes]
    layers = [layer for plan in plans for layer in plan.layers]
    assert {node.join for node in nodes} == {None, "or", "and", "iand", "add"}
    assert {node.pool.kind for node in nodes if node.pool is not None} == {"max", "sum"}
    assert {plan.head.read for plan in plans} == {"accumulate", "count", "membrane"}
    assert {len(layer.schedule.preloads) for layer in layers} == {0, 1, 2}
    assert (
        {layer.events.subtracts for layer in layers} == {layer.events.is_grouped for layer in layers} == {False, True}
    )
    assert (
        {layer.weights.codebook is None for layer in layers}
        == {layer.weights.sparse is None for layer in layers}
        == {False, True}
    )
    assert (
        {layer.datapath.current is None for layer in layers}
        == {layer.schedule.preloads_in_first_step for layer in layers}
        == {False, True}
    )
    assert {plan.head.folding.windows > 1 for plan in plans if plan.exits} == {False, True}
    assert {link.is_deep for plan in plans for link in plan.links} == {False, True}
