"""Inputs that once gave a traceback, silence or a wrong answer (`tests/cases/`), each with its right answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from cosim.small import call

from mintaka.artifact import load
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import make_plan

CASES = Path(__file__).parents[1] / "cases"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private copy of the cases as the current folder."""
    shutil.copytree(CASES, tmp_path / "cases")
    monkeypatch.chdir(tmp_path / "cases")
    return tmp_path / "cases"


SENTENCES = {
    "zlib-small": (1, "zlib-small.npz is no intact .npz file ("),
    "d-u64": (1, "d-u64.npz: y holds 9223372036854775813; classes are integers below 2^63"),
    "d-ystr": (1, 'the classes in y are texts (a, b, c): labels = "map" in the recipe numbers them'),
    "d-ragged": (1, "d-ragged.npz: 'x' holds Python objects, which numpy makes of samples that differ in length"),
    "d-labels1": (1, 'the classes in y are 1, 2, 3, so that 0 never occurs: labels = "map"'),
    "d-gap": (1, 'the classes in y are 0, 500, 1000, so that 1 never occurs: labels = "map"'),
    "d-imbalance": (0, "class 1 has 10 training samples, class 0 has 310: a network may never answer the rare one"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_data_are_judged_in_a_sentence(name: str, capsys: Capture) -> None:
    status, sentence = SENTENCES[name]
    called = call(capsys, "data", "check", f"{name}.npz")
    assert called.status == status
    (line,) = called.err.splitlines()
    assert line.startswith("mintaka: ")
    assert sentence in line


def test_a_rare_class_is_not_forgotten_in_silence(here: Path, capsys: Capture) -> None:
    recipe = (here / "edited-recipe" / "r.toml").read_text().replace("../d-good", "d-imbalance").replace("= 40", "= 10")
    (here / "rare.toml").write_text(recipe.replace("units = 3", "units = 2"))
    called = call(capsys, "train", "rare.toml")
    assert called.status == 0
    assert "recall by class: 0 100.0%, 1 0.0%" in called.out
    assert "class 1 (3 test samples) is never predicted" in called.out + called.err


def test_a_sample_is_the_same_alone_and_beside_others(capsys: Capture) -> None:
    called = call(capsys, "run", "therm-tiny.safetensors", "--input", "therm-one.npz", "--out", "no")
    assert called.status == 1
    assert "--input-levels" in called.err
    logits = {}
    for name in ("one", "two"):
        words = ("run", "therm-tiny.safetensors", "--input", f"therm-{name}.npz", "--input-levels", "16")
        assert call(capsys, *words, "--out", f"{name}.npz").status == 0
        with np.load(f"{name}.npz") as file:
            logits[name] = file["logits"]
    assert logits["two"][0].tolist() == logits["one"][0].tolist()


@pytest.mark.parametrize(("name", "most"), [("pool64", 150_000), ("conv5000", 250_000)])
def test_strides_beyond_the_kernel_take_no_memory(name: str, most: int, capsys: Capture) -> None:
    """One took 1.0 MB of Verilog, the other no end."""
    assert call(capsys, "generate", f"{name}.safetensors", "--out", name).status == 0
    assert sum(path.stat().st_size for path in Path(name).rglob("*.v")) < most


def test_an_edited_recipe_is_not_exported(capsys: Capture) -> None:
    text = Path("edited-recipe/r.toml").read_text().replace("= 40", "= 1")
    Path("edited-recipe/r.toml").write_text(text)
    assert call(capsys, "train", "edited-recipe/r.toml", "--run", "run").status == 0
    Path("run/recipe.toml").write_text("seed = 7\n" + text.replace("time_steps = 2", 'time_steps = 2\nleak = "V>>3"'))
    called = call(capsys, "export", "run")
    assert called.status == 1
    assert "run/recipe.toml was edited after the training ('seed' is 1 in the checkpoint, 7 in the file)" in called.err
    assert not Path("run/network.safetensors").exists()


def test_a_run_goes_on_from_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(here / "resume-elsewhere")
    assert call(capsys, "train", "r.toml", "--run", "run").status == 0
    (here / "empty").mkdir()
    monkeypatch.chdir(here / "empty")
    for words in (("train", here / "resume-elsewhere" / "r.toml", "--run"), ("export",)):
        called = call(capsys, *words, here / "resume-elsewhere" / "run")
        assert called.status == 0, called.err
    assert (here / "resume-elsewhere" / "run" / "network.safetensors").is_file()


def test_automatic_lanes_keep_pace_where_pools_give_many_spikes(here: Path, capsys: Capture) -> None:
    """Conv2 once got one lane, for a rate of 10 % was assumed of what pools give, and all waited for it."""
    rng = np.random.default_rng(0)
    np.savez("d_rgb.npz", x=rng.integers(0, 256, (30, 3, 16, 16), dtype=np.uint8), y=np.arange(30) % 3)
    (here / "r.toml").write_text((here / "r_conv2.toml").read_text().replace("epochs = 4", "epochs = 1"))
    for words in (("train", "r.toml", "--run", "run"), ("export", "run")):
        assert call(capsys, *words).status == 0
    network = load(Path("run/network.safetensors"))
    assert network.vectors is not None
    plan = make_plan(network, "auto")
    busy = predict_cycles(plan, network.vectors.inputs[:1]).busy
    assert plan.lanes["conv1"] == 8
    assert busy["conv2"][0] <= busy["conv1"][0], plan.lanes
    slow = make_plan(network, {"conv1": 8, "conv2": 1, "output": 1})
    assert plan.memory_bits < slow.memory_bits
    assert predict_cycles(slow, network.vectors.inputs[:1]).busy["conv2"][0] > busy["conv1"][0]
