"""Time steps and margins at run time through the Verilog: any number of steps behind any other one, exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cosim.test_lint import lint
from handmade import conv_network, graph_network, with_margins
from hw.test_steps import assert_steps
from strategies import random_inputs

from mintaka.artifact import Network
from mintaka_cosim.bench import native
from mintaka_cosim.bench.job import NO_STALLS, RANDOM_STALLS
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.words import pack_beats
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate

STEPS = [4, 1, 1, 2, 1, 4, 2, 2, 7, 4, 1, 3, 0, 3, 3, 2]  # of T = 4; 7 is what the port can hold


def made(name: str) -> tuple[Network, np.ndarray]:
    """Recurrence and a layer that could run ahead, for spikes; a convolution with a direct input and early exit."""
    if name == "recurrent":
        network = graph_network(time_steps=4)
    else:
        network = conv_network((1, 4, 6), time_steps=4, kind="direct", bits=3, stride=2, threshold=9)
    inputs = random_inputs(network, len(STEPS), seed=3)
    return (network if name == "recurrent" else with_margins(network, inputs)), inputs


@pytest.mark.parametrize("name", ["recurrent", "exits"])
def test_every_number_of_steps(name: str, tmp_path: Path) -> None:
    network, inputs = made(name)
    plan = make_plan(network, 2, run_time=True)
    design = generate(plan, tmp_path, taps=True)
    assert lint(tmp_path, design.top) == ""
    layout = layout_of(design.info)
    built = native.build(design.verilog, layout, optimize=False)
    beats = pack_beats(inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
    for stalls in (NO_STALLS, RANDOM_STALLS):
        seen = native.run(built, layout, beats, stalls, 1, tmp_path, Processes(), steps=STEPS)
        assert_steps(plan, inputs, STEPS, seen, stalled=stalls.any)
        if not stalls.any:  # the first sample, as of a design whose steps are constant
            assert seen.cycles[0] == predict_cycles(make_plan(network, 2), inputs[:1]).result[0]
    assert name == "recurrent" or len(set(seen.steps.tolist())) > 2
