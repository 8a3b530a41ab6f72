"""What a data set is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WHOLE = 2**53  # below, float64 holds every integer


@dataclass(frozen=True, eq=False)
class Dataset:
    """Two splits. x: (N, C, H, W) or (N, F), or with an axis of time steps after N where the data has one; y: int64
    (N,), classes from 0.

    bits : width of x's integers, two's complement where `signed`; None where x holds real numbers (float32 or float64).
    class_names : what the classes are called in the data, where these are not their numbers.
    train_groups : int64 (N,), what each sample of the training split belongs to, as a recording or a person; samples of
        one group resemble each other, so they are never split up. None: nothing is known of that.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    bits: int | None
    signed: bool = False
    class_names: tuple[str, ...] | None = None
    train_groups: np.ndarray | None = None

    @property
    def classes(self) -> int:
        if self.class_names is not None:
            return len(self.class_names)
        return int(max(self.train_y.max(), self.test_y.max())) + 1


def compact(x: np.ndarray) -> np.ndarray:
    """Finite numbers as the same numbers in the smallest dtype of their kind.

    The kinds are unsigned integers (8, 16, 32 or 64 bits), integers with negative ones among them, and real numbers
    (float32 or float64). Whole numbers are integers, whatever dtype they come in.
    """
    if x.dtype.kind == "f":
        if x.dtype.itemsize < 4:  # float16 cannot even be compared with WHOLE
            x = x.astype(np.float32)
        whole = np.abs(x).max() < WHOLE and (x == np.rint(x)).all()
        if not whole:
            with np.errstate(over="ignore"):
                narrow = x.astype(np.float32)
            return narrow if (narrow == x).all() else x.astype(np.float64)
        x = x.astype(np.int64)
    least, most = int(x.min()), int(x.max())
    names = ("int8", "int16", "int32", "int64") if least < 0 else ("uint8", "uint16", "uint32", "uint64")
    fits = (name for name in names if np.iinfo(name).min <= least and most <= np.iinfo(name).max)
    return x.astype(next(fits))


def width(*arrays: np.ndarray) -> tuple[int | None, bool]:
    """`Dataset.bits` and `Dataset.signed` of arrays as `compact` gives them."""
    if any(x.dtype.kind == "f" for x in arrays):
        return None, False
    least, most = min(int(x.min()) for x in arrays), max(int(x.max()) for x in arrays)
    signed = least < 0
    return max(1, most.bit_length(), (-least - 1).bit_length() if signed else 0) + signed, signed
