"""Data sets by name, or from the user's own arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mintaka.data.arrays import load_arrays
from mintaka.data.dataset import Dataset, compact, width
from mintaka.data.errors import DataError
from mintaka.data.idx import parse
from mintaka.data.labels import Labels, class_problem
from mintaka.data.sources import SOURCES, data_root, expanded, fetch_source
from mintaka.data.split import stratified_split
from mintaka.data.watch import watch_dataset

DATASETS = {
    "digits": "scikit-learn's digits, 8x8, values 0 to 16, 1,347 + 450 (embedded)",
    "wdbc": "scikit-learn's breast cancer (Wisconsin, diagnostic), 30 real numbers each, 455 + 114 (embedded)",
    **{name: source.title for name, source in SOURCES.items()},
}
DIGITS_TEST, WDBC_TEST = 450, 114


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


def load_dataset(name_or_npz_path: str | Path, root: Path | str | None = None, *, labels: Labels = None) -> Dataset:
    """A data set by its name in DATASETS, or from an .npz file with `x` and `y`.

    Files are looked up in the data folder (`root`, else $MINTAKA_DATA, else ./data), then where packages put them, then
    fetched. An .npz may also hold `x_test` and `y_test`; otherwise a fifth of it becomes the test split. `group` says
    which samples belong together, so that none of a group are trained with while others test.

    labels : of an .npz: None where the classes are 0, 1, ...; "map" numbers whatever they are in rising order; "keep"
        takes numbers with gaps as they are. Of any data set, where a network is there: the number of its classes, or
        their names; no sample may be of another class.

    Raises DataError where it cannot be had or is damaged.
    """
    name = str(name_or_npz_path)
    file = data_file(name)
    if file is not None:
        return load_arrays(file, labels)
    _check_name(name)
    found = _known(name, root)
    if isinstance(labels, int) or (labels is not None and not isinstance(labels, str)):
        classes = labels if isinstance(labels, int) else len(labels)
        for y in (found.train_y, found.test_y):
            problem = class_problem(y, classes)
            if problem is not None:
                raise DataError(f"{name}: {problem}")
    return found


def _known(name: str, root: Path | str | None) -> Dataset:
    """A data set of DATASETS."""
    if name in EMBEDDED:
        return EMBEDDED[name]()
    source = SOURCES[name]
    content = source.read(fetch_source(source, data_root(root)))
    if name == "watch":
        return watch_dataset(content[0])
    train_x, train_y, test_x, test_y = map(parse, content)
    return Dataset(name, train_x[:, None], train_y.astype(np.int64), test_x[:, None], test_y.astype(np.int64), bits=8)


def data_file(dataset: str) -> Path | None:
    """The file that a data set's name stands for, with `~` for the home folder; None where it is no path, as it has
    neither folders nor an ending.

    Raises DataError where there is no such home folder.
    """
    return expanded(dataset) if Path(dataset).suffix or Path(dataset).name != dataset else None


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
