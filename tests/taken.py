"""Traces of samples that stop early: what counts is what lies within the steps taken."""

from __future__ import annotations

import numpy as np


def within(steps: np.ndarray, values: np.ndarray | None) -> np.ndarray | None:
    """values (N, T, ...) with zeros behind each sample's steps (N,)."""
    if values is None:
        return None
    taken = np.arange(values.shape[1]) < steps[:, None]
    return values * taken.reshape(*taken.shape, *[1] * (values.ndim - 2))
