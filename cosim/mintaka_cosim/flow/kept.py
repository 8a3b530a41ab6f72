"""Figures that took long, as JSON files beside a run: each with the key of all that it depends on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mintaka.artifact.strict_json import read_object
from mintaka.artifact.whole import write_whole


def key_of(*what: object) -> str:
    """sha256 of JSON values."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def keep(path: Path, key: str, values: dict[str, Any], *, name: str = "values", **about: str) -> None:
    """Write them, whole or not at all. name : theirs in the file. about : what else stands in it."""
    write_whole(path, (json.dumps({"key": key, **about, name: values}, indent=2) + "\n").encode())


def kept(path: Path, *, name: str = "values") -> dict[str, Any] | None:
    """The whole file, which has a "key" and an object `name`; None where there is none, or something else."""
    try:
        found = read_object(path)
    except (OSError, ValueError):
        return None
    return found if isinstance(found.get("key"), str) and isinstance(found.get(name), dict) else None


def kept_for(path: Path, key: str, *, name: str = "values") -> dict[str, Any] | None:
    """The values that were kept for that key; None where there are none."""
    found = kept(path, name=name)
    return None if found is None or found["key"] != key else dict(found[name])
