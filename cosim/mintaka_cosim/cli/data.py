"""mintaka data: list, fetch, check"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mintaka_cosim.cli.support import JsonOption, command, console, emit_json

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

    table = Table(box=None, pad_edge=False)
    for column in ("name", "what", "there", "where, or how to get it"):
        table.add_column(column, overflow="fold")
    for each in found:
        there = "[green]yes[/green]" if each.available else "no"
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
    """Load a data set, check its files, and say what is in it.

    Example: [b]mintaka data check digits[/b]
    """
    from mintaka.data import load_dataset

    data = load_dataset(name, root)
    facts: dict[str, Any] = {
        "name": data.name,
        "train": len(data.train_x),
        "test": len(data.test_x),
        "shape": list(data.train_x.shape[1:]),
        "bits": data.bits,
        "signed": data.signed,
        "smallest": data.train_x.min().item(),
        "largest": data.train_x.max().item(),
        "classes": data.classes,
    }
    if json:
        emit_json(facts)
        return
    shape = " x ".join(map(str, facts["shape"]))
    kind = "real numbers" if data.bits is None else f"{data.bits} bits" + ", signed" * data.signed
    console().print(
        f"{facts['name']}: {facts['train']:,} training and {facts['test']:,} test samples of {shape}, {kind} "
        f"(from {facts['smallest']:.6g} to {facts['largest']:.6g}), {facts['classes']} classes"
    )
