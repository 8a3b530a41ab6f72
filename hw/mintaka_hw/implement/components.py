"""Which component of a design a cell of the flat netlist belongs to: flattening leaves the way to it in its name."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mintaka_hw.implement.place import Hop
from mintaka_hw.implement.resources import resources
from mintaka_hw.implement.yosys import Netlist
from mintaka_hw.targets import family_of

TOP, AROUND = "top", "registers around the core"
NUMBERED = ("layer_", "queue_", "pool_", "join_", "link_")  # prefixes of the names of stages


def scopes_of(netlist: Path) -> frozenset[str]:
    """Paths of all components inside, from a netlist of Yosys (JSON)."""
    modules = json.loads(netlist.read_text())["modules"]
    return frozenset(
        name for module in modules.values() for name, cell in module["cells"].items() if cell["type"] == "$scopeinfo"
    )


def scope_of(cell: str, scopes: frozenset[str]) -> str:
    """The innermost component that a cell's name begins with; "" for the top."""
    parts = cell.split(".")
    return next((s for n in range(len(parts) - 1, 0, -1) if (s := ".".join(parts[:n])) in scopes), "")


def by_component(netlist: Netlist) -> dict[str, dict[str, float]]:
    """Resources of each component without those inside it, by its path ("" is the top)."""
    scopes = scopes_of(netlist.json)
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in json.loads(netlist.json.read_text())["modules"][netlist.top]["cells"].items():
        if cell["type"] != "$scopeinfo":
            kinds[scope_of(name, scopes)][cell["type"]] += 1
    family = family_of(netlist.part)
    return {scope: resources(family, kinds[scope]) for scope in sorted(kinds)}


@dataclass(frozen=True)
class CriticalPath:
    """The path that sets Fmax, in nanoseconds.

    component : where most of its delay is; parts : all of them with their delays, in the path's order. start, end :
    registers, memories or ports. A net's delay is its driver's.
    """

    component: str
    parts: tuple[tuple[str, float], ...]
    start: str
    end: str
    delay_ns: float
    logic_ns: float
    routing_ns: float


def critical_path(path: Iterable[Hop], scopes: frozenset[str], core: str) -> CriticalPath:
    """Of the hops of a placed design. core : name of the instance around which there is only a harness, or ""."""
    hops = list(path)
    delays: dict[str, float] = {}
    for hop in hops:
        where = spoken(scope_of(hop.cell, scopes), core)
        delays[where] = delays.get(where, 0.0) + hop.delay_ns
    routing = sum(hop.delay_ns for hop in hops if hop.kind == "routing")
    total = sum(hop.delay_ns for hop in hops)
    return CriticalPath(
        component=max(delays, key=lambda where: delays[where]),
        parts=tuple((where, round(delay, 3)) for where, delay in delays.items()),
        start=_register(hops[0].cell, scopes, core),
        end=_register(hops[-1].to_cell, scopes, core),
        delay_ns=round(total, 3),
        logic_ns=round(total - routing, 3),
        routing_ns=round(routing, 3),
    )


def spoken(scope: str, core: str = "") -> str:
    """`layer_hidden.collector` -> `layer hidden, collector`."""
    if core:
        if scope != core and not scope.startswith(f"{core}."):
            return AROUND
        scope = scope.removeprefix(core).removeprefix(".")
    names = [
        name.replace("_", " ", 1) if name.startswith(NUMBERED) else name.replace("_", " ") for name in scope.split(".")
    ]
    return ", ".join(names) if scope else TOP


def _register(cell: str, scopes: frozenset[str], core: str) -> str:
    """`core.layer_hidden.flags_TRELLIS_FF_Q_5` -> `flags (layer hidden)`: what the Verilog calls it, and where."""
    scope = scope_of(cell, scopes)
    name = cell.removeprefix(f"{scope}.") if scope else cell
    # The cell is called after a net, then by the kind of cell and its port, in capitals; memories by their slices.
    found = re.split(r"_(?=[A-Z])|\$|\.\d", name)[0]
    return f"{found or name} ({spoken(scope, core)})"
