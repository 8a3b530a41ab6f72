"""Standard cells: area and delay with a Liberty file, gate equivalents without; memories are left to macros."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mintaka.artifact.bounded import read_bounded
from mintaka_hw.implement.errors import SynthesisError
from mintaka_hw.implement.tools import Say, on_stderr
from mintaka_hw.implement.yosys import STAT, run_yosys
from mintaka_hw.quoting import yosys_path
from mintaka_hw.targets.asic import FAMILY

MEMORY = "$mem_v2"
MAX_LIBERTY = 2**27
NAND2 = 4  # transistors; one gate equivalent
ABC_SCRIPT, ABC_STATS = "abc.script", "stats.txt"  # ABC chooses the second name
# Yosys' own script for Liberty files, and at its end the static timing (stime) into a file: what it prints is lost.
ABC_COMMANDS = (
    "strash; &get -n; &fraig -x; &put; scorr; dc2; dretime; strash; &get -n; &dch -f; &nf; &put; topo; stime -d"
)


@dataclass(frozen=True)
class Macro:
    """A memory that a macro or a register file must provide; `reads` and `writes` are ports.

    rom : its contents are constant. clocked : it is read on a clock edge, as block memories are.
    """

    name: str
    depth: int
    width: int
    reads: int
    writes: int
    rom: bool
    clocked: bool

    @property
    def bits(self) -> int:
        return self.depth * self.width


@dataclass(frozen=True)
class Gates:
    """A design in standard cells, memories apart.

    cells : by type. area : of the Liberty file, in its unit, and of it the flip-flops'. delay_ps : the longest way
    through gates between registers, memories and ports, by ABC: without wires, setup and clock-to-q. transistors : by
    Yosys' estimate for plain CMOS. Figures that belong to the other way are None.
    """

    cells: dict[str, int]
    memories: tuple[Macro, ...]
    area: float | None = None
    sequential_area: float | None = None
    delay_ps: int | None = None
    transistors: int | None = None

    @property
    def gate_equivalents(self) -> float | None:
        return None if self.transistors is None else self.transistors / NAND2


def check_liberty(path: Path) -> None:
    """Raise SynthesisError where the file is missing or is no library of cells."""
    try:
        data = read_bounded(path, MAX_LIBERTY)
    except OSError as error:
        raise SynthesisError(f"Liberty file {path}: {(error.strerror or 'not readable').lower()}") from None
    if data is None:
        raise SynthesisError(f"Liberty file {path} has more than {MAX_LIBERTY:,} bytes")
    text = data.decode("utf-8", "replace")
    if not re.search(r"\blibrary\s*\(", text) or not re.search(r"\bcell\s*\(", text):
        raise SynthesisError(f"Liberty file {path} holds no cells: expected a text with library (...) {{ cell (...) }}")
    if not re.search(r"\bff\s*\(", text):
        raise SynthesisError(f"Liberty file {path} holds no flip-flop: expected a cell with a group ff (...)")


def cell_areas(text: str) -> dict[str, float]:
    """Of a Liberty file's cells, those that have one."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    cells = re.split(r"\bcell\s*\(\s*\"?([^\")]+?)\"?\s*\)\s*\{", text)[1:]  # name, content, name, content...
    found = {}
    for name, content in zip(cells[::2], cells[1::2], strict=True):
        area = re.search(r"\barea\s*:\s*\"?((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\"?\s*[;\n]", content)
        if area:
            found[name] = float(area[1])
    return found


def to_gates(
    files: Sequence[Path], top: str, folder: Path, *, liberty: Path | None = None, say: Say = on_stderr
) -> Gates:
    """Synthesize for standard cells; the netlist is `folder`/TOP.v. Raises SynthesisError.

    Initial values of registers are left out, as a chip has none: `rst` sets all that need one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    commands = [f"read_verilog {yosys_path(path, folder)}" for path in files]
    commands += [
        f"hierarchy -check -top {top}",
        f"{FAMILY.synthesis.script} -top {top} -run begin:fine",
        "setattr -unset init a:init",
    ]
    commands += ["opt -fast -full", "opt -undriven -fine", "techmap", "opt -fast"]
    products = [STAT, f"{top}.json", f"{top}.v"]
    if liberty is None:
        # Only plain flip-flops, enables and resets as gates before them.
        commands += ["dfflegalize -cell $_DFF_P_ x", "opt -fast -nodffe -nosdff", "abc -g cmos"]
        stat = "-tech cmos"
    else:
        check_liberty(liberty)
        (folder / ABC_SCRIPT).write_text(ABC_COMMANDS.replace("; ", "\n") + "\n")
        (folder / ABC_STATS).unlink(missing_ok=True)
        library = f"-liberty {yosys_path(liberty, folder)}"
        commands += [f"dfflibmap {library}", "opt -fast -nodffe -nosdff", f"abc {library} -script {ABC_SCRIPT}"]
        products.append(ABC_STATS)
        stat = library
    commands += ["opt_clean", "autoname", f"tee -o {STAT} stat {stat} -json", f"write_verilog -noattr {top}.v"]
    commands += [f"select {top}", f"write_json -selected {top}.json"]
    run_yosys(commands, folder, f"{top} (standard cells)", products, say=say)
    (found,) = json.loads((folder / STAT).read_text())["modules"].values()
    kinds = {kind: n for kind, n in found["num_cells_by_type"].items() if kind not in (MEMORY, "$scopeinfo")}
    memories = _memories(json.loads((folder / f"{top}.json").read_text())["modules"][top]["cells"])
    if liberty is None:
        return Gates(kinds, memories, transistors=int(str(found["estimated_num_transistors"]).rstrip("+")))
    for kind in kinds:
        if kind.startswith("$"):
            raise SynthesisError(f"Liberty file {liberty} holds no cell for {kind} of {top}")
    # Yosys counts cells without an area as 0, and does not mind.
    unknown = sorted(kinds.keys() - cell_areas(liberty.read_text(errors="replace")).keys())
    if unknown:
        raise SynthesisError(f"Liberty file {liberty} gives no area, a number, of {', '.join(unknown)}, used by {top}")
    delay = int((folder / ABC_STATS).read_text().split()[-1])
    return Gates(kinds, memories, float(found["area"]), float(found.get("sequential_area", 0.0)), delay)


def _memories(cells: dict[str, Any]) -> tuple[Macro, ...]:
    found = []
    for name, cell in sorted(cells.items()):
        if cell["type"] == MEMORY:
            p = cell["parameters"]
            found.append(
                Macro(
                    name=name,
                    depth=int(p["SIZE"], 2),
                    width=int(p["WIDTH"], 2),
                    reads=int(p["RD_PORTS"], 2),
                    writes=int(p["WR_PORTS"], 2),
                    rom=int(p["WR_PORTS"], 2) == 0,
                    clocked="0" not in p["RD_CLK_ENABLE"],
                )
            )
    return tuple(found)


def alike(memories: Sequence[Macro]) -> list[tuple[Macro, int]]:
    """Memories of one kind and size together, the largest first, with how many there are."""
    kinds = Counter((m.depth, m.width, m.reads, m.writes, m.rom, m.clocked) for m in memories)
    ordered = sorted(kinds.items(), key=lambda item: (-item[0][0] * item[0][1], item[0]))
    return [(Macro("", *kind), count) for kind, count in ordered]
