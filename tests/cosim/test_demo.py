"""The whole chain on real digits, with a network and a training small enough for a test."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from cosim.small import SMALL_RECIPE, call

from mintaka.artifact import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(SMALL_RECIPE)
    return path


def test_demo(capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    done = call(capsys, "demo", "--recipe", recipe, "--run", folder, "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["verdict"] == "bit-exact: 450 samples, 10,800 spikes, 10,800 membrane values compared, 0 differ"
    assert report["bit_exact"] is True
    assert report["cycles_as_predicted"] is True
    assert [c["samples"] for c in report["comparisons"]] == [450, 40, 450]
    assert [c["resets"] for c in report["comparisons"]] == [4, 4, 0]
    figures = {figure["key"]: figure["value"] for figure in report["figures"]}
    assert figures["integer_accuracy"] == figures["hardware_accuracy"] > 0.3
    for name in ("network.safetensors", "report.html", "report.json", "verilog/design.json"):
        assert (folder / name).is_file()
    network = load(folder / "network.safetensors")
    assert report["provenance"] == network.provenance
    assert call(capsys, "report", folder).status == 0


def test_quickstart(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    result = example["main"](str(recipe), tmp_path / "run")
    assert result.verified
    said = capsys.readouterr().out
    assert "bit-exact: 450 samples, 10,800 spikes, 10,800 membrane values compared, 0 differ" in said
    assert (tmp_path / "run" / "verilog" / "design.json").is_file()
    text = (ROOT / "examples" / "quickstart.py").read_text()
    assert len([line for line in text.split('"""')[2].splitlines() if line.strip()]) <= 35
