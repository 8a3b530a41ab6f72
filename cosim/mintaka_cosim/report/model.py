"""What a report holds. Every number says how it was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mintaka.data.recall import ClassResult
from mintaka.errors import MintakaError

Kind = Literal["measured", "simulated", "estimated", "exact", "synthesized", "placed and routed"]
KINDS: dict[Kind, str] = {
    "measured": "of the trained network on the test split, in software",
    "simulated": "counted in the generated Verilog, run by Verilator",
    "estimated": "computed from a model, not observed",
    "exact": "follows from the artifact and the plan",
}


class ReportError(MintakaError, RuntimeError):
    """A run's files are missing or do not belong together; the message is one sentence."""


@dataclass(frozen=True)
class Figure:
    """One key figure: `value` for machines, `text` for people."""

    key: str
    label: str
    value: float | int
    text: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True)
class LayerRow:
    """One layer. The simulated figures are None before a co-simulation."""

    name: str
    shape: str
    weight_bits: int | None
    membrane_bits: int | None
    lanes: int | None
    memory_bits: int | None
    sops_per_sample: float | None = None
    busy_per_sample: float | None = None
    utilisation: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One co-simulation: how it ran, and what it compared (see `Counts` in `mintaka.artifact.compare`). `cycles` says
    whether they were as predicted.

    plan : lanes and sparse layers. data : the data set's name. file : where the verdict is kept.
    is_stale : it is of another artifact, and proves nothing of this one. is_strongest : it says most of this one.
    """

    title: str
    verdict: str
    bit_exact: bool
    samples: int
    spikes: int
    membranes: int
    currents: int
    sums: int
    logits: int
    differences: int
    resets: int
    cycles: bool | None
    plan: str = ""
    data: str = ""
    file: str = ""
    is_stale: bool = False
    is_strongest: bool = False


@dataclass(frozen=True)
class Report:
    """A run, from training to the simulated Verilog.

    verdict : the sentence of the strongest co-simulation of this artifact, or of the one that failed; bit_exact and
        cycles_as_predicted hold for all of them, and are None where there was none.
    history : one row per epoch, as the training wrote it. classes : how the integer network did on each class of the
        test split, in software. warnings : what that says at once, as that a class is never predicted.
    paths : what lies where, relative to the folder from which the report was made.
    simulated : which co-simulation the simulated figures come from, and which one the verdict; empty without figures.
    """

    name: str
    hash: str
    verdict: str
    bit_exact: bool | None
    cycles_as_predicted: bool | None
    description: str
    figures: tuple[Figure, ...]
    layers: tuple[LayerRow, ...]
    history: tuple[dict[str, Any], ...]
    provenance: dict[str, Any]
    paths: dict[str, str]
    comparisons: tuple[Comparison, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    classes: tuple[ClassResult, ...] = ()
    warnings: tuple[str, ...] = ()
    simulated: str = ""

    def figure(self, key: str) -> Figure | None:
        """The figure of that key, or None."""
        return next((figure for figure in self.figures if figure.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)
