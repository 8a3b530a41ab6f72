"""A generated design for one target: synthesized, and placed and routed; each result is computed once."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mintaka_hw.implement.components import CriticalPath, by_component, critical_path, scopes_of
from mintaka_hw.implement.errors import PlaceError
from mintaka_hw.implement.harness import CORE, harness_pins, in_harness
from mintaka_hw.implement.kept import kept
from mintaka_hw.implement.place import place
from mintaka_hw.implement.resources import resources
from mintaka_hw.implement.standard_cells import Gates, Macro, check_liberty, to_gates
from mintaka_hw.implement.tools import YOSYS, Say, on_stderr
from mintaka_hw.implement.yosys import Netlist, cells, module_of, synthesize, use_output_registers
from mintaka_hw.targets import Family, Part, family_of
from mintaka_hw.verilog import Design, without_comments


@dataclass(frozen=True)
class Synthesized:
    """The core alone, without pads. components : resources of each, by its path. folder : netlist and log."""

    part: Part
    cells: dict[str, int]
    resources: dict[str, float]
    components: dict[str, dict[str, float]]
    folder: Path


@dataclass(frozen=True)
class Timed:
    """The core between registers, placed and routed.

    wanted_mhz : what nextpnr aimed at. output_registers : ports of block RAMs whose own register is used.
    used : (used, there) by kind of site, with the registers around the core. folder : netlist, report and log.
    """

    fmax_mhz: float
    wanted_mhz: float
    seed: int
    output_registers: int
    used: dict[str, tuple[int, int]]
    path: CriticalPath
    folder: Path


def synthesized(design: Design, part: Part, *, say: Say = on_stderr) -> Synthesized:
    """LUTs, flip-flops and memories of the design. Raises SynthesisError."""

    def make(folder: Path) -> dict[str, Any]:
        say("synthesizing")
        netlist = synthesize(_files(design), design.top, part, folder, pads=False, say=say)
        return {"cells": netlist.cells, "resources": netlist.resources, "components": by_component(netlist)}

    synthesis = family_of(part).synthesis
    key = (_text(design), part.name, synthesis.script, part.script, dict(synthesis.cells), YOSYS.version)
    found, folder = kept("synth", key, make)
    return Synthesized(part, found["cells"], found["resources"], found["components"], folder)


def timed(
    design: Design, part: Part, *, frequency_mhz: float | None = None, seed: int = 1, say: Say = on_stderr
) -> Timed:
    """Fmax of the design with registers around it. Raises SynthesisError and PlaceError."""
    nextpnr = family_of(part).nextpnr
    if nextpnr is None:
        raise PlaceError(f"there is no open place and route for {part.target}: ask for it without")
    core = synthesized(design, part, say=say)
    check_fits(core.resources, part)
    wanted = part.frequency_mhz if frequency_mhz is None else frequency_mhz

    def make(folder: Path) -> dict[str, Any]:
        say("putting registers around it")
        json = core.folder / f"{design.top}.json"
        netlist = in_harness(Netlist(part, design.top, json, Counter(core.cells)), folder, say=say)
        moved = use_output_registers(netlist, part)
        pins = harness_pins(part, folder)
        placed = place(netlist, part, folder, pins=pins, frequency_mhz=wanted, seed=seed, say=say)
        path = critical_path(placed.path, scopes_of(netlist), CORE)
        return {"fmax_mhz": placed.fmax_mhz, "output_registers": moved, "used": placed.used, "path": asdict(path)}

    tools = family_of(part).synthesis.script, asdict(nextpnr), YOSYS.version, nextpnr.tool.version
    key = (_text(design), asdict(part), wanted, seed, *tools)
    found, folder = kept("place", key, make)
    path = {**found["path"], "parts": tuple((where, delay) for where, delay in found["path"]["parts"])}
    used = {kind: (n[0], n[1]) for kind, n in found["used"].items()}
    return Timed(found["fmax_mhz"], wanted, seed, found["output_registers"], used, CriticalPath(**path), folder)


def gates(design: Design, *, liberty: Path | None = None, say: Say = on_stderr) -> tuple[Gates, Path]:
    """The design in standard cells, and the folder with the netlist and the log. Raises SynthesisError."""
    if liberty is not None:
        check_liberty(liberty)

    def make(folder: Path) -> dict[str, Any]:
        say("synthesizing")
        return asdict(to_gates(_files(design), design.top, folder, liberty=liberty, say=say))

    library = "" if liberty is None else hashlib.sha256(liberty.read_bytes()).hexdigest()
    found, folder = kept("gates", (_text(design), library, YOSYS.version), make)
    memories = tuple(Macro(**memory) for memory in found["memories"])
    return Gates(**{**found, "memories": memories}), folder


def count_cells(design: Design, family: Family, layer: str | None = None) -> dict[str, float]:
    """Resources by unit of the whole design, or of one layer with all inside it, in a family's cells and for none of
    its parts. Nothing is kept. Raises SynthesisError."""
    verilog = design.verilog
    top = design.top if layer is None else module_of(verilog.read_text(), design.top, layer)
    return resources(family, cells(verilog.parent, verilog.name, top, family.synthesis.script))


def check_fits(used: Mapping[str, float], part: Part) -> None:
    """Raise PlaceError, with the numbers, where the part holds less."""
    over = {unit: n for unit, n in used.items() if n > part.capacity.get(unit, n)}
    if over:
        short = ", ".join(f"{n:,.0f} {unit} of {part.capacity[unit]:,.0f}" for unit, n in over.items())
        raise PlaceError(f"the design does not fit {part.name}, it takes {short}: use fewer lanes or another part")


def _files(design: Design) -> list[Path]:
    return [design.verilog, *design.parts]


def _text(design: Design) -> str:
    """Hash of the Verilog without its comment lines, which name the artifact, and of the memories' files it reads."""
    found = hashlib.sha256()
    for path in _files(design):
        text = without_comments(path.read_bytes())
        found.update(text)
        for name in re.findall(rb'\$readmem[bh]\s*\(\s*"([^"]+)"', text):
            found.update((path.parent / name.decode()).read_bytes())
    return found.hexdigest()
