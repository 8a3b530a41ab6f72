"""Place and route with nextpnr."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mintaka.artifact.whole import write_whole
from mintaka.system.disk import check_room
from mintaka_hw.implement.errors import PlaceError
from mintaka_hw.implement.tools import Say, complaint, on_stderr, run_tool
from mintaka_hw.targets import Part, family_of

REPORT, LOG = "nextpnr.json", "nextpnr.log"


@dataclass(frozen=True)
class Hop:
    """One step of a path: through a cell ("clk-to-q", "logic", "setup") or along a net ("routing")."""

    kind: str
    delay_ns: float
    cell: str
    port: str
    to_cell: str
    to_port: str


@dataclass(frozen=True)
class Placed:
    """A placed and routed design.

    clocks : (achieved, wanted) in MHz, by net. fmax_mhz : of the clock that is furthest behind what was wanted of it.
    used : (used, there) by kind of site, as nextpnr counts. path : the longest path of that clock, from register to
    register. product : what the bitstream is packed from.
    """

    part: Part
    clocks: dict[str, tuple[float, float]]
    used: dict[str, tuple[int, int]]
    path: tuple[Hop, ...]
    product: Path

    @property
    def slowest(self) -> str:
        return min(self.clocks, key=lambda clock: self.clocks[clock][0] / self.clocks[clock][1])

    @property
    def fmax_mhz(self) -> float:
        return self.clocks[self.slowest][0]

    @property
    def met(self) -> bool:
        """Every clock is as fast as was wanted."""
        return all(achieved >= wanted for achieved, wanted in self.clocks.values())


def place(
    netlist: Path,
    part: Part,
    folder: Path,
    *,
    package: str | None = None,
    speed: str | None = None,
    pins: Path | None = None,
    frequency_mhz: float | None = None,
    seed: int = 1,
    say: Say = on_stderr,
) -> Placed:
    """Place and route a netlist; the files go into `folder`: the log, nextpnr's report, the bitstream's source.

    package, speed : other than the part's own, where its family has them. pins : the family's pin file; without one
    the ports go to any pins. frequency_mhz : what is aimed at, of clocks that the pin file says nothing of; missing
    it is no error. say : is told what is going on.
    Raises PlaceError where nextpnr fails, or there is none for the family.
    """
    nextpnr = family_of(part).nextpnr
    if nextpnr is None:
        raise PlaceError(f"there is no open place and route for {part.target}: leave it out")
    frequency = part.frequency_mhz if frequency_mhz is None else frequency_mhz
    if not frequency > 0:
        raise PlaceError(f"the frequency must be more than 0 MHz, got {frequency:g}")
    folder.mkdir(parents=True, exist_ok=True)
    option, suffix = nextpnr.product
    product = folder / f"{netlist.stem}.{suffix}"
    for path in (product, folder / REPORT):
        path.unlink(missing_ok=True)
    arguments = ["--json", os.path.relpath(netlist, folder), *part.device]
    for name, value in (("--package", package or part.package), ("--speed", speed or part.speed)):
        arguments += [name, value] if value else []
    if pins is None:
        arguments += nextpnr.unpinned
    else:
        pin_option, value = nextpnr.pins
        arguments += [pin_option, value.format(os.path.relpath(pins, folder))]
    arguments += ["--freq", f"{frequency:g}", "--seed", str(seed), "--timing-allow-fail", "--report", REPORT]
    arguments += [*nextpnr.options, option, product.name]
    status, text = run_tool(nextpnr.tool, arguments, folder, say=say, each_line=lambda line: _progress(line, say))
    write_whole(folder / LOG, text.encode())
    if status or not (folder / REPORT).is_file() or not product.is_file():
        check_room(folder)
        early = "" if status else " (it stopped early)"
        raise PlaceError(f"{nextpnr.tool.name} failed on {netlist.stem} for {part.name}: {complaint(text)}{early}")
    return read_report(json.loads((folder / REPORT).read_text()), part, product)


def read_report(report: Mapping[str, Any], part: Part, product: Path) -> Placed:
    """From nextpnr's JSON. Raises PlaceError where it times nothing."""
    clocks = {name: (float(c["achieved"]), float(c["constraint"])) for name, c in report["fmax"].items()}
    if not clocks:
        raise PlaceError(f"nextpnr found no path from register to register on {part.name}: there is no Fmax")
    used = {kind: (int(n["used"]), int(n["available"])) for kind, n in report["utilization"].items()}
    found = Placed(part, clocks, used, (), product)
    path = next(
        p["path"] for p in report["critical_paths"] if _clock_of(p["from"]) == _clock_of(p["to"]) == found.slowest
    )
    hops = tuple(
        Hop(h["type"], float(h["delay"]), h["from"]["cell"], h["from"]["port"], h["to"]["cell"], h["to"]["port"])
        for h in path
    )
    return Placed(part, clocks, used, hops, product)


def _clock_of(edge: str) -> str:
    """`posedge NET` -> `NET`."""
    return edge.partition(" ")[2] or edge


def _progress(line: str, say: Say) -> None:
    """Where it is, from what it prints."""
    stages = (("Creating initial analytic placement", "placing"), (r"Routing\.\.", "routing"))
    for pattern, stage in stages:
        if re.search(pattern, line):
            say(stage)
