"""What crosses between the caller and a cocotb simulation: one folder with job.json, arrays and result.json.

The simulation is another process (the simulator, with Python inside), so everything goes through files.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mintaka.artifact import Trace
from mintaka.artifact.compare import FIELDS, shown, trace_of
from mintaka.artifact.limits import Range
from mintaka_cosim.bench.layout import LayerPorts, Layout, layout_of

VARIABLE = "MINTAKA_JOB"
PERCENT = Range(0, 90)  # of stalls


@dataclass(frozen=True)
class Stalls:
    """Random pauses: the chance per free cycle, in percent, that the input (or the output) pauses.

    A pause lasts 1, 2, 4, ... or `longest_cycles` (a power of two) cycles, each equally likely: long ones fill or
    drain every queue of the design, short ones hit its handshakes.
    """

    input_percent: int = 0
    output_percent: int = 0
    longest_cycles: int = 1

    def __post_init__(self) -> None:
        for name in ("input_percent", "output_percent"):
            percent = getattr(self, name)
            PERCENT.require(percent, name, ValueError)
        longest = self.longest_cycles
        if not (1 <= longest <= 4096 and longest.bit_count() == 1):
            raise ValueError(f"longest_cycles must be a power of two up to 4,096, got {longest:,}")

    @property
    def any(self) -> bool:
        return bool(self.input_percent or self.output_percent)

    def patience(self, unstalled: int) -> int:
        """The cycles to wait for something to happen, given those that suffice without pauses."""
        most = max(self.input_percent, self.output_percent)
        return (unstalled + 64 * self.longest_cycles) * 100 // (100 - most)


NO_STALLS = Stalls()
RANDOM_STALLS = Stalls(25, 25, 256)


@dataclass(frozen=True, eq=False)
class Job:
    """A chunk of samples for one simulation. `first` is the number of its first sample in the caller's batch."""

    folder: Path
    info: dict[str, Any]
    seed: int
    stalls: Stalls
    first: int
    beats: np.ndarray
    traces: dict[str, Trace]
    logits: np.ndarray
    steps: np.ndarray
    sops: dict[str, np.ndarray]

    @property
    def layout(self) -> Layout:
        return layout_of(self.info)

    def layer(self, name: str) -> LayerPorts:
        return next(layer for layer in self.layout.layers if layer.name == name)

    def write(self) -> None:
        """Into `folder`, which exists."""
        text = {"info": self.info, "seed": self.seed, "stalls": asdict(self.stalls), "first": self.first}
        (self.folder / "job.json").write_text(json.dumps(text))
        arrays = {"beats": self.beats, "logits": self.logits, "steps": self.steps}
        for name, trace in self.traces.items():
            arrays |= {f"{field}/{name}": values for field, values in shown(trace).items()}
        arrays |= {f"sops/{name}": values for name, values in self.sops.items()}
        np.savez(self.folder / "job.npz", **arrays)  # type: ignore[arg-type]


def read_job() -> Job:
    """The job of this simulation: the folder is in the environment."""
    folder = Path(os.environ[VARIABLE])
    text = json.loads((folder / "job.json").read_text())
    with np.load(folder / "job.npz") as arrays:
        found = dict(arrays)
    layers = [layer["name"] for layer in text["info"]["layers"]]
    traces = {
        name: trace_of({field: found[f"{field}/{name}"] for field in FIELDS if f"{field}/{name}" in found})
        for name in layers
        if f"k/{name}" in found
    }
    return Job(
        folder=folder,
        info=text["info"],
        seed=text["seed"],
        stalls=Stalls(**text["stalls"]),
        first=text["first"],
        beats=found["beats"],
        traces=traces,
        logits=found["logits"],
        steps=found["steps"],
        sops={name: found[f"sops/{name}"] for name in layers},
    )
