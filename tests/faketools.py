"""Stands in for Yosys, nextpnr and the packers: notes what they are told, and writes the files that the flow reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mintaka_hw.targets import Tool, families

FMAX = 200.0


class FakeTools:
    """cells : by type, of every netlist that is synthesized. told : a line per call: the tool's name and arguments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cells: Mapping[str, int]):
        self.cells = dict(cells)
        self.told: list[str] = []
        for module in ("yosys", "place", "pack"):
            monkeypatch.setattr(import_module(f"mintaka_hw.implement.{module}"), "run_tool", self.run)

    def run(self, tool: Tool, arguments: Sequence[str], folder: Path, **_: object) -> tuple[int, str]:
        if tool.name == "Yosys":
            script = arguments[arguments.index("-p") + 1]
            self.told.append(f"{tool.name}: {script}")
            self._synthesize(script, folder)
        else:
            self.told.append(f"{tool.name}: {' '.join(arguments)}")
            if "--report" in arguments:
                self._place(tool, arguments, folder)
            else:
                (packer,) = [family.packer for family in families() if family.packer and family.packer.tool is tool]
                (name,) = [word for word in arguments if word.endswith(f".{packer.suffix}")]
                (folder / name).write_text("bits")
        return 0, "Info: Routing..\n"

    def _synthesize(self, script: str, folder: Path) -> None:
        top = re.findall(r"hierarchy -(?:check -)?top (\w+)", script)[-1]
        (folder / "stat.json").write_text(json.dumps({"modules": {top: {"num_cells_by_type": self.cells}}}))
        for name in re.findall(r"write_json -selected (\S+)", script):
            (folder / name).write_text(json.dumps({"modules": {top: self._module()}}))

    def _module(self) -> dict[str, Any]:
        cell = {"parameters": {}, "port_directions": {}, "connections": {}}
        cells = {f"{kind}_{n}": {"type": kind, **cell} for kind, count in self.cells.items() for n in range(count)}
        ports = {name: {"direction": "input", "bits": [bit]} for name, bit in (("clk", 2), ("i", 3))}
        return {"ports": ports | {"o": {"direction": "output", "bits": [4]}}, "cells": cells}

    def _place(self, tool: Tool, arguments: Sequence[str], folder: Path) -> None:
        """At FMAX, of a path from a register of the core to another."""
        (nextpnr,) = [family.nextpnr for family in families() if family.nextpnr and family.nextpnr.tool is tool]
        ends = {"from": {"cell": "core.a", "port": "Q"}, "to": {"cell": "core.b", "port": "D"}}
        path = [{"type": kind, "delay": 500 / FMAX, **ends} for kind in ("clk-to-q", "routing")]
        report = {
            "fmax": {"clk": {"achieved": FMAX, "constraint": 100.0}},
            "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": path}],
            "utilization": {"LUT": {"used": 1, "available": 2}},
        }
        (folder / "nextpnr.json").write_text(json.dumps(report))
        (folder / arguments[arguments.index(nextpnr.product[0]) + 1]).write_text("placed")
