"""The report of a synthesis on the terminal and as one HTML file."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from mintaka_cosim.report.html import template
from mintaka_cosim.synth.build import number
from mintaka_cosim.synth.model import KINDS, SynthReport, TargetReport


def render_html(report: SynthReport) -> str:
    """The whole page, without any external resource."""
    return template("synth.html.j2").render(r=report, kinds=KINDS, count=number)


def print_report(report: SynthReport, console: Console) -> None:
    """The design, then each target: figures, what sets Fmax, the stages' shares, memories."""
    lanes = ", ".join(f"{layer} {n}" for layer, n in report.lanes.items())
    sparse = f"; sparse: {', '.join(report.sparse)}" if report.sparse else ""
    body = f"lanes: {escape(lanes + sparse)}\n" + "\n".join(
        f"{figure.label}: [b]{figure.text}[/b] [dim]{figure.kind}, {escape(figure.note)}[/dim]"
        for figure in report.figures
    )
    console.print(Panel(body, title=f"[b]{escape(report.name)}[/b]", subtitle=escape(report.description)))
    for target in report.targets:
        _print_target(target, console)


def _print_target(target: TargetReport, console: Console) -> None:
    console.print(f"\n[b]{target.target}[/b]  {escape(target.part)}")
    if target.error is not None:
        console.print(f"  [red]failed[/red]: {escape(target.error)}")
        return
    figures = Table(box=None, pad_edge=False, show_header=False)
    figures.add_column()
    figures.add_column(justify="right")
    figures.add_column(style="dim")
    for figure in target.figures:
        note = f"{figure.kind}, {figure.note}" if figure.note else figure.kind
        figures.add_row(f"  {figure.label}", f"[b]{figure.text}[/b]", escape(note))
    console.print(figures)
    path = target.path
    if path is not None:
        split = f"{path.delay_ns:.2f} ns, logic {path.logic_ns:.2f}, routing {path.routing_ns:.2f}"
        console.print(f"  Critical path: [b]{escape(path.component)}[/b] ({split})", soft_wrap=True)
        console.print(f"    from {escape(path.start)} to {escape(path.end)}", soft_wrap=True)
    if target.shares:
        units = [unit for unit in target.shares[0].resources if unit != "DSP"]
        shares = Table("  part", box=None, pad_edge=False, header_style="dim")
        for unit in units:
            shares.add_column(unit, justify="right")
        for share in target.shares:
            shares.add_row(f"  {escape(share.component)}", *(number(share.resources[unit]) for unit in units))
        console.print(shares)
    if target.memories:
        memories = Table("  memories", "words", "bits", "ports", "", box=None, pad_edge=False, header_style="dim")
        for each in target.memories:
            m = each.macro
            ports = f"{m.reads} read" + (f", {m.writes} write" if m.writes else "")
            about = ("ROM" if m.rom else "RAM") + ("" if m.clocked else ", read without a clock")
            memories.add_row(f"  {each.count}", f"{m.depth:,}", f"{m.width:,}", ports, about)
        console.print(memories)
