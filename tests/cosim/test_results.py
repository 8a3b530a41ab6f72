"""`make results`: figures of runs, what differs, what is missing."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from cosim.small import DIRECT

from benchmarks.results import RunFigures, measure, render
from benchmarks.results.__main__ import main
from mintaka.artifact import Network, Result, run, save
from mintaka.data import Dataset
from mintaka_cosim.bench import cosim

SAMPLES = 12


@pytest.fixture
def dataset() -> Dataset:
    x = DIRECT.inputs(20)
    y = run(DIRECT.network, x).classes
    y[::4] = (y[::4] + 1) % DIRECT.network.classes  # a quarter is wrong
    return Dataset("made", x[:1], y[:1], x, y, DIRECT.network.input.bits)


def figures(folder: Path, dataset: Dataset, said: list[str] | None = None) -> RunFigures:
    save(DIRECT.network, folder / "network.safetensors")
    say = (said if said is not None else []).append
    return measure(folder, "made", dataset, samples=SAMPLES, jobs=2, say=say)


def test_figures_are_those_of_the_other_bench(tmp_path: Path, dataset: Dataset) -> None:
    found = figures(tmp_path, dataset)
    inputs = dataset.test_x[:SAMPLES]
    other = cosim(DIRECT.network, "auto", inputs, processes=1)
    expected = run(DIRECT.network, inputs, trace=True)
    assert found.verified
    assert found.integer_accuracy == 0.75
    assert found.hardware_accuracy == found.integer_accuracy_there == 0.75
    assert found.sops == pytest.approx(other.sops_per_sample)
    assert found.interval_cycles == other.interval_cycles
    assert found.spikes == pytest.approx(sum(s.mean() for s in expected.spikes.values()))
    assert {layer.name: layer.utilisation for layer in found.layers} == other.utilisation
    hidden = sum(s.s.size for s in expected.trace.values() if s.s is not None)
    assert found.compared.spikes == found.compared.membranes == hidden
    assert found.predicted == SAMPLES
    page = render([found], ["gone"])
    assert "| `made` | made | 4 | 4 | 3 | 20 | none | 75.00% | 12 | 75.00% | 75.00% |" in page
    assert "`gone`" in page


def test_the_same_is_not_measured_twice(tmp_path: Path, dataset: Dataset) -> None:
    said: list[str] = []
    first = figures(tmp_path, dataset)
    assert figures(tmp_path, dataset, said) == first
    assert said == ["made: as measured before (results.json)"]
    (tmp_path / "results.json").write_text("{}")
    assert figures(tmp_path, dataset, said) == first
    assert len(said) == 3


def test_a_difference_is_counted_and_named(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: Network, inputs: np.ndarray, *, trace: bool = False) -> Result:
        found = run(network, inputs, trace=trace)
        u = found.trace["hidden1"].u
        assert u is not None
        u[3, 1, 2] += 1
        return found

    bench = import_module("mintaka_cosim.bench.cosim")  # the package has a function of that name
    monkeypatch.setattr(bench, "run_reference", wrong)
    found = figures(tmp_path, dataset)
    assert not found.verified
    assert found.differences == 1
    assert found.first_difference is not None
    assert found.first_difference.startswith("sample 3, step 1, layer 'hidden1', neuron 2: expected K = ")
    assert found.first_difference in render([found], [])


def test_missing_runs_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.md"
    assert main(["--runs", str(tmp_path), "--recipes", str(tmp_path), "--out", str(out)]) == 0
    assert "`mnist-dense`" in out.read_text()
    assert "mnist-dense: missing" in capsys.readouterr().err


def test_a_broken_artifact_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "network.safetensors").write_text("no")
    assert main(["--runs", str(tmp_path), "--only", "digits", "--out", str(tmp_path / "results.md")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("results: ")
