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

    from mintaka_cosim.summary import flat

    out = console()
    out.print(f"[b]{escape(summary.name)}[/b]  {escape(path)}")
    out.print(f"{summary.hash}")
    kind = {"direct": "direct (the same at every step)", "spikes": "spikes", "counts": "counts per step"}
    out.print(
        f"input {_shape(summary.input_shape)}, {summary.input_bits} bits, {kind[summary.input_kind]}; "
        f"{summary.time_steps} time steps; {summary.classes} classes\n",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "op", "reads", "out", "weights", "W bits", "SOPs at most"):
        table.add_column(name, justify="right" if name in ("weights", "W bits", "SOPs at most") else "left")
    for layer in summary.layers:
        weights = f"{layer.weights:,}" if layer.weights else "-"
        bits = "-" if layer.weight_bits is None else str(layer.weight_bits)
        shape = _shape(layer.shape_out)
        table.add_row(layer.name, layer.op, ", ".join(layer.inputs), shape, weights, bits, f"{layer.max_sops:,}")
    out.print(table)
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
    if network.provenance:
        out.print()
    for key, value in flat(network.provenance).items():
        out.print(f"{escape(key)}: {escape(value)}", soft_wrap=True)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
