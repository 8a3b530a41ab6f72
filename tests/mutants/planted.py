"""The list of planted bugs: `tests/mutants/*.toml`, read and checked."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


class ListError(ValueError):
    """The list is wrong; the message is one sentence."""


@dataclass(frozen=True)
class Mutant:
    """One planted bug. area : its list. file : relative to the tree. old : a text that occurs there once; new : what
    takes its place. tests : ids of those that should notice. equivalent : why no test can, instead."""

    area: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""

    def applied(self, text: str) -> str:
        """The file's text with the bug. Raises ListError where it does not apply."""
        where = f"{self.area}: '{self.name}' ({self.file})"
        if text.count(self.old) != 1:
            raise ListError(f"{where}: its text occurs {text.count(self.old)} times, not once: {self.old!r}")
        found = text.replace(self.old, self.new)
        if found == text:
            raise ListError(f"{where}: it changes nothing")
        return found


def load(folder: Path = FOLDER) -> list[Mutant]:
    """All of them, in the order of the lists. Raises ListError."""
    found: list[Mutant] = []
    for path in sorted(folder.glob("*.toml")):
        for part in tomllib.loads(path.read_text(encoding="utf-8"))["file"]:
            for each in part["mutant"]:
                why = each.get("equivalent", "")
                tests = () if why else tuple(each.get("tests", part.get("tests", ())))
                mutant = Mutant(path.stem, each["name"], part["path"], each["old"], each["new"], tests, why)
                if not tests and not why:
                    raise ListError(f"{path.stem}: '{mutant.name}' names no test that should notice")
                found.append(mutant)
    names = [(mutant.file, mutant.name) for mutant in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ListError(f"{twice[0]}: '{twice[1]}' is there twice")
    return found


def missing_test(root: Path, test: str) -> str | None:
    """Why there is no such test, or None. test : FILE, FILE::FUNCTION or FILE::FUNCTION[CASE], relative to `root`."""
    file, _, function = test.partition("::")
    path = root / file
    if not path.is_file():
        return f"there is no file {file}"
    function = function.partition("[")[0]
    return None if not function or function in functions(path) else f"{file} has no test {function}"


@cache
def functions(path: Path) -> frozenset[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))


def of_area(mutants: Sequence[Mutant], wanted: Sequence[str]) -> list[Mutant]:
    """Those whose area or name begins with one of `wanted`; all where nothing is wanted."""
    return [m for m in mutants if not wanted or any(m.area.startswith(w) or m.name.startswith(w) for w in wanted)]
