"""`make bench` on tiny settings: what it measures, keeps and writes, whatever the times are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from handmade import conv_network, dense_network

from benchmarks import bench, quantization
from benchmarks.parts import page, pairs, timing
from benchmarks.parts.store import Store
from mintaka.data import DataError
from mintaka.train import load_recipe, to_toml
from mintaka_hw.plan import make_plan


def run(folder: Path, *arguments: str) -> str:
    """A run with its own store and page; the page."""
    common = ["--quick", "--no-peers", "--store", str(folder / "store"), "--out", str(folder / "page.md")]
    assert bench.main([*arguments, *common]) == 0
    return (folder / "page.md").read_text()


def test_cycles_are_those_of_the_model(tmp_path: Path) -> None:
    text = run(tmp_path, "cycles", "--lanes", "64", "128")
    found = json.loads((tmp_path / "store/cycles/dense-0064.json").read_text())["values"]
    hidden, output = found["layers"]
    assert (hidden["lanes"], hidden["groups"], output["lanes"]) == (64, 2, 2)
    assert 0 < hidden["events"] <= hidden["slots"] <= hidden["busy"] - hidden["held"] <= found["interval"] * 1.5
    assert f"| hidden | 64 | 2 | {hidden['events'] / 2 / 8:,.1f} | {hidden['busy'] / 8:,.1f} |" in text
    assert "`synth` (resources after synthesis)" in text
    assert " cores" in text


def test_sparse_memories_are_compared(tmp_path: Path) -> None:
    text = run(tmp_path, "sparse")
    (path,) = (tmp_path / "store/sparse").glob("cycles-*.json")
    found = json.loads(path.read_text())["values"]
    dense, sparse = found["dense"], found["sparse"]
    assert 0 < sparse["rows"] < dense["rows"]
    assert sparse["slots"] <= sparse["busy"] <= dense["busy"]
    assert f"| {found['zeros']:.1%} | 8 | {sparse['rows'] / dense['rows']:.2f} | {dense['bits']:,} |" in text


def test_profile_shares_are_all_of_the_time(tmp_path: Path) -> None:
    text = run(tmp_path, "profile")
    for job in json.loads((tmp_path / "store/profile/rate.json").read_text())["values"].values():
        assert sum(job.values()) == pytest.approx(1)
        assert all(0 < share < 1 for share in job.values())
    assert "| training step | rate | matrix products |" in text


def test_what_is_measured_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "cycles", "--lanes", "128")
    assert "(1 points measured now)" in capsys.readouterr().out
    run(tmp_path, "cycles", "--lanes", "128")
    assert "(0 points measured now)" in capsys.readouterr().out
    run(tmp_path, "cycles", "--lanes", "128", "--fresh")
    assert "(1 points measured now)" in capsys.readouterr().out
    (tmp_path / "store/cycles/dense-0128.json").write_text("{")
    run(tmp_path, "cycles", "--lanes", "128")
    assert "(1 points measured now)" in capsys.readouterr().out


def test_a_point_depends_on_its_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.point("p", "n", {"a": 1}, lambda: {"v": 1}) == {"v": 1}
    assert store.point("p", "n", {"a": 1}, lambda: {"v": 2}) == {"v": 1}
    assert store.point("p", "n", {"a": 2}, lambda: {"v": 2}) == {"v": 2}


@pytest.mark.parametrize("part", ["train", "infer"])
def test_sides_take_turns(part: str, tmp_path: Path) -> None:
    text = run(tmp_path, part)
    assert "The peers are missing: not asked for." in text
    for kind in ("rate", "direct"):
        subjects = json.loads((tmp_path / f"store/{part}/{kind}.json").read_text())["values"]["subjects"]
        assert set(subjects) == {"Mintaka", "bare products"} | ({"ANN"} if part == "train" else set())
        assert all(subject["seconds"] > 0 for subject in subjects.values())
        assert subjects["Mintaka"]["ratio"] == 1


def test_missing_peers_are_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tmp_path / "peers.txt"
    nothing.write_text("mintaka-has-no-such-peer @ file:///nowhere\n")
    monkeypatch.setattr(timing, "PEERS", nothing)

    def no_environment(folder: Path, **_: object) -> None:
        raise timing.PeersError(f"pip could not install into {folder.name}")

    monkeypatch.setattr(timing.venv, "create", no_environment)
    settings = timing.Settings(data="made", batch=8, samples=8, rounds=1, repeats=1, training=1)
    missing = timing.measure(Store(tmp_path), "infer", settings, None, tmp_path / "env")
    assert missing == "pip could not install into env"
    assert "The peers are missing: pip could not install into env." in page.render(Store(tmp_path))


def test_ratios_are_taken_within_a_round() -> None:
    """A slow round slows both sides and leaves the ratio."""
    summary = timing._summary([[2.0, 2.0], [40.0], [2.0]], [[1.0, 1.0], [20.0], [1.0]])
    assert summary == {"seconds": 2.0, "ratio": 2.0, "quartiles": [2.0, 2.0]}


def test_pairs_of_banks() -> None:
    """Events of even and of odd elements, per list of a dense layer and of a convolution."""
    dense = make_plan(dense_network([8, 4, 2]), 1).layers[0].edges[0]
    frames = np.array([[1, 0, 1, 1, 0, 0, 0, 1]])
    assert [found.tolist() for found in pairs.by_bank(dense, frames)] == [[2], [2]]
    conv = make_plan(conv_network([2, 4, 3, 5]), 1).layers[1].edges[0]
    assert conv.window_buffer is not None
    x = np.zeros((1, *conv.source.shape), np.int64)
    x[0, 1] = 1
    even, odd = pairs.by_bank(conv, x)
    assert even.sum() == 0
    assert odd.max() == np.prod(conv.window_buffer.kernel)


def test_bad_requests(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in ((["cycle"], "there is no part 'cycle'"), (["--rounds", "0"], "--rounds is 1 or more")):
        with pytest.raises(SystemExit, match="2"):
            bench.main(arguments)
        assert said in capsys.readouterr().err


def test_an_error_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_data(*_: object) -> None:
        raise DataError("there is no MNIST")

    monkeypatch.setattr(bench.cycles, "measure", no_data)
    assert bench.main(["cycles", "--out", str(tmp_path / "page.md")]) == 1
    assert capsys.readouterr().err == "bench: there is no MNIST\n"
    assert not (tmp_path / "page.md").exists()


def test_what_the_tables_of_quantization_compare() -> None:
    """Recipes that parse, each another one; all rows of the later tables train for as long."""
    recipe = load_recipe(quantization.RECIPE)
    for table in quantization.TABLES[:3]:
        made = quantization.variants(recipe, table)
        assert len({to_toml(one) for one in made.values()}) == len(made)
        if table != "rules":
            for one in made.values():
                extra = [method.epochs + getattr(method, "search_epochs", 0) for method in one.compress or []]
                assert one.train.epochs + sum(extra) == 80


@pytest.mark.parametrize("bits", [2, 4])
def test_both_membrane_rules_of_the_area_table_compute_what_they_stand_for(bits: int) -> None:
    """With the boundaries of V >> 1 both give the same; with others the second counts those that V has reached."""
    most = 2 ** (bits - 1) - 1
    halves = [2 * u for u in range(-most + 1, most + 1)]
    others = sorted(np.random.default_rng(bits).integers(-40, 40, 2 * most).tolist())
    values = [-2048, -200, *range(-45, 46), 200, 2047]
    shifted = _simulated(*quantization.shift_and_clip(bits), values, [])
    assert shifted == [max(-most, min(most, v >> 1)) for v in values]
    assert _simulated(*quantization.compare(bits), values, halves) == shifted
    found = _simulated(*quantization.compare(bits), values, others)
    assert found == [sum(v >= b for b in others) - most for v in values]


def _simulated(m: Module, ports: list[Signal], values: list[int], steps: list[int]) -> list[int]:
    V, *boundaries, U = ports
    found = []

    async def bench(ctx: Any) -> None:
        for boundary, value in zip(boundaries, steps, strict=True):
            ctx.set(boundary, value)
        for value in values:
            ctx.set(V, value)
            await ctx.delay(1e-9)
            found.append(ctx.get(U))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found
