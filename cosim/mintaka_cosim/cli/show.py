"""mintaka show"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from mintaka_cosim.program import RequestError, check_file, console, shown

if TYPE_CHECKING:
    from mintaka.artifact import Network
    from mintaka_cosim.summary import Summary
    from mintaka_hw.plan import Plan


def show(
    artifact: ArtifactArgument,
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    plan: Annotated[bool, typer.Option("--plan", help="List the widths and memories of the accelerator.")] = False,
    graph: Annotated[
        Path | None,
        typer.Option("--graph", help="Draw the network and its accelerator into an SVG file.", metavar="FILE.svg"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Explain an artifact: layers, widths, memories, bounds of synaptic operations, hash.

    Example: [b]mintaka show runs/demo/network.safetensors --plan --graph network.svg[/b]
    """
    from dataclasses import asdict

    from mintaka.artifact import load
    from mintaka_cosim.summary import summarize

    network = load(artifact)
    summary = summarize(network)
    made, problem = _plan(network, lanes, sparse)
    if plan and made is None:
        raise RequestError(f"--plan: {problem}")
    if graph is not None:
        from mintaka.artifact.whole import write_whole
        from mintaka_cosim.picture import draw, gather

        check_file("--graph", graph, ".svg")
        write_whole(graph, draw(gather(network, made, problem)).encode())
    if json:
        totals = ("weight_memory_bits", "membrane_memory_bits", "max_sops")
        facts = {**asdict(summary), **{name: getattr(summary, name) for name in totals}}
        hardware = _hardware(made, problem)
        emit_json({**facts, "provenance": network.provenance, "hardware": hardware, "graph": graph and str(graph)})
        return
    _print(shown(artifact), network, summary, _hardware(made, problem), whole=plan)
    if graph is not None:
        console().print(f"picture: {shown(graph)}", soft_wrap=True)


def _plan(network: Network, lanes: str, sparse: str) -> tuple[Plan | None, str | None]:
    """The plan, or why there is none: an artifact may hold more than the hardware can do yet."""
    from mintaka_hw.plan import PlanError, make_plan

    wanted, left_out = parse_lanes(lanes, network), parse_sparse(sparse)
    try:
        return make_plan(network, wanted, left_out), None
    except PlanError as error:
        if wanted != "auto" or (left_out and left_out != "auto"):
            raise
        return None, str(error)


def _hardware(plan: Plan | None, problem: str | None) -> dict[str, Any]:
    from mintaka_hw.plan import listing

    if plan is None:
        return {"plan": None, "problem": problem}
    stages = [stage.to_json() for stage in listing(plan)]
    facts = {"plan": dict(plan.lanes), "sparse": list(plan.sparse), "stages": stages}
    return {**facts, "memory_bits": plan.memory_bits, "problem": None}


def _print(path: str, network: Network, summary: Summary, hardware: dict[str, Any], *, whole: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from mintaka_cosim.summary import encoding_text, flat
    from mintaka_cosim.terminal import print_whole

    out = console()
    out.print(Text.assemble((summary.name, "bold"), f"  {path}"))
    out.print(f"{summary.hash}")
    kind = {"direct": "direct (the same at every step)", "spikes": "spikes", "counts": "counts per step"}
    out.print(
        f"input {_shape(summary.input_shape)}, {summary.input_bits} bits{', signed' * summary.input_signed}, "
        f"{kind[summary.input_kind]}; "
        f"{summary.time_steps} time steps; {summary.classes} classes",
        soft_wrap=True,
    )
    out.print(f"encoding: {encoding_text(network.input)}", soft_wrap=True)
    if summary.margins:
        margins = ", ".join("none" if margin is None else str(margin) for margin in summary.margins)
        out.print(f"early exit: margins {margins}", soft_wrap=True)
    out.print()
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "op", "reads", "out", "weights", "W bits", "SOPs at most"):
        table.add_column(name, justify="right" if name in ("weights", "W bits", "SOPs at most") else "left")
    for layer in summary.layers:
        weights = f"{layer.weights:,}" if layer.weights else "-"
        bits = "-" if layer.weight_bits is None else str(layer.weight_bits)
        bits += "" if layer.place_bits is None else f" as places of {layer.place_bits}"
        shape = _shape(layer.shape_out)
        table.add_row(layer.name, layer.op, ", ".join(layer.inputs), shape, weights, bits, f"{layer.max_sops:,}")
    print_whole(out, table)
    table = Table(box=None, pad_edge=False)
    for name in ("neurons", "K bits", "U bits", "threshold", "reset", "leak"):
        table.add_column(name, justify="right" if name.endswith("bits") else "left")
    for layer in summary.layers:
        if layer.threshold is not None:
            cells = (layer.k_bits, layer.membrane_bits, "{}..{}".format(*layer.threshold), layer.reset, layer.leak)
            table.add_row(layer.name, *map(str, cells))
        elif layer.membrane_bits is not None:
            table.add_row(layer.name, str(layer.k_bits), str(layer.membrane_bits), "none: never fires", "", layer.leak)
        elif layer.k_bits is not None:
            table.add_row(layer.name, str(layer.k_bits), "-", "none: sums over the steps")
    out.print()
    print_whole(out, table)
    out.print(
        f"\nartifact: {summary.weight_memory_bits:,} weight bits, {summary.membrane_memory_bits:,} membrane bits, "
        f"at most {summary.max_sops:,} SOPs per sample"
    )
    if hardware["plan"] is None:
        out.print(f"hardware: none, because {hardware['problem']}")
    else:
        lanes = ", ".join(f"{name} {number}" for name, number in hardware["plan"].items())
        sparse = f"; sparse weights in {', '.join(hardware['sparse'])}" if hardware["sparse"] else ""
        out.print(f"hardware: lanes {lanes}{sparse}; {hardware['memory_bits']:,} bits of memory")
    if whole:
        _print_plan(hardware)
    if network.provenance:
        out.print()
    for key, value in flat(network.provenance).items():
        out.print(f"{key}: {value}", soft_wrap=True)


def _print_plan(hardware: dict[str, Any]) -> None:
    """Folding and widths, then every memory, both by stage."""
    from rich.table import Table

    from mintaka_cosim.terminal import print_whole

    out = console()
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "op", "lanes", "groups", "windows", "widths in bits"):
        table.add_column(name, justify="right" if name in ("lanes", "groups", "windows") else "left")
    for stage in hardware["stages"]:
        folding = ("-" if stage[name] is None else f"{stage[name]:,}" for name in ("lanes", "groups", "windows"))
        widths = ", ".join(f"{name} {bits}" for name, bits in stage["widths"].items())
        table.add_row(stage["name"], stage["op"], *folding, widths)
    out.print()
    print_whole(out, table)
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "memory", "words", "bits each", "bits"):
        table.add_column(name, justify="left" if name in ("stage", "memory") else "right")
    for stage in hardware["stages"]:
        for memory in stage["memories"]:
            cells = (f"{memory['depth']:,}", f"{memory['width']:,}", f"{memory['bits']:,}")
            table.add_row(stage["name"], memory["name"], *cells)
        if len(stage["memories"]) > 1:
            table.add_row("", f"all of {stage['name']}", "", "", f"{stage['memory_bits']:,}", style="bold")
    table.add_row("", "all stages", "", "", f"{hardware['memory_bits']:,}", style="bold")
    out.print()
    print_whole(out, table)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
