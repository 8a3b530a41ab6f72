"""One report of a design on several targets: cells, memories, Fmax and what sets it."""

from mintaka_cosim.synth.build import build_report
from mintaka_cosim.synth.model import SynthReport, TargetReport
from mintaka_cosim.synth.request import Request, is_placed, refusals, requests_for
from mintaka_cosim.synth.run import save_report, synthesize_all
from mintaka_cosim.synth.show import print_report, render_html

__all__ = [
    "Request",
    "SynthReport",
    "TargetReport",
    "build_report",
    "is_placed",
    "print_report",
    "refusals",
    "render_html",
    "requests_for",
    "save_report",
    "synthesize_all",
]
