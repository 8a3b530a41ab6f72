"""The data of a run: known by name and digest, found by a note.

The note (data.json in the run's folder) is the only file of a run that holds a path: where the data were on this
machine. Where it is missing or out of date, the likely places are searched; what is found is taken by its digest alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from mintaka.artifact.strict_json import read_object
from mintaka.artifact.whole import write_whole
from mintaka.data import DATASETS, DataError, Dataset, data_file, data_root, status
from mintaka.train.data import load_data
from mintaka.train.errors import TrainError
from mintaka.train.keys import Recipe

FILE = "data.json"


def data_digest(dataset: Dataset) -> str:
    """sha256 over the data set's arrays, and its classes where they have names."""
    digest = hashlib.sha256()
    arrays = [dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y]
    for values in arrays if dataset.train_groups is None else [*arrays, dataset.train_groups]:
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    if dataset.class_names is not None:
        digest.update(json.dumps(dataset.class_names).encode())
    return digest.hexdigest()


def recorded_name(dataset: str) -> str:
    """What a run records of its data set: a known name, or that of the file without its folders."""
    file = data_file(dataset)
    return dataset if file is None else file.name


def note(folder: Path, dataset: str, root: Path | str | None) -> None:
    """Write down where the data were found: the file, or the folder of the sets that are known by name."""
    file = data_file(dataset)
    if file is None and not (data_root(root) / dataset).is_dir():
        return  # it came with a package, so there is nothing to remember
    place = (file or data_root(root)).resolve()
    form = {"absolute": str(place), "relative": os.path.relpath(place, folder.resolve())}
    write_whole(folder / FILE, json.dumps(form, indent=1).encode() + b"\n")


def noted(folder: Path) -> list[Path]:
    """Where the data of the run in `folder` were, and where they are if both have moved together; as far as there is
    anything."""
    try:
        form = read_object(folder / FILE)
        places = [Path(form["absolute"]), folder.resolve() / form["relative"]]
        return [place for place in places if place.exists()]  # of a name that is too long it cannot even be said
    except (OSError, ValueError, TypeError, KeyError):
        return []


def root_of(folder: Path, name: str, root: Path | str | None) -> Path | str | None:
    """The folder of the data sets that are known by name: `root`, or else where the run found the set `name`, as long
    as it is there."""
    places = noted(folder) if root is None and name in DATASETS else []
    return next((place for place in places if place.is_dir() and status(name, place).available), root)


def find_data(
    folder: Path, recipe: Recipe, digest: str, *, data: Path | str | None = None, root: Path | str | None = None
) -> Dataset:
    """The data that the run in `folder` was trained with, by its recipe. digest : of them, as the run has recorded.

    data : where they are; otherwise the note, the run's folder and the one around it, the current folder and the one
    for data sets (`root`) are searched.

    Raises TrainError where they are not found, or only others of that name; DataError where `data` cannot be read.
    """
    name = recipe.dataset
    if data is not None:
        found = load_data(recipe, root, place=data)
        if data_digest(found) != digest:
            raise TrainError(f"{data} does not hold the data that {folder} was trained with: they have another digest")
        return replace(found, name=Path(name).stem)
    if data_file(name) is None:
        found = load_data(recipe, root_of(folder, name, root))
        if data_digest(found) != digest:
            raise TrainError(f"the data set '{name}' is not the one that {folder} was trained with")
        return found
    around = (folder, folder.parent, Path(), data_root(root))
    places = dict.fromkeys([*noted(folder), *(place / name for place in around)])
    there = [place for place in places if place.is_file()]
    for place in there:
        try:
            found = load_data(recipe, place=place)
        except DataError:
            continue
        if data_digest(found) == digest:
            return found
    if there:
        raise TrainError(f"{there[0]} is not the data that {folder} was trained with: say where they are (--data)")
    raise TrainError(f"the data that {folder} was trained with, {name}, were not found: say where they are (--data)")
