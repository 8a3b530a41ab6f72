"""Fmax after place and route on an ECP5: the core of 784-128-10 with registers around it, from several seeds."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from benchmarks.parts.networks import Shape, dense_lanes, images, trained
from benchmarks.parts.store import Store, Values
from mintaka_cosim import flow
from mintaka_hw.implement import Part
from mintaka_hw.implement.tools import YOSYS
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import family_of, part_of
from mintaka_hw.verilog import generate, without_comments

PART, FREQUENCY = "LFE5U-85F", 150.0  # what nextpnr aims at, MHz
SEEDS = (1, 2, 3)


def measure(store: Store, lanes: list[int]) -> None:
    """784-128-10 W4U4, T = 8, spikes in. The weights do not matter: they lie in memories."""
    network = trained(Shape("rate"), images("made", None, 2048), 128, 1)
    part = part_of(PART)
    family = family_of(part)
    assert family.nextpnr is not None
    tools = [family.synthesis.script, YOSYS.version, family.nextpnr.tool.version]
    for count in lanes:
        plan = make_plan(network, dense_lanes(count))
        with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
            design = generate(plan, Path(temporary))
            key = {
                "verilog": hashlib.sha256(without_comments(design.verilog.read_bytes())).hexdigest(),
                "flow": [PART, FREQUENCY, SEEDS, *tools],
            }

            def run() -> Values:
                found = []
                for seed in SEEDS:
                    made = flow.synthesize(design, part, pnr=True, frequency_mhz=FREQUENCY, seed=seed)  # noqa: B023
                    assert made.timed is not None
                    found.append(made.timed)
                slowest = min(found, key=lambda each: each.fmax_mhz)
                return {
                    "about": "784-128-10 W4U4, spikes in",
                    "lanes": plan.lanes,  # noqa: B023
                    "part": _name(part),
                    "fmax": [each.fmax_mhz for each in found],
                    "slowest": slowest.path.component,
                }

            store.point("fmax", f"ecp5-dense-w4-{count:04d}", key, run)


def _name(part: Part) -> str:
    return f"{part.name}, grade {part.speed}"
