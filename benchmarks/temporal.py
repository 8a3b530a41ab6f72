"""What membranes and recurrence are worth on the IMU data: the table of docs/studies/temporal.md.

    python -m benchmarks.temporal [--seeds 3] [--runs runs/temporal]

Trains recipes/watch-recurrent.toml and the same with parts taken out, each with several seeds, and prints the table.
Finished runs are not repeated, interrupted ones are resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mintaka.train import Recipe, load_recipe
from mintaka_cosim import flow

RECIPE = Path(__file__).parent.parent / "recipes" / "watch-recurrent.toml"
AS_LARGE = 280  # hidden neurons that without recurrence have as many weights as 64 with it: 5,320 and 5,312


def without_recurrence(recipe: Recipe, units: int | None = None) -> Recipe:
    """The hidden layer reads the input alone; `units` changes its size."""
    hidden = recipe.layers[0].model_copy(update={"reads": None} | ({} if units is None else {"units": units}))
    return recipe.model_copy(update={"layers": [hidden, *recipe.layers[1:]]})


def without_membrane(recipe: Recipe) -> Recipe:
    """An empty leak: every step starts from 0."""
    return recipe.model_copy(update={"network": recipe.network.model_copy(update={"leak": "0"})})


def variants(recipe: Recipe) -> dict[str, Recipe]:
    """What the table compares, by its name there."""
    return {
        "membrane and recurrence": recipe,
        "no recurrence": without_recurrence(recipe),
        f"no recurrence, {AS_LARGE} neurons": without_recurrence(recipe, AS_LARGE),
        "no membrane": without_membrane(recipe),
        "neither": without_membrane(without_recurrence(recipe)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the IMU net and its ablations, print the table.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/temporal"))
    parser.add_argument("--data", type=Path, default=None, help="the data folder")
    given = parser.parse_args()
    print("| network | float | integer, each seed | mean | hidden spikes | SOPs |")
    print("|---|---|---|---|---|---|")
    for title, recipe in variants(load_recipe(RECIPE)).items():
        floats, integers, spikes, sops = [], [], [], []
        for seed in range(1, given.seeds + 1):
            folder = given.runs / f"{title.replace(', ', '-').replace(' ', '-')}-{seed}"
            fitted = flow.fit(recipe.model_copy(update={"seed": seed}), folder, data_root=given.data)
            found = flow.evaluate(flow.export(fitted), fitted.dataset.test_x, fitted.dataset.test_y)
            floats.append(100 * (fitted.result.float_accuracy or 0))
            integers.append(100 * found.accuracy)
            spikes.append(found.spikes["hidden"] / found.samples)
            sops.append(found.sops_per_sample)
        each = ", ".join(f"{value:.1f}" for value in integers)
        row = f"{np.mean(floats):.1f} | {each} | **{np.mean(integers):.1f}**"
        print(f"| {title} | {row} | {np.mean(spikes):,.0f} | {np.mean(sops):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
