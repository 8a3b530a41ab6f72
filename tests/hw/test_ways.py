"""Where ways of different length meet, the queues hold what keeps all of them going."""

from __future__ import annotations

import pytest
from handmade import graph_network, joins_network

from mintaka_hw.plan import make_plan


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_frames_that_queues_hold(lanes: int) -> None:
    """One frame where edges of a step meet, one more for every core that the way is shorter than the longest, and one
    more again for what is read a step later."""
    frames = {
        "conv2_0": 1,  # both read conv1, word by word at the same time
        "conv2_1": 1,
        "loop_1": 2,  # its own spikes, a step later
        "loop_2": 3,  # conv1's, a step later, past conv2
        "late_0": 2,
        "head_0": 1,
        "head_1": 3,  # late begins a way of its own, with the step before, which is there at once
    }
    queues = {link.name: link.queue / link.layout.words for link in make_plan(graph_network(), lanes).links}
    assert {name: queues[name] for name in frames} == frames


def test_frames_that_joins_wait_for() -> None:
    frames = {
        "either_0": 3,  # early, past middle and late
        "either_1": 1,
        "either_2": 2,  # late, a step later
        "veto_0": 3,
        "sum_2": 2,  # middle, past late
    }
    queues = {link.name: link.queue / link.layout.words for link in make_plan(joins_network(), 2).links}
    assert {name: queues[name] for name in frames} == frames
