"""Augmentation of training images."""

from __future__ import annotations

import numpy as np


def shift_images(x: np.ndarray, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Move each image by -pixels..pixels in both directions, zeros moving in: x (N, ..., H, W) -> the same shape."""
    H, W = x.shape[-2:]
    moves = rng.integers(-pixels, pixels + 1, (len(x), 2))
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(pixels, pixels)] * 2)
    out = np.empty_like(x)
    for down, right in np.unique(moves, axis=0):
        chosen = (moves == (down, right)).all(1)
        top, left = pixels - down, pixels - right
        out[chosen] = padded[chosen][..., top : top + H, left : left + W]
    return out
