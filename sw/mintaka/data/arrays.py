"""The user's own arrays: one .npz file with samples and their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mintaka.data.dataset import Dataset, compact, width
from mintaka.data.errors import DataError
from mintaka.data.labels import Labels, read_labels
from mintaka.data.npz import check_entries, read_npz
from mintaka.data.split import split

TEST_SHARE = 0.2  # where the file brings no test split
LEAST = 5  # samples that can be split


def load_arrays(path: Path, labels: Labels) -> Dataset:
    """The data set in an .npz file: `x` and `y`, a test split in `x_test` and `y_test`, and in `group` what each sample
    of x belongs to, a number or a text. Without a test split a fifth is taken, of whole groups where there are some.

    labels : see `read_labels`. Raises DataError.
    """
    arrays = read_npz(path, ("x", "y"), ("x_test", "y_test", "group"))
    check_entries(path, arrays)
    own_test = [key for key in ("x_test", "y_test") if key in arrays]
    if len(own_test) == 1:
        missing = "y_test" if own_test == ["x_test"] else "x_test"
        raise DataError(f"{path} lacks the array '{missing}': a test split has both x_test and y_test")
    x = _samples(path, arrays, "x", "y")
    groups = _groups(path, arrays, len(x))
    if own_test:
        x_test = _samples(path, arrays, "x_test", "y_test")
        if x_test.shape[1:] != x.shape[1:]:
            raise DataError(f"{path}: x and x_test have samples of shape {x.shape[1:]} and {x_test.shape[1:]}")
        (y, y_test), names = read_labels(str(path), (arrays["y"], arrays["y_test"]), labels)
        return Dataset(path.stem, x, y, x_test, y_test, *width(x, x_test), names, groups)
    (y,), names = read_labels(str(path), (arrays["y"],), labels)
    if len(x) < LEAST:
        raise DataError(f"{path} holds {len(x)} samples; at least {LEAST} are needed to split off a test")
    try:
        train, test = split(y, max(1, round(TEST_SHARE * len(x))), groups=groups)
    except DataError as error:
        raise DataError(f"{path}: no test can be split off: {error}; give x_test and y_test") from None
    left = None if groups is None else groups[train]
    return Dataset(path.stem, x[train], y[train], x[test], y[test], *width(x), names, left)


def _samples(path: Path, arrays: dict[str, np.ndarray], x_key: str, y_key: str) -> np.ndarray:
    """The samples, which must be finite numbers in a shape that networks take, with one class each."""
    x, y = arrays[x_key], arrays[y_key]
    if x.dtype.kind not in "biuf":
        raise DataError(f"{path}: '{x_key}' has the dtype {x.dtype}; it must hold numbers")
    for key, values in ((x_key, x), (y_key, y)):
        if values.size == 0:
            raise DataError(f"{path}: '{key}' is empty")
    if y.ndim == 2 and len(y) == len(x) and y.shape[1] > 1 and y.dtype.kind in "biuf":
        raise DataError(f"{path}: '{y_key}' has shape {y.shape}, a row per sample: give its class, y.argmax(1)")
    if y.ndim != 1 or len(y) != len(x):
        raise DataError(f"{path}: '{y_key}' has shape {y.shape}, not one class for each of {len(x)} samples")
    if not 2 <= x.ndim <= 5:
        raise DataError(f"{path}: '{x_key}' has shape {x.shape}; it must be (N, F), (N, H, W) or (N, C, H, W)")
    if x.dtype.kind == "f" and x.dtype.itemsize > 8:
        x = x.astype(np.float64)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        sample = int(np.argwhere(~np.isfinite(x))[0][0])
        bad = x[sample][~np.isfinite(x[sample])][0]
        raise DataError(f"{path}: '{x_key}' holds {bad} (sample {sample}); numbers must be finite")
    return compact(x)


def _groups(path: Path, arrays: dict[str, np.ndarray], count: int) -> np.ndarray | None:
    """Numbered from 0, int64 (N,)."""
    if "group" not in arrays:
        return None
    groups = arrays["group"]
    if groups.shape != (count,):
        raise DataError(f"{path}: 'group' has shape {groups.shape}, not a number or a text for each of {count} samples")
    if groups.dtype.kind not in "biuUS":
        raise DataError(
            f"{path}: 'group' has the dtype {groups.dtype}; groups are integers or texts: write group.astype(int), or "
            "group.astype(str) where they are no whole numbers"
        )
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)
