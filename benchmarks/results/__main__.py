"""`make results`: docs/studies/results.md from the trained runs.

python -m benchmarks.results [--runs runs] [--samples 1000] [--train]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mintaka.artifact.whole import write_whole
from mintaka_cosim.program import console, finish, say

WANTED = (  # runs of the page, each named as the recipe that trains it
    "digits",
    "mnist-dense",
    "mnist-conv",
    "mnist-pool",
    "mnist-conv-w2",
    "fashion-conv",
    "fashion-pool",
    "mnist-residual",
    "watch-recurrent",
    "watch-cuba",
)


def main(arguments: list[str] | None = None) -> int:
    """0 where everything found is equal, 1 where something differs, 2 for a wrong request. Missing runs are named."""
    parser = argparse.ArgumentParser(
        prog="make results", description="Write docs/studies/results.md from the trained runs."
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of the runs")
    parser.add_argument("--recipes", type=Path, default=Path("recipes"))
    parser.add_argument("--out", type=Path, default=Path("docs/studies/results.md"))
    parser.add_argument("--samples", type=int, default=1000, help="of each test split through the Verilog")
    parser.add_argument("--only", nargs="+", choices=WANTED, default=WANTED, metavar="RUN", help=", ".join(WANTED))
    parser.add_argument("--train", action="store_true", help="train the runs that are missing (minutes to hours)")
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time")
    chosen = parser.parse_args(arguments)
    if chosen.samples < 1 or chosen.jobs < 1:
        parser.error("--samples and --jobs are 1 or more")
    return finish("results", "what is measured is kept", lambda: _write(chosen))


def _write(chosen: argparse.Namespace) -> int:
    from benchmarks.results import measure, render
    from mintaka.train import load_recipe
    from mintaka.train.data import load_data

    found, missing = [], []
    for run in WANTED:
        if run not in chosen.only:
            continue
        folder, recipe = chosen.runs / run, chosen.recipes / f"{run}.toml"
        if chosen.train and not (folder / "network.safetensors").is_file() and recipe.is_file():
            _train(recipe, folder)
        if not (folder / "network.safetensors").is_file():
            missing.append(run)
            say(f"{run}: missing ({'TRAIN=1 trains it' if recipe.is_file() else f'there is no {recipe}'})")
            continue
        # The run's own recipe is what it was trained by.
        own = folder / "recipe.toml"
        dataset = load_data(load_recipe(own if own.is_file() else recipe))
        found.append(measure(folder, run, dataset, samples=chosen.samples, jobs=chosen.jobs, say=say))
    write_whole(chosen.out, render(found, missing).encode())
    say(f"{chosen.out}: {len(found)} runs, {len(missing)} missing")
    wrong = [figures.name for figures in found if not figures.verified]
    if wrong:
        say(f"results: not equal to the reference or the cycle model: {', '.join(wrong)}")
    return int(bool(wrong))


def _train(recipe: Path, folder: Path) -> None:
    from mintaka.train import load_recipe, progress_bar
    from mintaka_cosim import flow

    loaded = load_recipe(recipe)
    with progress_bar(console(stderr=True)) as progress:
        flow.export(flow.fit(loaded, folder, progress=progress))


if __name__ == "__main__":
    sys.exit(main())
