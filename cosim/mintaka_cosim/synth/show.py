"""The report of a synthesis on the terminal and as one HTML file."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mintaka_cosim.report.html import template
from mintaka_cosim.synth.build import number
from mintaka_cosim.synth.model import KINDS, SynthReport, TargetReport
from mintaka_cosim.terminal import print_whole

NOTE = 20  # of the column with the notes


def render_html(report: SynthReport) -> str:
    """The whole page, without any external resource."""
    return template("synth.html.j2").render(r=report, kinds=KINDS, count=number)


def print_report(report: SynthReport, console: Console) -> None:
    """The design, then each target: figures, what sets Fmax, the stages' shares, memories."""
    lanes = ", ".join(f"{layer} {n}" for layer, n in report.lanes.items())
    sparse = f"; sparse: {', '.join(report.sparse)}" if report.sparse else ""
    body = Text(f"lanes: {lanes}{sparse}")
    for figure in report.figures:
        body.append(f"\n{figure.label}: ").append(figure.text, "bold").append(f" {figure.kind}, {figure.note}", "dim")
    console.print(Panel(body, title=Text(report.name, "bold"), subtitle=Text(report.description)))
    for target in report.targets:
        _print_target(target, console)


def _print_target(target: TargetReport, console: Console) -> None:
    console.print(Text.assemble("\n", (target.target, "bold"), f"  {target.part}"))
    if target.error is not None:
        console.print(Text.assemble("  ", ("failed", "red"), f": {target.error}"))
        return
    figures = Table(box=None, pad_edge=False, show_header=False)
    figures.add_column(no_wrap=True)
    figures.add_column(justify="right", no_wrap=True)
    figures.add_column(style="dim")
    for figure in target.figures:
        note = f"{figure.kind}, {figure.note}" if figure.note else figure.kind
        figures.add_row(f"  {figure.label}", Text(figure.text, "bold"), note)
    print_whole(console, figures, NOTE)
    path = target.path
    if path is not None:
        split = f"{path.delay_ns:.2f} ns, logic {path.logic_ns:.2f}, routing {path.routing_ns:.2f}"
        console.print(Text.assemble("  Critical path: ", (path.component, "bold"), f" ({split})"), soft_wrap=True)
        console.print(f"    from {path.start} to {path.end}", soft_wrap=True)
    if target.shares:
        units = [unit for unit in target.shares[0].resources if unit != "DSP"]
        shares = Table("  part", box=None, pad_edge=False, header_style="dim")
        for unit in units:
            shares.add_column(unit, justify="right")
        for share in target.shares:
            shares.add_row(f"  {share.component}", *(number(share.resources[unit]) for unit in units))
        print_whole(console, shares)
    if target.memories:
        memories = Table("  memories", "words", "bits", "ports", "", box=None, pad_edge=False, header_style="dim")
        for each in target.memories:
            m = each.macro
            ports = f"{m.reads} read" + (f", {m.writes} write" if m.writes else "")
            about = ("ROM" if m.rom else "RAM") + ("" if m.clocked else ", read without a clock")
            memories.add_row(f"  {each.count}", f"{m.depth:,}", f"{m.width:,}", ports, about)
        print_whole(console, memories)
