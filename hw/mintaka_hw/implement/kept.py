"""Results of slow tools, kept by the hash of all that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mintaka.system.cache import cached

RESULT = "result.json"


def kept(kind: str, key: tuple[object, ...], make: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], Path]:
    """What `make` gave for that key, now or before, and the folder with the files that it wrote.

    make : is given an empty folder. It appears in the cache when all is done, and not at all where it raises.
    """
    text = json.dumps([kind, *key, _sources()], sort_keys=True)

    def write(folder: Path) -> None:
        (folder / RESULT).write_text(json.dumps(make(folder), indent=1, allow_nan=False) + "\n")

    folder, _ = cached(kind, text, write)
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    return result, folder


@cache
def _sources() -> str:
    """Of this package and the targets: what they do with the tools."""
    folder = Path(__file__).parent
    files = [*sorted(folder.glob("*.py")), *sorted((folder.parent / "targets").glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
