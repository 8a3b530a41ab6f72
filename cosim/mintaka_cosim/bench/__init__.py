"""Benches: the generated Verilog in Verilator, compared with the reference."""

from mintaka.artifact.compare import Counts, Difference
from mintaka_cosim.bench.cosim import cosim, cosim_design, simulate
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.job import NO_STALLS, RANDOM_STALLS, Stalls
from mintaka_cosim.bench.result import CosimResult
from mintaka_cosim.bench.waves import Waves, wave_format, write_waves

__all__ = [
    "NO_STALLS",
    "RANDOM_STALLS",
    "CosimError",
    "CosimResult",
    "Counts",
    "Difference",
    "Stalls",
    "Waves",
    "cosim",
    "cosim_design",
    "simulate",
    "wave_format",
    "write_waves",
]
