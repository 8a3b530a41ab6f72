"""Early exit: margins from held-out data, what they lose and save, and the way from a recipe to the artifact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import samples
from hypothesis import given
from hypothesis import strategies as st

from mintaka.artifact import encode, load, run
from mintaka.artifact.reference import lead
from mintaka.compress import CompressError, calibrate, exit_curve, with_margins
from mintaka.compress.exits import logits_by_step
from mintaka.data import load_dataset
from mintaka.snn.fast import run_fast, steps_taken
from mintaka.train import RecipeError, export, parse_recipe, train
from mintaka_cosim.report import build_report

EARLY = samples.early()
PLAIN = with_margins(EARLY, ())


def drawn(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and as labels mostly what the network says in the end."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (count, 4, 4)).astype(np.uint8)
    classes = run(PLAIN, x).classes
    return x, np.where(rng.random(count) < 0.9, classes, rng.integers(0, 3, count))


@given(seed=st.integers(0, 2**32 - 1), loss=st.sampled_from((0.0, 0.01, 0.05, 0.2)))
def test_no_more_is_lost_than_allowed_on_what_calibrated(seed: int, loss: float) -> None:
    x, y = drawn(seed)
    margins = calibrate(PLAIN, x, y, loss)
    early = run(with_margins(PLAIN, margins), x)
    lost = (run(PLAIN, x).classes == y).sum() - (early.classes == y).sum()
    assert lost <= int(loss * len(y))
    assert early.steps.tolist() == steps_taken(logits_by_step(PLAIN, x), margins).tolist()


def test_the_margins_are_the_smallest() -> None:
    """With a loss that lets half go, one less at a step loses more than that step's part of it."""
    x, y = drawn(3)
    first, *_ = calibrate(PLAIN, x, y, 0.06)
    assert first is not None
    logits = logits_by_step(PLAIN, x)
    right = logits.argmax(2) == y

    def lost(margin: int) -> int:
        exits = lead(logits[0]) >= margin
        return int((right[-1][exits].astype(int) - right[0][exits]).sum())

    part = int(0.06 * len(y)) // 3
    assert all(lost(larger) <= part for larger in range(first, 30))
    assert lost(first - 1) > part


def test_more_loss_means_fewer_steps() -> None:
    points = exit_curve(PLAIN, drawn(1), drawn(2), (0.0, 0.02, 0.1, 0.5))
    steps = [point.mean_steps for point in points]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]
    x, y = drawn(2)
    for point in points:
        done = run(with_margins(PLAIN, point.margins), x)
        assert point.mean_steps == done.steps.mean()
        assert point.accuracy == (done.classes == y).mean()


def test_where_nothing_may_stop_there_are_no_margins() -> None:
    x = drawn(1)[0]
    first = logits_by_step(PLAIN, x)[0].argmax(1)
    last = run(PLAIN, x).classes
    hard = x[first != last]
    assert len(hard) > 20
    assert calibrate(PLAIN, hard, last[first != last], 0.0)[:1] in ((), (None,))


def test_nothing_to_stop_and_nothing_to_calibrate_with() -> None:
    x, y = drawn(1)
    with pytest.raises(CompressError, match=r"^there are no samples to calibrate early exit with: hold out more"):
        calibrate(PLAIN, x[:0], y[:0], 0.0)
    with pytest.raises(CompressError, match=r"^a network of 1 time step has no step to leave out by early exit$"):
        calibrate(replace(PLAIN, time_steps=1), x[:, :1], y, 0.0)


@pytest.mark.parametrize("loss", [-1.0, 1.0, 2.0, float("nan"), "x", None])
def test_a_loss_is_a_share(loss: Any) -> None:
    sentence = rf"^the share of samples that early exit may lose must be 0 up to below 1, got {loss!r}$"
    with pytest.raises(CompressError, match=sentence):
        calibrate(PLAIN, *drawn(1), loss)
    with pytest.raises(CompressError, match=sentence):
        exit_curve(PLAIN, drawn(1), drawn(2), (0.1, loss))


def test_every_sample_has_a_label() -> None:
    x, y = drawn(1)
    sentence = r"^each sample needs one label, but there are 200 inputs and 199 labels$"
    with pytest.raises(CompressError, match=sentence):
        calibrate(PLAIN, x, y[1:], 0.1)
    with pytest.raises(CompressError, match=sentence):
        exit_curve(PLAIN, (x, y), (x, y[1:]))
    with pytest.raises(CompressError, match=r"^there are no samples to test early exit with$"):
        exit_curve(PLAIN, (x, y), (x[:0], y[:0]))
    sentence = rf"y holds the class {PLAIN.classes}, but the network has the classes 0 to {PLAIN.classes - 1}$"
    with pytest.raises(CompressError, match=sentence):
        exit_curve(PLAIN, (x, y), (x, np.append(y[1:], PLAIN.classes)))


def recipe(*, steps: int = 4, methods: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "name": "exit",
        "dataset": "digits",
        "network": {"time_steps": steps},
        "train": {"float_epochs": 0, "epochs": 2},
        "compress": [{"method": "exit", "loss": 0.02}] if methods is None else methods,
        "layers": [
            {"name": "hidden", "op": "dense", "units": 16},
            {"name": "output", "op": "dense", "units": 10},
        ],
    }


def test_from_a_recipe_to_the_artifact(tmp_path: Path) -> None:
    train(parse_recipe(recipe()), tmp_path)
    network = export(tmp_path)
    assert load(tmp_path / "network.safetensors").output.margins == network.output.margins != ()
    data = load_dataset("digits")
    result = run_fast(network, encode(network, data.test_x))
    about = network.provenance["exit"]
    assert about["mean_steps"] == result.steps.mean() < 4
    assert about["calibration_samples"] == round(0.1 * len(data.train_x))
    assert network.provenance["integer_accuracy"] == (result.classes == data.test_y).mean()
    every = run_fast(with_margins(network, ()), encode(network, data.test_x))
    assert about["accuracy_of_all_steps"] == (every.classes == data.test_y).mean()
    assert network.provenance["dataset"]["train_samples"] == len(data.train_x) - about["calibration_samples"]
    (point,) = [point for point in about["curve"] if point["loss"] == about["loss"]]
    assert point == {
        "loss": 0.02,
        "mean_steps": about["mean_steps"],
        "accuracy": network.provenance["integer_accuracy"],
    }
    assert len(about["curve"]) == 7
    figures = {figure.key: figure.text for figure in build_report(tmp_path).figures}
    assert figures["exit_0.02"] == f"{point['accuracy']:.2%} at {point['mean_steps']:.2f} steps"


def test_what_calibrates_is_not_trained_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[bytes] = set()
    from mintaka.train import evaluate, loop

    batch = evaluate.batch_of
    for module in (evaluate, loop):
        spy = lambda x, *rest: seen.update(image.tobytes() for image in x) or batch(x, *rest)  # noqa: E731
        monkeypatch.setattr(module, "batch_of", spy)
    parsed, data = parse_recipe(recipe()), load_dataset("digits")
    train(parsed, tmp_path)
    from mintaka.train.holdout import parts_of

    parts = parts_of(parsed, data)
    assert parts.calibration is not None
    x, y = parts.calibration
    assert len(parts.train.train_x) + len(x) == len(data.train_x)
    assert len(x) == len(y) == round(0.1 * len(data.train_x))
    images = {image.tobytes() for image in x} - {image.tobytes() for image in data.test_x}
    assert len(images) > 100
    assert not images & seen


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (
            recipe(methods=[{"method": "exit"}, {"method": "activity", "epochs": 1, "strength": 0.1, "at": "qat"}]),
            "compress[0] (exit): early exit is calibrated at the end: write it last, and once",
        ),
        (
            recipe(methods=[{"method": "exit", "loss": 1.0}]),
            "'compress[0].loss' must be less than 1, got 1.0",
        ),
        (
            recipe(methods=[{"method": "exit", "epochs": 3}]),
            "'compress[0].epochs' must be at most 0, got 3",
        ),
    ],
)
def test_bad_recipes(form: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(form)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("form", "place"),
    [
        (recipe(steps=1), 0),
        (recipe(methods=[{"method": "steps", "epochs": 1, "time_steps": 1, "at": "qat"}, {"method": "exit"}]), 1),
    ],
)
def test_one_step_is_refused_before_training(form: dict[str, Any], place: int, tmp_path: Path) -> None:
    sentence = rf"^compress\[{place}\] \(exit\): a network of 1 time step has no step to leave out by early exit$"
    with pytest.raises(RecipeError, match=sentence):
        train(parse_recipe(form), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_set_that_is_empty(tmp_path: Path) -> None:
    form = parse_recipe(recipe(methods=[{"method": "exit", "holdout": 0.0001}]))
    with pytest.raises(RecipeError, match=r"^'compress.holdout' \(0.0001\) keeps 0 of 1347 training samples back"):
        train(form, tmp_path)
    assert list(tmp_path.iterdir()) == []
