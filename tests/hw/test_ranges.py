"""Intervals of a layer core's registers against every value that they really take, number by number."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from handmade import HALF, dense_network

from mintaka.artifact import LeakTerm, SynapticCurrent, check
from mintaka_hw.plan import make_plan

KEPT = (LeakTerm(1, 0), LeakTerm(-1, 2))


def leaked(value: int, leak: tuple[LeakTerm, ...]) -> int:
    return sum(term.sign * (value >> term.shift) for term in leak)


@pytest.mark.parametrize("cuba", [False, True])
def test_an_accumulator_holds_every_sum_in_any_order(cuba: bool) -> None:
    """From what is kept of every stored number, weight by weight: those of one sign first reach furthest."""
    network = dense_network([9, 5, 3], leak=HALF, membrane_bits=3)
    node = network.nodes[0]
    assert node.neuron is not None
    if cuba:
        node = replace(node, neuron=replace(node.neuron, current=SynapticCurrent(KEPT, 3)))
        network = replace(network, nodes=(node, *network.nodes[1:]))
        check(network)
    layer = make_plan(network, 2).layer(node.name)
    weight = node.inputs[0].weight
    assert weight is not None
    assert node.bias is not None
    biases = [0] * node.size_out if cuba else node.bias.values.tolist()
    starts = [leaked(value, KEPT if cuba else HALF) for value in range(-3, 4)]
    reached = np.array(
        [
            total
            for row, bias in zip(weight.values.tolist(), biases, strict=True)
            for start in starts
            for order in (sorted(row), sorted(row, reverse=True))
            for total in accumulate(order, initial=start + bias)
        ]
    )
    found = layer.datapath.ranges.accumulator
    assert found.lo <= reached.min()
    assert reached.max() <= found.hi
    held = [value + bias for value in range(-3, 4) for bias in node.bias.values.tolist()]
    assert layer.datapath.ranges.membrane.lo <= min(held)
    assert max(held) <= layer.datapath.ranges.membrane.hi
    assert max(map(abs, starts)) + 3 < min(-reached.min(), reached.max())  # they reach beyond what they start from
