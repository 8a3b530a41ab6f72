"""Heads that count spikes: their logits reach their bound, and never more."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mintaka.artifact import Edge, Input, IntTensor, LeakTerm, Network, Neuron, Node, Output, check, run
from mintaka.artifact.bounds import logit_bounds


@pytest.mark.parametrize(("time_steps", "refractory"), list(product(range(1, 7), range(4))))
def test_a_neuron_that_fires_whenever_it_may_reaches_the_bound(time_steps: int, refractory: int) -> None:
    T = IntTensor(np.array([0, 6], np.int8), 4)
    neuron = Neuron(T, ">", "zero", None, (LeakTerm(1, 1),), 4, refractory)
    head = Node(
        "head", "dense", (Edge("input", 0, IntTensor(np.array([[3], [-3]], np.int8), 3)),), (1,), (2,), None, neuron
    )
    source = Input("input", (1,), "spikes", 1)
    network = Network("counts", time_steps, source, (head,), Output("head", "count"))
    check(network)
    spikes = np.ones((1, time_steps, 1), np.uint8)
    most = len(range(0, time_steps, refractory + 1))
    assert run(network, spikes).logits.tolist() == [[most, 0]]
    bounds = logit_bounds(network)
    assert (bounds.lo, bounds.hi) == (0, most)
