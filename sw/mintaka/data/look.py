"""What is in a data set, and what a person should know of it before training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.data.dataset import Dataset

IMBALANCE = 10  # times as many samples in one class as in another
MOST_CHANNELS = 4  # of pictures whose channels may have been put last


@dataclass(frozen=True)
class ClassCount:
    """How many samples a class has in each split."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class Look:
    """shape : of a sample. bits : of integers, None of real numbers; they are from `low` to `high`. constant : how many
    of the inputs have one value in all training samples. groups : of the training split, None where there are none."""

    name: str
    train: int
    test: int
    shape: tuple[int, ...]
    bits: int | None
    low: float
    high: float
    classes: tuple[ClassCount, ...]
    constant: int
    groups: int | None

    def layout(self, *, of_recipe: bool) -> str:
        """What the axes of a sample are. of_recipe : whether a recipe has read them already (`mintaka.train.data`)."""
        last = self.shape[-2:]
        if len(self.shape) == 1:
            return f"{last[0]} inputs"
        if len(self.shape) == 2:
            steps = f"{last[0]} steps of {last[1]} inputs"
            return steps if of_recipe else f"{last[0]} x {last[1]} pixels in one channel, or {steps}"
        picture = f"{self.shape[-3]} channel{'s' * (self.shape[-3] > 1)} of {last[0]} x {last[1]}"
        return picture if len(self.shape) == 3 else f"{self.shape[0]} steps of {picture}"

    @property
    def problem(self) -> str | None:
        """Why nothing can be learned from these data; None where that is not known."""
        if sum(each.train > 0 for each in self.classes) < 2:
            only = next((each.name for each in self.classes if each.train), "none")
            return f"all training samples have the same class ({only}), so there is nothing to tell apart"
        if self.constant == int(np.prod(self.shape)):
            return "all training samples are the same, so there is nothing to learn"
        return None

    def notes(self, *, weighted: bool = False) -> tuple[str, ...]:
        """What may be a mistake, with what to do about it. weighted : whether the classes are weighted against their
        imbalance."""
        found = []
        if len(self.shape) > 2 and self.shape[-1] <= MOST_CHANNELS < min(self.shape[-3:-1]):
            axes = "0, 3, 1, 2" if len(self.shape) == 3 else "0, 1, 4, 2, 3"
            found.append(
                f"samples of {_by(self.shape)} look like pictures with their channels last, but networks take channels "
                f"first: x = x.transpose({axes})"
            )
        for split, counts in (
            ("training", [each.train for each in self.classes]),
            ("test", [c.test for c in self.classes]),
        ):
            missing = [each.name for each, count in zip(self.classes, counts, strict=True) if not count]
            if missing:
                found.append(f"{_classes(missing)} no {split} sample")
        fewest = min((each for each in self.classes if each.train), key=lambda each: each.train, default=None)
        most = max(self.classes, key=lambda each: each.train, default=None)
        if not weighted and fewest is not None and most is not None and most.train >= IMBALANCE * fewest.train:
            found.append(
                f"class {fewest.name} has {fewest.train:,} training samples, class {most.name} has {most.train:,}: a "
                'network may never answer the rare one; class_weights = "balanced" in [train] weighs them alike'
            )
        return tuple(found)


def look(dataset: Dataset) -> Look:
    """Count and measure."""
    x, K = dataset.train_x, dataset.classes
    names = dataset.class_names or tuple(map(str, range(K)))
    train, test = (np.bincount(y, minlength=K).tolist() for y in (dataset.train_y, dataset.test_y))
    groups = dataset.train_groups
    return Look(
        dataset.name,
        len(x),
        len(dataset.test_x),
        x.shape[1:],
        dataset.bits,
        min(each.min().item() for each in (x, dataset.test_x)),
        max(each.max().item() for each in (x, dataset.test_x)),
        tuple(map(ClassCount, names, train, test)),
        int((x.min(0) == x.max(0)).sum()),
        None if groups is None else len(np.unique(groups)),
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _classes(names: list[str]) -> str:
    if len(names) == 1:
        return f"class {names[0]} has"
    shown = ", ".join(names[:8]) + ", ..." * (len(names) > 8)
    return f"{len(names)} classes ({shown}) have"
