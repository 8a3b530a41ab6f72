"""`make bench-methods`: train, measure and simulate every compression method; write docs/studies/compression.md.

    python -m benchmarks.methods [--data digits|mnist|watch] [--methods NAME,...] [--seeds 1,2,3] [--jobs 2]

What is done is kept, so it can be stopped (Ctrl-C) and started again at any time.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.methods import page
from benchmarks.methods.datasets import DATA, Data, quick
from benchmarks.methods.figures import load_point
from benchmarks.methods.run import Job, folder_of, point_key, seeds_of, simulate, synthesize, train_and_measure
from benchmarks.methods.table import Entry, entries, recipe_of
from mintaka.artifact.whole import write_whole
from mintaka.data import load_dataset
from mintaka_cosim.flow.pool import Task, run_tasks
from mintaka_cosim.program import RequestError, check_file, check_folder, finish, say, shown, warn
from mintaka_cosim.task_display import task_display

PAGE = Path("docs/studies/compression.md")
RUNS = Path("runs/bench-methods")
QUICK_RUNS = Path("runs/bench-methods-quick")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="make bench-methods", description="Train, measure and simulate every compression method; write the page."
    )
    p.add_argument("--data", default="digits", help=", ".join(DATA))
    p.add_argument("--methods", metavar="NAME,...", help="only these, and what they start from")
    p.add_argument("--seeds", default="1,2,3", metavar="N,...", help="one training for each")
    p.add_argument("--jobs", type=int, default=2, help="processes, each with one thread")
    p.add_argument("--out", type=Path, help=f"the page; the plots go beside it (default: {PAGE})")
    p.add_argument("--runs", type=Path, help=f"the folder of the runs (default: {RUNS})")
    p.add_argument("--recipes", type=Path, default=Path("recipes"), help="the folder of the recipes")
    p.add_argument("--data-root", type=Path, help="the data folder")
    p.add_argument("--no-synthesis", action="store_true", help="do not synthesize the first seed (a minute per method)")
    p.add_argument("--page", action="store_true", help="only write the page, from what is there")
    p.add_argument("--quick", action="store_true", help="a few epochs only, to see that it works")
    return p


def main(arguments: list[str] | None = None) -> int:
    """0 where all was measured, 1 where something failed, 2 for a wrong request."""
    p = parser()
    chosen = p.parse_args(arguments)
    if chosen.jobs < 1:
        p.error(f"--jobs must be at least 1, got {chosen.jobs}")
    return finish("bench-methods", "what is measured is kept, start it again to go on", lambda: _bench(chosen))


def parse_seeds(text: str) -> list[int]:
    """`1,2,3`: different numbers from 0, in this order."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len({int(part) for part in parts}) < len(parts):
        raise RequestError(f"--seeds {text}: must be different numbers from 0, like 1,2,3")
    return [int(part) for part in parts]


def _bench(chosen: argparse.Namespace) -> int:
    if chosen.data not in DATA:
        raise RequestError(f"--data {chosen.data}: there are {', '.join(DATA)}")
    data = quick(DATA[chosen.data]) if chosen.quick else DATA[chosen.data]
    seeds = parse_seeds(chosen.seeds)
    wanted = entries(data, None if chosen.methods is None else chosen.methods.split(","))
    out = chosen.out or (QUICK_RUNS / PAGE.name if chosen.quick else PAGE)
    runs = chosen.runs or (QUICK_RUNS if chosen.quick else RUNS)
    for entry in wanted:
        recipe_of(entry, data, seeds[0], chosen.recipes)  # or say now what is wrong with it
    check_file("--out", out, ".md")
    check_folder("--runs", runs)
    folder, failed = runs / data.name, dict[str, str]()
    if not chosen.page:
        load_dataset(data.name, chosen.data_root)  # or say now that it is missing
        tasks = _tasks(wanted, data, seeds, folder, chosen)
        say(f"{data.name}: {len(wanted)} methods, seeds {', '.join(map(str, seeds))}, {chosen.jobs} at a time")
        with task_display(len(tasks)) as listen:
            failed = run_tasks(tasks, chosen.jobs, listen)
    _write(data, folder, chosen.recipes, out)
    say(f"{shown(out)}: written")
    for task, sentence in failed.items():
        warn(f"{task}: {sentence}")
    return int(bool(failed))


def _tasks(wanted: list[Entry], data: Data, seeds: list[int], folder: Path, chosen: argparse.Namespace) -> list[Task]:
    """All trainings, then simulation and synthesis of the first seed, then the other simulations."""

    def name(what: str, method: str, seed: int) -> str:
        return f"{method}-{seed} {what}"

    parts: dict[str, list[Task]] = {"training": [], "first": [], "synthesis": [], "others": []}
    for seed in seeds:
        for entry in wanted:
            job = Job(entry, data, seed, folder, chosen.recipes, chosen.data_root)
            trained = name("training", entry.name, seed)
            after = (name("training", entry.start, seed),) if entry.start else ()
            parts["training"].append(Task(trained, partial(train_and_measure, job), after))
            simulated = Task(name("simulation", entry.name, seed), partial(simulate, job), (trained,))
            parts["first" if seed == seeds[0] else "others"].append(simulated)
            if not chosen.no_synthesis and seed == seeds[0]:
                synthesized = Task(name("synthesis", entry.name, seed), partial(synthesize, job), (trained,))
                parts["synthesis"].append(synthesized)
    return [task for part in parts.values() for task in part]


def _write(data: Data, folder: Path, recipes: Path, out: Path) -> None:
    """The page, from everything that was measured with today's recipes."""
    known, points, first = entries(data), {}, {}
    for entry in known:
        first[entry.name] = recipe_of(entry, data, 1, recipes)
        found = []
        for seed in seeds_of(folder, entry.name):
            key = point_key(recipe_of(entry, data, seed, recipes))
            found.append(load_point(folder_of(folder, entry.name, seed), key, seed))
        points[entry.name] = [point for point in found if point is not None]
    image = out.with_name(f"{out.stem}-{data.name}.svg")
    drawn = page.plots(known, points, data.title)
    if drawn:
        write_whole(image, drawn.encode())
    text = page.section(data, known, first, points, image.name if drawn else "")
    before = out.read_text(encoding="utf-8") if out.is_file() else ""
    write_whole(out, page.page({data.name: text}, before).encode())


if __name__ == "__main__":
    sys.exit(main())
