"""`make results`: docs/studies/results.md from the trained runs; every value of the Verilog is compared."""

from benchmarks.results.figures import LayerFigures, RunFigures, measure
from benchmarks.results.page import render

__all__ = ["LayerFigures", "RunFigures", "measure", "render"]
