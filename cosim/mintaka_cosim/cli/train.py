"""mintaka train, mintaka export"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mintaka_cosim.cli.data import described
from mintaka_cosim.cli.support import JsonOption, emit_json
from mintaka_cosim.program import console, say, shown, warn

if TYPE_CHECKING:
    from mintaka.data import Look

RunArgument = Annotated[Path, typer.Argument(help="A run folder, as train makes it.", metavar="RUN")]


def train(
    recipe: Annotated[
        Path,
        typer.Argument(help="A recipe: a .toml file, or the name of one that comes with Mintaka.", metavar="RECIPE"),
    ],
    run: Annotated[
        Path | None, typer.Option("--run", help="The run folder (default: runs/NAME of the recipe).")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew instead of resuming the folder's run.")] = False,
    json: JsonOption = False,
) -> None:
    """Train a network; a run that was interrupted is resumed.

    Example: [b]mintaka train recipes/digits.toml --run runs/digits[/b]
    """
    from dataclasses import asdict

    from mintaka.data.recall import never_predicted
    from mintaka.train import find_recipe, load_recipe, progress_bar
    from mintaka.train import train as train_recipe

    loaded = load_recipe(find_recipe(str(recipe)))
    folder = run if run is not None else Path("runs") / loaded.name

    def see(found: Look) -> None:
        if not json:
            say(described(found, of_recipe=True))
        for note in found.notes(weighted=loaded.train.class_weights is not None):
            warn(f"{found.name}: {note}")

    with progress_bar(console(stderr=True, quiet=json)) as progress:
        result = train_recipe(loaded, folder, resume=not fresh, progress=progress, see=see)
    facts: dict[str, Any] = {
        "run": str(folder),
        "float_accuracy": result.float_accuracy,
        "integer_accuracy": result.integer_accuracy,
        "classes": [{**asdict(each), "recall": each.recall} for each in result.classes],
        "epochs": len(result.history),
        "seconds": round(result.seconds, 1),
    }
    silent = never_predicted(result.classes)
    if json:
        emit_json(facts)
        if silent is not None:
            warn(silent)
        return
    baseline = "" if result.float_accuracy is None else f"float {result.float_accuracy:.2%}, "
    console().print(
        f"test accuracy: {baseline}integer {result.integer_accuracy:.2%} ({result.seconds:.0f} s of training)"
    )
    from mintaka_cosim.report.terminal import recall_lines

    for line in recall_lines(result.classes):
        console().print(line)
    if silent is not None:
        warn(silent)
    say(f"next: mintaka export {shlex.quote(shown(folder))}")


def export(
    run: RunArgument,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The data of the training, where they are no longer found.", metavar="FILE.npz"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write the artifact of a finished training: RUN/network.safetensors.

    Example: [b]mintaka export runs/digits[/b]
    """
    from mintaka.artifact import content_hash
    from mintaka.train import export as export_run

    network = export_run(run, data=data)
    facts = {
        "artifact": str(run / "network.safetensors"),
        "hash": content_hash(network),
        "float_accuracy": network.provenance.get("float_accuracy"),
        "integer_accuracy": network.provenance.get("integer_accuracy"),
    }
    if json:
        emit_json(facts)
    else:
        console().print(f"{shown(run / 'network.safetensors')}: {facts['hash']}", soft_wrap=True)
