"""What the report of a synthesis holds. Every number says how it was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mintaka_cosim.report.model import Figure, Kind
from mintaka_hw.implement import CriticalPath, Macro

KINDS: dict[Kind, str] = {
    "synthesized": "counted by Yosys in the netlist of the family's cells, nothing placed",
    "placed and routed": "by nextpnr, with the timing of the routed design",
    "estimated": "computed from a model, not observed",
    "exact": "follows from the artifact and the plan",
}


@dataclass(frozen=True)
class Share:
    """What a stage of the design takes, with all inside it, in the target's units."""

    component: str
    resources: dict[str, float]


@dataclass(frozen=True)
class Memories:
    """`count` memories of one size: what a chip needs as macros or register files."""

    count: int
    macro: Macro


@dataclass(frozen=True)
class TargetReport:
    """One target. Where it failed there is `error`, in one sentence, beside what was found before that.

    part : the device, or the Liberty file's name. used : (used, there) by kind of site of the placed design, with the
    registers around it.
    """

    target: str
    part: str
    figures: tuple[Figure, ...] = ()
    shares: tuple[Share, ...] = ()
    path: CriticalPath | None = None
    cells: dict[str, int] = field(default_factory=dict)
    used: dict[str, tuple[int, int]] = field(default_factory=dict)
    memories: tuple[Memories, ...] = ()
    error: str | None = None

    def figure(self, key: str) -> Figure | None:
        """The figure of that key, or None."""
        return next((figure for figure in self.figures if figure.key == key), None)


@dataclass(frozen=True)
class SynthReport:
    """A generated design and what became of it on each target."""

    name: str
    hash: str
    top: str
    description: str
    lanes: dict[str, int]
    sparse: tuple[str, ...]
    figures: tuple[Figure, ...]
    targets: tuple[TargetReport, ...]
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)
