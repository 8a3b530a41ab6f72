"""Samples as the accelerator's input stream wants them. Element 0 always sits in the low bits."""

from __future__ import annotations

import numpy as np

WORD = 32


def word_count(width: int) -> int:
    """32-bit words that hold `width` bits."""
    return -(-width // WORD)


def pack_beats(inputs: np.ndarray, elements: int, bits: int, *, static: bool, order: str = "chw") -> np.ndarray:
    """A batch as beats of the input stream.

    inputs : integers, negative ones as two's complement, (N, *shape) where `static`, else (N, T, *shape); elements go
        in C order, or for "hwc" with the channels innermost, `elements` of `bits` bits per beat, element e at bit e *
        bits; missing elements of a list's last beat are zero.
    Returns uint32, (N, beats per sample, words per beat), least significant word first.
    """
    if order == "hwc":
        inputs = np.moveaxis(inputs, -3, -1)
    lists = inputs.reshape(len(inputs), 1 if static else inputs.shape[1], -1)
    beats = -(-lists.shape[2] // elements)
    padded = np.zeros((*lists.shape[:2], beats * elements), np.uint16)
    padded[:, :, : lists.shape[2]] = lists.astype(np.uint16)
    bit = (padded[..., None] >> np.arange(bits, dtype=np.uint16)) & 1
    planes = bit.astype(np.uint8).reshape(len(inputs), -1, elements * bits)
    words = word_count(elements * bits)
    wide = np.zeros((*planes.shape[:2], words * WORD), np.uint8)
    wide[:, :, : elements * bits] = planes
    packed = np.packbits(wide, axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4").reshape(len(inputs), -1, words)
