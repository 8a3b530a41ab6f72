"""One report of a design on several targets: cells, memories, Fmax and what sets it."""

from mintaka_cosim.synth.build import build_report
from mintaka_cosim.synth.model import SynthReport, TargetReport
from mintaka_cosim.synth.request import Request, products, refusal, target_task
from mintaka_cosim.synth.show import print_report, render_html

__all__ = [
    "Request",
    "SynthReport",
    "TargetReport",
    "build_report",
    "print_report",
    "products",
    "refusal",
    "render_html",
    "target_task",
]
