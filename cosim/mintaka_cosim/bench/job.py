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

from mintaka.artifact import Network, Trace
from mintaka_cosim.bench.layout import LayerPorts, Layout, layout_of

VARIABLE = "MINTAKA_JOB"


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
            if not 0 <= percent <= 90:
                raise ValueError(f"{name} is {percent}; 0 to 90 are possible")
        longest = self.longest_cycles
        if not (1 <= longest <= 4096 and longest.bit_count() == 1):
            raise ValueError(f"longest_cycles is {longest}; a power of two up to 4096 is wanted")

    @property
    def any(self) -> bool:
        return bool(self.input_percent or self.output_percent)

    def patience(self, unstalled: int) -> int:
        """The cycles to wait for something to happen, given those that suffice without pauses."""
        most = max(self.input_percent, self.output_percent)
        return (unstalled + 64 * self.longest_cycles) * 100 // (100 - most)


NO_STALLS = Stalls()
RANDOM_STALLS = Stalls(25, 25, 256)


@dataclass(frozen=True)
class Difference:
    """The first value that differed. `step` and `neuron` are None where the value has none.

    expected, actual : values by symbol, for example {"K": 5, "s": 1, "U": 0}.
    """

    sample: int
    layer: str
    expected: dict[str, int]
    actual: dict[str, int]
    step: int | None = None
    neuron: int | None = None

    def __str__(self) -> str:
        where = f"sample {self.sample}"
        where += "" if self.step is None else f", step {self.step}"
        where += f", layer '{self.layer}'"
        where += "" if self.neuron is None else f", neuron {self.neuron}"

        def listed(values: dict[str, int]) -> str:
            return ", ".join(f"{name} = {value}" for name, value in values.items())

        return f"{where}: expected {listed(self.expected)}; the hardware has {listed(self.actual)}"


@dataclass
class Counts:
    """Values compared and found equal: spikes s, membranes U, synaptic currents Js, sums K (of a head that accumulates
    the running sums), logits."""

    samples: int = 0
    spikes: int = 0
    membranes: int = 0
    currents: int = 0
    sums: int = 0
    logits: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, more = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + more[name] for name in mine})


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
            parts = {"k": trace.k, "s": trace.s, "u": trace.u, "j": trace.j}
            arrays |= {f"{part}/{name}": values for part, values in parts.items() if values is not None}
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
        name: Trace(found[f"k/{name}"], *(found.get(f"{part}/{name}") for part in ("s", "u", "j")))
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


def summing_layers(network: Network) -> list[str]:
    """Names of the nodes that sum a current, in order."""
    return [node.name for node in network.nodes if node.has_synapses]
