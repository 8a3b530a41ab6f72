"""python -m mintaka_cosim.results: see `make results`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from mintaka_cosim.cli.support import user_sentence, written


@dataclass(frozen=True)
class Wanted:
    """A run of the page and the recipe (without .toml) that trains it."""

    run: str
    recipe: str


WANTED = (
    Wanted("digits", "digits"),
    Wanted("mnist-dense", "mnist-dense"),
    Wanted("mnist-conv", "mnist-conv"),
    Wanted("mnist-pool", "mnist-pool"),
    Wanted("mnist-conv-w2", "mnist-conv-w2"),
    Wanted("fashion-conv", "fashion-conv"),
    Wanted("fashion-pool", "fashion-pool"),
    Wanted("mnist-residual", "mnist-residual"),
    Wanted("watch-recurrent", "watch-recurrent"),
    Wanted("watch-cuba", "watch-cuba"),
)


def main(arguments: list[str] | None = None) -> int:
    """0 where everything found is equal, 1 where something differs, 2 for a wrong request. Missing runs are named."""
    names = [wanted.run for wanted in WANTED]
    parser = argparse.ArgumentParser(prog="make results", description="Write docs/results.md from the trained runs.")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of the runs")
    parser.add_argument("--recipes", type=Path, default=Path("recipes"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--samples", type=int, default=1000, help="of each test split through the Verilog")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="RUN", help=", ".join(names))
    parser.add_argument("--train", action="store_true", help="train the runs that are missing (minutes to hours)")
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time")
    chosen = parser.parse_args(arguments)
    if chosen.samples < 1 or chosen.jobs < 1:
        parser.error("--samples and --jobs are 1 or more")
    try:
        return _write(chosen)
    except KeyboardInterrupt:
        print("results: stopped; what is measured is kept", file=sys.stderr)
        return 130
    except Exception as error:
        sentence = user_sentence(error)
        if sentence is None:
            raise
        print(f"results: {sentence}", file=sys.stderr)
        return 2


def _write(chosen: argparse.Namespace) -> int:
    from mintaka.data import load_dataset
    from mintaka.train import load_recipe
    from mintaka_cosim.results import measure, render

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found, missing = [], []
    for wanted in WANTED:
        if wanted.run not in chosen.only:
            continue
        folder, recipe = chosen.runs / wanted.run, chosen.recipes / f"{wanted.recipe}.toml"
        if chosen.train and not (folder / "network.safetensors").is_file() and recipe.is_file():
            _train(recipe, folder)
        if not (folder / "network.safetensors").is_file():
            missing.append(wanted.run)
            say(f"{wanted.run}: missing ({'TRAIN=1 trains it' if recipe.is_file() else f'there is no {recipe}'})")
            continue
        # The run's own recipe is what it was trained by.
        own = folder / "recipe.toml"
        dataset = load_dataset(load_recipe(own if own.is_file() else recipe).dataset)
        found.append(measure(folder, wanted.run, dataset, samples=chosen.samples, jobs=chosen.jobs, say=say))
    with written(chosen.out, "w") as file:
        file.write(render(found, missing))
    say(f"{chosen.out}: {len(found)} runs, {len(missing)} missing")
    wrong = [figures.name for figures in found if not figures.verified]
    if wrong:
        say(f"results: not equal to the reference or the cycle model: {', '.join(wrong)}")
    return int(bool(wrong))


def _train(recipe: Path, folder: Path) -> None:
    from rich.console import Console

    from mintaka.train import export, load_recipe, progress_bar, train

    loaded = load_recipe(recipe)
    with progress_bar(Console(stderr=True)) as progress:
        train(loaded, folder, progress=progress)
    export(folder)


if __name__ == "__main__":
    sys.exit(main())
