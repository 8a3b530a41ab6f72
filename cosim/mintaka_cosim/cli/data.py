"""mintaka data: list, fetch, check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mintaka.errors import printable
from mintaka_cosim.cli.support import JsonOption, command, emit_json
from mintaka_cosim.program import console, warn

if TYPE_CHECKING:
    from mintaka.data import Look

MOST_ROWS = 30  # classes that are listed

app = typer.Typer(no_args_is_help=True, help="List, fetch and check data sets.\n\nExample: [b]mintaka data list[/b]")
NameArgument = Annotated[str, typer.Argument(help="A data set's name, or the path of an .npz file with x and y.")]
RootOption = Annotated[
    Path | None, typer.Option("--root", help="The folder with data sets (default: $MINTAKA_DATA, else ./data).")
]


@command(app, "list")
def list_(root: RootOption = None, json: JsonOption = False) -> None:
    """Which data sets are known, and which are there.

    Example: [b]mintaka data list[/b]
    """
    from dataclasses import asdict

    from mintaka.data import DATASETS, status

    found = [status(name, root) for name in DATASETS]
    if json:
        emit_json([asdict(each) for each in found])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("name", "what", "there", "where, or how to get it"):
        table.add_column(column, overflow="fold")
    for each in found:
        there = Text("yes", "green") if each.available else Text("no")
        table.add_row(each.name, each.title, there, each.where if each.available else each.advice)
    console().print(table)


@command(app, "fetch")
def fetch(name: NameArgument, root: RootOption = None, json: JsonOption = False) -> None:
    """Get a data set and check its files' sha256.

    Example: [b]mintaka data fetch mnist[/b]
    """
    from dataclasses import asdict

    from mintaka.data import fetch as fetch_data

    found = fetch_data(name, root)
    if json:
        emit_json(asdict(found))
    else:
        console().print(f"{found.name} is there: {found.where}")


@command(app, "check")
def check(name: NameArgument, root: RootOption = None, json: JsonOption = False) -> None:
    """Load a data set, check its files, and say what is in it and what is odd about it.

    Exit status 1 where nothing can be trained with it as it is.

    Example: [b]mintaka data check digits[/b]
    """
    from dataclasses import asdict

    from mintaka.data import DataError, load_dataset, look

    wrong: DataError | None = None
    try:
        data = load_dataset(name, root)
    except DataError as error:
        wrong = error
        try:
            data = load_dataset(name, root, labels="map")  # to show what is in it
        except DataError:
            raise error from None
    found = look(data)
    problem = f"{name}: {found.problem}" if wrong is None and found.problem else None if wrong is None else str(wrong)
    if json:
        facts = {**asdict(found), "largest": found.high, "classes": len(found.classes)}
        facts |= {"counts": [asdict(each) for each in found.classes], "layout": found.layout(of_recipe=False)}
        emit_json({**facts, "notes": found.notes(), "problem": problem})
    else:
        _print(found)
    for note in found.notes():
        warn(f"{found.name}: {note}")
    if problem is not None:
        warn(problem)
        raise typer.Exit(1)


def described(found: Look, *, of_recipe: bool = False) -> str:
    """A data set in one line. of_recipe : as for `Look.layout`."""
    low, high = (f"{each:,}" if isinstance(each, int) else f"{each:.6g}" for each in (found.low, found.high))
    values = f"{low} to {high}"
    numbers = (
        f"real numbers ({values})" if found.bits is None else f"{found.bits} bit{'s' * (found.bits > 1)} ({values})"
    )
    constant = f", of which {found.constant:,} numbers never change" if found.constant else ""
    groups = "" if found.groups is None else f", training samples in {found.groups:,} groups"
    return (
        f"{found.name}: {found.train:,} training and {found.test:,} test samples of {found.layout(of_recipe=of_recipe)}"
        f"{constant}; {numbers}; {len(found.classes)} class{'es' * (len(found.classes) > 1)}{groups}"
    )


def _print(found: Look) -> None:
    from rich.table import Table

    out = console()
    out.print(described(found), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("class", "training", "test"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for each in found.classes[:MOST_ROWS]:
        table.add_row(printable(each.name), f"{each.train:,}", f"{each.test:,}")
    out.print(table)
    if len(found.classes) > MOST_ROWS:
        out.print(f"and {len(found.classes) - MOST_ROWS:,} classes more (--json shows all)")
