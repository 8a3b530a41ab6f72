"""Results of slow tools, kept by the hash of all that they depend on."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mintaka.artifact.cache import cache_folder

RESULT = "result.json"


def kept(kind: str, key: tuple[object, ...], make: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], Path]:
    """What `make` gave for that key, now or before, and the folder with the files that it wrote.

    make : is given an empty folder. It appears in the cache when all is done, and not at all where it raises.
    """
    text = json.dumps([kind, *key, _sources()], sort_keys=True)
    folder = cache_folder() / kind / hashlib.sha256(text.encode()).hexdigest()[:32]
    found = _stored(folder)
    if found is not None:
        return found, folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".work-"))
    work.chmod(0o755)
    try:
        # Through JSON, so that it is the same as when it is found again.
        result: dict[str, Any] = json.loads(json.dumps(make(work), allow_nan=False))
        (work / RESULT).write_text(json.dumps(result, indent=1) + "\n")
        if folder.exists() and _stored(folder) is None:  # damaged
            shutil.rmtree(folder)
        if not folder.exists():  # or another process was quicker
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return result, folder


def _stored(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / RESULT).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


@cache
def _sources() -> str:
    """Of this package: what it does with the tools."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
