"""The verdicts of co-simulations in a run's folder: which says most, and which are of another artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mintaka_cosim.flow.verdicts import PATTERN
from mintaka_cosim.report.files import read_verdict


@dataclass(frozen=True)
class Simulated:
    """One co-simulation. file : its name. values : what the file holds. is_stale : it is of another artifact."""

    file: str
    values: dict[str, Any]
    is_stale: bool

    @property
    def samples(self) -> int:
        return int(self.values["compared"]["samples"])

    @property
    def is_stalled(self) -> bool:
        return any(self.values["stalls"][name] for name in ("input_percent", "output_percent"))

    @property
    def has_figures(self) -> bool:
        return "layers" in self.values

    @property
    def strength(self) -> tuple[bool, int, bool]:
        """What is larger has verified more: every value rather than logits; more samples; cycles, too."""
        return self.values["taps"], self.samples, not self.is_stalled

    @property
    def plan(self) -> str:
        """Its lanes and sparse layers, for people."""
        lanes = ", ".join(f"{name} {lanes}" for name, lanes in self.values["lanes"].items())
        sparse = self.values.get("sparse") or []
        return f"lanes {lanes}" + (f"; sparse {', '.join(sparse)}" if sparse else "")


def simulated(folder: Path, digest: str) -> list[Simulated]:
    """Those of a run's folder, the strongest first; stale ones behind all others.

    digest : of the run's artifact. Raises ReportError where a file is damaged.
    """
    files = [path for path in sorted(folder.glob(PATTERN)) if path.is_file()]
    every = [(path.name, read_verdict(path)) for path in files]
    found = [Simulated(name, values, values["artifact_hash"] != digest) for name, values in every]
    found.sort(key=lambda each: each.strength, reverse=True)
    found.sort(key=lambda each: each.is_stale)
    return found
