"""mintaka doctor"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mintaka_cosim.cli.support import JsonOption, emit_json
from mintaka_cosim.program import console, shown, warn

if TYPE_CHECKING:
    from mintaka_cosim.toolchain import Tool


def doctor(json: JsonOption = False) -> None:
    """Check every tool and simulate one gate to prove it.

    Exit status 0 where every command works that needs none of the extras; of those that are missing it says how to
    install them.

    Example: [b]mintaka doctor[/b]
    """
    from dataclasses import asdict

    from mintaka.errors import MintakaError
    from mintaka_cosim.toolchain import tools

    found = tools()
    gate: dict[str, object] = {"ok": False, "seconds": None, "problem": "not tried, because a tool is missing"}
    needed = [tool for tool in found if tool.extra is None]
    if all(tool.ok for tool in needed):
        from mintaka_cosim.bench.gate import simulate_gate

        try:
            check = simulate_gate()
            gate = {"ok": True, "seconds": round(check.seconds, 1), "cached": check.cached, "problem": None}
        except MintakaError as error:  # of the cache, too
            gate["problem"] = str(error)
    healthy = bool(gate["ok"])
    if json:
        rows = [{**asdict(tool), "ok": tool.ok} for tool in found]
        emit_json({"ok": healthy, "tools": rows, "gate": gate})
    else:
        _print(found, gate)
        for tool in needed:
            if not tool.ok:
                warn(f"{tool.name}: {tool.problem}; {tool.advice}")
        if not healthy and all(tool.ok for tool in needed):
            warn(f"the one-gate simulation failed: {gate['problem']}")
    raise typer.Exit(0 if healthy else 1)


def _print(found: list[Tool], gate: dict[str, object]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("", "tool", "version", "what for", "where, or how to get it"):
        table.add_column(column, overflow="fold")
    for tool in found:
        missing = Text("missing", "red") if tool.extra is None else Text("not there", "yellow")
        where = shown(Path(tool.where)) if tool.where is not None else "-" if tool.extra is None else tool.advice
        table.add_row(Text("ok", "green") if tool.ok else missing, tool.name, tool.version or "-", tool.purpose, where)
    out = console()
    out.print(table)
    if gate["ok"]:
        note = ", built before" if gate.get("cached") else ""
        about = f"  one gate simulated in Verilator under cocotb ({gate['seconds']} s{note})"
        out.print(Text.assemble(("ok", "green"), about))
    else:
        out.print(Text.assemble(("failed", "red"), "  one-gate simulation"))
