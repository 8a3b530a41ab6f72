"""Time steps and margins at run time through the Verilog: any number of steps behind any other one, exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import conv_network, graph_network, with_margins
from hw.test_steps import assert_steps
from strategies import random_inputs

from mintaka.artifact import Network
from mintaka_cosim.bench import cosim, native
from mintaka_cosim.bench.job import NO_STALLS, RANDOM_STALLS
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.words import pack_beats
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate


def pairs(most: int) -> list[int]:
    """Every number up to `most` behind every other one."""
    return [n for first in range(most + 1) for second in range(first, most + 1) for n in (first, second)]


def made(name: str) -> tuple[Network, np.ndarray, list[int]]:
    """A recurrent network that reads spikes; a convolution with a direct input and early exit."""
    if name == "recurrent":
        network = graph_network(time_steps=4)
    else:
        network = conv_network((1, 4, 6), kind="direct", bits=3, stride=2, threshold=9)
    steps = [network.time_steps, *pairs(7)]  # 7 is what the port can hold
    inputs = random_inputs(network, len(steps), seed=3)
    return (network if name == "recurrent" else with_margins(network, inputs)), inputs, steps


@pytest.mark.parametrize("name", ["recurrent", "exits"])
def test_every_number_of_steps(name: str, tmp_path: Path) -> None:
    network, inputs, steps = made(name)
    plan = make_plan(network, 2, run_time=True)
    design = generate(plan, tmp_path, taps=True)
    layout = layout_of(design.info)
    built = native.build(design.verilog, layout, optimize=False)
    beats = pack_beats(inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
    for stalls in (NO_STALLS, RANDOM_STALLS):
        seen = native.run(built, layout, beats, stalls, 1, tmp_path, Processes(), steps=steps)
        assert_steps(plan, inputs, steps, seen, stalled=stalls.any)
    fixed = predict_cycles(make_plan(network, 2), inputs[:1])
    assert seen.cycles[0] >= fixed.result[0]
