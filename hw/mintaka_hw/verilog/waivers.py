"""What Verilator's lint is told of a design's own files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

TEMPLATE = Path(__file__).with_name("waivers.vlt")


def waivers(top: str, *, split: bool = False, more: Sequence[str] = ()) -> str:
    """The text of `<top>.vlt`.

    split : whether the modules inside have files of their own, which are named `<top>__...`. more : other modules with
    a file each, as a test bench. A pattern is a whole name of a file, in any folder, so that a module of the user's
    whose name begins alike is linted as strictly as ever.
    """
    files = [f"{top}.v", *([f"{top}__*.v"] if split else []), *(f"{name}.v" for name in more)]
    patterns = {"{files}": files, "{first}": [] if split else files[:1]}
    lines = []
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        where = next((key for key in patterns if key in line), None)
        if where is None:
            lines.append(line.replace("{top}", top))
            continue
        for name in patterns[where]:
            lines += [line.replace(where, place + name) for place in ("", "*/")]
    return "\n".join(lines) + "\n"
