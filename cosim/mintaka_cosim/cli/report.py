"""mintaka report"""

from __future__ import annotations

import typer

from mintaka_cosim.cli.support import JsonOption, emit_json
from mintaka_cosim.cli.train import RunArgument
from mintaka_cosim.program import console, warn


def report(run: RunArgument, json: JsonOption = False) -> None:
    """Report a run on the terminal, in RUN/report.html and in RUN/report.json.

    Exit status 1 where a co-simulation of the run found a difference.

    Example: [b]mintaka report runs/demo[/b]
    """
    from mintaka_cosim.report import build_report, print_report, write_report

    found = build_report(run)
    write_report(found, run)
    if json:
        emit_json(found.to_json())
    else:
        print_report(found, console())
    if found.bit_exact is False or found.cycles_as_predicted is False:
        warn("the hardware differs from the reference or from its cycle model")
        raise typer.Exit(1)
