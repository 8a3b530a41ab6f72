"""Families of devices: what their tools are told, what the pages say of them, and what does not go together."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from difflib import unified_diff
from pathlib import Path

import pytest
from faketools import FakeTools

from mintaka_hw.implement import (
    board_names,
    harness_pins,
    in_harness,
    load_board,
    place,
    synthesize,
    use_output_registers,
)
from mintaka_hw.implement.pack import pack
from mintaka_hw.targets import Family, Part, TargetError, families, family_of, find_family, part_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COMMANDS = Path(__file__).with_name("commands.txt")
ECP5, NEXUS, XC7 = find_family("ecp5"), find_family("nexus"), find_family("xc7")


def commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the tools are told for each part (a core alone and between registers) and each board."""
    tools = FakeTools(monkeypatch, {})
    (folder / "m.v").touch()

    def told(title: str) -> list[str]:
        found = [f"== {title}", *tools.told]
        tools.told.clear()
        return found

    lines: list[str] = []
    for part in (part for family in families() for part in family.parts):
        core = synthesize([folder / "m.v"], "m", part, folder, pads=False)
        netlist = in_harness(core, folder)
        pins = harness_pins(part, folder)
        if family_of(part).nextpnr is not None:
            place(netlist, part, folder, pins=pins)
        lines += told(part.name)
        lines += [] if pins is None else [f"{pins.name}: {line}" for line in pins.read_text().splitlines()]
    for name in board_names():
        board = load_board(name)
        part = part_of(board.part)
        netlist = synthesize([folder / "m.v"], "m", part, folder).json
        if family_of(part).packer is not None:
            package, speed = board.package if part.package else None, board.speed if part.speed else None
            (folder / board.pins.name).touch()
            placed = place(netlist, part, folder, package=package, speed=speed, pins=folder / board.pins.name)
            pack(placed, "m", folder)
        lines += told(name)
    return "\n".join(lines) + "\n"


def test_what_the_tools_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every script, option and constraint. Stored figures belong to these texts: where one has to change, change the
    file with it, and measure again what rests on it."""
    found = commands(tmp_path, monkeypatch)
    difference = unified_diff(COMMANDS.read_text().splitlines(), found.splitlines(), "commands.txt", "now", lineterm="")
    assert not list(difference)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table that has this text in its heading."""
    text = (DOCS / page).read_text()
    table = re.search(rf"^\|[^\n]*{re.escape(heading)}[^\n]*\n\|[-|]*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_the_table_of_targets() -> None:
    """docs/guide/synthesis.md names the families, their parts, scripts and tools as they are."""
    wanted = []
    for family in families():
        if family.parts:
            first = family.parts[0]
            speed = f"speed grade {first.speed}" if first.speed else ""
            device = ", ".join(text for text in (first.name, first.package, speed) if text)
            others = ", ".join(part.name for part in family.parts[1:])
            tool = "none" if family.nextpnr is None else family.nextpnr.tool.distribution.removeprefix("yowasp-")
            wanted.append([f"`{family.name}`", device, others, f"`{family.synthesis.script}`", tool])
        else:
            cells = [f"`{family.name}`", "", "any Liberty file", f"`{family.synthesis.script}`, `dfflibmap`, `abc`"]
            wanted.append([*cells, "none"])
    assert rows("guide/synthesis.md", "default device") == wanted
    counted = {row[0]: row[2] for row in rows("guide/synthesis.md", "LUTs | block RAMs")}
    assert list(counted) == [family.name for family in families() if family.parts]
    for name, blocks in counted.items():
        assert blocks.startswith(f"{find_family(name).memory.block_bits // 1024} kbit")


def test_the_families_of_boards() -> None:
    told = {row[0]: row[1] for row in rows("guide/boards.md", "key |")}
    boards = [family for family in families() if family.builds_boards]
    assert re.findall(r"`(\w+)`", told["`family`, `part`"]) == [family.name for family in boards]
    assert re.findall(r"`\.(\w+)`", told["`pin_file`"]) == [family.pin_file.suffix for family in boards]


def test_the_page_names_every_field() -> None:
    text = (DOCS / "guide/adding-a-target.md").read_text()
    table = text[text.index("| field of `Family`") :]
    assert [field.name for field in fields(Family) if f"`{field.name}`" not in table] == []


def test_nothing_else_knows_a_family() -> None:
    names = re.compile(rf"""["']({"|".join(family.name for family in families())})["']""")
    files = [path for room in ("hw/mintaka_hw", "cosim/mintaka_cosim") for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 100
    knowing = {path.relative_to(ROOT).as_posix() for path in files if names.search(path.read_text())}
    assert not {name for name in knowing if not name.startswith("hw/mintaka_hw/targets/")}


def test_families_are_found_by_name_and_part() -> None:
    names = [family.name for family in families()]
    assert len(set(names)) == len(names)
    parts = [part.name.lower() for family in families() for part in family.parts]
    assert len(set(parts)) == len(parts)
    assert all(find_family(name).name == name for name in names)
    with pytest.raises(TargetError, match="target mars: known are ecp5, ice40, "):
        find_family("mars")


PLACER = ECP5.nextpnr


@pytest.mark.parametrize(
    ("family", "change", "sentence"),
    [
        (ECP5, {"name": "ECP-5"}, "the name must be small letters and digits"),
        (ECP5, {"synthesis": replace(ECP5.synthesis, cells={"LUT": (("LUT4", 1),)})}, "cells must count "),
        (ECP5, {"memory": replace(ECP5.memory, block_bits=0)}, "block_bits must be more than 0"),
        (ECP5, {"nextpnr": None}, "a packer needs nextpnr"),
        (XC7, {"packer": ECP5.packer, "nextpnr": PLACER}, "there must be a packer or a vendor, not both"),
        (NEXUS, {"packer": ECP5.packer}, "boards need pin_file.location"),
        (NEXUS, {"pin_file": ECP5.pin_file}, "part LIFCL-40: sites must be 3, and need pin_file.line"),
        (ECP5, {"parts": XC7.parts}, "part XC7A35T: target or capacity does not match"),
        (ECP5, {"parts": (Part("X", "ecp5", {"LUT": 1}),)}, "part X: target or capacity does not match"),
    ],
)
def test_fields_that_do_not_go_together(family: Family, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(family, **change)  # type: ignore[arg-type]


def test_only_a_family_with_the_rewrite_moves_registers(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text('{"modules": {}}')
    assert all(use_output_registers(path, part) == 0 for family in families() for part in family.parts)
    assert path.read_text() == '{"modules": {}}'
