"""JSON as an artifact has it: bounded in size and depth, every key once, every number finite; and JSON files."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import Any

from mintaka.artifact.bounded import read_bounded
from mintaka.artifact.errors import ArtifactError

MAX_CHARACTERS = 2**22
MAX_DEPTH = 32
MAX_CONTAINERS = 2**17  # objects and lists, each of which takes far more memory than characters
MAX_DIGITS = 20
MAX_FILE_BYTES = 2**24
MAX_FILE_CONTAINERS = 2**18


def parse(text: str) -> dict[str, Any]:
    """The object that `text` holds; ArtifactError where it is no JSON, no object, or beyond the limits above."""
    if len(text) > MAX_CHARACTERS:
        raise ArtifactError(f"its document has {len(text)} characters; at most {MAX_CHARACTERS} are possible")
    check_containers(text, MAX_CONTAINERS)
    try:
        document = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_real
        )
    except ArtifactError:
        raise
    except (ValueError, RecursionError):
        raise ArtifactError("its document is not valid JSON") from None
    if not isinstance(document, dict):
        raise ArtifactError("its document is not a JSON object")
    _check_depth(document)
    return document


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file that was written for this program, by whomever. Its numbers are finite.

    Raises OSError where it is no file that can be read, ArtifactError where it holds something else or more than the
    limits above.
    """
    data = read_bounded(path, MAX_FILE_BYTES)
    if data is None:
        raise ArtifactError(f"it has more than {MAX_FILE_BYTES:,} bytes")
    check_containers(data, MAX_FILE_CONTAINERS)
    try:
        found = json.loads(data.decode("utf-8"), parse_float=_real, parse_constant=_real)
    except (ValueError, RecursionError):
        raise ArtifactError("it is no valid JSON") from None
    if not isinstance(found, dict):
        raise ArtifactError("it is no JSON object")
    return found


def check_containers(text: str | bytes, most: int) -> None:
    """Raise ArtifactError where JSON may hold more objects and lists than `most`, before it is parsed."""
    found = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
    if found > most:
        raise ArtifactError(f"its JSON has {found} brackets; at most {most} objects and lists are possible")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ArtifactError(f"its document has the field '{key}' twice in one object")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ArtifactError(f"its document holds an integer of {len(digits)} digits; at most {MAX_DIGITS} are possible")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ArtifactError(f"its document holds the number {digits:.20}, which is not finite")
    return value


def _check_depth(document: dict[str, Any]) -> None:
    """Refuse what is nested deeper than any document is, so that nothing later can run out of stack."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _children(value)]
    if level:
        raise ArtifactError(f"its document is nested deeper than {MAX_DEPTH} levels")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
