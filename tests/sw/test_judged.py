"""What trainings are judged by: a validation split, so that the test split is read once, and recall by class."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sw.killed import train_until

from mintaka.artifact import content_hash, encode, load, run
from mintaka.data import DataError, load_dataset
from mintaka.train import Recipe, Step, evaluate, export, loop, parse_recipe, train
from mintaka.train.data import load_data
from mintaka.train.holdout import parts_of

MARK = 15  # in the first input of test samples, and nowhere else


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, one of them rare, and inputs that say nothing of them; five persons in the training split."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, MARK, (260, 6)).astype(np.uint8)
    y = (np.arange(260) % 20 == 0).astype(np.int64)
    x[200:, 0] = MARK
    path = tmp_path_factory.mktemp("data") / "own.npz"
    np.savez(path, x=x[:200], y=y[:200], x_test=x[200:], y_test=y[200:], group=np.arange(200) // 40)
    return path


def recipe(data: Path, *compress: dict[str, Any], **changes: Any) -> Recipe:
    """`changes` go to [train]."""
    form: dict[str, Any] = {
        "name": "judged",
        "dataset": str(data),
        "network": {"time_steps": 2},
        "train": {"float_epochs": 2, "epochs": 3, "batch": 32, **changes},
        "layers": [{"name": "hidden", "op": "dense", "units": 8}, {"name": "out", "op": "dense", "units": 2}],
    }
    return parse_recipe(form | ({"compress": list(compress)} if compress else {}))


@pytest.fixture(scope="module")
def validated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validated") / "run"
    train(recipe(data, validation=0.2), folder, keep=True)
    export(folder)
    return folder


def test_the_test_split_is_read_at_the_end_alone(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, read, epochs = recipe(data, validation=0.2), [], []
    batch = evaluate.batch_of

    def spy(x: np.ndarray, *rest: Any) -> Any:
        if (x[:, 0] == MARK).any():
            read.append((len(epochs), len(x)))
        return batch(x, *rest)

    def progress(step: Step) -> None:
        assert step.test_accuracy is None
        if step.validation_accuracy is not None:
            epochs.append(step.validation_accuracy)

    for module in (evaluate, loop):
        monkeypatch.setattr(module, "batch_of", spy)
    train(made, tmp_path, progress=progress)
    assert len(epochs) == 5
    assert read == [(5, 60), (5, 60)]  # by the integer network and by the one in full precision
    read.clear()
    assert train(made, tmp_path).integer_accuracy == load_accuracy(tmp_path)
    assert read == []  # a finished run knows


def load_accuracy(folder: Path) -> float:
    return float(export(folder).provenance["integer_accuracy"])


def test_epochs_are_judged_by_the_validation_split(data: Path, validated: Path) -> None:
    made = recipe(data, validation=0.2)
    parts = parts_of(made, load_data(made))
    assert parts.validation is not None
    assert (len(parts.validation[1]), len(parts.train.train_y)) == (40, 160)  # one person of five
    with (validated / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert "test_accuracy" not in rows[0]
    network = load(validated / "network.safetensors")
    x, y = parts.validation
    assert float(rows[-1]["validation_accuracy"]) == np.mean(run(network, encode(network, x)).classes == y)
    about = network.provenance["dataset"]
    assert (about["train_samples"], about["validation_samples"], about["test_samples"]) == (160, 40, 60)
    assert network.provenance["float_accuracy"] is not None


@pytest.mark.parametrize("at", [("float", 2, 3), ("qat", 1, 2), ("qat", 3, 5)])
def test_a_run_with_validation_is_killed_and_resumed(
    data: Path, validated: Path, tmp_path: Path, at: tuple[str, int, int]
) -> None:
    train_until(recipe(data, validation=0.2), tmp_path, at)
    train(recipe(data, validation=0.2), tmp_path)
    assert content_hash(export(tmp_path)) == content_hash(load(validated / "network.safetensors"))
    again, first = (json.loads((folder / "history.json").read_text()) for folder in (tmp_path, validated))
    assert again["classes"] == first["classes"]


def test_a_run_with_validation_is_started_from(data: Path, validated: Path, tmp_path: Path) -> None:
    made = recipe(data, {"method": "steps", "at": "qat", "time_steps": 1, "epochs": 1}, validation=0.2)
    for name, start in (("whole", None), ("started", validated)):
        train(made, tmp_path / name, start=start)
    assert len({content_hash(export(tmp_path / name)) for name in ("whole", "started")}) == 1


def test_validation_and_calibration_are_apart(data: Path) -> None:
    made = recipe(data, {"method": "exit"}, validation=0.2)
    loaded = load_data(made)
    parts = parts_of(made, loaded)
    assert parts.validation is not None
    assert parts.calibration is not None
    sizes = [len(parts.train.train_y), len(parts.validation[1]), len(parts.calibration[1])]
    assert sizes == [120, 40, 40]  # a group has 40 samples
    rows = np.concatenate([parts.train.train_x, parts.validation[0], parts.calibration[0]])
    assert sorted(map(bytes, rows)) == sorted(map(bytes, loaded.train_x))


def test_a_class_that_is_never_predicted_is_seen(data: Path, tmp_path: Path) -> None:
    """By the share alone this is a good network."""
    plain = train(recipe(data, learning_rate=0.01), tmp_path / "plain")
    assert plain.integer_accuracy == 57 / 60
    assert [each.recall for each in plain.classes] == [1, 0]
    assert [each.predicted for each in plain.classes] == [60, 0]
    form = json.loads((tmp_path / "plain" / "history.json").read_text())
    assert form["classes"][1] == {"name": "1", "samples": 3, "right": 0, "predicted": 0}
    network = export(tmp_path / "plain")
    test = load_dataset(data)
    assert (run(network, encode(network, test.test_x)).classes == 0).all()
    weighted = train(recipe(data, learning_rate=0.01, class_weights="balanced"), tmp_path / "weighted")
    assert weighted.classes[1].predicted > 10
    by_hand = train(recipe(data, learning_rate=0.01, class_weights=[200 / 380, 10]), tmp_path / "by_hand")
    assert by_hand.classes == weighted.classes  # the same numbers


def test_what_cannot_be_learned_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 9, (40, 6))
    for case, arrays in {
        "have the same class": {"x": x, "y": np.zeros(40, int)},
        "are the same, so": {"x": np.ones((40, 6), int), "y": np.arange(40) % 2},
    }.items():
        np.savez(tmp_path / "odd.npz", **arrays)
        with pytest.raises(DataError, match=rf"odd\.npz: all training samples {case}"):
            train(recipe(tmp_path / "odd.npz"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_names_of_classes_travel(tmp_path: Path) -> None:
    """From the data into the artifact, and nothing but the names is another network's."""
    x, index = np.random.default_rng(0).integers(0, 9, (80, 6)), np.arange(80) % 2
    hashes = []
    for labels, y in ((None, index), ("map", np.array(["hot", "cold"])[1 - index])):
        np.savez(tmp_path / "own.npz", x=x, y=y)
        made = recipe(tmp_path / "own.npz").model_copy(update={"labels": labels})
        train(made, tmp_path / "run", resume=False)
        network = export(tmp_path / "run")
        hashes.append([edge.weight.values.tolist() for node in network.nodes for edge in node.inputs if edge.weight])
    assert hashes[0] == hashes[1]
    assert network.provenance["dataset"]["classes"] == ["cold", "hot"]
    assert network.provenance["recipe"]["labels"] == "map"
