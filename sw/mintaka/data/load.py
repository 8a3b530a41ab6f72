"""Data sets by name, or from the user's own arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mintaka.data.dataset import Dataset, compact, stratified_split, width
from mintaka.data.errors import DataError
from mintaka.data.idx import parse
from mintaka.data.npz import read_npz
from mintaka.data.sources import SOURCES, data_root, expanded, fetch_source
from mintaka.data.watch import watch_dataset

DATASETS = {
    "digits": "scikit-learn's digits, 8x8, values 0 to 16, 1,347 + 450 (embedded)",
    "wdbc": "scikit-learn's breast cancer (Wisconsin, diagnostic), 30 real numbers each, 455 + 114 (embedded)",
    **{name: source.title for name, source in SOURCES.items()},
}
DIGITS_TEST, WDBC_TEST = 450, 114
TEST_SHARE = 0.2  # of the user's arrays, where they bring no test split


@dataclass(frozen=True)
class Status:
    """Whether a data set can be loaded now, where it lies, and if not, what to do."""

    name: str
    title: str
    available: bool
    where: str
    advice: str


def status(name: str, root: Path | str | None = None) -> Status:
    """Look where `load_dataset` looks, without reading the files."""
    _check_name(name)
    if name in EMBEDDED:
        return Status(name, DATASETS[name], True, "scikit-learn", "")
    source = SOURCES[name]
    found = source.find(data_root(root))
    where = str(next(iter(found.values())).parent) if found else ""
    advice = "" if found else f"run `mintaka data fetch {name}`, or {source.advice}"
    return Status(name, source.title, bool(found), where, advice)


def fetch(name: str, root: Path | str | None = None) -> Status:
    """Make a data set available in the data folder, checking every file's sha256.

    Raises DataError where that fails, with advice.
    """
    _check_name(name)
    if name in SOURCES:
        fetch_source(SOURCES[name], data_root(root))
    return status(name, root)


def load_dataset(name_or_npz_path: str | Path, root: Path | str | None = None) -> Dataset:
    """A data set by its name in DATASETS, or from an .npz file with `x` and `y`.

    Files are looked up in the data folder (`root`, else $MINTAKA_DATA, else ./data), then where packages put them, then
    fetched. An .npz may also hold `x_test` and `y_test`; otherwise a fifth of it becomes the test split.

    Raises DataError where it cannot be had or is damaged.
    """
    name = str(name_or_npz_path)
    file = data_file(name)
    if file is not None:
        return _load_npz(file)
    _check_name(name)
    if name in EMBEDDED:
        return EMBEDDED[name]()
    source = SOURCES[name]
    content = source.read(fetch_source(source, data_root(root)))
    if name == "watch":
        return watch_dataset(content[0])
    train_x, train_y, test_x, test_y = map(parse, content)
    return Dataset(name, train_x[:, None], train_y.astype(np.int64), test_x[:, None], test_y.astype(np.int64), bits=8)


def data_file(dataset: str) -> Path | None:
    """The file that a data set's name stands for, with `~` for the home folder; None where it is no path.

    Raises DataError where there is no such home folder.
    """
    return expanded(dataset) if dataset.endswith(".npz") else None


def _check_name(name: str) -> None:
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise DataError(f"there is no data set '{name}'; known: {known}, or the path of an .npz file")


def _load_digits() -> Dataset:
    """1,797 8x8 images as they are: values 0 to 16, five bits. 450 of them, each class in proportion, are the test."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    x, y = raw.images.astype(np.uint8)[:, None], raw.target.astype(np.int64)
    train, test = stratified_split(y, DIGITS_TEST)
    return Dataset("digits", x[train], y[train], x[test], y[test], bits=5)


def _load_wdbc() -> Dataset:
    """569 biopsies as 30 real numbers each, which describe the nuclei of cells in a picture: 0 malignant, 1 benign."""
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer()
    x, y = compact(raw.data), raw.target.astype(np.int64)
    train, test = stratified_split(y, WDBC_TEST)
    return Dataset("wdbc", x[train], y[train], x[test], y[test], *width(x))


EMBEDDED = {"digits": _load_digits, "wdbc": _load_wdbc}


def _load_npz(path: Path) -> Dataset:
    arrays = read_npz(path, ("x", "y"), ("x_test", "y_test"))
    x, y = _check_arrays(path, arrays, "x", "y")
    if "x_test" in arrays or "y_test" in arrays:
        for key in ("x_test", "y_test"):
            if key not in arrays:
                raise DataError(f"{path} lacks the array '{key}': a test split has both x_test and y_test")
        x_test, y_test = _check_arrays(path, arrays, "x_test", "y_test")
        if x_test.shape[1:] != x.shape[1:]:
            raise DataError(f"{path}: x and x_test have samples of shape {x.shape[1:]} and {x_test.shape[1:]}")
    else:
        if len(x) < 5:
            raise DataError(f"{path} holds {len(x)} samples; at least 5 are needed to split off a test")
        train, test = stratified_split(y, max(1, round(TEST_SHARE * len(x))))
        x, y, x_test, y_test = x[train], y[train], x[test], y[test]
    return Dataset(path.stem, x, y, x_test, y_test, *width(x, x_test))


def _check_arrays(path: Path, arrays: dict[str, np.ndarray], x_key: str, y_key: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = arrays[x_key], arrays[y_key]
    for key, values, kinds in ((x_key, x, "biuf"), (y_key, y, "biu")):
        if values.dtype.kind not in kinds:
            what = "numbers" if "f" in kinds else "integers"
            raise DataError(f"{path}: '{key}' has the dtype {values.dtype}; it must hold {what}")
        if values.size == 0:
            raise DataError(f"{path}: '{key}' is empty")
    if int(y.min()) < 0:
        raise DataError(f"{path}: '{y_key}' holds {int(y.min())}; classes must be numbers from 0")
    if y.ndim != 1 or len(y) != len(x):
        raise DataError(f"{path}: '{y_key}' has shape {list(y.shape)}, not one class for each of {len(x)} samples")
    if not 2 <= x.ndim <= 5:
        raise DataError(f"{path}: '{x_key}' has shape {list(x.shape)}; (N, F) or (N, C, H, W) is wanted")
    if x.dtype.kind == "f" and x.dtype.itemsize > 8:
        x = x.astype(np.float64)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        sample = int(np.argwhere(~np.isfinite(x))[0][0])
        bad = x[sample][~np.isfinite(x[sample])][0]
        raise DataError(f"{path}: '{x_key}' holds {bad} (sample {sample}); numbers must be finite")
    return compact(x), y.astype(np.int64)
