"""Boards as files: each says the same twice, and what is wrong in one is said in a sentence."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from handmade import dense_network

from mintaka_hw.host.uart import BAUD_TOLERANCE, cycles_per_bit
from mintaka_hw.implement import BoardError, board_names, generate_board, load_board, part_of
from mintaka_hw.implement.board import boards_folder
from mintaka_hw.implement.board_design import RESET_BITS
from mintaka_hw.implement.build import shortage
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import Project
from mintaka_hw.targets.vivado import ip_script, project_script

BOARDS = board_names()


def test_the_boards_that_are_promised_are_there() -> None:
    assert {"ulx3s", "orangecrab", "colorlight-i5", "icebreaker", "tangnano9k", "arty-a7-35t", "pynq-z2"} == set(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_complete(name: str, tmp_path: Path) -> None:
    """Its pins are all different, its clock makes 115200 baud, and its design has just its ports."""
    board = load_board(name)
    assert len(set(board.ports.values())) == len(board.ports) == 5
    divisor = cycles_per_bit(board.clock.hz, 115200)
    assert abs(board.clock.hz / divisor / 115200 - 1) < BAUD_TOLERANCE / 4
    hertz = f"{board.clock.hz / 1e6:g} MHZ" if board.family == "ecp5" else f"{1e9 / board.clock.hz:.3f}"
    assert board.family in ("ice40", "gowin") or hertz in board.pins.read_text()
    assert part_of(board.part).target == board.family
    made = generate_board(make_plan(dense_network([4, 3])), board, tmp_path, baud=115200)
    text = made.verilog.read_text()
    ports = re.findall(r"^  (?:input |output) wire (\w+),?$", text, re.MULTILINE)
    assert sorted(ports) == sorted(board.ports)
    assert board.reset is not None
    assert f"pressed[0], {'~' if board.reset.active_low else ''}button" in text
    assert f"assign led = {'~' if board.led.active_low else ''}beat" in text
    assert f"reset = ~age[{RESET_BITS}]" in text
    assert (tmp_path / "files.f").read_text().split() == [made.verilog.name, *(path.name for path in made.parts)]


def test_a_board_without_a_button(tmp_path: Path) -> None:
    board = load_board("ulx3s").model_copy(update={"reset": None})
    made = generate_board(make_plan(dense_network([4, 3])), board, tmp_path, baud=115200)
    assert "button" not in made.verilog.read_text()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('rx = "M1"', 'rx = "M2"', "has 'rx' at pin M2, but ulx3s.lpf puts it at M1"),
        ('[reset] # button PWR\npin = "D6"\nactive_low = true\n', "", "a pin for 'button', which no board design"),
        (
            'part = "LFE5U-85F"',
            'part = "LFE5U-99F"',
            "part: 'LFE5U-99F' is not known in the family ecp5; known are LFE5U",
        ),
        ('part = "LFE5U-85F"', 'part = "iCE40UP5K"', "part: 'iCE40UP5K' is not known in the family ecp5"),
        ('family = "ecp5"', 'family = "ecp6"', "family: must be ecp5, ice40, gowin or xc7, got 'ecp6'"),
        ("hz = 25_000_000", "hz = 0", "clock.hz: must be more than 0, got 0"),
        ('serial = "', 'cereal = "', "serial: field required"),
        ("{bitstream}", "it", "program: 'openFPGALoader -b ulx3s it' has no {bitstream} in it"),
        ('pin_file = "ulx3s.lpf"', 'pin_file = "none.lpf"', "none.lpf cannot be read"),
        ('name = "ULX3S-85F"', "name = ", "is no TOML file"),
    ],
)
def test_what_is_wrong_in_a_board_is_said(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    for suffix in ("toml", "lpf"):
        shutil.copy(boards_folder() / f"ulx3s.{suffix}", tmp_path)
    path = tmp_path / "ulx3s.toml"
    assert load_board(str(path)).ports == load_board("ulx3s").ports
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BoardError, match=re.escape(sentence)) as error:
        load_board(str(path))
    assert "\n" not in str(error.value) or "TOML" in sentence


def test_an_unknown_board_names_the_known_ones() -> None:
    with pytest.raises(
        BoardError, match=r"there is no board 'ulx4s': known are arty-a7-35t, .*, or the path of a \.toml"
    ):
        load_board("ulx4s")


def test_what_a_part_has_too_little_of() -> None:
    part = part_of("iCE40UP5K")
    assert shortage({"LUT": 5280, "FF": 5281, "BRAM": 30}, part) == {"FF": (5281, 5280)}


def test_vivado_is_told_part_files_top_and_pins() -> None:
    board = load_board("pynq-z2")
    files = ("verilog/eye_board.v", "verilog/eye.v")
    hz = board.clock.hz
    project = Project(board.name, board.order, hz, "eye_board", files, "pynq-z2.xdc", "eye", ("axi/eye.v",))
    text = project_script(project, "project.tcl")
    assert "create_project eye_board $here/project -part xc7z020clg400-1 -force" in text
    assert "add_files -norecurse [list $here/verilog/eye_board.v $here/verilog/eye.v]" in text
    assert "add_files -fileset constrs_1 -norecurse [list $here/pynq-z2.xdc]" in text
    ip = ip_script(project, "ip.tcl")
    for script in (text, ip):
        assert "Mintaka, which has not run it" in script
        assert script.count("{") == script.count("}")
        assert script.count("[") == script.count("]")
    ports = {"s_axis", "m_axis", "s_axil"}
    assert set(re.findall(r"foreach bus \{(.*?)\}", ip)[0].split()) == ports
