"""mintaka demo"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mintaka_cosim.cli.cosim import save_figures
from mintaka_cosim.cli.report import write_report
from mintaka_cosim.cli.support import JsonOption, emit_json, encoded_samples, progress_bar
from mintaka_cosim.program import console, say, warn

if TYPE_CHECKING:
    from mintaka.artifact import Network
    from mintaka.data import Dataset
    from mintaka_cosim.bench import CosimResult
    from mintaka_hw.plan import Plan

STALLED_SAMPLES = 40
SEED = 1  # of the pauses


def demo(
    recipe: Annotated[Path, typer.Option("--recipe", help="What to train, as for train.")] = Path("digits"),
    run: Annotated[Path, typer.Option("--run", help="The run folder.")] = Path("runs/demo"),
    json: JsonOption = False,
) -> None:
    """Everything once: train digits, export, generate Verilog, co-simulate every spike, report.

    Takes about a minute. Exit status 0 only where nothing differs.

    Example: [b]mintaka demo[/b]
    """
    begin = time.monotonic()
    network, dataset = _train(recipe, run, quiet=json)
    plan = _plan(network)
    results = _simulate(plan, dataset, run, quiet=json)
    from mintaka_cosim.report import build_report, print_report

    found = build_report(run)
    write_report(found, run)
    if json:
        emit_json(found.to_json())
    else:
        print_report(found, console())
        console().print(f"\n{time.monotonic() - begin:.0f} s in all")
    wrong = [result for result in results if not result.verified]
    if wrong:
        warn(wrong[0].sentence if not wrong[0].bit_exact else "the cycles differ from the cycle model")
        raise typer.Exit(1)


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        say(text)


def _train(recipe: Path, run: Path, *, quiet: bool) -> tuple[Network, Dataset]:
    from mintaka.train import export, find_recipe, load_recipe, progress_bar, train
    from mintaka.train.data import load_data

    loaded = load_recipe(find_recipe(str(recipe)))
    _say(f"1/4  training {loaded.name}", quiet=quiet)
    with progress_bar(console(stderr=True, quiet=quiet)) as progress:
        train(loaded, run, resume=False, progress=progress)
    return export(run), load_data(loaded)


def _plan(network: Network) -> Plan:
    from mintaka_hw.plan import make_plan

    return make_plan(network, "auto")


def _simulate(plan: Plan, dataset: Dataset, run: Path, *, quiet: bool) -> list[CosimResult]:
    """All test samples with taps, some with stalls, and all through the Verilog as it is shipped."""
    import tempfile

    from mintaka_cosim.bench import NO_STALLS, RANDOM_STALLS, cosim_design
    from mintaka_cosim.verdicts import file_name
    from mintaka_hw.verilog import generate

    inputs, _ = encoded_samples(plan.network, dataset.test_x, None, dataset.name)
    lanes = ", ".join(f"{name} on {number} lanes" for name, number in plan.lanes.items())
    _say(f"2/4  generating Verilog: {lanes}", quiet=quiet)
    shipped = generate(plan, run / "verilog")
    results = []
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        tapped = generate(plan, Path(temporary) / "verilog", taps=True)
        todo: list[tuple[str, Any, Any, Any]] = [
            ("3/4  co-simulating every spike, membrane and sum", tapped, inputs, NO_STALLS),
            ("     again with random stalls on both streams", tapped, inputs[:STALLED_SAMPLES], RANDOM_STALLS),
            ("4/4  co-simulating the Verilog as shipped", shipped, inputs, NO_STALLS),
        ]
        for title, design, chosen, stalls in todo:
            with progress_bar(title, quiet=quiet) as progress:
                result = cosim_design(plan, design, chosen, stalls=stalls, seed=SEED, progress=progress)
            name = file_name(plan, dataset.name, chosen, taps=result.taps, stalls=stalls, seed=SEED)
            save_figures(result, run / name, dataset, chosen)
            results.append(result)
    return results
