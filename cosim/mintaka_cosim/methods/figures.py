"""What one run of a method gives, as files in its folder, and means over the seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mintaka.artifact.whole import write_whole

FIGURES, HARDWARE, SYNTHESIS, REFUSED = "figures.json", "hardware.json", "synthesis.json", "refused.json"


@dataclass(frozen=True)
class Figures:
    """*Measured* in software. Accuracies are shares of the test split; spikes (of hidden neurons) and SOPs are means
    per sample of it, by the integer engine.

    artifact : content hash. seconds, epochs : of training, epochs by phase. layers : neurons or channels by layer with
    weights. widths : bits of one weight (or of its place in a codebook) and of one membrane, the widest. weight_bits,
    membrane_bits : of all of them; membranes are stored only where T is more than 1. synapses : weights that are not 0.
    mean_steps : time steps that a sample takes. exits : of early exit, for several allowed losses the mean steps and
    the accuracy.
    """

    artifact: str
    seconds: float
    epochs: dict[str, int]
    float_accuracy: float | None
    integer_accuracy: float
    test_samples: int
    layers: dict[str, int]
    widths: tuple[int, int]
    weight_bits: int
    membrane_bits: int
    weights: int
    synapses: int
    mean_steps: float
    spikes: float
    sops: float
    exits: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Hardware:
    """*Simulated*: the Verilog (`design` is its hash) of the stated plan, samples back to back. equal : bit by bit to
    the reference, cycle by cycle to the cycle model."""

    design: str
    lanes: dict[str, int]
    cycles: float
    samples: int
    equal: bool


@dataclass(frozen=True)
class Synthesis:
    """Cells of that Verilog for Xilinx 7, *synthesized* by Yosys."""

    LUT: float
    FF: float
    BRAM: float
    DSP: float


@dataclass(frozen=True)
class Point:
    """One method with one seed.

    refused : why the method cannot work on the data. unbuilt : why there is no hardware.
    """

    seed: int
    figures: Figures | None = None
    hardware: Hardware | None = None
    synthesis: Synthesis | None = None
    refused: str | None = None
    unbuilt: str | None = None


def key_of(*what: object) -> str:
    """Of everything that stored figures belong to."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def store(path: Path, key: str, values: dict[str, Any]) -> None:
    """Whole or not at all."""
    write_whole(path, (json.dumps({"key": key, "values": values}, indent=1) + "\n").encode())


def stored(path: Path, key: str) -> dict[str, Any] | None:
    """What was stored for the same key; None where there is nothing, or something else."""
    try:
        found = json.loads(path.read_text())
        return dict(found["values"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def load_point(folder: Path, key: str, seed: int) -> Point | None:
    """What a run's folder holds for `key`; None where nothing was measured."""
    refused = stored(folder / REFUSED, key)
    if refused is not None:
        return Point(seed, refused=str(refused["sentence"]))
    values = stored(folder / FIGURES, key)
    if values is None:
        return None
    exits = tuple((loss, steps, accuracy) for loss, steps, accuracy in values["exits"])
    figures = Figures(**{**values, "widths": tuple(values["widths"]), "exits": exits})
    built = stored(folder / HARDWARE, figures.artifact)
    if built is None or "unbuilt" in built:
        return Point(seed, figures, unbuilt=None if built is None else str(built["unbuilt"]))
    hardware = Hardware(**built)
    cells = stored(folder / SYNTHESIS, hardware.design)
    return Point(seed, figures, hardware, None if cells is None else Synthesis(**cells))


def mean(points: Sequence[Point], figure: Callable[[Figures], float]) -> float:
    """Over the seeds that have figures; at least one must have."""
    values = [figure(point.figures) for point in points if point.figures is not None]
    return sum(values) / len(values)
