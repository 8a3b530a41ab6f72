"""What one run of a method gives, as files in its folder, and means over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from mintaka_cosim.flow.kept import kept_for

T = TypeVar("T")
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
class Refused:
    """Why the method cannot work on the data."""

    sentence: str


@dataclass(frozen=True)
class Unbuilt:
    """In the place of `Hardware`: why there is none."""

    unbuilt: str


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


def stored(path: Path, key: str, kind: type[T]) -> T | None:
    """What was stored for the same key; None where there is nothing, or something else than a `kind`."""
    values = kept_for(path, key)
    try:
        return None if values is None else TypeAdapter(kind).validate_python(values)
    except ValueError:
        return None


def load_point(folder: Path, key: str, seed: int) -> Point | None:
    """What a run's folder holds for `key`; None where nothing was measured."""
    refused = stored(folder / REFUSED, key, Refused)
    if refused is not None:
        return Point(seed, refused=refused.sentence)
    figures = stored(folder / FIGURES, key, Figures)
    if figures is None:
        return None
    hardware = stored(folder / HARDWARE, figures.artifact, Hardware)
    if hardware is None:
        unbuilt = stored(folder / HARDWARE, figures.artifact, Unbuilt)
        return Point(seed, figures, unbuilt=None if unbuilt is None else unbuilt.unbuilt)
    return Point(seed, figures, hardware, stored(folder / SYNTHESIS, hardware.design, Synthesis))


def mean(points: Sequence[Point], figure: Callable[[Figures], float]) -> float:
    """Over the seeds that have figures; at least one must have."""
    values = [figure(point.figures) for point in points if point.figures is not None]
    return sum(values) / len(values)
