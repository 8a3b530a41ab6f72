"""Artifacts with the right hash and hostile content: every field of the schema takes values that may do harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from contract import files
from contract.files import Tensors

Path_ = tuple[Any, ...]
NUMBERS: tuple[Any, ...] = (0, 1, -1, 2, 7, 31, 32, 63, 64, 255, 256, 1024, 1025, 2**16, 2**31 - 1, 2**31, 2**32)
NUMBERS += (2**53, 2**63 - 1, 2**63, 2**64, -(2**31), -(2**63), -(2**64), 10**19, 10**30, 0.5, -0.0, 1e308, True)
TEXTS: tuple[Any, ...] = (
    "",
    "x",
    "../../x",
    "a" * 10_000,
    "\x1b]52;c;eA==\x07",
    "\u202e",
    "\ud800",
    "[/b]",
    "\n",
    "💥",
)
TEXTS += ("`include", "$(reboot)", "dense", "conv2d", "pool2d", "join", "spikes", "direct", "counts", "lif", "cuba")
TEXTS += ("li", "identity", "or", "add", "iand", "max", "sum", "zero", "subtract", "accumulate", "count", "membrane")
TEXTS += ("none", "thermometer", "repeat", "input", "head", "1.0", "1.4", "1.9999", "2.0", ">", ">=")
OTHERS: tuple[Any, ...] = (None, [], {}, [[]], [0], [1, 1], [2**31] * 3, [1] * 5000, {"x": 1}, [None], [[[[[[[1]]]]]]])
CHANGES = ("drop", "rename", "reshape", "grow", "retype", "value", "value", "value", "fill", "swap", "empty")
VALUES = NUMBERS + TEXTS + OTHERS


def fields(document: Any) -> dict[str, list[Path_]]:
    """All places of a document by field: `nodes.*.inputs.*.delay` has one for every edge."""
    found: dict[str, list[Path_]] = {}
    for path in _paths(document, ()):
        key = ".".join("*" if isinstance(part, int) else part for part in path)
        found.setdefault(key, []).append(path)
    return found


def _paths(value: Any, path: Path_) -> Iterator[Path_]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def mutant(data: bytes, number: int, rng: Random, scratch: Path) -> bytes:
    """A sound artifact with one to three changes, sealed again. Each number has its turn with a field or a tensor, so
    that as many numbers as there are of them leave none out."""
    path = scratch / "mutant.safetensors"
    path.write_bytes(data)
    document, tensors = files.pull_apart(path)
    for turn in range(rng.choice((1, 1, 1, 2, 3))):
        found = fields(document)
        every = len(found) + len(tensors)
        # Other samples begin elsewhere, so that a few turns of each see most fields.
        which = (2 * number + len(data)) % every if turn == 0 else rng.randrange(every)
        if which < len(found):
            _change_field(document, rng.choice(list(found.values())[which]), rng)
        elif tensors:
            _change_tensor(tensors, sorted(tensors)[(which - len(found)) % len(tensors)], rng)
    return files.put_together(path, files.sealed(document, tensors), tensors).read_bytes()


def changed_json(data: bytes, number: int, rng: Random) -> bytes:
    """A sound JSON file with one to three changes; each field has its turn."""
    document = json.loads(data)
    for turn in range(rng.choice((1, 1, 2, 3))):
        found = list(fields(document).values())
        if found:
            _change_field(document, rng.choice(found[number % len(found)] if turn == 0 else rng.choice(found)), rng)
    return json.dumps(document).encode()


def _change_field(document: Any, path: Path_, rng: Random) -> None:
    container = document
    for part in path[:-1]:
        container = container[part]
    key, old = path[-1], container[path[-1]]
    how = rng.random()
    if how < 0.08:
        del container[key]
    elif how < 0.14 and isinstance(container, list):
        container[key:key] = [json.loads(json.dumps(old))] * rng.choice((1, 2, 100))
    elif how < 0.14:
        container[rng.choice(TEXTS)] = old
    elif how < 0.2:
        other = rng.choice(list(_paths(document, ())))
        value = document
        for part in other:
            value = value[part]
        container[key] = json.loads(json.dumps(value))
    elif how < 0.3:
        container[key] = _same_field(document, path, rng)
    elif how < 0.6 and type(old) is int:
        container[key] = old + rng.choice((1, 1, -1, -1, 2, -2, old, -2 * old, 255 * old, old << 20))
    elif how < 0.7:
        container[key] = rng.choice(NUMBERS if isinstance(old, int | float) else TEXTS)
    else:
        container[key] = rng.choice(VALUES)


def _same_field(document: Any, path: Path_, rng: Random) -> Any:
    """The field's value in another place: often a possible one."""
    key = path[-1]
    found = [other for other in _paths(document, ()) if other[-1] == key]
    value = document
    for part in rng.choice(found):
        value = value[part]
    return json.loads(json.dumps(value))


def _change_tensor(tensors: Tensors, name: str, rng: Random) -> None:
    old = tensors[name]
    how = rng.choice(
        ("drop", "rename", "reshape", "grow", "retype", "value", "value", "value", "fill", "swap", "empty")
    )
    if how == "drop":
        del tensors[name]
    elif how == "rename":
        tensors[rng.choice([text for text in TEXTS if text.isprintable()])] = tensors.pop(name)
    elif how == "reshape":
        shapes = [(-1,), (1, -1), (-1, 1), (1, *old.shape), (*old.shape, 1), old.shape[::-1]]
        tensors[name] = old.reshape(rng.choice(shapes)) if old.size else old
    elif how == "grow":
        tensors[name] = np.resize(old, (*old.shape[:-1], old.shape[-1] * rng.choice((2, 1000)))) if old.ndim else old
    elif how == "retype":
        with np.errstate(all="ignore"):
            tensors[name] = old.astype(rng.choice(sorted(files.DTYPES)))
    elif how == "fill":
        tensors[name] = np.full_like(old, _extreme(old, rng))
    elif how == "value" and old.size:
        old.flat[rng.randrange(old.size)] = _extreme(old, rng)
    elif how == "swap":
        other = rng.choice(sorted(tensors))
        tensors[name], tensors[other] = tensors[other], tensors[name]
    else:
        tensors[name] = old[:0] if old.ndim else old


def _extreme(values: np.ndarray, rng: Random) -> int:
    if values.dtype.kind not in "iu":
        return rng.randrange(2)
    info = np.iinfo(values.dtype)
    return rng.choice((int(info.min), int(info.max), max(-1, int(info.min)), 0, 1))
