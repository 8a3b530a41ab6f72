"""Training data that is not trained with: to judge the epochs by, and to calibrate early exit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mintaka.data import DataError, Dataset, split
from mintaka.train.errors import RecipeError
from mintaka.train.keys import Recipe

Samples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Parts:
    """train : the data set without what is kept back. validation, calibration : x and y of that; None where the recipe
    asks for none."""

    train: Dataset
    validation: Samples | None
    calibration: Samples | None


def parts_of(recipe: Recipe, dataset: Dataset) -> Parts:
    """What is trained with, and what is not. Raises RecipeError where one of them would be empty."""
    validation, calibration, early = None, None, recipe.early_exit
    share = recipe.train.validation
    if share is not None:
        dataset, validation = _kept_back(dataset, share, recipe.seed, "train.validation", "to judge epochs by")
    if early is not None:
        dataset, calibration = _kept_back(
            dataset, early.holdout, recipe.seed, "compress.holdout", "to calibrate early exit"
        )
    return Parts(dataset, validation, calibration)


def _kept_back(dataset: Dataset, share: float, seed: int, key: str, purpose: str) -> tuple[Dataset, Samples]:
    """The data set without `share` of its training data, and that; groups are not split up."""
    x, y = dataset.train_x, dataset.train_y
    count = round(share * len(y))
    if not 0 < count < len(y):
        raise RecipeError(
            f"'{key}' ({share}) keeps {count} of {len(y)} training samples back {purpose}; both parts need some"
        )
    try:
        stay, out = split(y, count, seed, dataset.train_groups)
    except DataError as error:
        raise RecipeError(f"'{key}': {error}") from None
    left = None if dataset.train_groups is None else dataset.train_groups[stay]
    return replace(dataset, train_x=x[stay], train_y=y[stay], train_groups=left), (x[out], y[out])
