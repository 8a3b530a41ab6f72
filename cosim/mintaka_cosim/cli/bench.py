"""mintaka bench methods"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mintaka_cosim.cli.support import RequestError, check_file, check_folder, command, say, shown, warn
from mintaka_cosim.cli.tasks import task_display

if TYPE_CHECKING:
    from mintaka_cosim.methods.datasets import Data
    from mintaka_cosim.methods.table import Entry

app = typer.Typer(no_args_is_help=True, help="Measure, and write pages of the documentation.")
PAGE = Path("docs/compression.md")
RUNS = Path("runs/bench-methods")


@app.callback()
def bench() -> None:
    """Measure, and write pages of the documentation."""


@command(app, "methods")
def methods(
    data: Annotated[str, typer.Option("--data", help="digits, mnist or watch.")] = "digits",
    names: Annotated[
        str | None, typer.Option("--methods", help="Only these, and what they start from.", metavar="NAME,NAME,...")
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="One training for each.", metavar="N,N,...")] = "1,2,3",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes, each with one thread.")] = 2,
    out: Annotated[Path, typer.Option("--out", help="The page; the plots go beside it.")] = PAGE,
    runs: Annotated[Path, typer.Option("--runs", help="The folder of the runs.")] = RUNS,
    recipes: Annotated[Path, typer.Option("--recipes", help="The folder of the recipes.")] = Path("recipes"),
    data_root: Annotated[Path | None, typer.Option("--data-root", help="The data folder.")] = None,
    synthesis: Annotated[bool, typer.Option(help="Synthesize the first seed of each method (a minute each).")] = True,
    page: Annotated[bool, typer.Option("--page", help="Only write the page, from what is there.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A few epochs only, to see that it works.")] = False,
) -> None:
    """Train, measure and simulate every compression method; write docs/compression.md.

    What is done is kept, so it can be stopped (Ctrl-C) and started again at any time.

    Example: [b]mintaka bench methods --data digits --seeds 1,2,3[/b]
    """
    from mintaka.data import load_dataset
    from mintaka_cosim.methods.datasets import DATA
    from mintaka_cosim.methods.datasets import quick as quickened
    from mintaka_cosim.methods.table import entries, recipe_of

    if data not in DATA:
        raise RequestError(f"--data {data}: there are {', '.join(DATA)}")
    chosen = quickened(DATA[data]) if quick else DATA[data]
    numbers = parse_seeds(seeds)
    wanted = entries(chosen, None if names is None else names.split(","))
    if quick and (out, runs) == (PAGE, RUNS):
        out, runs = Path("runs/bench-methods-quick/compression.md"), Path("runs/bench-methods-quick")
    for entry in wanted:
        recipe_of(entry, chosen, numbers[0], recipes)  # or say now what is wrong with it
    check_file("--out", out, ".md")
    check_folder("--runs", runs)
    folder, failed = runs / data, dict[str, str]()
    if not page:
        load_dataset(data, data_root)  # or say now that it is missing
        failed = _measure(wanted, chosen, numbers, jobs, folder, recipes, data_root, synthesis)
    _write(chosen, folder, recipes, out)
    say(f"{shown(out)}: written")
    for task, sentence in failed.items():
        warn(f"{task}: {sentence}")
    if failed:
        raise typer.Exit(1)


def parse_seeds(text: str) -> list[int]:
    """`1,2,3`: different numbers from 0, in this order."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len({int(part) for part in parts}) < len(parts):
        raise RequestError(f"--seeds {text}: different numbers from 0 are wanted, like 1,2,3")
    return [int(part) for part in parts]


def _measure(
    wanted: list[Entry],
    data: Data,
    seeds: list[int],
    jobs: int,
    folder: Path,
    recipes: Path,
    data_root: Path | None,
    synthesis: bool,
) -> dict[str, str]:
    """All trainings, then simulation and synthesis of the first seed, then the other simulations; what failed."""
    from mintaka_cosim.methods.run import Job, simulate, synthesize, train_and_measure
    from mintaka_cosim.methods.work import Task, run_tasks

    def name(what: str, method: str, seed: int) -> str:
        return f"{method}-{seed} {what}"

    parts: dict[str, list[Task]] = {"training": [], "first": [], "synthesis": [], "others": []}
    for seed in seeds:
        for entry in wanted:
            job, trained = Job(entry, data, seed, folder, recipes, data_root), name("training", entry.name, seed)
            after = (name("training", entry.start, seed),) if entry.start else ()
            parts["training"].append(Task(trained, partial(train_and_measure, job), after))
            simulated = Task(name("simulation", entry.name, seed), partial(simulate, job), (trained,))
            parts["first" if seed == seeds[0] else "others"].append(simulated)
            if synthesis and seed == seeds[0]:
                synthesized = Task(name("synthesis", entry.name, seed), partial(synthesize, job), (trained,))
                parts["synthesis"].append(synthesized)
    tasks = [task for part in parts.values() for task in part]
    say(f"{data.name}: {len(wanted)} methods, seeds {', '.join(map(str, seeds))}, {jobs} at a time")
    with task_display(len(tasks)) as listen:
        return run_tasks(tasks, jobs, listen)


def _write(data: Data, folder: Path, recipes: Path, out: Path) -> None:
    """The page, from everything that was measured with today's recipes."""
    from mintaka.artifact.whole import write_whole
    from mintaka_cosim.methods import page
    from mintaka_cosim.methods.figures import load_point
    from mintaka_cosim.methods.run import folder_of, point_key, seeds_of
    from mintaka_cosim.methods.table import entries, recipe_of

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
