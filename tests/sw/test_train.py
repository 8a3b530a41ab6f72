"""Training on real digits: it learns, it resumes with the same bits, and its export says what is true."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from sw.killed import KilledError, train_until

from mintaka.artifact import content_hash, encode, load, run
from mintaka.data import load_dataset
from mintaka.snn.errors import LayerError
from mintaka.train import (
    Recipe,
    RecipeError,
    Step,
    TrainError,
    build,
    export,
    load_recipe,
    parse_recipe,
    progress_bar,
    to_toml,
    train,
)
from mintaka.train.holdout import parts_of

RECIPES = Path(__file__).parents[2] / "recipes"


def small(**changes: Any) -> Recipe:
    """Two float and three quantized epochs of a conv net on digits, about half a second each."""
    form: dict[str, Any] = {
        "name": "small",
        "dataset": "digits",
        "seed": 5,
        "network": {"time_steps": 2},
        "train": {"float_epochs": 2, "epochs": 3, "batch": 128, "shift_pixels": 1, "frozen_share": 0.34},
        "layers": [
            {"name": "conv", "op": "conv2d", "channels": 6, "kernel": 3, "stride": 2, "padding": 1},
            {"name": "pool", "op": "pool2d", "kind": "sum", "kernel": 2},
            {"name": "hidden", "op": "dense", "units": 20, "reset": "subtract"},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }
    return parse_recipe(form | changes)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed, exported."""
    folder = tmp_path_factory.mktemp("straight")
    train(small(), folder)
    export(folder)
    return folder


@pytest.mark.parametrize("at", [("float", 1, 4), ("float", 2, 11), ("qat", 1, 1), ("qat", 2, 5), ("qat", 3, 9)])
def test_interrupted_and_resumed_gives_the_same_bits(at: tuple[str, int, int], straight: Path, tmp_path: Path) -> None:
    train_until(small(), tmp_path, at)
    with pytest.raises(TrainError, match=r"train again to resume it|train first"):
        export(tmp_path)
    train(small(), tmp_path)
    assert content_hash(export(tmp_path)) == content_hash(load(straight / "network.safetensors"))


SCRIPT = """
import sys
from mintaka.train import load_recipe, train
train(load_recipe(sys.argv[1]), sys.argv[2])
"""


def test_killed_for_real(straight: Path, tmp_path: Path) -> None:
    """SIGKILL somewhere behind the first checkpoint, in another process."""
    folder = tmp_path / "run"
    (tmp_path / "r.toml").write_text(to_toml(small()))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "r.toml", folder])
    deadline = time.monotonic() + 60
    while not (folder / "checkpoint.pt").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL)
    assert (folder / "checkpoint.pt").is_file()
    train(small(), folder)
    assert content_hash(export(folder)) == content_hash(load(straight / "network.safetensors"))
    files = ["checkpoint.pt", "history.csv", "history.json", "network.safetensors", "recipe.toml"]
    assert sorted(path.name for path in folder.iterdir()) == files


def test_another_seed_gives_other_bits(straight: Path, tmp_path: Path) -> None:
    train(small(seed=6), tmp_path)
    assert content_hash(export(tmp_path)) != content_hash(load(straight / "network.safetensors"))


def test_a_finished_run_is_not_trained_again(straight: Path) -> None:
    steps: list[Step] = []
    before = (straight / "checkpoint.pt").read_bytes()
    result = train(small(), straight, progress=steps.append)
    assert steps == []
    assert (straight / "checkpoint.pt").read_bytes() == before
    assert len(result.history) == 5


def test_threads_and_global_generators_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train(small(), tmp_path)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.rand(3), expected)


def test_history(straight: Path) -> None:
    form = json.loads((straight / "history.json").read_text())
    with (straight / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["phase"], int(row["epoch"])) for row in rows] == [
        ("float", 1), ("float", 2), ("qat", 1), ("qat", 2), ("qat", 3)
    ]  # fmt: skip
    assert [float(row["loss"]) for row in rows] == [epoch["loss"] for epoch in form["epochs"]]
    assert (form["seed"], form["threads"], form["torch"]) == (5, 1, torch.__version__)
    assert load_recipe(straight / "recipe.toml") == small()


def test_export_says_what_is_true(straight: Path) -> None:
    network = load(straight / "network.safetensors")
    data = load_dataset("digits")
    inputs = encode(network, data.test_x)
    result = run(network, inputs)
    said = network.provenance
    assert said["integer_accuracy"] == np.mean(result.classes == data.test_y)
    history = json.loads((straight / "history.json").read_text())["epochs"]
    assert said["integer_accuracy"] == history[-1]["test_accuracy"]
    assert said["float_accuracy"] == history[1]["test_accuracy"]
    assert (said["seed"], said["dataset"]["name"], said["recipe"]["name"]) == (5, "digits", "small")
    assert network.vectors is not None
    np.testing.assert_array_equal(run(network, network.vectors.inputs).logits, network.vectors.logits)


def test_digits_are_learned(tmp_path: Path) -> None:
    """The demo's recipe: at least 95 % in integers, within a point of the float network."""
    recipe = load_recipe(RECIPES / "digits.toml")
    result = train(recipe, tmp_path)
    assert result.float_accuracy is not None
    assert result.float_accuracy >= 0.95
    assert result.integer_accuracy >= 0.95
    assert abs(result.integer_accuracy - result.float_accuracy) <= 0.01
    assert export(tmp_path).provenance["integer_accuracy"] == result.integer_accuracy


@pytest.mark.parametrize(
    ("kind", "weight_bits"),
    [("spikes", 1), ("spikes", 8), ("counts", 1), ("counts", 8), ("own spikes", 8), ("signed", 8), ("reals", 1)],
)
def test_other_inputs_and_widths_learn(kind: str, weight_bits: int, tmp_path: Path) -> None:
    """Own arrays: bars that move, as counts or spikes per step, or a picture as spikes by a thermometer, as signed
    integers or as real numbers; far above the chance of a quarter. The artifact and its provenance say how."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 4
    x = rng.integers(0, 8, (600, 3, 16))
    for sample, label in enumerate(y):
        x[sample, :, 4 * label : 4 * label + 4] += 7
    if kind in ("spikes", "signed", "reals"):
        x = x[:, 0]
    x = {"own spikes": x > 7, "signed": x - 7, "reals": 0.3 * x + 100}.get(kind, x)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    name = {"own spikes": "spikes", "signed": "direct", "reals": "direct"}.get(kind, kind)
    keys = {"input_bits": 5, "input_offset": "mean"} if kind == "reals" else {}
    form = {
        "name": "own",
        "dataset": str(tmp_path / "own.npz"),
        "network": {"time_steps": 3, "input": name, "weight_bits": weight_bits, "leak": "V-(V>>2)", **keys},
        "train": {"float_epochs": 0, "epochs": 8, "batch": 50, "learning_rate": 0.01},
        "layers": [{"name": "hid", "op": "dense", "units": 24}, {"name": "out", "op": "dense", "units": 4}],
    }
    result = train(parse_recipe(form), tmp_path / "run")
    assert result.float_accuracy is None
    assert result.integer_accuracy > 0.9
    network = export(tmp_path / "run")
    assert (network.input.kind, network.input.signed) == (name, kind in ("signed", "reals"))
    assert network.provenance["integer_accuracy"] == result.integer_accuracy
    assert network.provenance["encoding"] == {"spikes": "thermometer", "reals": "quantized"}.get(kind, "none")
    assert (network.input.encoding is None) == (network.provenance["encoding"] == "none")
    data = load_dataset(tmp_path / "own.npz")
    right = run(network, encode(network, data.test_x)).classes == data.test_y
    assert np.mean(right) == result.integer_accuracy


def test_offsets_come_from_what_is_trained_with(tmp_path: Path) -> None:
    """Neither from the test split nor from the validation."""
    form = {
        "name": "held",
        "dataset": "wdbc",
        "network": {"time_steps": 1, "input_bits": 6, "input_offset": "mean"},
        "train": {"float_epochs": 0, "epochs": 1, "validation": 0.5},
        "layers": [{"name": "out", "op": "dense", "units": 2}],
    }
    train(parse_recipe(form), tmp_path)
    encoding = export(tmp_path).input.encoding
    assert encoding is not None
    assert encoding.quantizer is not None
    used = parts_of(parse_recipe(form), load_dataset("wdbc")).train.train_x
    assert encoding.quantizer.offset == tuple(used.mean(0).tolist())


@pytest.mark.parametrize("read", ["count", "membrane"])
def test_joins_and_currents_learn(read: str, tmp_path: Path) -> None:
    """A residual net in the spike domain with CUBA-LIF neurons, on digits, a few epochs; resumed on the way."""
    convolution = {"op": "conv2d", "channels": 8, "kernel": 3, "padding": 1, "membrane_bits": 6}
    layers = [
        {"name": "a", **convolution, "current_leak": "V>>1"},
        {"name": "b", **convolution, "refractory": 1},
        {"name": "c", **convolution, "from": ["b", {"node": "a", "op": "identity"}]},
        {"name": "sum", "op": "join", "kind": "add", "from": ["a", "c"]},
        {"name": "out", "op": "dense", "units": 10, "read": read, "membrane_bits": 12},
    ]
    form = {"network": {"time_steps": 3}, "train": {"float_epochs": 2, "epochs": 3, "batch": 64}}
    recipe = small(layers=layers, **form)

    def stop(step: Step) -> None:
        if (step.phase, step.epoch) == ("qat", 2):
            raise KilledError

    with pytest.raises(KilledError):
        train(recipe, tmp_path, progress=stop)
    result = train(recipe, tmp_path)
    assert result.float_accuracy is not None
    assert result.float_accuracy > 0.8
    assert result.integer_accuracy > 0.8
    network = export(tmp_path)
    assert network.provenance["integer_accuracy"] == result.integer_accuracy
    assert (network.output.read, network.node("sum").join) == (read, "add")


def test_signals_in_one_dimension_learn(tmp_path: Path) -> None:
    """1-D convolution: pictures of one row, kernels [1, k]. Which of two channels rises first."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    x = np.zeros((400, 2, 1, 20), np.uint8)
    for sample, label in enumerate(y):
        at = rng.integers(0, 14)
        x[sample, label, 0, at] = x[sample, 1 - label, 0, at + 3] = 7
    np.savez(tmp_path / "own.npz", x=x, y=y)
    row = {"op": "conv2d", "channels": 8, "kernel": [1, 5], "padding": [0, 2]}
    layers = [
        {"name": "a", **row},
        {
            "name": "b",
            **row,
            "stride": [1, 2],
            "from": ["a", {"node": "a", "kernel": [1, 3], "stride": [1, 2], "padding": [0, 1]}],
        },
        {"name": "pool", "op": "pool2d", "kind": "max", "kernel": [1, 10]},
        {"name": "out", "op": "dense", "units": 2},
    ]
    form = {"network": {"time_steps": 2}, "train": {"float_epochs": 4, "epochs": 6, "batch": 40, "learning_rate": 0.01}}
    recipe = parse_recipe({"name": "row", "dataset": str(tmp_path / "own.npz"), "layers": layers, **form})
    assert train(recipe, tmp_path / "run").integer_accuracy > 0.9
    network = export(tmp_path / "run")
    assert [node.shape_out for node in network.nodes] == [(8, 1, 20), (8, 1, 10), (8, 1, 1), (2,)]


def test_folders_of_others_are_refused(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="holds a run of another recipe"):
        train(small(seed=7), straight)
    with pytest.raises(TrainError, match="holds no checkpoint: train first"):
        export(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes((straight / "checkpoint.pt").read_bytes()[:1000])
    with pytest.raises(
        TrainError, match=r"checkpoint\.pt is no intact checkpoint: delete it, or train anew \(--fresh\)"
    ):
        train(small(), tmp_path)
    torch.save({"hello": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainError, match="written by another version"):
        train(small(), tmp_path)
    result = train(small(), tmp_path, resume=False)
    assert len(result.history) == 5


def test_changed_data_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "own.npz"
    x, y = rng.integers(0, 9, (40, 6)), np.arange(40) % 2
    np.savez(path, x=x, y=y)
    form = {
        "name": "own",
        "dataset": str(path),
        "network": {"time_steps": 1},
        "train": {"float_epochs": 1, "epochs": 1, "batch": 16},
        "layers": [{"name": "hid", "op": "dense", "units": 4}, {"name": "out", "op": "dense", "units": 2}],
    }
    train(parse_recipe(form), tmp_path / "run")
    np.savez(path, x=x + 1, y=y)
    with pytest.raises(TrainError, match="holds a run on other data of the same name"):
        train(parse_recipe(form), tmp_path / "run")
    with pytest.raises(TrainError, match=r"own.npz is not the data that .*run was trained with"):
        export(tmp_path / "run")


def test_nothing_is_written_before_recipe_and_data_fit(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    layers = [{"name": "conv", "op": "conv2d", "channels": 2, "kernel": 9}, {"name": "out", "op": "dense", "units": 10}]
    with pytest.raises(LayerError, match="layer 'conv': the kernel 9x9"):
        train(small(layers=layers), folder)
    np.savez(tmp_path / "own.npz", x=np.ones((9, 4), int), y=np.arange(9) % 2)
    with pytest.raises(RecipeError, match="moves images"):
        train(small(dataset=str(tmp_path / "own.npz"), layers=layers[1:]), folder)
    assert not folder.exists()


def test_starting_anew_forgets_the_old_run(tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        raise KilledError(step)

    train(small(), tmp_path)
    export(tmp_path)
    with pytest.raises(KilledError):
        train(small(seed=9), tmp_path, resume=False, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        TrainError, match=r"the run folder .*file cannot be written \(file exists\): choose another one \(--run"
    ):
        train(small(), tmp_path / "file")


def test_divergence_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mintaka.snn.network.SNN.scores", lambda _, logits: logits * float("nan"))
    with pytest.raises(TrainError, match=r"the loss is not finite in float epoch 1: lower 'train\.learning_rate'"):
        train(small(), tmp_path)


def test_progress_bar_draws() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out, force_terminal=True, width=100)) as show:
        show(Step("float", 1, 1, 1, 2, 0.5))
        show(Step("float", 1, 1, 2, 2, 0.5, 0.875))
        show(Step("qat", 1, 2, 1, 2, 0.25))
    text = out.getvalue()
    assert "float baseline" in text
    assert "test 87.50%" in text
    assert "loss 0.250" in text


def test_build_is_untrained_and_fits() -> None:
    snn = build(small(), load_dataset("digits"))
    assert snn(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def dense(*compress: dict[str, Any], **train: int) -> Recipe:
    return small(
        network={"time_steps": 4},
        train={"float_epochs": 3, "epochs": 2, "batch": 128, **train},
        compress=list(compress),
        layers=[{"name": "hidden", "op": "dense", "units": 16}, {"name": "out", "op": "dense", "units": 10}],
    )


CUT = {"method": "slim", "remove": 0.8, "sparse_epochs": 1, "epochs": 0}


def test_the_accuracy_is_that_of_the_network_behind_a_change_without_training(tmp_path: Path) -> None:
    result = train(dense({**CUT, "at": "qat"}), tmp_path)
    assert result.integer_accuracy < result.history[-1].test_accuracy - 0.1
    assert export(tmp_path).provenance["integer_accuracy"] == result.integer_accuracy
    assert train(dense({**CUT, "at": "qat"}), tmp_path) == result


@pytest.mark.parametrize("killed", [False, True])
def test_the_float_accuracy_is_that_of_what_was_quantized(killed: bool, tmp_path: Path) -> None:
    if killed:
        train_until(dense(CUT), tmp_path, ("qat", 2, 3))
    result = train(dense(CUT), tmp_path)
    before = [epoch.test_accuracy for epoch in result.history if epoch.phase == "slim"][-1]
    assert result.float_accuracy is not None
    assert 0.1 < result.float_accuracy < before - 0.1
    assert export(tmp_path).provenance["float_accuracy"] == result.float_accuracy


@pytest.mark.parametrize("method", [{"method": "small"}, {"method": "binary"}, {"method": "pca", "variance": 0.9}])
def test_a_network_that_begins_anew_needs_an_epoch(method: dict[str, Any], tmp_path: Path) -> None:
    name = method["method"]
    with pytest.raises(RecipeError, match=rf"^compress\[0\] \({name}\): 'epochs' is 0, but .*: say 1 or more$"):
        train(dense({**method, "at": "qat", "epochs": 0}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_checkpoints_from_before_the_float_accuracy_are_read(straight: Path, tmp_path: Path) -> None:
    form = torch.load(straight / "checkpoint.pt", weights_only=True)
    wanted = form.pop("float_accuracy")
    torch.save(form, tmp_path / "checkpoint.pt")
    assert train(small(), tmp_path).float_accuracy == wanted


def test_a_dead_network_is_no_result(tmp_path: Path) -> None:
    """Numbers below half of their range give no spike in the one step that there is."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 100)
    x = rng.integers(0, 4, (100, 20)) + 3 * (np.arange(20) % 3 == y[:, None])
    np.savez(tmp_path / "dim.npz", x=x, y=y, x_test=x + 9, y_test=y)
    layers = [{"name": "hidden", "op": "dense", "units": 8}, {"name": "out", "op": "dense", "units": 3}]
    form = {"network": {"time_steps": 1, "input": "spikes"}, "train": {"float_epochs": 1, "epochs": 1, "batch": 32}}
    recipe = small(dataset=str(tmp_path / "dim.npz"), layers=layers, **form)
    sentence = r"^the network is dead: .* same for all training samples, as no neuron of layer 'hidden' fires at any"
    with pytest.raises(TrainError, match=sentence):
        train(recipe, tmp_path / "run")
    with pytest.raises(TrainError, match="is not trained to its end"):
        export(tmp_path / "run")
