"""A network's hardware without simulating it: its cycles, and the cells that it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka_hw.estimate import predict_cycles
from mintaka_hw.implement import Part, Synthesized, Timed, count_cells, synthesized, timed
from mintaka_hw.implement.tools import Say, on_stderr
from mintaka_hw.plan import Plan
from mintaka_hw.targets import Family
from mintaka_hw.verilog import Design


@dataclass(frozen=True)
class Prediction:
    """*Estimated* by the cycle model, which is exact for these samples streamed back to back."""

    cycles_per_sample: float
    latency_cycles: int
    samples: int


@dataclass(frozen=True)
class Synthesis:
    """*Synthesized* by Yosys: `resources` by unit (LUT, FF, BRAM, DSP). timed : *placed and routed* by nextpnr, None
    where that was not asked for. core : None where only the cells were counted, of no part."""

    family: str
    resources: dict[str, float]
    core: Synthesized | None = None
    timed: Timed | None = None


def predict(plan: Plan, inputs: np.ndarray | None = None) -> Prediction | None:
    """Cycles of samples as the network takes them; of the artifact's test vectors where none are given, and None where
    it has none."""
    if inputs is None:
        if plan.network.vectors is None:
            return None
        inputs = plan.network.vectors.inputs
    found = predict_cycles(plan, inputs)
    return Prediction(float(found.interval), int(found.result[0]), len(inputs))


def synthesize(
    design: Design,
    target: Part | Family,
    *,
    pnr: bool = False,
    frequency_mhz: float | None = None,
    seed: int = 1,
    say: Say = on_stderr,
) -> Synthesis:
    """Cells of the generated Verilog.

    target : a part, whose results are kept in the cache; or a family, of whose cells the design's are counted anew.
    pnr, frequency_mhz, seed : also place and route for that part, for Fmax. Raises SynthesisError and PlaceError.
    """
    if isinstance(target, Family):
        return Synthesis(target.name, count_cells(design, target))
    core = synthesized(design, target, say=say)
    placed = timed(design, target, frequency_mhz=frequency_mhz, seed=seed, say=say) if pnr else None
    return Synthesis(target.target, core.resources, core, placed)
