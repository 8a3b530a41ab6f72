"""Broken cores are found: the scoreboard and the comparison of results name exactly the first difference."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from cosim.small import CODED, DIRECT, NEURONS, Case
from handmade import dense_network, with_margins
from strategies import random_inputs

from mintaka.artifact import LeakTerm, Network, run
from mintaka.artifact.compare import compare, shown
from mintaka_cosim.bench import NO_STALLS, Difference, cosim_design
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_cosim.bench.job import Job
from mintaka_cosim.bench.scoreboard import MismatchError, Scoreboard
from mintaka_hw.plan import Lanes, make_plan
from mintaka_hw.rtl import layer, lif
from mintaka_hw.verilog import generate

pytestmark = pytest.mark.breaks_rtl
SAMPLES = 6


def first_difference(case: Case, samples: int) -> Difference:
    """Of the core as it is patched, in Amaranth's simulator, and the reference."""
    plan, x = make_plan(case.network, case.lanes), case.inputs(samples)
    found = compare(simulate_amaranth(plan, x).result, run(case.network, x, trace=True), plan.head.name, traces=True)
    assert found.first is not None
    return found.first


@pytest.fixture
def flipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons that fire below their threshold."""
    monkeypatch.setattr(lif, "greater", lambda a, b: a < b)


@pytest.mark.usefixtures("flipped")
def test_a_flipped_compare_is_caught_at_its_first_neuron(tmp_path: Path) -> None:
    plan = make_plan(DIRECT.network, DIRECT.lanes)
    x = DIRECT.inputs(SAMPLES)
    result = cosim_design(plan, generate(plan, tmp_path, taps=True), x, seed=7)
    assert not result.bit_exact
    assert not result.verified
    assert result.differences == 1
    expected = run(DIRECT.network, x, trace=True).trace["hidden1"]
    assert expected.s is not None
    assert expected.u is not None
    T = DIRECT.network.node("hidden1").neuron.threshold.values  # type: ignore[union-attr]
    K = expected.k[0, 0]
    neuron = int(np.flatnonzero(K != T)[0])  # K > T and K < T differ wherever K is not T
    first = result.first_difference
    assert first is not None
    assert (first.sample, first.step, first.layer, first.neuron) == (0, 0, "hidden1", neuron)
    assert first.expected == {"K": K[neuron], "s": expected.s[0, 0, neuron], "U": expected.u[0, 0, neuron]}
    fires = int(K[neuron] < T[neuron])
    kept = 0 if fires else int(K[neuron])
    assert first.actual == {"K": K[neuron], "s": fires, "U": int(np.clip(kept >> 1, -7, 7))}
    assert result.sentence == f"not bit-exact: {first} (seed 7)"
    assert f"sample 0, step 0, layer 'hidden1', neuron {neuron}: expected K = {K[neuron]}, " in result.sentence


def test_a_wrong_codebook_is_caught_at_its_first_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries of the table exchanged: the first K that uses one of them differs."""
    right = layer.lookup
    monkeypatch.setattr(layer, "lookup", lambda values, index: right(values[[0, 2, 1, 3]], index))
    x = CODED.inputs(SAMPLES)
    first = first_difference(CODED, SAMPLES)
    trace = run(CODED.network, x, trace=True).trace["hidden1"]
    W = CODED.network.node("hidden1").inputs[0].weight.values.astype(int)  # type: ignore[union-attr]
    wrong = np.where(W == -9, 30, np.where(W == 30, -9, W))
    assert (first.sample, first.step, first.layer) == (0, 0, "hidden1")
    K = trace.k[0, 0] + (wrong - W) @ x[0, 0]
    assert first.neuron == np.flatnonzero(trace.k[0, 0] != K)[0]
    assert first.actual["K"] == K[first.neuron]


def test_a_wrong_leak_is_caught_where_it_first_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    right = lif.leaked
    monkeypatch.setattr(
        lif, "leaked", lambda value, leak: right(value, tuple(LeakTerm(t.sign, t.shift + 1) for t in leak))
    )
    x = DIRECT.inputs(SAMPLES)
    first = first_difference(DIRECT, SAMPLES)
    expected = run(DIRECT.network, x, trace=True).trace["hidden1"]
    assert expected.s is not None
    assert expected.u is not None
    kept = np.where(expected.s == 1, 0, expected.k)
    wrong = np.clip(kept >> 2, -7, 7)
    step, neuron = (int(i) for i in np.argwhere(wrong[0] != expected.u[0])[0])
    assert step == 0  # later steps start from other membranes
    assert (first.sample, first.step, first.layer, first.neuron) == (0, 0, "hidden1", neuron)
    assert first.expected["U"] == expected.u[0, 0, neuron]
    assert first.actual == {"K": expected.k[0, 0, neuron], "s": expected.s[0, 0, neuron], "U": wrong[0, 0, neuron]}


def test_a_wrong_leak_of_the_synaptic_current_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = layer.leaked
    monkeypatch.setattr(layer, "leaked", lambda value, leak: right(value, leak[:1]))  # without its second term
    x = NEURONS.inputs(1)
    first = first_difference(NEURONS, 1)
    assert first.layer == "conv2"
    assert first.step is not None
    assert first.step > 0  # there is nothing to leak before
    assert first.expected["Js"] != first.actual["Js"]
    expected = run(NEURONS.network, x, trace=True).trace["conv2"]
    assert expected.j is not None
    assert first.neuron is not None
    assert first.expected["Js"] == expected.j[first.sample, first.step].ravel()[first.neuron]


@pytest.mark.usefixtures("flipped")
def test_the_fast_bench_catches_a_flipped_compare(tmp_path: Path) -> None:
    plan = make_plan(DIRECT.network, DIRECT.lanes)
    result = cosim_design(plan, generate(plan, tmp_path), DIRECT.inputs(SAMPLES))
    assert not result.bit_exact
    assert result.differences > 1
    assert result.counts.samples < SAMPLES
    assert result.first_difference is not None
    assert "logit" in result.first_difference.expected
    assert result.to_json()["first_difference"]["sentence"] == str(result.first_difference)


# ---- the scoreboard alone, fed by hand


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_of(DIRECT.network, DIRECT.lanes, DIRECT.inputs(2), tmp_path)


def job_of(network: Network, lanes: Lanes, x: np.ndarray, tmp_path: Path) -> Job:
    plan = make_plan(network, lanes)
    design = generate(plan, tmp_path, taps=True)
    expected = run(network, x, trace=True)
    empty = np.zeros((2, 1, 1), np.uint32)
    return Job(
        tmp_path, design.info, 0, NO_STALLS, 10, empty, expected.trace, expected.logits, expected.steps, expected.sops
    )  # the chunk begins at sample 10


def group(job: Job, sample: int, step: int, number: int, name: str = "hidden1") -> dict[str, list[int]]:
    """The right values of a dense layer's group; padding lanes hold something else."""
    layer = job.layer(name)
    part = slice(number * layer.lanes, (number + 1) * layer.lanes)
    values = {field: rows[sample, step, part].tolist() for field, rows in shown(job.traces[name]).items()}
    return {name: row + [99] * (layer.lanes - len(row)) for name, row in values.items()}


def test_right_values_are_counted_and_padding_is_ignored(job: Job) -> None:
    board = Scoreboard(job, 2)
    layer = job.layer("hidden1")
    for sample in range(2):
        for step in range(3):
            for number in range(layer.groups):
                board.tap("hidden1", group(job, sample, step, number))
    assert board.counts.spikes == board.counts.membranes == board.counts.sums == 2 * 3 * 13
    with pytest.raises(MismatchError, match="sample 12"):
        board.tap("hidden1", group(job, 0, 0, 0))


@pytest.mark.parametrize("field", ["k", "s", "u"])
def test_one_wrong_value_is_named(job: Job, field: str) -> None:
    board = Scoreboard(job, 2)
    board.tap("hidden1", group(job, 0, 0, 0))
    wrong = group(job, 0, 0, 1)
    wrong[field][2] ^= 1
    with pytest.raises(MismatchError) as caught:
        board.tap("hidden1", wrong)
    symbol = {"k": "K", "s": "s", "u": "U"}[field]
    found = caught.value.difference
    assert (found.sample, found.step, found.layer, found.neuron) == (10, 0, "hidden1", 4 + 2)
    assert {name for name in found.expected if found.expected[name] != found.actual[name]} == {symbol}


def test_a_tap_that_is_missing_is_noticed(job: Job) -> None:
    values = group(job, 0, 0, 0)
    for field in ("s", "u"):
        with pytest.raises(MismatchError, match="sample 10, step 0, layer 'hidden1', neuron 0: expected K = "):
            Scoreboard(job, 2).tap("hidden1", {name: row for name, row in values.items() if name != field})
    with pytest.raises(MismatchError, match=r"the hardware has K = .*, Js = 0$"):
        Scoreboard(job, 2).tap("hidden1", {**values, "j": [0] * len(values["k"])})


def test_wrong_counters_logits_classes_and_ends_are_named(job: Job) -> None:
    right = int(job.sops["hidden1"][0])
    with pytest.raises(
        MismatchError, match=f"sample 10, layer 'hidden1': expected SOPs = {right}; .* SOPs = {right + 1}"
    ):
        Scoreboard(job, 2).counted("hidden1", right + 1)
    logits = job.logits[0].tolist()
    with pytest.raises(MismatchError, match="layer 'head', neuron 0: expected logit"):
        Scoreboard(job, 2).logit(logits[0] + 1, None)
    with pytest.raises(MismatchError, match="neuron 0: expected last = 0; the hardware has last = 1"):
        Scoreboard(job, 2).logit(logits[0], 0)
    best = int(np.argmax(logits))
    for klass, match in ((None, "expected last = 1"), (best + 1, f"expected class = {best}"), (best, None)):
        board = Scoreboard(job, 2)
        for value in logits[:-1]:
            board.logit(value, None)
        with pytest.raises(MismatchError, match=match) if match else nullcontext():
            board.logit(logits[-1], klass)
    assert (board.counts.samples, board.counts.logits) == (1, 6)
    assert not board.complete


def results(board: Scoreboard, job: Job, sample: int) -> None:
    """A sample's right counters and logits."""
    for name, sops in job.sops.items():
        board.counted(name, int(sops[sample]))
    *others, last = job.logits[sample].tolist()
    for value in others:
        board.logit(value, None)
    board.logit(last, int(np.argmax(job.logits[sample])))


def test_it_is_complete_with_the_last_of_everything(job: Job) -> None:
    board = Scoreboard(job, 1)
    steps = job.layout.time_steps
    places = [(n.name, step, g) for n in job.layout.tapped for step in range(steps) for g in range(n.groups)]
    results(board, job, 0)
    for name, step, number in places:
        assert not board.complete
        board.tap(name, group(job, 0, step, number, name))
    assert board.complete
    counting = Scoreboard(job, 1)
    for name, step, number in places:
        counting.tap(name, group(job, 0, step, number, name))
    assert not counting.complete


def test_samples_that_stop_early(tmp_path: Path) -> None:
    """Their number of steps is compared, and so is how far every layer has come where the design starts anew."""
    network = dense_network([6, 4, 3], time_steps=3)
    x = random_inputs(network, 12, seed=1)
    network = with_margins(network, x)
    job = job_of(network, 2, x, tmp_path)
    taken = int(job.steps[0])
    board = Scoreboard(job, 1)
    results(board, job, 0)
    for steps in (taken - 1, taken + 1):
        with pytest.raises(MismatchError, match=f"expected steps = {taken}; the hardware has steps = {steps}$"):
            board.stopped(steps)
    board.stopped(taken)
    places = [(n.name, step, g) for n in job.layout.tapped for step in range(taken) for g in range(n.groups)]
    for name, step, number in places:
        with pytest.raises(MismatchError, match=f"expected steps = {taken}; the hardware has steps = "):
            board.restarted()
        board.tap(name, group(job, 0, step, number, name))
    assert not board.complete
    board.restarted()
    assert board.complete


def test_a_difference_reads_as_a_sentence() -> None:
    text = str(Difference(3, "hidden", {"K": 5, "s": 1, "U": 0}, {"K": 5, "s": 0, "U": 2}, step=1, neuron=7))
    assert text == (
        "sample 3, step 1, layer 'hidden', neuron 7: expected K = 5, s = 1, U = 0; the hardware has K = 5, s = 0, U = 2"
    )
