"""`mintaka build`: a bitstream of a small design, and every refusal in one sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cosim.small import call
from handmade import dense_network

from mintaka.artifact import Network, save
from mintaka_hw.implement import Board, BoardError, Netlist, Part, Placed, build_board, load_board, part_of
from mintaka_hw.implement import build as module_build
from mintaka_hw.implement.build import units_used
from mintaka_hw.implement.errors import PlaceError
from mintaka_hw.plan import Plan, make_plan

SMALL = dense_network((6, 8, 3), seed=4)


def quiet(sentence: str) -> None:
    """For `say`."""


def counting(cells: Callable[[int], dict[str, int]]) -> Callable[..., Netlist]:
    """A synthesis that finds `cells` of the lanes of a design's hidden layer."""

    def synthesize(files: tuple[Path, ...], top: str, part: Part, folder: Path, **_: Any) -> Netlist:
        info = json.loads((files[0].parent / "design.json").read_text())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "netlist.json").write_text(json.dumps({"modules": {top: {"cells": {}}}}))
        return Netlist(part, top, folder / "netlist.json", Counter(cells(info["layers"][0]["lanes"])))

    return synthesize


def described(plan: Plan, _: Board, folder: Path | str, *, baud: int) -> Any:  # noqa: ARG001
    """For `generate_board`, where only the number of lanes matters: no Verilog."""
    Path(folder).mkdir(parents=True)
    path = Path(folder) / "top.v"
    path.with_name("design.json").write_text(json.dumps({"layers": [{"lanes": plan.layers[0].folding.lanes}]}))
    return SimpleNamespace(verilog=path, parts=(), top="top")


def earlier(folder: Path) -> None:
    """Something was built there before."""
    (folder / "eye.bit").write_bytes(b"bits")
    (folder / "build.json").write_text(json.dumps({"bitstream": "eye.bit", "scripts": []}))


def test_only_products_are_removed(tmp_path: Path) -> None:
    """A folder's build.json may be anybody's."""
    for name in ("eye.bit", "thesis.pdf", "project.tcl", "x.bit.txt"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "eye.bit").write_text("mine")
    names = ["thesis.pdf", "project.tcl", "x.bit.txt", "sub/eye.bit", "..", "", 5, None, ["eye.bit"]]
    (tmp_path / "build.json").write_text(json.dumps({"bitstream": "eye.bit", "scripts": names}))
    module_build._remove_products(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["eye.bit", "sub", "thesis.pdf", "x.bit.txt"]
    for content in ("{", "[]", '{"bitstream": null, "scripts": 5}', "[" * 10**5):
        (tmp_path / "build.json").write_text(content)
        module_build._remove_products(tmp_path)


def test_what_does_not_fit_is_refused_with_the_lanes_that_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = load_board("colorlight-i5")
    earlier(tmp_path)
    monkeypatch.setattr(module_build, "synthesize", counting(lambda lanes: {"LUT4": 8000 * lanes, "TRELLIS_FF": 50}))
    with pytest.raises(BoardError) as error:
        build_board(SMALL, board, tmp_path, lanes={"hidden1": 4, "head": 3}, say=quiet)
    assert str(error.value) == (
        "'handmade' with the lanes hidden1=4,head=3 does not fit on Colorlight i5: it takes 32,000 LUT of 24,288;"
        " of lanes limited alike for all layers, the most that fit are hidden1=3,head=3, with 24,000 of 24,288 LUT,"
        " 50 of 24,288 FF, 0 of 56 BRAM: --lanes hidden1=3,head=3, or --fit"
    )
    assert (tmp_path / "eye.bit").exists(), "an earlier build is not lost"
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(module_build, "synthesize", counting(lambda _: {"LUT4": 30000, "TRELLIS_FF": 30000}))
    with pytest.raises(BoardError, match=r"it takes 30,000 LUT of 24,288 and 30,000 FF of 24,288; no lanes fit$"):
        build_board(SMALL, board, tmp_path, lanes=2, say=quiet)


def test_the_search_for_lanes_says_what_it_tries_and_fit_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few trials, as what lanes take is nearly a line; a board for Vivado needs no placement."""
    board, network, said = load_board("arty-a7-35t"), dense_network((6, 40, 3), seed=4), list[str]()
    monkeypatch.setattr(module_build, "synthesize", counting(lambda lanes: {"LUT6": 5000 + 700 * lanes}))
    monkeypatch.setattr(module_build, "generate_board", described)
    monkeypatch.setattr(module_build, "_vendor_scripts", lambda *_: ())
    built = build_board(network, board, tmp_path, lanes={"hidden1": 40, "head": 3}, fit=True, say=said.append)
    assert built.plan.lanes == {"hidden1": 22, "head": 3}
    assert built.resources["LUT"] == (20400, 20800)
    assert json.loads((tmp_path / "build.json").read_text())["lanes"] == {"hidden1": 22, "head": 3}
    assert json.loads((tmp_path / "verilog/design.json").read_text()) == {"layers": [{"lanes": 22}]}
    tried = [line.partition("hidden1=")[2].partition(",")[0] for line in said if "(trial " in line]
    assert tried[0] == "40"
    assert set(tried) >= {"22", "23"}
    assert len(tried) <= 5
    assert "it takes 33,000 of 20,800 LUT, 0 of 41,600 FF, 0 of 50 BRAM: too much" in said
    assert (tmp_path / "synthesis/netlist.json").is_file()


def test_weights_that_no_lanes_can_hold_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def cells(lanes: int) -> dict[str, int]:
        asked.append(lanes)
        return {"SB_RAM40_4K": 60}

    monkeypatch.setattr(module_build, "synthesize", counting(cells))
    large = dense_network((800, 100, 3), seed=4)
    with pytest.raises(BoardError, match=r"at least 88 BRAM of 30.*; no lanes fit, as with one lane per layer .* BRAM"):
        build_board(large, load_board("icebreaker"), tmp_path, lanes=16, say=quiet)
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_lanes_that_are_too_many_by_the_plan_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An accumulator has a LUT per bit: 400 of them are too many for this part."""
    asked: list[int] = []

    def cells(lanes: int) -> dict[str, int]:
        asked.append(lanes)
        return {"SB_LUT4": 12 * lanes}

    monkeypatch.setattr(module_build, "synthesize", counting(cells))
    monkeypatch.setattr(module_build, "generate_board", described)
    wide, board = dense_network((20, 700, 3), seed=4), load_board("icebreaker")
    width = make_plan(wide).layers[0].datapath.accumulator_width
    with pytest.raises(BoardError, match=r"it takes at least 5,\d\d\d LUT of 5,280 and .*: --lanes hidden1=\d+,head=3"):
        build_board(wide, board, tmp_path, lanes=700, say=quiet)
    assert width * max(asked) <= 5280 < width * 700
    assert len(asked) <= 6


def test_a_clock_that_is_missed_makes_no_bitstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_build, "synthesize", counting(lambda _: {}))
    monkeypatch.setattr(module_build, "use_output_registers", lambda *_: 0)
    earlier(tmp_path)
    slow = Placed(part_of("LFE5U-85F"), {"clk": (21.04, 25.0)}, {}, (), tmp_path / "x")
    monkeypatch.setattr(module_build, "place", lambda *_, **__: slow)
    with pytest.raises(BoardError, match=r"reaches 21\.0 MHz on ULX3S-85F, whose clock is 25 MHz: no bitstream"):
        build_board(SMALL, load_board("ulx3s"), tmp_path, say=quiet)
    assert not (tmp_path / "eye.bit").exists(), "nobody loads the earlier one for it"
    assert not (tmp_path / "build.json").exists()

    def full(*_: Any, **__: Any) -> Placed:
        raise PlaceError("nextpnr-ecp5 failed")

    monkeypatch.setattr(module_build, "place", full)
    with pytest.raises(PlaceError, match=r"failed; with the lanes .* it takes 0 of 83,640 LUT, .*: try fewer lanes"):
        build_board(SMALL, load_board("ulx3s"), tmp_path, say=quiet)


def test_a_cell_of_an_ice40_is_shared_where_its_lut_feeds_nothing_else(tmp_path: Path) -> None:
    def cell(kind: str, **wires: int) -> dict[str, Any]:
        directions = {port: "output" if port in "OQ" else "input" for port in wires}
        return {"type": kind, "port_directions": directions, "connections": {p: [b] for p, b in wires.items()}}

    cells = {
        "feeds one register": cell("SB_LUT4", I0=2, O=3),
        "its register": cell("SB_DFF", D=3, Q=4),
        "feeds a register and more": cell("SB_LUT4", I0=4, O=5),
        "that register": cell("SB_DFFE", D=5, Q=6),
        "and more": cell("SB_LUT4", I0=5, O=7),
        "behind a register": cell("SB_DFF", D=6, Q=8),
    }
    path = tmp_path / "n.json"
    path.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    netlist = Netlist(part_of("iCE40UP5K"), "top", path, Counter(cell["type"] for cell in cells.values()))
    assert units_used(netlist)["LUT"] == 5


def saved(network: Network, folder: Path) -> Path:
    save(network, folder / "network.safetensors")
    return folder / "network.safetensors"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--board", "ulx4s"], "there is no board 'ulx4s': known are"),
        (["--board", "icebreaker", "--baud", "4000000"], "a clock of 12000000 Hz cannot make 4000000 baud"),
        (["--board", "icebreaker", "--lanes", "x"], "--lanes x"),
    ],
)
def test_the_command_line_refuses(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "build", saved(SMALL, tmp_path), "--out", tmp_path / "out", *words)
    assert done.status == 1
    assert sentence in done.err
    assert done.err.count("\n") == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("board", "start", "site", "command"),
    [
        ("icebreaker", b"\xff\x00", "ICESTORM_LC", "iceprog {}"),
        ("colorlight-i5", b"\xff\x00", "TRELLIS_COMB", "openFPGALoader -b colorlight-i5 {}"),
        ("tangnano9k", b"1" * 64, "LUT4", "openFPGALoader -b tangnano9k {}"),
    ],
)
def test_a_bitstream_is_built(
    board: str, start: bytes, site: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Down to the bits, for a part of each family."""
    words = ["--board", board, "--lanes", "2", "--json"]
    done = call(capsys, "build", saved(SMALL, tmp_path), "--out", tmp_path / "out", *words)
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts == json.loads((tmp_path / "out" / "build.json").read_text())
    assert facts["fmax_mhz"] > facts["clock_mhz"]
    assert facts["met"]
    bits = (tmp_path / "out" / facts["bitstream"]).read_bytes()
    assert len(bits) > 30_000
    assert bits.startswith(start), "how the packer begins"
    assert facts["program"] == command.format(tmp_path / "out" / facts["bitstream"])
    cells = facts["placed"][site]["used"]
    if board == "icebreaker":
        assert abs(facts["synthesized"]["LUT"]["used"] / cells - 1) < 0.1, "what is counted is what is placed"
    assert cells > 100
