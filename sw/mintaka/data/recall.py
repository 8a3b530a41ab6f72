"""How a network does on each class: an accuracy alone hides a class that is never answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassResult:
    """Of the test split: `samples` of the class, how many of them were answered `right`, and for how many samples of
    any class this one was answered (`predicted`)."""

    name: str
    samples: int
    right: int
    predicted: int

    @property
    def recall(self) -> float | None:
        """Share of the class that was recognized; None where it has no sample."""
        return self.right / self.samples if self.samples else None


def accuracy(answers: np.ndarray, truth: np.ndarray) -> float:
    """Share of samples whose class, of `answers` (N,), is that of `truth` (N,); N is at least 1."""
    return int((answers == truth).sum()) / len(truth)


def confusion(answers: np.ndarray, truth: np.ndarray, classes: int, outputs: int) -> np.ndarray:
    """How many samples of each class (rows) were answered by each output (columns): int64 (classes, outputs)."""
    found = np.zeros((classes, outputs), np.int64)
    np.add.at(found, (truth, answers), 1)
    return found


def class_results(confusion: np.ndarray, names: Sequence[str] | None = None) -> tuple[ClassResult, ...]:
    """From the samples of each class (rows) that were answered by each output (columns, as many or more)."""
    names = names or tuple(map(str, range(len(confusion))))
    samples, predicted, right = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    return tuple(ClassResult(name, int(samples[k]), int(right[k]), int(predicted[k])) for k, name in enumerate(names))


def never_predicted(results: Sequence[ClassResult]) -> str | None:
    """A sentence about classes with samples that are the answer to none; None where there are no such ones."""
    silent = [each for each in results if each.samples and not each.predicted]
    if not silent:
        return None
    shown = ", ".join(f"{each.name} ({each.samples:,} test samples)" for each in silent[:8]) + ", ..." * (
        len(silent) > 8
    )
    which = f"class {shown} is" if len(silent) == 1 else f"the classes {shown} are"
    return f"{which} never predicted: more epochs, or class_weights in [train], may help"
