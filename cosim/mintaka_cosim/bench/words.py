"""Bits of packed words: input beats out, tapped fields in. Element or lane 0 always sits in the low bits."""

from __future__ import annotations

import numpy as np

from mintaka.host.words import WORD, pack_beats, word_count

__all__ = ["WORD", "arrange", "pack_beats", "split_fields", "unpack_fields", "word_count"]


def unpack_fields(words: np.ndarray, count: int, width: int, *, signed: bool) -> np.ndarray:
    """Fields of `width` bits from uint32 words (M, word_count(count * width)): int64 (M, count)."""
    raw = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    planes = np.unpackbits(raw, axis=1, bitorder="little")[:, : count * width]
    planes = planes.reshape(len(words), count, width)
    values = np.zeros((len(words), count), np.int64)
    for k in range(width):
        values += planes[:, :, k].astype(np.int64) << k
    return np.where(values >= 1 << (width - 1), values - (1 << width), values) if signed else values


def split_fields(value: int, count: int, width: int, *, signed: bool) -> list[int]:
    """The same for one Python integer of any width."""
    mask, sign = (1 << width) - 1, 1 << (width - 1) if signed else 0
    return [(((value >> (k * width)) & mask) ^ sign) - sign for k in range(count)]


def arrange(lanes: np.ndarray, steps: int, windows: int, groups: int, shape_out: tuple[int, ...]) -> np.ndarray:
    """Lane values in the order in which they leave a core, as the reference has them.

    lanes : (samples * steps * windows * groups, lanes), in the order sample, step, window, group.
    Returns (samples, steps, *shape_out): lanes beyond the last channel are dropped, windows are the output's pixels.
    """
    by_window = lanes.reshape(-1, steps, windows, groups * lanes.shape[1])[..., : shape_out[0]]
    return np.moveaxis(by_window, -1, 2).reshape(len(by_window), steps, *shape_out)
