"""Classes as people write them, as the numbers 0, 1, ... that a network is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mintaka.data.errors import DataError

Labels = Literal["map", "keep"] | int | Sequence[str] | None
MOST = 2**16  # classes
SHOWN = 8


def read_labels(
    where: str, arrays: Sequence[np.ndarray], labels: Labels
) -> tuple[list[np.ndarray], tuple[str, ...] | None]:
    """The classes of several splits as int64, and what they are called where that is not their number.

    where : the file, for messages. arrays : integers or texts, (N,) each.
    labels : None: they must be 0, 1, ..., each of them there. "map": whatever they are, they become 0, 1, ... in rising
        order. "keep": as they are, though some never occur. Of a network that is there: its number of classes, if they
        have no names, or their names in its order; each must be one of them.

    Raises DataError where that is not so, and for training then shows what "map" would make of them.
    """
    values = [_plain(where, array) for array in arrays]
    if len({array.dtype.kind for array in values}) > 1:
        raise DataError(f"{where}: the classes are numbers in one split and texts in the other")
    every = np.concatenate(values)
    for part in (every[: 2 * MOST], every):  # a measure shows itself soon
        known = _distinct(part)
        if len(known) > MOST:
            raise DataError(f"{where}: y holds more than {MOST:,} different classes; is it a measure?")
    if isinstance(labels, int):
        problem = class_problem(every, labels)
        if problem is not None:
            raise DataError(f"{where}: {problem}")
        return values, None
    if labels is not None and not isinstance(labels, str):
        return [_named(where, array, tuple(labels)) for array in values], tuple(labels)
    numbers = known.dtype.kind in "iu"
    if labels == "map":
        names = tuple(str(each) for each in known)
        found = [np.searchsorted(known, array).astype(np.int64) for array in values]
        return found, None if numbers and np.array_equal(known, np.arange(len(known))) else names
    if not numbers:
        raise DataError(f"{where}: the classes in y are texts ({_listed(known)}): {_advice(known, keep=False)}")
    least, most = int(known[0]), int(known[-1])
    fits = least >= 0 and most < MOST
    if labels == "keep" and not fits:
        raise DataError(
            f"{where}: y holds the class {least if least < 0 else most}, but classes are kept from 0 to {MOST - 1:,}: "
            f"{_advice(known, keep=False)}"
        )
    if labels is None and (least != 0 or most != len(known) - 1):
        missing = int(np.argmax(known != np.arange(len(known))))
        why = "which do not begin at 0" if least < 0 else f"so that {missing} never occurs"
        raise DataError(f"{where}: the classes in y are {_listed(known)}, {why}: {_advice(known, keep=fits)}")
    return [array.astype(np.int64) for array in values], None


def class_problem(y: np.ndarray, classes: int) -> str | None:
    """Why `y` are not classes of a network that has so many, in a part of a sentence; None where each of them is one.

    Whoever judges a network by labels asks this first: a class that it does not have is never right.
    """
    numbers = f"0 to {classes - 1:,}"
    if y.dtype.kind in "US":
        texts = _listed(_distinct(y))
        return f"y holds texts ({texts}), but the network's classes have no names: give their numbers, {numbers}"
    if y.dtype.kind not in "iu":
        return f"y has the dtype {y.dtype}; the network's classes are the integers {numbers}"
    wrong = y[(y < 0) | (y >= classes)]
    return f"y holds the class {wrong.min()}, but the network has the classes {numbers}" if wrong.size else None


def _distinct(values: np.ndarray) -> np.ndarray:
    """In rising order. np.unique hashes integers, which takes seconds for millions of different ones."""
    rising = np.sort(values)
    return rising[np.append(True, rising[1:] != rising[:-1])]


def _plain(where: str, y: np.ndarray) -> np.ndarray:
    """Integers as int64, texts as they are."""
    if y.dtype.kind == "S":
        y = np.char.decode(y, "latin-1")
    if y.dtype.kind == "b":
        y = y.astype(np.uint8)
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all() and np.abs(y).max() < 2**53:
        y = y.astype(np.int64)
    if y.dtype.kind not in "iuU":
        raise DataError(f"{where}: y has the dtype {y.dtype}; classes must be integers from 0, or texts")
    if y.dtype.kind == "U":
        return y
    if int(y.max()) >= 2**63:
        raise DataError(f"{where}: y holds {int(y.max())}; classes are integers below 2^63 (was it a negative number?)")
    return y.astype(np.int64)


def _named(where: str, y: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    index = {name: number for number, name in enumerate(names)}
    unknown = next((str(each) for each in _distinct(y) if str(each) not in index), None)
    if unknown is not None:
        raise DataError(f"{where}: y holds the class {unknown!r:.40}, but the network's classes are {_listed(names)}")
    return np.array([index[str(each)] for each in y.tolist()], np.int64)


def _listed(values: Sequence[object] | np.ndarray) -> str:
    texts = [str(each)[:20] for each in values[:SHOWN]]
    return ", ".join(texts) + f", ... ({len(values):,} in all)" * (len(values) > SHOWN)


def _advice(known: np.ndarray, *, keep: bool) -> str:
    pairs = ", ".join(f"{str(each)[:20]} -> {number}" for number, each in enumerate(known[:SHOWN]))
    pairs += ", ..." * (len(known) > SHOWN)
    kept = '; labels = "keep" leaves outputs for those that never occur' if keep else ""
    return f'labels = "map" in the recipe numbers them ({pairs}){kept}'
