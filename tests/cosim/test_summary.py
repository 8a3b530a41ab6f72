"""What `show` says of a network, beside the network itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from strategies import networks

from mintaka.artifact import Network, signals
from mintaka.artifact.reference import current
from mintaka_cosim.summary import flat, max_sops


@given(networks())
def test_the_most_operations_are_those_of_full_inputs(network: Network) -> None:
    """Counted without a convolution, and as the reference counts."""
    source = signals(network)
    for node in network.nodes:
        expected = 0
        for edge in node.inputs:
            if edge.weight is not None:
                carried = source[edge.node]
                full = np.full((1, *carried.shape), carried.most_operations, np.int64)
                once = int(current(edge, node, full, (edge.weight.values != 0).astype(np.int64)).sum())
                expected += once * (1 if carried.static else network.time_steps - edge.delay)
        assert max_sops(network, node, source) == expected


def test_provenance_is_one_line_each() -> None:
    odd = {"a\n": {"b": "x\ny\x1b]0;z\x07", "c": [{"d": "\ud800"}], "\u202e": 1.5}, "n": None}
    assert flat(odd) == {
        r"a\n.b": r"x\ny\x1b]0;z\x07",
        r"a\n.c.0": r"d \ud800",
        r"a\n.\u202e": "1.5000",
        "n": "None",
    }
