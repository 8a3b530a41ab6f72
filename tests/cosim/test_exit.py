"""Early exit through the Verilog: samples that stop, the next one at once, exact in every number and cycle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract import samples
from cosim.small import through_verilog
from handmade import conv_network, graph_network, neuron_network, with_margins
from hw.test_accelerator import assert_equal
from strategies import random_inputs

from mintaka.artifact import Network, run
from mintaka_cosim.bench import NO_STALLS, cosim
from mintaka_cosim.bench.job import RANDOM_STALLS, Job
from mintaka_cosim.bench.scoreboard import MismatchError, Scoreboard
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate

N = 24


def early(name: str) -> tuple[Network, np.ndarray]:
    """Networks of all kinds of input and heads, with inputs of which some stop at each step where they may."""
    made = {
        "dense": samples.early(),
        "recurrent": graph_network(time_steps=4),
        "direct": conv_network((1, 4, 6), kind="direct", bits=3, stride=2, threshold=9),
        "pixels": neuron_network(read="membrane", seed=1),
    }[name]
    inputs = random_inputs(made, N, seed=3)
    network = replace(made, vectors=None) if name == "dense" else with_margins(made, inputs, never=1)
    steps = run(network, inputs).steps
    assert set(steps.tolist()) == set(range(1, network.time_steps + 1)) - {2}
    return network, inputs


def test_every_number_and_cycle_with_cocotb(tmp_path: Path) -> None:
    network, inputs = early("dense")
    inputs = inputs[:8]
    result = cosim(network, 2, inputs, taps=True, processes=1, work_dir=tmp_path)
    expected = run(network, inputs, trace=True)
    assert result.verified, result.sentence
    assert result.cycles_as_predicted
    assert result.recording is not None
    assert result.recording.steps.tolist() == expected.steps.tolist()
    assert result.resets > 1
    spiking = [n for n in network.nodes if n.neuron is not None]
    assert result.counts.spikes == sum(n.size_out for n in spiking) * expected.steps.sum()  # of the steps taken only


@pytest.mark.parametrize("name", ["recurrent", "direct", pytest.param("pixels", marks=pytest.mark.long)])
def test_every_number_and_cycle(name: str) -> None:
    network, inputs = early(name)
    plan = make_plan(network, 2)
    free, stalled = through_verilog(plan, inputs, (NO_STALLS, 0), (RANDOM_STALLS, 5))
    assert free.steps.tolist() == stalled.steps.tolist() == run(network, inputs).steps.tolist()
    assert_equal(plan, inputs, free, stalled=False)
    assert_equal(plan, inputs, stalled, stalled=True)


def test_the_fast_bench_with_stalls(tmp_path: Path) -> None:
    network, inputs = early("dense")
    result = cosim(network, 2, inputs, processes=1, stalls=RANDOM_STALLS, seed=5, work_dir=tmp_path)
    assert result.bit_exact, result.sentence


def test_it_saves_cycles() -> None:
    """The next sample begins in the cycle after the decision, so few steps take few cycles."""
    network, inputs = early("direct")
    never = replace(network, output=replace(network.output, margins=(None, None, 2**41)))
    always = replace(network, output=replace(network.output, margins=(0, None, None)))
    full, some, least = (predict_cycles(make_plan(each, 2), inputs).result[-1] for each in (never, network, always))
    assert least < some < full
    # What is lost beside the steps: samples do not overlap, and layers are ahead when one ends.
    steps = run(network, inputs).steps.mean() / network.time_steps
    assert full * steps < some < full * (steps + 0.25)


def test_a_network_without_margins_has_nothing_of_it(tmp_path: Path) -> None:
    network, _ = early("dense")
    plain = make_plan(replace(network, output=replace(network.output, margins=())), 2)
    design = generate(plain, tmp_path)
    assert "restart" not in design.verilog.read_text()
    assert design.info["output"]["margins"] == []
    assert {memory.name for _, memory in plain.memories} & {"marks", "kept"} == set()


def test_a_wrong_margin_is_caught(tmp_path: Path) -> None:
    """Hardware for one margin against the reference of another: the difference is named."""
    network, inputs = early("dense")
    other = replace(network, output=replace(network.output, margins=(0, None, None)))
    design = generate(make_plan(other, 2), tmp_path, taps=True)
    expected = run(network, inputs, trace=True)
    beats = np.zeros((N, 1, 1), np.uint32)
    job = Job(
        tmp_path,
        design.info,
        0,
        RANDOM_STALLS,
        0,
        beats,
        expected.trace,
        expected.logits,
        expected.steps,
        expected.sops,
    )
    board = Scoreboard(job, N)
    with pytest.raises(MismatchError, match=f"sample 0, .*: expected steps = {expected.steps[0]}; the hardware has"):
        board.restarted()
    for value in expected.logits[0][:-1]:
        board.logit(int(value), None)
    board.logit(int(expected.logits[0][-1]), int(expected.classes[0]))
    with pytest.raises(MismatchError, match=f"expected steps = {expected.steps[0]}; the hardware has steps = 9"):
        board.stopped(9)
