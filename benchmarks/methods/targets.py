"""What the methods are meant to reach on MNIST, and whether they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.methods.figures import Figures, Point, mean

Rows = Mapping[str, Sequence[Point]]
"""The points of each method that has figures."""

HALVED = ("slim", "sca", "sdsnn")
QUIETER = ("activity", "activity-membrane")


@dataclass(frozen=True)
class Target:
    """met : says what was reached, and whether that is enough; None where a method that it needs was not measured."""

    text: str
    met: Callable[[Rows], tuple[str, bool] | None]


@dataclass(frozen=True)
class _AtLeast:
    method: str
    accuracy: float

    def __call__(self, rows: Rows) -> tuple[str, bool] | None:
        if self.method not in rows:
            return None
        found = mean(rows[self.method], lambda f: f.integer_accuracy)
        return f"`{self.method}`: {found:.2%}", found >= self.accuracy


def loss(rows: Rows, method: str) -> float | None:
    """Points of accuracy that a method loses against the baseline: mean over the seeds that both have, None if none."""
    base, own = (
        {point.seed: point.figures.integer_accuracy for point in rows.get(name, ()) if point.figures is not None}
        for name in ("baseline", method)
    )
    lost = [base[seed] - own[seed] for seed in sorted(base.keys() & own.keys())]
    return 100 * sum(lost) / len(lost) if lost else None


def ratio(rows: Rows, method: str, figure: Callable[[Figures], float]) -> float:
    """Of a method's mean figure to the baseline's."""
    return mean(rows[method], figure) / mean(rows["baseline"], figure)


def _best(rows: Rows, methods: Sequence[str]) -> tuple[str, float] | None:
    """The one that loses least, and how much."""
    found = [(lost, method) for method in methods if (lost := loss(rows, method)) is not None]
    return (min(found)[1], min(found)[0]) if found else None


def _halved(rows: Rows) -> tuple[str, bool] | None:
    best = _best(rows, HALVED)
    if best is None:
        return None
    method, lost = best
    left = ratio(rows, method, lambda f: f.layers["hidden"])
    return f"`{method}`: {left:.0%} of the neurons left, {lost:.2f} points lost", lost <= 0.7 and left <= 0.5


def _quieter(rows: Rows) -> tuple[str, bool] | None:
    enough = [m for m in QUIETER if m in rows and "baseline" in rows and ratio(rows, m, lambda f: f.spikes) <= 0.5]
    best = _best(rows, enough or QUIETER)
    if best is None:
        return None
    method, lost = best
    left = ratio(rows, method, lambda f: f.spikes)
    said = f"`{method}`: {left:.0%} of the spikes left, {lost:.2f} points lost{_cycles(rows, method)}"
    return said, left <= 0.5 and lost < 0.2


def _earlier(rows: Rows) -> tuple[str, bool] | None:
    lost = loss(rows, "exit")
    if lost is None:
        return None
    left = ratio(rows, "exit", lambda f: f.mean_steps)
    said = f"`exit`: {1 - left:.0%} fewer steps, {lost:.2f} points lost{_cycles(rows, 'exit')}"
    return said, left <= 0.6 and lost < 0.3


def _cycles(rows: Rows, method: str) -> str:
    """What that is worth in cycles, which no target is about: it may be nothing."""
    found = {}
    for name in ("baseline", method):
        measured = [point.hardware.cycles for point in rows.get(name, ()) if point.hardware is not None]
        if not measured:
            return ""
        found[name] = sum(measured) / len(measured)
    change = found[method] / found["baseline"] - 1
    return f"; cycles {change:+.0%}" if abs(change) >= 0.005 else "; as many cycles"


TARGETS = {
    "mnist": (
        Target("784-128-10, W4U4, without augmentation: at least 97.5 %", _AtLeast("plain", 0.975)),
        Target("784-128-10, W4U4, with augmentation: at least 98.0 %", _AtLeast("baseline", 0.98)),
        Target("784-128-10, W2U2: at least 97.0 %", _AtLeast("w2", 0.97)),
        Target("784-256-10, W4U4, with augmentation: at least 98.5 %", _AtLeast("wide", 0.985)),
        Target("784-256-10, W2U2, with augmentation: at least 98.0 %", _AtLeast("wide-w2", 0.98)),
        Target("half of the hidden neurons pruned: at most 0.7 points lost", _halved),
        Target("early exit: mean steps at least 40 % fewer, less than 0.3 points lost", _earlier),
        Target("activity: half of the hidden spikes, less than 0.2 points lost", _quieter),
    )
}
