"""A one-gate simulation through the whole toolchain."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mintaka_cosim.bench.build import build_cocotb
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.verify import run_cocotb

TOP = "mintaka_gate"
AND = "a & b"
TEST = "truth_table"


@dataclass(frozen=True)
class GateCheck:
    """`cached`: the simulation was built by an earlier check of the same tools."""

    seconds: float
    cached: bool


def simulate_gate(function: str = AND) -> GateCheck:
    """Build and simulate `assign y = function`. Raises CosimError where that fails or the gate is no AND."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        folder = Path(temporary)
        verilog = folder / "gate.v"
        verilog.write_text(f"module {TOP}(input a, input b, output y);\n  assign y = {function};\nendmodule\n")
        built = build_cocotb(verilog, TOP)
        passed = run_cocotb(built, "mintaka_cosim.bench.tb_gate", [TEST], folder, Processes(), {})
        if not passed[TEST]:
            log = (folder / "simulation.log").read_text(errors="replace").splitlines()
            said = next((line.split("AssertionError: ")[-1] for line in log if "AssertionError" in line), "no message")
            raise CosimError(f"the one-gate simulation ran, but gave a wrong value: {said.strip()}")
    return GateCheck(time.monotonic() - begin, built.seconds == 0.0)
