"""A report on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from mintaka.data.recall import ClassResult
from mintaka.errors import printable
from mintaka_cosim.report.model import Report

MOST_CLASSES = 30
LOWEST = 10
COLOURS = {True: "green", False: "red", None: "yellow"}


def print_report(report: Report, console: Console) -> None:
    """Verdict, key figures, layers, paths."""
    colour = COLOURS[report.bit_exact]
    console.print(
        Panel(
            f"[b {colour}]{escape(report.verdict)}[/b {colour}]",
            title=f"[b]{escape(report.name)}[/b]",
            subtitle=escape(report.description),
            border_style=colour,
        )
    )
    figures = Table(box=None, pad_edge=False, show_header=False)
    figures.add_column(justify="left")
    figures.add_column(justify="right")
    figures.add_column(style="dim")
    for figure in report.figures:
        note = f"{figure.kind}; {figure.note}" if figure.note else figure.kind
        figures.add_row(escape(figure.label), f"[b]{escape(figure.text)}[/b]", escape(note))
    console.print(figures)
    console.print()
    layers = Table(box=None, pad_edge=False)
    for name in ("layer", "shape", "W", "U", "lanes", "bits", "SOPs", "busy", "utilised"):
        layers.add_column(name, justify="left" if name in ("layer", "shape") else "right", no_wrap=True)
    for row in report.layers:
        layers.add_row(
            escape(row.name),
            row.shape,
            _text(row.weight_bits, ","),
            _text(row.membrane_bits, ","),
            _text(row.lanes, ","),
            _text(row.memory_bits, ","),
            _text(row.sops_per_sample, ",.1f"),
            _text(row.busy_per_sample, ",.1f"),
            _text(row.utilisation, ".1%"),
        )
    console.print(layers)
    console.print("[dim]W, U: bits of weights and membranes; SOPs and busy cycles per sample (simulated)[/dim]")
    console.print()
    for line in recall_lines(report.classes):
        console.print(escape(line))
    for warning in report.warnings:
        console.print(f"[yellow]warning: {escape(printable(warning))}[/yellow]")
    for comparison in report.comparisons:
        mark = "[green]equal[/green]  " if comparison.bit_exact else "[red]differs[/red]"
        cycles = {True: ", cycles as predicted", False: ", [red]cycles not as predicted[/red]", None: ""}
        console.print(f"{mark} {comparison.samples:,} samples, {escape(comparison.title)}{cycles[comparison.cycles]}")
    for what, path in report.paths.items():
        console.print(f"{what}: [b]{escape(path)}[/b]", soft_wrap=True)


def recall_lines(results: Sequence[ClassResult]) -> list[str]:
    """Recall by class: all of few classes, the lowest of many."""
    known = [each for each in results if each.recall is not None]
    shown = known if len(known) <= MOST_CLASSES else sorted(known, key=lambda each: each.recall or 0.0)[:LOWEST]
    if not shown:
        return []
    title = "recall by class:" if len(shown) == len(known) else f"lowest recalls of {len(known):,} classes:"
    return [f"{title} " + ", ".join(f"{printable(each.name)} {each.recall:.1%}" for each in shown)]


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
