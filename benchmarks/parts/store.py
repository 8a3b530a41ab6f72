"""Measured points as JSON files under one folder: what was measured before from the same things is not repeated."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from mintaka_cosim.flow.kept import keep, kept, key_of

ROOT = Path(__file__).resolve().parents[2]
FORMAT = 1

Values = dict[str, Any]


def say(text: str) -> None:
    print(text, flush=True)


def machine() -> str:
    """The processor as the operating system names it, and the cores that this process may use."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{model}, {cores} core{'s' if cores > 1 else ''}"


def version(package: str) -> str:
    return metadata.version(package).partition("+")[0]


def sources(*folders: str) -> str:
    """Hash of the Python and C++ sources in folders of the project."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".cpp"):
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass
class Store:
    """folder : of the JSON files. fresh : measure again what is there."""

    folder: Path
    fresh: bool = False
    measured: int = field(default=0, init=False)

    def point(self, part: str, name: str, key: Values, measure: Callable[[], Values]) -> Values:
        """The values of one point, measured now unless they are there for the same `key` (all that they depend on)."""
        path = self.folder / part / f"{name}.json"
        digest = key_of(FORMAT, key)
        found = None if self.fresh else _read(path)
        if found is not None and found["key"] == digest:
            say(f"{part} {name}: as measured on {found['date']}")
            return dict(found["values"])
        say(f"{part} {name}: measuring")
        begin = time.monotonic()
        values = measure()
        keep(path, digest, values, date=time.strftime("%Y-%m-%d"), machine=machine())
        self.measured += 1
        say(f"{part} {name}: done in {time.monotonic() - begin:,.0f} s")
        return values

    def all(self, part: str) -> list[Values]:
        """Every stored point of a part: name, date, machine, values."""
        found = []
        for path in sorted((self.folder / part).glob("*.json")):
            stored = _read(path)
            if stored is not None:
                found.append({"name": path.stem, **stored})
        return found


def _read(path: Path) -> Values | None:
    stored = kept(path)
    return stored if stored is not None and {"date", "machine"} <= set(stored) else None
