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
    from mintaka_cosim.synth import Request, SynthReport
    from mintaka_hw.plan import Plan
    from mintaka_hw.targets import Family, Part
    from mintaka_hw.verilog import Design


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
    from mintaka_hw.plan import make_plan
    from mintaka_hw.verilog import generate

    parts = parse_targets(target, part)
    _check(parts, pnr, frequency, liberty)
    network = load(artifact)
    plan = make_plan(network, parse_lanes(lanes, network), parse_sparse(sparse))
    if out is not None:
        check_folder("--out", out)
    failed = _refused(plan, parts, pnr)
    if len(failed) < len(parts):
        with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
            design = generate(plan, (out if out is not None else Path(temporary)) / "verilog")
            requests = _requests(design, parts, pnr, frequency, seed, liberty)
            failed, report = _run(plan, design, requests, failed, jobs or os.cpu_count() or 1)
            if out is not None:
                _write(report, requests, failed, out)
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


def _is_placed(name: str) -> bool:
    """nextpnr places and routes that target."""
    return find_family(name).nextpnr is not None


def _check(parts: dict[str, Part | None], pnr: bool, frequency: float | None, liberty: Path | None) -> None:
    """What does not go together, before the work; a target without place and route may stand beside one that has it."""
    from mintaka_hw.implement import check_liberty, check_tools

    if pnr and not any(_is_placed(name) for name in parts):
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


def _refused(plan: Plan, parts: dict[str, Part | None], pnr: bool) -> dict[str, str]:
    """By target, why what the plan takes at least is too much: known before anything is generated."""
    from mintaka_cosim.synth import refusal

    found = {name: refusal(part, plan, pnr=pnr and _is_placed(name)) for name, part in parts.items()}
    return {name: sentence for name, sentence in found.items() if sentence is not None}


def _requests(
    design: Design, parts: dict[str, Part | None], pnr: bool, frequency: float | None, seed: int, liberty: Path | None
) -> list[Request]:
    from mintaka_cosim.synth import Request

    file = None if liberty is None else liberty.resolve()
    without = [name for name in parts if not _is_placed(name)]
    if pnr and without:
        warn(f"--pnr: there is no open place and route for {', '.join(without)}, which is synthesized only")
    return [
        Request(design, name, part, pnr and _is_placed(name), frequency, seed, file) for name, part in parts.items()
    ]


def _run(
    plan: Plan, design: Design, requests: list[Request], refused: dict[str, str], jobs: int
) -> tuple[dict[str, str], SynthReport]:
    """What went wrong by target, and the report."""
    from mintaka_cosim.flow.pool import run_tasks
    from mintaka_cosim.synth import build_report, target_task

    tasks = [target_task(request) for request in requests if request.target not in refused]
    with task_display(len(tasks)) as listen:
        failed = refused | run_tasks(tasks, jobs, listen)
    return failed, build_report(plan, design, requests, failed)


def _write(report: SynthReport, requests: list[Request], failed: dict[str, str], out: Path) -> None:
    """report.json, report.html, and a folder per target with what the tools wrote."""
    import shutil
    from json import dumps

    from mintaka.artifact.whole import write_whole
    from mintaka_cosim.synth import products, render_html

    if len(failed) == len(requests):
        return
    for request in requests:
        if request.target not in failed:
            for name, folder in products(request).items():
                shutil.copytree(folder, out / request.target / name, dirs_exist_ok=True)
    for name, text in (("report.html", render_html(report)), ("report.json", dumps(report.to_json(), indent=2) + "\n")):
        write_whole(out / name, text.encode())


def _print(report: SynthReport, out: Path | None) -> None:
    from mintaka_cosim.synth import print_report

    print_report(report, console())
    if out is not None:
        say(f"{shown(out / 'report.html')}: written")
