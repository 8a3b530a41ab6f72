"""From a network and a board to a bitstream."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mintaka.artifact import Network
from mintaka.artifact.whole import write_whole
from mintaka_hw.implement.board import Board, BoardError
from mintaka_hw.implement.board_design import BoardDesign, generate_board
from mintaka_hw.implement.errors import PlaceError
from mintaka_hw.implement.outreg import use_output_registers
from mintaka_hw.implement.pack import pack
from mintaka_hw.implement.place import LOG as NEXTPNR_LOG
from mintaka_hw.implement.place import Placed, place
from mintaka_hw.implement.targets import Part, part_of
from mintaka_hw.implement.tools import Say, on_stderr
from mintaka_hw.implement.vivado import ip_script, project_script
from mintaka_hw.implement.yosys import Netlist, synthesize
from mintaka_hw.plan import Lanes, Plan, Sparse, make_plan
from mintaka_hw.verilog import generate

REPORT = "build.json"
BAUD = 115200
BLOCK_BITS = {
    "ecp5": 18432,
    "ice40": 4096,
    "gowin": 18432,
    "xc7": 36864,
}  # of a block RAM, as `Part.capacity` counts them


@dataclass(frozen=True)
class Build:
    """What was built.

    resources : (used, there) of LUT, FF and BRAM, counted after synthesis. placed, bitstream : None for boards that are
    built with Vivado; `scripts` are for it then. hold_violations : as nextpnr counts them.
    """

    board: Board
    plan: Plan
    baud: int
    design: BoardDesign
    resources: dict[str, tuple[float, float]]
    placed: Placed | None
    bitstream: Path | None
    hold_violations: int
    scripts: tuple[Path, ...]

    @property
    def command(self) -> str:
        """What loads the bitstream."""
        name = f"{self.design.top}.bit" if self.bitstream is None else str(self.bitstream)
        return self.board.program.format(bitstream=name)

    def to_json(self) -> dict[str, Any]:
        placed = self.placed
        return {
            "board": self.board.key,
            "part": self.board.part,
            "network": self.plan.network.name,
            "artifact_hash": self.plan.artifact_hash,
            "lanes": dict(self.plan.lanes),
            "sparse": list(self.plan.sparse),
            "baud": self.baud,
            "clock_mhz": self.board.clock.hz / 1e6,
            "fmax_mhz": None if placed is None else placed.fmax_mhz,
            "met": None if placed is None else placed.met,
            "hold_violations": None if placed is None else self.hold_violations,
            "synthesized": {unit: {"used": used, "there": there} for unit, (used, there) in self.resources.items()},
            "placed": None if placed is None else {k: {"used": u, "there": n} for k, (u, n) in placed.used.items()},
            "bitstream": None if self.bitstream is None else self.bitstream.name,
            "scripts": [path.name for path in self.scripts],
            "program": self.command,
        }


def build_board(
    network: Network,
    board: Board,
    out_dir: Path | str,
    *,
    lanes: Lanes = "auto",
    sparse: Sparse = (),
    baud: int = BAUD,
    seed: int = 1,
    say: Say = on_stderr,
) -> Build:
    """Generate, synthesize, place, route and pack; all files go into `out_dir`, a report `build.json` among them.

    lanes, sparse : as for `make_plan`. seed : of the placement. say : is told what is going on.
    For boards of the family xc7 the rest is left to Vivado: scripts for it are written instead of a bitstream.
    Raises PlanError; ImplementError where a tool fails; BoardError where the design does not fit, with the largest
    lanes that do, or is slower than the board's clock.
    """
    out_dir = Path(out_dir)
    part = part_of(board.part)
    plan = make_plan(network, lanes, sparse)
    with tempfile.TemporaryDirectory(prefix="mintaka-") as name:  # nothing of out_dir is lost where it does not fit
        trial = Path(name)
        netlist, used = _synthesized(generate_board(plan, board, trial, baud=baud), part, trial / "synthesis", say)
        if shortage(used, part):
            raise BoardError(_too_large(plan, board, part, used, baud, trial, say))
        _remove_products(out_dir)
        design = generate_board(plan, board, out_dir / "verilog", baud=baud)
        shutil.rmtree(out_dir / "synthesis", ignore_errors=True)
        shutil.move(trial / "synthesis", out_dir / "synthesis")
    netlist = replace(netlist, json=out_dir / "synthesis" / netlist.json.name)
    pins = out_dir / board.pins.name
    write_whole(pins, board.pins.read_bytes())
    placed = bitstream = None
    hold = 0
    scripts: tuple[Path, ...] = ()
    if part.target == "xc7":
        scripts = _vivado(plan, board, design, pins, out_dir)
    else:
        if part.target == "ecp5":
            use_output_registers(netlist.json)
        say(f"placing and routing on {board.name}")
        try:
            placed = place(
                netlist.json,
                part,
                out_dir,
                package=board.package if part.package else None,  # of the other families the part says it
                speed=board.speed if part.speed else None,
                pins=pins,
                frequency_mhz=board.clock.hz / 1e6,
                seed=seed,
                say=say,
            )
        except PlaceError as error:
            raise PlaceError(
                f"{error}; with the lanes {_lanes(plan)} it takes {_numbers(used, part)}: try fewer lanes, or another"
                " --seed"
            ) from None
        if not placed.met:
            raise BoardError(
                f"{design.top} reaches {placed.fmax_mhz:.1f} MHz on {board.name}, whose clock is"
                f" {board.clock.hz / 1e6:g} MHz: no bitstream was made; try fewer lanes than {_lanes(plan)}, or another"
                " --seed"
            )
        hold = hold_violations((out_dir / NEXTPNR_LOG).read_text())
        bitstream = pack(placed, design.top, out_dir, say=say)
    resources = {unit: (used[unit], there) for unit, there in part.capacity.items()}
    built = Build(board, plan, baud, design, resources, placed, bitstream, hold, scripts)
    write_whole(out_dir / REPORT, (json.dumps(built.to_json(), indent=2) + "\n").encode())
    return built


def _remove_products(out_dir: Path) -> None:
    """What an earlier build says it made: beside a build that fails, nobody is to load it for the new one."""
    try:
        earlier = json.loads((out_dir / REPORT).read_text())
        names = [earlier["bitstream"], *earlier["scripts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in names:
        if name is not None:
            (out_dir / Path(name).name).unlink(missing_ok=True)
    (out_dir / REPORT).unlink()


def hold_violations(log: str) -> int:
    """How many nextpnr found, of the routed design: the last of its counts."""
    counts = re.findall(r"(\d+) Hold/min time violations", log)
    return int(counts[-1]) if counts else 0


def shortage(used: Mapping[str, float], part: Part) -> dict[str, tuple[float, float]]:
    """(used, there) of what the part has too little of."""
    return {unit: (used[unit], most) for unit, most in part.capacity.items() if used[unit] > most}


def _synthesized(design: BoardDesign, part: Part, folder: Path, say: Say) -> tuple[Netlist, dict[str, float]]:
    """The netlist, and what it takes."""
    say(f"synthesizing {design.top} for {part.name}")
    netlist = synthesize((design.verilog, *design.parts), design.top, part, folder, say=say)
    used = dict(netlist.resources)
    if part.target == "ice40":
        used["LUT"] = logic_cells(netlist)
    return netlist, used


def _too_large(
    plan: Plan, board: Board, part: Part, used: Mapping[str, float], baud: int, folder: Path, say: Say
) -> str:
    """What there is too little of, and the largest limit of all layers' lanes with which it fits."""
    numbers = " and ".join(f"{n:,g} {unit} of {there:,g}" for unit, (n, there) in shortage(used, part).items())
    said = f"'{plan.network.name}' with the lanes {_lanes(plan)} does not fit on {board.name}: it takes {numbers}"
    weights = sum(memory.bits for _, memory in plan.memories if memory.name == "weights")
    there = int(part.capacity["BRAM"]) * BLOCK_BITS[part.target]
    if weights > there:
        return f"{said}; no lanes fit, as the weights alone are {weights:,} bits and its block RAMs hold {there:,}"

    def with_lanes(most: int) -> tuple[Plan, dict[str, float]]:
        fewer = make_plan(plan.network, {n: min(lanes, most) for n, lanes in plan.lanes.items()}, plan.sparse)
        return fewer, _synthesized(generate_board(fewer, board, folder, baud=baud), part, folder / "synthesis", say)[1]

    best = None
    fits, too_many = 0, max(plan.lanes.values())
    while too_many - fits > 1:
        most = (fits + too_many) // 2
        fewer, takes = with_lanes(most)
        if shortage(takes, part):
            too_many = most
        else:
            fits, best = most, (fewer, takes)
    if best is None:
        return f"{said}; no lanes fit"
    lanes = _lanes(best[0])
    return f"{said}; of lanes limited alike for all layers, the most that fit are {lanes}, with" + (
        f" {_numbers(best[1], part)}: --lanes {lanes}"
    )


def _numbers(used: Mapping[str, float], part: Part) -> str:
    return ", ".join(f"{used[unit]:,g} of {there:,g} {unit}" for unit, there in part.capacity.items())


def logic_cells(netlist: Netlist) -> int:
    """Logic cells of an iCE40: each has a LUT and a flip-flop, which share it where the LUT feeds nothing else."""
    cells = json.loads(netlist.json.read_text())["modules"][netlist.top]["cells"].values()
    readers: Counter[int] = Counter()
    driven: set[int] = set()
    data: list[int] = []
    for cell in cells:
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                readers.update(bits)
            elif cell["type"] == "SB_LUT4":
                driven.update(bits)
        if cell["type"].startswith("SB_DFF"):
            data += cell["connections"]["D"]
    shared = sum(bit in driven and readers[bit] == 1 for bit in data)
    return int(netlist.resources["LUT"] + netlist.resources["FF"]) - shared


def _lanes(plan: Plan) -> str:
    return ",".join(f"{name}={lanes}" for name, lanes in plan.lanes.items())


def _vivado(plan: Plan, board: Board, design: BoardDesign, pins: Path, folder: Path) -> tuple[Path, ...]:
    """Scripts for a project and for an IP of the design with AXI, which is generated beside it."""
    axi = generate(plan, folder / "axi", host="axi")
    files = [str(path.relative_to(folder)) for path in (design.verilog, *design.parts)]
    ip_files = [str(path.relative_to(folder)) for path in (axi.verilog, *axi.parts)]
    scripts = {
        "project.tcl": project_script(board, "project.tcl", design.top, files, pins.name),
        "ip.tcl": ip_script(board, "ip.tcl", axi.top, ip_files),
    }
    for name, text in scripts.items():
        write_whole(folder / name, text.encode())
    return tuple(folder / name for name in scripts)
