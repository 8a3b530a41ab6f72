"""From a network and a board to a bitstream."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mintaka.artifact import Network
from mintaka.artifact.strict_json import read_object
from mintaka.artifact.whole import write_whole
from mintaka_hw.implement.board import BITSTREAM, Board, BoardError
from mintaka_hw.implement.board_design import BoardDesign, generate_board
from mintaka_hw.implement.errors import PlaceError
from mintaka_hw.implement.floor import fit_problem
from mintaka_hw.implement.pack import pack
from mintaka_hw.implement.place import LOG as NEXTPNR_LOG
from mintaka_hw.implement.place import Placed, place
from mintaka_hw.implement.tools import Say, check_tools, on_stderr
from mintaka_hw.implement.yosys import Netlist, synthesize, use_output_registers
from mintaka_hw.plan import Lanes, Plan, Sparse, make_plan
from mintaka_hw.quoting import shell_word
from mintaka_hw.targets import Part, Project, Vendor, families, family_of, find_family, part_of
from mintaka_hw.verilog import generate

REPORT = "build.json"
BAUD = 115200


@dataclass(frozen=True)
class Build:
    """What was built.

    resources : (used, there) of LUT, FF and BRAM, counted after synthesis. placed, bitstream : None for boards that are
    built with the vendor's program; `scripts` are for it then. hold_violations : as nextpnr counts them.
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
    def vendor(self) -> Vendor | None:
        """The program that the scripts are for."""
        return find_family(self.board.family).vendor

    @property
    def command(self) -> str:
        """What loads the bitstream."""
        name = f"{self.design.top}.{self.vendor.suffix}" if self.vendor is not None else str(self.bitstream)
        return self.board.program.replace(BITSTREAM, shell_word(name))

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
    fit: bool = False,
    say: Say = on_stderr,
) -> Build:
    """Generate, synthesize, place, route and pack; all files go into `out_dir`, a report `build.json` among them.

    lanes, sparse : as for `make_plan`. seed : of the placement. say : is told what is going on.
    fit : where the design does not fit, build it with the largest lanes that do.
    For boards of some families the rest is left to the vendor's program: scripts for it are written instead of a
    bitstream.
    Raises PlanError; ImplementError where a tool fails; BoardError where the design does not fit, with the largest
    lanes that do, or is slower than the board's clock. What cannot fit with any lanes is refused before synthesis.
    """
    out_dir = Path(out_dir)
    part = part_of(board.part)
    vendor = family_of(part).vendor
    check_tools(family_of(part), placing=vendor is None, packing=vendor is None)
    plan = make_plan(network, lanes, sparse)
    with tempfile.TemporaryDirectory(prefix="mintaka-") as name:  # nothing of out_dir is lost where it does not fit
        trial = Path(name)
        found = fitting(plan, board, part, baud, trial, say)
        if found.plan is not plan and not fit:
            raise BoardError(f"{found.problem}: --lanes {_lanes(found.plan)}, or --fit")
        plan, netlist, used = found.plan, found.netlist, found.used
        _remove_products(out_dir)
        design = generate_board(plan, board, out_dir / "verilog", baud=baud)
        shutil.rmtree(out_dir / "synthesis", ignore_errors=True)
        shutil.move(netlist.json.parent, out_dir / "synthesis")
    netlist = replace(netlist, json=out_dir / "synthesis" / netlist.json.name)
    pins = out_dir / board.pins.name
    write_whole(pins, board.pins.read_bytes())
    placed = bitstream = None
    hold = 0
    scripts: tuple[Path, ...] = ()
    if vendor is not None:
        scripts = _vendor_scripts(vendor, plan, board, design, pins, out_dir)
    else:
        use_output_registers(netlist.json, part)
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
        earlier = read_object(out_dir / REPORT)
        names = [earlier["bitstream"], *earlier["scripts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in names:  # and nothing else that such a file may name
        if isinstance(name, str) and _is_product(name):
            (out_dir / name).unlink(missing_ok=True)
    (out_dir / REPORT).unlink()


def _is_product(name: str) -> bool:
    """It is called as what a build makes for boards of some family."""
    vendors = [family.vendor for family in families() if family.vendor is not None]
    if any(name in vendor.scripts for vendor in vendors):
        return True
    suffixes = [vendor.suffix for vendor in vendors]
    suffixes += [family.packer.suffix for family in families() if family.packer is not None]
    return re.fullmatch(rf"[A-Za-z0-9_]+\.({'|'.join(map(re.escape, suffixes))})", name) is not None


def hold_violations(log: str) -> int:
    """How many nextpnr found, of the routed design: the last of its counts."""
    counts = re.findall(r"(\d+) Hold/min time violations", log)
    return int(counts[-1]) if counts else 0


def shortage(used: Mapping[str, float], part: Part) -> dict[str, tuple[float, float]]:
    """(used, there) of what the part has too little of."""
    return {unit: (used[unit], most) for unit, most in part.capacity.items() if used[unit] > most}


@dataclass(frozen=True)
class Fitting:
    """A plan that fits, synthesized. problem : where it has fewer lanes than were asked for, why, and what it takes."""

    plan: Plan
    netlist: Netlist
    used: dict[str, float]
    problem: str = ""


def fitting(plan: Plan, board: Board, part: Part, baud: int, folder: Path, say: Say) -> Fitting:
    """The plan, or where it does not fit the one with the largest limit of all layers' lanes that does.

    folder : for the trials; the netlist of the one that is returned is kept. Raises BoardError where no lanes fit:
    before any synthesis where the plan alone says so.
    """
    what = f"'{plan.network.name}' with the lanes {_lanes(plan)} does not fit on {board.name}"
    problem = fit_problem(plan, part)
    most = at = max(plan.lanes.values())
    if problem is not None:
        fewest = fit_problem(_limited(plan, 1), part)
        if fewest is not None:
            raise BoardError(f"{what}: it takes {problem}; no lanes fit, as with one lane per layer it takes {fewest}")
        at = bisect_left(range(2, most), True, key=lambda n: fit_problem(_limited(plan, n), part) is not None) + 1
    trials = 0

    def tried(lanes: int) -> Fitting:
        nonlocal trials
        trials += 1
        limited = plan if lanes == most else _limited(plan, lanes)
        design = generate_board(limited, board, folder / f"trial_{lanes}", baud=baud)
        say(f"synthesizing {design.top} for {part.name} with the lanes {_lanes(limited)} (trial {trials})")
        netlist = synthesize((design.verilog, *design.parts), design.top, part, folder / f"netlist_{lanes}", say=say)
        return Fitting(limited, netlist, units_used(netlist))

    fits: Fitting | None = None
    fit_lanes, too_many = 0, at + 1
    known: list[tuple[int, float]] = []  # lanes, and the part's fullness by what is scarcest
    while too_many - fit_lanes > 1:
        found = tried(at)
        short = shortage(found.used, part)
        say(f"it takes {_numbers(found.used, part)}: {'too much' if short else 'it fits'}")
        if short and problem is None:
            problem = " and ".join(f"{n:,g} {unit} of {there:,g}" for unit, (n, there) in short.items())
        if short:
            too_many = at
        else:
            fits, fit_lanes = found, at
        known.append((at, max(found.used[unit] / there for unit, there in part.capacity.items())))
        at = _next(known, fit_lanes, too_many)
    if fits is None:
        raise BoardError(f"{what}: it takes {problem}; no lanes fit")
    if fits.plan is plan:
        return fits
    numbers = _numbers(fits.used, part)
    return replace(
        fits,
        problem=f"{what}: it takes {problem}; of lanes limited alike for all layers, the most that fit are"
        f" {_lanes(fits.plan)}, with {numbers}",
    )


def _next(known: list[tuple[int, float]], fits: int, too_many: int) -> int:
    """Between what fits and what does not: first where the line through the last two trials meets the full part."""
    lanes, full = known[-1]
    other, other_full = known[-2] if len(known) > 1 else (0, 0.0)
    slope = (full - other_full) / (lanes - other)
    guess = int(lanes + (1 - full) / slope) if slope > 0 and len(known) < 4 else (fits + too_many) // 2
    return min(max(guess, fits + 1), too_many - 1)


def _limited(plan: Plan, most: int) -> Plan:
    """The plan with at most that many lanes in every layer."""
    return make_plan(plan.network, {name: min(lanes, most) for name, lanes in plan.lanes.items()}, plan.sparse)


def _numbers(used: Mapping[str, float], part: Part) -> str:
    return ", ".join(f"{used[unit]:,g} of {there:,g} {unit}" for unit, there in part.capacity.items())


def units_used(netlist: Netlist) -> dict[str, float]:
    """Of the part's units. LUTs are logic cells in families whose flip-flops take their place."""
    used, shared = dict(netlist.resources), family_of(netlist.part).shared_cells
    if shared is not None:
        used["LUT"] += used["FF"] - shared(json.loads(netlist.json.read_text())["modules"][netlist.top])
    return used


def _lanes(plan: Plan) -> str:
    return ",".join(f"{name}={lanes}" for name, lanes in plan.lanes.items())


def _vendor_scripts(
    vendor: Vendor, plan: Plan, board: Board, design: BoardDesign, pins: Path, folder: Path
) -> tuple[Path, ...]:
    """Scripts for the board's design, and for the design with AXI, which is generated beside it."""
    axi = generate(plan, folder / "axi", host="axi")
    project = Project(
        board=board.name,
        order=board.order,
        clock_hz=board.clock.hz,
        top=design.top,
        files=tuple(str(path.relative_to(folder)) for path in (design.verilog, *design.parts)),
        pins=pins.name,
        ip_top=axi.top,
        ip_files=tuple(str(path.relative_to(folder)) for path in (axi.verilog, *axi.parts)),
    )
    for name, script in vendor.scripts.items():
        write_whole(folder / name, script(project, name).encode())
    return tuple(folder / name for name in vendor.scripts)
