"""A report on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mintaka.data.recall import ClassResult
from mintaka.errors import counted, printable
from mintaka_cosim.report.model import Report
from mintaka_cosim.terminal import natural_width, print_whole

MOST_CLASSES = 30
LOWEST = 10
MEMORY = ("shape", "W", "U", "lanes", "bits")
WORK = ("SOPs", "busy", "utilised")
FRAME = 8  # of a panel, beside its title
NOTE = 20  # of the column with the notes
COLOURS = {True: "green", False: "red", None: "yellow"}


def print_report(report: Report, console: Console) -> None:
    """Verdict, key figures, layers, paths."""
    colour = COLOURS[report.bit_exact]
    verdict, about = Text(report.verdict, f"bold {colour}"), Text(report.description)
    fits = about.cell_len + FRAME <= console.width
    name = Text(report.name, "bold")
    console.print(Panel(verdict, title=name, subtitle=about if fits else None, border_style=colour))
    if not fits:
        console.print(about)
    figures = Table(box=None, pad_edge=False, show_header=False)
    figures.add_column(justify="left", no_wrap=True)
    figures.add_column(justify="right", no_wrap=True)
    figures.add_column(style="dim")
    for figure in report.figures:
        note = f"{figure.kind}; {figure.note}" if figure.note else figure.kind
        figures.add_row(figure.label, Text(figure.text, "bold"), note)
    print_whole(console, figures, NOTE)
    if report.simulated:
        console.print(Text(report.simulated), style="dim")
    console.print()
    whole = _layers(report, (*MEMORY, *WORK))
    narrow = natural_width(console, whole) > console.width
    for table in [_layers(report, MEMORY), _layers(report, WORK)] if narrow else [whole]:
        print_whole(console, table)
    console.print("W, U: bits of weights and membranes; SOPs and busy cycles per sample (simulated)", style="dim")
    console.print()
    for line in recall_lines(report.classes):
        console.print(line)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow")
    for comparison in report.comparisons:
        mark = ("equal  ", "green") if comparison.bit_exact else ("differs", "red")
        mark = ("stale  ", "yellow") if comparison.is_stale else mark
        cycles: dict[bool | None, str | tuple[str, str]] = {
            True: ", cycles as predicted",
            False: (", cycles not as predicted", "red"),
            None: "",
        }
        data = f" of {comparison.data}" if comparison.data else ""
        title = f" {counted(comparison.samples, 'sample')}{data}, {comparison.title}"
        more = "; of another artifact" if comparison.is_stale else "; the strongest" if comparison.is_strongest else ""
        console.print(Text.assemble(mark, title, cycles[comparison.cycles], f"; {comparison.plan}{more}"))
    for what, path in report.paths.items():
        console.print(Text.assemble(f"{what}: ", (path, "bold")), soft_wrap=True)


def _layers(report: Report, columns: Sequence[str]) -> Table:
    """A row per layer; no number of it is cut."""
    table = Table(box=None, pad_edge=False)
    for name in ("layer", *columns):
        table.add_column(name, justify="left" if name in ("layer", "shape") else "right", no_wrap=True)
    for row in report.layers:
        cells = {
            "shape": row.shape,
            "W": _text(row.weight_bits, ","),
            "U": _text(row.membrane_bits, ","),
            "lanes": _text(row.lanes, ","),
            "bits": _text(row.memory_bits, ","),
            "SOPs": _text(row.sops_per_sample, ",.1f"),
            "busy": _text(row.busy_per_sample, ",.1f"),
            "utilised": _text(row.utilisation, ".1%"),
        }
        table.add_row(row.name, *(cells[name] for name in columns))
    return table


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
