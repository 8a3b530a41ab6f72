"""`mintaka synth` on a tiny network: one report, kept results, and refusals in one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cosim.small import call
from handmade import dense_network

from mintaka.artifact import load, save
from mintaka_cosim.cli.support import progress_bar
from mintaka_cosim.flow.pool import Event
from mintaka_cosim.synth.model import KINDS
from mintaka_cosim.task_display import task_display
from mintaka_hw.implement import least
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import families, find_family, part_of

LIBERTY = Path(__file__).parent.parent / "tiny.lib"
SMALL = ("--lanes", "2", "--part", "LFE5U-25F")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "tiny.safetensors"
    save(dense_network([2, 2, 2]), path)
    return path


def program(*words: object) -> list[str]:
    return [sys.executable, "-c", "from mintaka_cosim.cli import main; main()", *map(str, words)]


@dataclass(frozen=True)
class Done:
    """What the first run on two targets gave."""

    report: dict[str, Any]
    out: Path
    said: str

    def target(self, name: str) -> dict[str, Any]:
        return next(target for target in self.report["targets"] if target["target"] == name)

    def figures(self, name: str) -> dict[str, Any]:
        return {figure["key"]: figure for figure in self.target(name)["figures"]}


@pytest.fixture(scope="module")
def done(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Two targets at the same time."""
    out = tmp_path_factory.mktemp("out")
    words = ("synth", artifact, "--target", "ecp5,asic", *SMALL, "--liberty", LIBERTY, "--jobs", 2, "--out", out)
    found = subprocess.run(program(*words, "--json"), capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stderr
    return Done(json.loads(found.stdout), out, found.stderr)


def test_a_family_of_devices(done: Done, artifact: Path) -> None:
    figures, target = done.figures("ecp5"), done.target("ecp5")
    assert (target["part"], target["error"], target["path"]) == ("LFE5U-25F", None, None)
    assert {key: figures[key]["kind"] for key in ("LUT", "FF", "BRAM", "DSP")} == dict.fromkeys(
        ("LUT", "FF", "BRAM", "DSP"), "synthesized"
    )
    assert figures["DSP"]["value"] == 0
    assert figures["FF"]["value"] == target["cells"]["TRELLIS_FF"] > 100
    assert figures["LUT"]["note"] == f"{figures['LUT']['value'] / 24288:.1%} of 24,288"
    wanted = least(make_plan(load(artifact), 2), part_of("LFE5U-25F"))
    for unit in ("LUT", "FF"):  # every cell belongs to one part of the design
        assert 0 < wanted[unit] < figures[unit]["value"]
        assert sum(share["resources"][unit] for share in target["shares"]) == figures[unit]["value"]
    assert {"layer hidden1", "layer head", "logits", "top"} <= {share["component"] for share in target["shares"]}


def test_standard_cells(done: Done) -> None:
    figures, target = done.figures("asic"), done.target("asic")
    assert target["part"] == "tiny.lib"
    assert figures["area"]["value"] > figures["sequential_area"]["value"] == 6 * target["cells"]["DFF"] > 0
    assert figures["delay_ps"]["value"] > 0
    assert figures["macro_bits"]["value"] == sum(
        each["count"] * each["macro"]["depth"] * each["macro"]["width"] for each in target["memories"]
    )


def test_the_files(done: Done) -> None:
    assert json.loads((done.out / "report.json").read_text()) == done.report
    for name in ("ecp5/synthesis/yosys.log", "ecp5/synthesis/mintaka_handmade.json", "verilog/mintaka_handmade.v"):
        assert (done.out / name).stat().st_size
    assert "NAND2" in (done.out / "asic/synthesis/mintaka_handmade.v").read_text()
    page = (done.out / "report.html").read_text()
    for target in done.report["targets"]:
        for figure in target["figures"]:
            assert f'<div class="value">{figure["text"]}</div>' in page
            assert figure["kind"] in KINDS
    assert "layer hidden1" in page
    assert "src=" not in page.replace('src="data:', "")
    lines = [f"{name}: {what}" for name in ("ecp5", "asic") for what in ("synthesizing", "done")]
    assert set(lines) == {line.partition(" (")[0] for line in done.said.splitlines()}


def test_kept_results_are_found_again(done: Done, artifact: Path, build_cache: Path, capsys: Capture) -> None:
    """And printed for people; --out is not needed for that."""

    def results() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in build_cache.glob("*/*/result.json")}

    before = results()
    again = call(capsys, "synth", artifact, "--target", "ecp5,asic", *SMALL, "--liberty", LIBERTY)
    assert again.status == 0, again.err
    assert results() == before
    for text in ("LFE5U-25F", "synthesized", "estimated", "layer head", "tiny.lib", "DSPs", "1 read, 1 write"):
        assert text in again.out
    assert done.figures("asic")["area"]["text"] in again.out


def test_a_target_that_fails_does_not_hide_the_others(
    done: Done, artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    """It hides no other, and is not hidden: a Liberty file too poor for ABC."""
    text = LIBERTY.read_text()
    (tmp_path / "poor.lib").write_text(text[: text.index("  cell(INV)")] + text[text.index("  cell(DFF)") :])
    words = ("synth", artifact, "--target", "ecp5,asic", *SMALL, "--liberty", tmp_path / "poor.lib")
    found = call(capsys, *words, "--json", "--out", tmp_path / "out")
    assert found.status == 1
    assert "mintaka: asic: Yosys failed on mintaka_handmade (standard cells): " in found.err
    assert "Traceback" not in found.err
    first, second = json.loads(found.out)["targets"]
    assert first == done.target("ecp5")
    assert second["error"].startswith("Yosys failed")
    assert second["figures"] == []
    assert second["error"][:40] in (tmp_path / "out/report.html").read_text()
    alone = call(
        capsys, *words[:3], "asic", *words[4:6], "--liberty", tmp_path / "poor.lib", "--out", tmp_path / "none"
    )
    assert alone.status == 1
    assert alone.out == ""
    assert not (tmp_path / "none/report.json").exists()


def test_place_and_route(done: Done, artifact: Path, capsys: Capture) -> None:
    both = ("--target", "ecp5,asic", "--liberty", LIBERTY)
    words = ("synth", artifact, *both, *SMALL, "--pnr", "--frequency", "60", "--seed", "2")
    found = call(capsys, *words, "--json")
    assert found.status == 0, found.err
    assert "there is no open place and route for asic, which is synthesized only" in found.err
    target, cells = json.loads(found.out)["targets"]
    assert cells == done.target("asic")
    figures = {figure["key"]: figure for figure in target["figures"]}
    assert figures["LUT"] == done.figures("ecp5")["LUT"]  # of the core, without the registers around it
    fmax, path = figures["fmax_mhz"], target["path"]
    assert fmax["kind"] == "placed and routed"
    assert fmax["note"] == "aimed at 60 MHz, seed 2, registers around the core"
    assert 20 < fmax["value"] < 500
    assert path["delay_ns"] == pytest.approx(1000 / fmax["value"], rel=0.01)
    assert path["logic_ns"] + path["routing_ns"] == pytest.approx(path["delay_ns"], abs=0.002)
    assert sum(delay for _, delay in path["parts"]) == pytest.approx(path["delay_ns"], abs=0.01)
    assert path["component"] in dict(map(tuple, path["parts"]))
    used, there = target["used"]["TRELLIS_FF"]
    assert figures["FF"]["value"] < used < there == 24288
    shown = call(capsys, *words)
    assert f"Critical path: {path['component']}" in shown.out
    assert f"from {path['start']} to {path['end']}" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "mars"), "--target mars: 'mars' is not one of ecp5, ice40, gowin, nexus, xc7, asic"),
        (("--target", "ecp5,ecp5"), "--target ecp5,ecp5: expected each target once"),
        (("--target", "xc7,asic", "--pnr"), "--pnr: there is no open place and route for xc7, asic: leave it out"),
        (("--target", "asic", "--pnr"), "--pnr: there is no open place and route for asic"),
        (("--pnr", "--frequency", "0"), "--frequency 0: must be more than 0 MHz"),
        (("--pnr", "--frequency", "nan"), "--frequency nan: must be more than 0 MHz"),
        (("--frequency", "100"), "--frequency 100: it is for --pnr"),
        (("--liberty", LIBERTY), "it is for the target asic, which --target does not name"),
        (("--target", "asic", "--liberty", "none.lib"), "Liberty file none.lib: no such file or directory"),
        (("--target", "asic", "--liberty", __file__), "holds no cells"),
        (("--part", "LFE5U-1F"), "part LFE5U-1F: known are LFE5U-85F, "),
        (("--part", "XC7Z020"), "--part XC7Z020: is for the target xc7, which --target does not name"),
        (("--lanes", "hid=2"), "hid"),
    ],
)
def test_refusals(artifact: Path, capsys: Capture, words: tuple[str, ...], said: str) -> None:
    found = call(capsys, "synth", artifact, *words)
    assert found.status == 1
    assert found.out == ""
    assert found.err.startswith("mintaka: ")
    assert found.err.count("\n") == 1
    assert said in found.err


def test_an_interrupt_ends_the_tools(artifact: Path, tmp_path: Path) -> None:
    """Of this program alone, as a signal from elsewhere comes: what it started does not live on, nothing is kept."""
    env = {**os.environ, "MINTAKA_CACHE": str(tmp_path / "cache")}
    words = ("synth", artifact, "--target", "xc7", "--lanes", 1)
    with subprocess.Popen(program(*words), env=env, stderr=subprocess.PIPE, text=True) as child:
        _wait(lambda: any("run_yosys" in words for words in _running(tmp_path).values()))
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    _wait(lambda: not _running(tmp_path))
    assert not list((tmp_path / "cache").glob("*/*/result.json"))


def _wait(until: Any) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def _running(folder: Path) -> dict[int, str]:
    """Command lines of processes that have the folder in their environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if str(folder).encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_text()
            except OSError:
                continue
    return found


def test_progress_without_a_terminal(capsys: Capture) -> None:
    """A line per stage of a task; where only its numbers change, now and then."""
    with task_display(1) as listen:
        listen(Event("begin", "ecp5"))
        slow = "preparing Yosys for its first call, which takes a minute ..."
        for text in ("synthesizing", slow, "epoch 1", "epoch 2"):
            listen(Event("at", "ecp5", text))
        listen(Event("end", "ecp5"))
    assert capsys.readouterr().err.splitlines() == [
        "ecp5: synthesizing",
        f"ecp5: {slow}",
        "ecp5: epoch 1",
        "ecp5: done (0 s)",
    ]


def test_a_bar_without_a_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, said in ((1e6, ["working ..."]), (0.0, ["working ...", "working: 1 of 1,000", "working: 2 of 1,000"])):
        monkeypatch.setattr("mintaka_cosim.cli.support.LINE_SECONDS", seconds)
        with progress_bar("working") as progress:
            progress(1, 1000)
            progress(2, 1000)
        assert capsys.readouterr().err.splitlines() == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "ecp5"), "no part of ecp5 that is known here holds the design; of LFE5U-85F it takes at least 2"),
        (("--target", "ice40", "--pnr"), "the design does not fit iCE40HX8K, it takes at least 1,"),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_generated(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise AssertionError("nothing is generated")

    monkeypatch.setattr("mintaka_hw.verilog.generate", nothing)
    save(dense_network([1000, 1100, 4], weight_bits=4), tmp_path / "large.safetensors")
    found = call(capsys, "synth", tmp_path / "large.safetensors", "--lanes", "16", *words)
    assert found.status == 1
    assert found.err.startswith(f"mintaka: {words[1]}: {said}")
    assert found.err.count("\n") == 1


@pytest.mark.long
def test_every_target(artifact: Path, tmp_path: Path) -> None:
    """All families; placed and routed where nextpnr has them. Minutes where the tools were never called."""
    words = (
        "synth",
        artifact,
        "--target",
        ",".join(family.name for family in families()),
        "--lanes",
        2,
        "--pnr",
        "--json",
        "--out",
        tmp_path,
    )
    found = subprocess.run(program(*words), capture_output=True, text=True, timeout=3600, check=False)
    assert found.returncode == 0, found.stderr
    assert "no open place and route for xc7, asic" in found.stderr
    for target in json.loads(found.stdout)["targets"]:
        figures = {figure["key"]: figure["value"] for figure in target["figures"]}
        print(target["target"], target["part"], figures, target["path"] and target["path"]["component"])
        assert figures.get("DSP", 0) == 0
        assert figures["LUT" if target["target"] != "asic" else "gate_equivalents"] > 0
        if find_family(target["target"]).nextpnr is not None:
            assert figures["fmax_mhz"] > 20
            assert target["path"]["component"]
