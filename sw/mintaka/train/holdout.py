"""Training data that is kept back to calibrate what needs samples that were not trained with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mintaka.compress import Exit
from mintaka.data import Dataset
from mintaka.data.dataset import stratified_split
from mintaka.train.errors import RecipeError
from mintaka.train.keys import Recipe


def exit_of(recipe: Recipe) -> Exit | None:
    """The recipe's early exit, if it asks for it."""
    return next((method for method in recipe.compress or [] if isinstance(method, Exit)), None)


def hold_out(recipe: Recipe, dataset: Dataset) -> tuple[Dataset, np.ndarray, np.ndarray]:
    """The data to train with, and x and y of the samples held out (none where the recipe needs none).

    Raises RecipeError where one of both would be empty.
    """
    early, x, y = exit_of(recipe), dataset.train_x, dataset.train_y
    if early is None:
        return dataset, x[:0], y[:0]
    count = round(early.holdout * len(y))
    if not 0 < count < len(y):
        raise RecipeError(
            f"'compress.holdout' ({early.holdout}) keeps {count} of {len(y)} training samples back to calibrate early "
            "exit; both parts need some"
        )
    train, held = stratified_split(y, count, recipe.seed)
    return replace(dataset, train_x=x[train], train_y=y[train]), x[held], y[held]
