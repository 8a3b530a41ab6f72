"""The data set of a recipe, as it is trained with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mintaka.data import Dataset, load_dataset
from mintaka.train.errors import RecipeError
from mintaka.train.keys import Recipe


def load_data(recipe: Recipe, root: Path | str | None = None, *, place: Path | str | None = None) -> Dataset:
    """The data set that the recipe names, with its classes and the shape of its samples as the recipe reads them.

    root : the folder of the data sets that are known by name. place : where the file is, if not where the recipe says.
    Raises DataError.
    """
    return fitted(recipe, load_dataset(str(place or recipe.dataset), root, labels=recipe.labels))


def fitted(recipe: Recipe, dataset: Dataset) -> Dataset:
    """Samples of two dimensions as pictures of one channel where the recipe's network takes pictures, and groups only
    where the recipe keeps training data back."""
    keeps_back = recipe.train.validation is not None or recipe.early_exit is not None
    if not keeps_back and dataset.train_groups is not None:
        dataset = replace(dataset, train_groups=None)
    if dataset.train_x.ndim != 3 or not takes_pictures(recipe):
        return dataset
    return replace(dataset, train_x=dataset.train_x[:, None], test_x=dataset.test_x[:, None])


def class_weights(recipe: Recipe, dataset: Dataset) -> Tensor | None:
    """Of each class in the loss, float32; None where the recipe says nothing. dataset : what is trained with.

    "balanced": N / (K * samples of the class), as scikit-learn has it. Raises RecipeError where the list has another
    length than there are classes.
    """
    said, K = recipe.train.class_weights, dataset.classes
    if said is None:
        return None
    if said == "balanced":
        counts = np.bincount(dataset.train_y, minlength=K)
        return torch.tensor(len(dataset.train_y) / (K * np.maximum(counts, 1)), dtype=torch.float32)
    if len(said) != K:
        raise RecipeError(f"'train.class_weights' has {len(said)} numbers, but the data has {K} classes")
    return torch.tensor(said, dtype=torch.float32)


def takes_pictures(recipe: Recipe) -> bool:
    """Whether samples of two dimensions are pictures, and not steps of inputs: a direct input has no steps, counts have
    some, and spikes that are convolved or pooled are pictures."""
    kind = recipe.network.input
    return kind == "direct" or (kind == "spikes" and recipe.layers[0].op in ("conv2d", "pool2d"))
