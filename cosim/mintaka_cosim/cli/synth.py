"""mintaka synth"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mintaka_cosim.cli.support import (
    ArtifactArgument,
    JsonOption,
    LanesOption,
    SparseOption,
    emit_json,
    parse_lanes,
    parse_sparse,
)
from mintaka_cosim.program import RequestError, check_folder, console, say, shown, warn
from mintaka_cosim.task_display import task_display
from mintaka_hw.targets import families, find_family, part_of

if TYPE_CHECKING:
    from mintaka_cosim.synth import SynthReport
    from mintaka_hw.targets import Family, Part


def _named(families: Iterable[Family]) -> str:
    return ", ".join(family.name for family in families)


def _of_cells() -> list[Family]:
    return [family for family in families() if not family.parts]


def synth(
    artifact: ArtifactArgument,
    target: Annotated[
        str,
        typer.Option("--target", help=f"{_named(families())}, with commas.", metavar="T,..."),
    ] = families()[0].name,
    pnr: Annotated[
        bool,
        typer.Option(
            "--pnr",
            help=f"Also place and route, for Fmax ({_named(f for f in families() if f.nextpnr is not None)}; "
            "the others are synthesized).",
        ),
    ] = False,
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    part: Annotated[
        str | None, typer.Option("--part", help="Devices other than the default ones.", metavar="PART,...")
    ] = None,
    frequency: Annotated[
        float | None, typer.Option("--frequency", help="MHz that place and route aims at.", metavar="MHZ")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the placement.")] = 1,
    liberty: Annotated[
        Path | None,
        typer.Option("--liberty", help=f"Standard cells for {_named(_of_cells())}, a Liberty file.", metavar="FILE"),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Targets at the same time (default: one per processor).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for the report, the Verilog, netlists and logs.", metavar="DIR"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Synthesize the accelerator with open tools: cells, memories and, placed and routed, Fmax and what sets it.

    What was computed before is found again in the cache.

    Example: [b]mintaka synth runs/demo/network.safetensors --target ecp5,xc7,asic --lanes 16[/b]
    """
    from mintaka.artifact import load
    from mintaka_cosim.synth import refusals, requests_for, save_report, synthesize_all
    from mintaka_hw.plan import make_plan
    from mintaka_hw.verilog import generate

    parts = parse_targets(target, part)
    _check(parts, pnr, frequency, liberty)
    network = load(artifact)
    plan = make_plan(network, parse_lanes(lanes, network), parse_sparse(sparse))
    if out is not None:
        check_folder("--out", out)
    failed = refusals(plan, parts, pnr=pnr)
    if len(failed) < len(parts):
        with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
            design = generate(plan, (out if out is not None else Path(temporary)) / "verilog")
            file = None if liberty is None else liberty.resolve()
            requests = requests_for(design, parts, pnr=pnr, frequency_mhz=frequency, seed=seed, liberty=file)
            without = [request.target for request in requests if pnr and not request.pnr]
            if without:
                warn(f"--pnr: there is no open place and route for {', '.join(without)}, which is synthesized only")
            with task_display(len(requests) - len(failed)) as listen:
                failed, report = synthesize_all(plan, design, requests, failed, jobs or os.cpu_count() or 1, listen)
            if out is not None:
                save_report(report, requests, failed, out)
        if len(failed) < len(requests):
            if json:
                emit_json(report.to_json())
            else:
                _print(report, out)
    for name, sentence in failed.items():
        warn(f"{name}: {sentence}")
    if failed:
        raise typer.Exit(1)


def parse_targets(text: str, part: str | None) -> dict[str, Part | None]:
    """`ecp5,asic` and `LFE5U-25F`: the device of each target, None for standard cells."""
    known = [family.name for family in families()]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise RequestError(f"--target {text}: '{name}' is not one of {_named(families())}")
    if len(set(names)) < len(names):
        raise RequestError(f"--target {text}: expected each target once")
    found = {name: next(iter(find_family(name).parts), None) for name in names}
    for chosen in [part_of(each.strip()) for each in part.split(",")] if part is not None else []:
        if chosen.target not in found:
            raise RequestError(f"--part {chosen.name}: is for the target {chosen.target}, which --target does not name")
        found[chosen.target] = chosen
    return found


def _check(parts: dict[str, Part | None], pnr: bool, frequency: float | None, liberty: Path | None) -> None:
    """What does not go together, before the work; a target without place and route may stand beside one that has it."""
    from mintaka_cosim.synth import is_placed
    from mintaka_hw.implement import check_liberty, check_tools

    if pnr and not any(is_placed(name) for name in parts):
        raise RequestError(f"--pnr: there is no open place and route for {', '.join(parts)}: leave it out")
    if frequency is not None and not (pnr and 0 < frequency < float("inf")):
        wanted = "must be more than 0 MHz" if pnr else "it is for --pnr"
        raise RequestError(f"--frequency {frequency:g}: {wanted}")
    if liberty is not None:
        if None not in parts.values():
            cells = _named(_of_cells())
            raise RequestError(f"--liberty {liberty}: it is for the target {cells}, which --target does not name")
        check_liberty(liberty)
    for name in parts:
        check_tools(find_family(name), placing=pnr)


def _print(report: SynthReport, out: Path | None) -> None:
    from mintaka_cosim.synth import print_report

    print_report(report, console())
    if out is not None:
        say(f"{shown(out / 'report.html')}: written")
