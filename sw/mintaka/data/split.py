"""How samples are split in two: the only place where they are."""

from __future__ import annotations

import numpy as np

from mintaka.data.errors import DataError
from mintaka.errors import counted


def split(y: np.ndarray, count: int, seed: int = 0, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Indices of what stays and of about `count` samples that are taken out, each class in proportion, in rising order.

    y : classes, (N,). groups : (N,), of samples that are never split up; None: every sample is one of its own, and
    exactly `count` are taken. The split depends on the arguments alone. Raises DataError where groups leave nothing for
    one of both parts, or would take a class away from what stays.
    """
    return stratified_split(y, count, seed) if groups is None else _group_split(y, groups, count, seed)


def stratified_split(y: np.ndarray, test: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a test split of `test` samples, each class in proportion, both in rising order.

    The split depends on `y`, `test` and `seed` alone.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    ranks = np.empty(len(y), np.float64)
    for label in np.unique(y):
        members = order[y[order] == label]
        ranks[members] = (np.arange(len(members)) + 0.5) / len(members)  # spreads each class evenly over 0..1
    by_rank = np.lexsort((order.argsort(), ranks))
    return np.sort(by_rank[test:]), np.sort(by_rank[:test])


def _group_split(y: np.ndarray, groups: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """In an order by chance each group is taken that brings the classes nearer to their proportions."""
    names, of_sample = np.unique(groups, return_inverse=True)
    classes, of_class = np.unique(y, return_inverse=True)
    having = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(having, (of_sample, of_class), 1)
    everything = having.sum(0)
    wanted = everything * count / len(y)
    possible = [
        group for group in np.random.default_rng(seed).permutation(len(names)) if (having[group] < everything).all()
    ]
    taken, found = np.zeros(len(names), bool), np.zeros(len(classes))
    for group in possible:
        now = found + having[group]
        if (now < everything).all() and np.abs(wanted - now).sum() < np.abs(wanted - found).sum():
            taken[group], found = True, now
    if not taken.any():
        if not possible:
            raise DataError(f"{counted(len(names), 'group')} cannot be split: each has all samples of some class")
        taken[min(possible, key=lambda group: np.abs(wanted - having[group]).sum())] = True
    out = taken[of_sample]
    return np.flatnonzero(~out), np.flatnonzero(out)
