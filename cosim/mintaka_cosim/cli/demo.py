"""mintaka demo"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mintaka.errors import counted
from mintaka_cosim.cli.support import JsonOption, emit_json, encoded_samples, progress_bar
from mintaka_cosim.program import console, say, warn

if TYPE_CHECKING:
    import numpy as np

    from mintaka_cosim.bench import CosimResult
    from mintaka_cosim.flow import Check, Fitted


def demo(
    recipe: Annotated[Path, typer.Option("--recipe", help="What to train, as for train.")] = Path("digits"),
    run: Annotated[Path, typer.Option("--run", help="The run folder.")] = Path("runs/demo"),
    json: JsonOption = False,
) -> None:
    """Everything once: train digits, export, generate Verilog, co-simulate every spike, report.

    Takes about a minute. Exit status 0 only where nothing differs.

    Example: [b]mintaka demo[/b]
    """
    from mintaka_cosim import flow
    from mintaka_cosim.flow.verdicts import file_name, save_verdict
    from mintaka_cosim.report import build_report, print_report, write_report
    from mintaka_hw.verilog import generate

    begin = time.monotonic()
    fitted = _train(recipe, run, quiet=json)
    plan = flow.plan(flow.export(fitted), "auto")
    dataset = fitted.dataset
    inputs, _ = encoded_samples(plan.network, dataset.test_x, None, dataset.name)
    lanes = ", ".join(f"{name} on {counted(number, 'lane')}" for name, number in plan.lanes.items())
    _say(f"2/4  generating Verilog: {lanes}", quiet=json)
    shipped = generate(plan, run / "verilog")
    titles = dict(zip(flow.CANONICAL, ("3/4  co-simulating", "    ", "4/4  co-simulating"), strict=True))

    def save(check: Check, result: CosimResult, chosen: np.ndarray) -> None:
        name = file_name(plan, dataset.name, chosen, taps=check.taps, stalls=check.stalls, seed=result.seed)
        save_verdict(result, run / name, dataset, chosen)

    found = flow.verify(
        plan,
        inputs,
        designs=[shipped],
        watch=lambda check: progress_bar(f"{titles[check]} {check.title}", quiet=json),
        done=save,
    )
    report = build_report(run)
    write_report(report, run)
    if json:
        emit_json(report.to_json())
    else:
        print_report(report, console())
        console().print(f"\n{time.monotonic() - begin:.0f} s in all")
    if found.problem is not None:
        warn(found.problem)
        raise typer.Exit(1)


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        say(text)


def _train(recipe: Path, run: Path, *, quiet: bool) -> Fitted:
    from mintaka.train import find_recipe, load_recipe, progress_bar
    from mintaka_cosim import flow

    loaded = load_recipe(find_recipe(str(recipe)))
    _say(f"1/4  training {loaded.name}", quiet=quiet)
    with progress_bar(console(stderr=True, quiet=quiet)) as progress:
        return flow.fit(loaded, run, resume=False, progress=progress)
