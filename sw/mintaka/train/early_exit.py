"""Early exit in a run: it trains nothing; its margins are calibrated at export, on training data that was held out."""

from __future__ import annotations

import numpy as np

from mintaka.artifact import Network, encode
from mintaka.compress import Exit, exit_curve, with_margins
from mintaka.compress.exits import LOSSES
from mintaka.data import Dataset
from mintaka.data.recall import accuracy
from mintaka.snn.fast import run_fast
from mintaka.train.errors import RecipeError
from mintaka.train.keys import Recipe

Samples = tuple[np.ndarray, np.ndarray]


def check_place(recipe: Recipe) -> None:
    """Early exit comes last, and once. Raises RecipeError."""
    tables = recipe.compress or []
    for index, table in enumerate(tables[:-1]):
        if isinstance(table, Exit):
            raise RecipeError(f"compress[{index}] (exit): early exit is calibrated at the end: write it last, and once")


def with_early_exit(
    network: Network, recipe: Recipe, dataset: Dataset, held: Samples | None
) -> tuple[Network, dict[str, object]]:
    """With margins where the recipe asks for early exit, how they were found, and what other losses would give on the
    test split. held : x and y that calibrate, and were not trained with.

    A search may have left one step (`mixed`): nothing can be left out of it.
    """
    early = recipe.early_exit
    if early is None or held is None or network.time_steps == 1:
        return network, {}
    held_out = encode(network, held[0]), held[1]
    test = encode(network, dataset.test_x), dataset.test_y
    points = exit_curve(network, held_out, test, tuple(sorted({*LOSSES, early.loss})))
    (margins,) = [point.margins for point in points if point.loss == early.loss]
    about: dict[str, object] = {
        "loss": early.loss,
        "calibration_samples": len(held[1]),
        "accuracy_of_all_steps": accuracy(run_fast(network, test[0]).classes, test[1]),
        "curve": [{"loss": p.loss, "mean_steps": p.mean_steps, "accuracy": p.accuracy} for p in points],
    }
    return with_margins(network, margins), about
