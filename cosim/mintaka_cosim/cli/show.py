"""mintaka show"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mintaka_cosim.cli.support import ArtifactArgument, JsonOption, LanesOption, console, emit_json, parse_lanes, shown

if TYPE_CHECKING:
    from mintaka.artifact import Network
    from mintaka_cosim.summary import Summary


def show(artifact: ArtifactArgument, lanes: LanesOption = "auto", json: JsonOption = False) -> None:
    """Explain an artifact: layers, widths, memories, bounds of synaptic operations, hash.

    Example: [b]mintaka show runs/demo/network.safetensors[/b]
    """
    from dataclasses import asdict

    from mintaka.artifact import load
    from mintaka_cosim.summary import summarize

    network = load(artifact)
    summary = summarize(network)
    hardware = _hardware(network, lanes)
    if json:
        totals = ("weight_memory_bits", "membrane_memory_bits", "max_sops")
        facts = {**asdict(summary), **{name: getattr(summary, name) for name in totals}}
        emit_json({**facts, "provenance": network.provenance, "hardware": hardware})
        return
    _print(shown(artifact), network, summary, hardware)


def _hardware(network: Network, lanes: str) -> dict[str, Any]:
    """The plan's figures, or why there is none: an artifact may hold more than the hardware can do yet."""
    from mintaka_hw.plan import PlanError, make_plan

    wanted = parse_lanes(lanes)
    try:
        plan = make_plan(network, wanted)
    except PlanError as error:
        if wanted != "auto":
            raise
        return {"plan": None, "problem": str(error)}
    memories = [
        {"layer": layer, "name": memory.name, "depth": memory.depth, "width": memory.width, "bits": memory.bits}
        for layer, memory in plan.memories
    ]
    return {"plan": dict(plan.lanes), "memories": memories, "memory_bits": plan.memory_bits, "problem": None}


def _print(path: str, network: Network, summary: Summary, hardware: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    out = console()
    out.print(f"[b]{escape(summary.name)}[/b]  {escape(path)}")
    out.print(f"{summary.hash}")
    kind = {"direct": "direct (the same at every step)", "spikes": "spikes", "counts": "counts per step"}
    out.print(
        f"input {_shape(summary.input_shape)}, {summary.input_bits} bits, {kind[summary.input_kind]}; "
        f"{summary.time_steps} time steps; {summary.classes} classes\n"
    )
    table = Table(box=None, pad_edge=False)
    names = ("layer", "op", "reads", "out", "weights", "W bits", "U bits", "K bits", "threshold", "reset", "leak")
    for name in (*names, "SOPs at most"):
        numeric = name.endswith("bits") or name in ("weights", "SOPs at most")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name == "layer")
    for layer in summary.layers:
        limits = "-" if layer.threshold is None else f"{layer.threshold[0]}..{layer.threshold[1]}"
        cells = [layer.weight_bits, layer.membrane_bits, layer.k_bits, limits, layer.reset, layer.leak]
        row = [layer.name, layer.op, ", ".join(layer.inputs), _shape(layer.shape_out)]
        row += [f"{layer.weights:,}" if layer.weights else "-"]
        table.add_row(*row, *("-" if c is None else str(c) for c in cells), f"{layer.max_sops:,}")
    out.print(table)
    out.print(
        f"\nartifact: {summary.weight_memory_bits:,} weight bits, {summary.membrane_memory_bits:,} membrane bits, "
        f"at most {summary.max_sops:,} SOPs per sample"
    )
    if hardware["plan"] is None:
        out.print(f"hardware: none, because {escape(hardware['problem'])}")
    else:
        lanes = ", ".join(f"{name} {number}" for name, number in hardware["plan"].items())
        out.print(f"hardware: lanes {lanes}; {hardware['memory_bits']:,} bits of memory")
        for memory in hardware["memories"]:
            size = f"{memory['depth']:,} x {memory['width']} = {memory['bits']:,} bits"
            out.print(f"  {memory['layer']}.{memory['name']}: {size}")
    for key, value in network.provenance.items():
        out.print(f"{escape(str(key))}: {escape(str(value))}")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
