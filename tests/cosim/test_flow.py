"""The flow: what each function gives, and that unknown figures are None."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import samples
from cosim.small import DIRECT

from mintaka.artifact import LeakTerm, content_hash, load, run
from mintaka.data import DataError, Dataset
from mintaka.train import parse_recipe
from mintaka.train.export import export as export_run
from mintaka_cosim import flow
from mintaka_cosim.bench import Counts
from mintaka_cosim.flow.hardware import Synthesis
from mintaka_cosim.flow.kept import keep, kept, kept_for
from mintaka_cosim.flow.verification import AS_SHIPPED, Check
from mintaka_hw.plan import PlanError

RECIPE = {
    "name": "tiny",
    "dataset": "made.npz",
    "network": {"time_steps": 2},
    "train": {"float_epochs": 1, "epochs": 1, "batch": 16},
    "layers": [{"name": "hidden", "op": "dense", "units": 6}, {"name": "out", "op": "dense", "units": 3}],
}


def made() -> Dataset:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = (rng.integers(0, 8, (60, 5)) + 8 * (np.arange(5) % 3 == y[:, None])).astype(np.uint8)
    return Dataset("made", x[:48], y[:48], x[48:], y[48:], 4)


def test_a_network_is_trained_in_memory_as_in_a_folder(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE)
    fitted = flow.fit(recipe, dataset=made())
    kept_in = flow.fit(recipe, tmp_path / "run", dataset=made())
    network = flow.export(fitted)
    assert content_hash(network) == content_hash(flow.export(kept_in))
    assert content_hash(load(tmp_path / "run" / "network.safetensors")) == content_hash(network)
    assert (fitted.folder, kept_in.folder) == (None, tmp_path / "run")
    assert not list(tmp_path.glob("made*"))
    found = flow.evaluate(network, fitted.dataset.test_x, fitted.dataset.test_y)
    assert found.accuracy == network.provenance["integer_accuracy"] == fitted.result.integer_accuracy
    assert found.classes == fitted.result.classes
    np.savez(tmp_path / "made.npz", x=made().train_x, y=made().train_y, x_test=made().test_x, y_test=made().test_y)
    assert content_hash(export_run(tmp_path / "run", data=tmp_path / "made.npz")) == content_hash(network)


def test_an_evaluation_is_what_the_reference_does() -> None:
    x = DIRECT.inputs(20)
    expected = run(DIRECT.network, x)
    y = expected.classes.copy()
    y[::4] = (y[::4] + 1) % DIRECT.network.classes
    found = flow.evaluate(DIRECT.network, x, y, batch=7, class_names=[f"c{n}" for n in range(6)])
    assert (found.samples, found.accuracy, found.mean_steps, found.clipped) == (20, 0.75, 3.0, None)
    assert (found.answers == expected.classes).all()
    assert found.spikes == {name: counts.sum() for name, counts in expected.spikes.items()}
    assert found.sops_per_sample == expected.total_sops.mean()
    assert sum(each.right for each in found.classes) == 15
    assert [each.name for each in found.classes] == [f"c{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("samples", "y", "names", "said"),
    [
        (20, np.full(20, 6), None, "the labels do not fit to the network: y holds the class 6, but the network has"),
        (20, np.full(20, -1), None, "y holds the class -1"),
        (20, np.zeros(19, int), None, "y must be a class for each of 20 samples, got the shape (19,)"),
        (20, np.zeros((20, 1), int), None, "y must be a class for each of 20 samples, got the shape (20, 1)"),
        (0, np.zeros(0, int), None, "x holds no sample, but has the shape (0, "),
        (20, np.zeros(20, int), ["a"], "the network has 6 classes, but class_names holds 1"),
    ],
)
def test_labels_that_do_not_fit(samples: int, y: np.ndarray, names: list[str] | None, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        flow.evaluate(DIRECT.network, DIRECT.inputs(20)[:samples], y, class_names=names)


def test_other_things_than_the_flow_returns() -> None:
    with pytest.raises(flow.FlowError, match="verify needs a check at least"):
        flow.verify(flow.plan(DIRECT.network), DIRECT.inputs(1), ())
    assert not flow.Verification(()).verified
    with pytest.raises(flow.FlowError, match="export takes what fit returns, got 3"):
        flow.export(3)  # type: ignore[arg-type]
    with pytest.raises(flow.FlowError, match="the network must be a Network"):
        flow.design_point("x")  # type: ignore[arg-type]
    wrong: list[Any] = [True, {"hidden1": True}]
    for lanes in wrong:
        with pytest.raises(PlanError, match=r"lanes must be an integer, 1 to .* got True"):
            flow.plan(DIRECT.network, lanes)


@pytest.mark.parametrize(("threshold", "clipped"), [(100, 3 / 4), (11, 1 / 4)])
def test_clipped_membranes_are_counted(threshold: int, clipped: float) -> None:
    """K is 5, 10, 12, 12, and membranes hold at most 7; above 11 the third is a spike, then K is 5."""
    neuron = samples.lif([threshold], membrane_bits=4, leak=(LeakTerm(1, 0),))
    network = samples.one_neuron(neuron, [[5]], steps=4)
    found = flow.evaluate(network, np.ones((1, 4, 1), np.uint8), np.zeros(1, np.int64), membranes=True)
    assert found.clipped == clipped


def test_a_point_gathers_what_is_known() -> None:
    network, inputs = DIRECT.network, DIRECT.inputs(12)
    bare = flow.design_point(network)
    known = {"name", "artifact", "time_steps", "weight_bits", "membrane_state_bits", "weights", "synapses"}
    empty = {f.name: getattr(bare, f.name) for f in fields(bare) if f.name not in known}
    assert all(value is None or not value for value in empty.values())
    assert 0 not in [value for value in empty.values() if not isinstance(value, tuple | dict)]
    plan = flow.plan(network)
    streams = Check("in streams", taps=True, fast=True, stream=5, predict=7)
    found = flow.verify(plan, inputs, (streams,), processes=2)
    ((_, result),) = found.results
    expected = run(network, inputs, trace=True)
    assert found.verified  # the cycles of 7 samples, and every value of 12
    assert result.chunks == (0, 5, 10)
    assert result.predicted is not None
    assert (len(result.predicted), result.counts.samples) == (7, 12)
    assert result.counts.membranes == sum(t.u.size for t in expected.trace.values() if t.u is not None) > 0
    assert {name: counts.tolist() for name, counts in result.spikes.items()} == {
        name: counts.tolist() for name, counts in expected.spikes.items()
    }
    prediction = flow.predict(plan, inputs)
    cells = Synthesis("ecp5", {"LUT": 7.0})
    evaluation = flow.evaluate(network, inputs, expected.classes)
    point = flow.design_point(
        network, evaluation=evaluation, plan=plan, prediction=prediction, verification=found, synthesis=cells
    )
    assert (point.accuracy, point.verified, point.family, point.resources) == (1.0, True, "ecp5", {"LUT": 7.0})
    assert point.hardware_sops == pytest.approx(point.sops)
    assert point.memory_bits == plan.memory_bits
    assert point.fmax_mhz is None


def test_a_wrong_cycle_is_a_problem() -> None:
    plan = flow.plan(DIRECT.network)
    found = flow.verify(plan, DIRECT.inputs(3), (Check("", taps=True, fast=True),), processes=1)
    ((_, result),) = found.results
    assert found.problem is None
    assert result.predicted is not None
    result.predicted[1] += 1
    assert (found.verified, result.cycles_differ, result.bit_exact) == (False, 1, True)
    assert found.problem == "the cycles differ from the cycle model"
    result.counts = Counts()
    assert found.problem is not None
    assert found.problem.startswith("not bit-exact")


def test_predictions_need_vectors() -> None:
    assert flow.predict(flow.plan(DIRECT.network)) is None
    assert AS_SHIPPED in flow.CANONICAL


def test_kept_figures_belong_to_their_key(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert kept(path) is None
    keep(path, "k", {"a": 1}, date="today")
    assert kept(path) == {"key": "k", "date": "today", "values": {"a": 1}}
    assert kept_for(path, "k") == {"a": 1}
    assert kept_for(path, "other") is kept_for(path, "k", name="figures") is None
    for text in ("{", '{"key": 1, "values": {}}', '{"key": "k", "values": []}', "[]"):
        path.write_text(text)
        assert kept_for(path, "k") is None
