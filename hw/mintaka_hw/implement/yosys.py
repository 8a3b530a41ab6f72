"""Synthesis with Yosys."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mintaka.artifact.whole import write_whole
from mintaka.system.disk import check_room
from mintaka_hw.implement.errors import SynthesisError
from mintaka_hw.implement.resources import resources, without_multipliers
from mintaka_hw.implement.tools import YOSYS, Say, complaint, on_stderr, run_tool
from mintaka_hw.quoting import yosys_path
from mintaka_hw.targets import Part, family_of
from mintaka_hw.targets.family import Rewrite

STAT, LOG = "stat.json", "yosys.log"


@dataclass(frozen=True)
class Netlist:
    """A flat netlist of a family's cells. json : the file that nextpnr reads. cells : by type."""

    part: Part
    top: str
    json: Path
    cells: Counter[str]

    @property
    def resources(self) -> dict[str, float]:
        return resources(family_of(self.part), self.cells)


def synthesize(
    files: Sequence[Path], top: str, part: Part, folder: Path, *, pads: bool = True, say: Say = on_stderr
) -> Netlist:
    """Synthesize Verilog files for a part; the netlist is `folder`/TOP.json.

    pads : with buffers at the ports, as a design that is placed needs; without for a core alone.
    Raises SynthesisError, also where the netlist holds a DSP.
    """
    folder.mkdir(parents=True, exist_ok=True)
    family = family_of(part)
    script = script_of(part, pads=pads)
    commands = [f"read_verilog {yosys_path(path, folder)}" for path in files]
    # Names that say where a cell comes from are given by autoname; some families' scripts do it themselves.
    commands += [f"hierarchy -check -top {top}", f"{script} -top {top}", "autoname", f"tee -o {STAT} stat -json"]
    commands += [f"select {top}", f"write_json -selected {top}.json"]
    run_yosys(commands, folder, f"{top} ({script})", [STAT, f"{top}.json"], say=say)
    if family.synthesis.fix_netlist is not None:
        rewrite(folder / f"{top}.json", family.synthesis.fix_netlist)
    netlist = Netlist(part, top, folder / f"{top}.json", _stat(folder / STAT, top))
    without_multipliers(netlist.resources)
    return netlist


def script_of(part: Part, *, pads: bool = True) -> str:
    """Yosys' command for a design of that part."""
    synthesis = family_of(part).synthesis
    options = (synthesis.script, part.script, "" if pads else synthesis.without_pads)
    return " ".join(option for option in options if option)


def use_output_registers(netlist: Path, part: Part) -> int:
    """Rewrite a netlist of Yosys (JSON) to use the registers in block RAMs, where that is known for the family.

    Returns the number of RAM ports whose register is used now.
    """
    change = family_of(part).output_registers
    return 0 if change is None else rewrite(netlist, change)


def rewrite(netlist: Path, change: Rewrite) -> int:
    """Change a netlist (JSON) in place; how many changes that were."""
    design = json.loads(netlist.read_text())
    changes = change(design)
    if changes:
        write_whole(netlist, json.dumps(design).encode())
    return changes


def cells(folder: Path, verilog: str, top: str, script: str) -> Counter[str]:
    """Cells by type of one module with everything below it, after `script`. Raises SynthesisError."""
    commands = [f"read_verilog {verilog}", f"hierarchy -check -top {top}", f"{script} -top {top}"]
    run_yosys([*commands, f"tee -o {STAT} stat -json"], folder, f"{top} ({script})", [STAT])
    return _stat(folder / STAT, top)


def run_yosys(
    commands: Sequence[str], folder: Path, what: str, products: Sequence[str], *, say: Say = on_stderr
) -> str:
    """Run commands in `folder`; Yosys' log. Raises SynthesisError, naming `what`, where it fails.

    products : names of files that it must have written: it may stop early with status 0.
    """
    for name in (*products, LOG):
        (folder / name).unlink(missing_ok=True)
    # A log of its own: what it prints may end when ABC runs.
    status, text = run_tool(YOSYS, ["-q", "-l", LOG, "-p", "; ".join(commands)], folder, say=say)
    text = (folder / LOG).read_text(errors="replace") if (folder / LOG).is_file() else text
    missing = [name for name in products if not (folder / name).is_file() or not (folder / name).stat().st_size]
    if status or missing:
        check_room(folder)
        early = "" if status else f" (it stopped before it wrote {missing[0]})"
        raise SynthesisError(f"Yosys failed on {what}: {complaint(text)}{early}")
    return text


def module_of(verilog: str, top: str, layer: str) -> str:
    """The name of a layer's module. Raises SynthesisError where there is none of that name."""
    name = f"{top}__layer_{layer}"
    if re.search(rf"^module {re.escape(name)}\b", verilog, re.MULTILINE) is None:
        raise SynthesisError(f"the Verilog has no module '{name}' for layer '{layer}'")
    return name


def _stat(path: Path, top: str) -> Counter[str]:
    modules = json.loads(path.read_text())["modules"]
    if len(modules) != 1:
        raise SynthesisError(f"{top} is not flat after synthesis: {', '.join(modules):.200}")
    found = next(iter(modules.values()))["num_cells_by_type"]
    return Counter({kind: n for kind, n in found.items() if kind != "$scopeinfo"})  # that one is only a name
