"""Reports: dataclasses, rendered to the terminal, JSON and one self-contained HTML page."""

from mintaka_cosim.report.build import build_report
from mintaka_cosim.report.html import render_html
from mintaka_cosim.report.model import Comparison, Figure, LayerRow, Report, ReportError
from mintaka_cosim.report.terminal import print_report
from mintaka_cosim.report.write import write_report

__all__ = [
    "Comparison",
    "Figure",
    "LayerRow",
    "Report",
    "ReportError",
    "build_report",
    "print_report",
    "render_html",
    "write_report",
]
