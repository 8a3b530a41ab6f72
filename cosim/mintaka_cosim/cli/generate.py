"""mintaka generate"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mintaka.errors import counted
from mintaka_cosim.cli.support import (
    ArtifactArgument,
    JsonOption,
    LanesOption,
    SparseOption,
    emit_json,
    parse_lanes,
    parse_sparse,
)
from mintaka_cosim.program import check_folder, console, shown


def generate(
    artifact: ArtifactArgument,
    out: Annotated[Path, typer.Option("--out", help="The folder for the Verilog and design.json.", metavar="DIR")],
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    taps: Annotated[
        bool, typer.Option("--taps", help="Bring every spike, membrane and K out as ports, for verification.")
    ] = False,
    split: Annotated[bool, typer.Option("--split", help="One file per module; files.f lists them.")] = False,
    top: Annotated[
        str | None, typer.Option("--top", help="Name of the top module (default: from the network's name).")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="The interface around the accelerator: 'none' or 'axi'.", metavar="KIND")
    ] = "none",
    memories: Annotated[
        str,
        typer.Option(
            "--memories",
            help="Contents of memories: 'inline', or 'hex' for files that $readmemh reads where the tool runs.",
            metavar="PLACE",
        ),
    ] = "inline",
    vectors: Annotated[
        int,
        typer.Option("--vectors", help="Write a self-checking test bench with so many of the artifact's test vectors."),
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Generate the accelerator's Verilog.

    Example: [b]mintaka generate runs/demo/network.safetensors --lanes hidden=16,head=2 --out verilog[/b]
    """
    from mintaka.artifact import load
    from mintaka_cosim.flow import predict
    from mintaka_hw.plan import make_plan
    from mintaka_hw.verilog import generate as generate_verilog

    network = load(artifact)
    plan = make_plan(network, parse_lanes(lanes, network), parse_sparse(sparse))
    check_folder("--out", out)
    design = generate_verilog(plan, out, taps=taps, split=split, top=top, host=host, memories=memories, vectors=vectors)
    prediction = predict(plan)
    cycles = None if prediction is None else prediction.cycles_per_sample
    facts: dict[str, Any] = {
        "verilog": str(design.verilog),
        "files": [str(path) for path in (design.verilog, *design.parts)],
        "design": str(out / "design.json"),
        "core": str(out / f"{design.top}.core"),
        "memory_files": [str(path) for path in design.memory_files],
        "testbench": None if design.testbench is None else str(design.testbench),
        "top": design.top,
        "lanes": dict(plan.lanes),
        "sparse": list(plan.sparse),
        "memory_bits": plan.memory_bits,
        "taps": taps,
        "host": host,
        "estimated_cycles_per_sample": cycles,
    }
    if json:
        emit_json(facts)
        return
    say = console()
    more = f" and {len(design.parts)} files of inner modules" if split else ""
    say.print(
        f"{shown(design.verilog)}{more}: module {design.top}, {plan.memory_bits:,} bits of memory", soft_wrap=True
    )
    for layer in plan.layers:
        rows, weights = "", layer.weights
        if weights.sparse is not None:
            rows = f", {len(weights.sparse.rows):,} of {weights.fan_in * weights.groups:,} rows"
        neurons = f"{counted(layer.node.size_out, 'neuron')} on {counted(layer.folding.lanes, 'lane')}"
        say.print(f"  {layer.name}: {counted(layer.node.size_in, 'input')}, {neurons}{rows}")
    if design.testbench is not None:
        say.print(f"  {shown(design.testbench)}: a test bench of {vectors} samples", soft_wrap=True)
    if cycles is not None:
        say.print(f"  {cycles:,.1f} cycles per sample (estimated, on the artifact's test vectors)")
