"""Trainings that are killed at a chosen batch."""

from pathlib import Path

import pytest

from mintaka.train import Recipe, Step, train


class KilledError(Exception):
    pass


def train_until(recipe: Recipe, folder: Path, place: tuple[str, int, int], start: Path | None = None) -> None:
    """Train (resuming what is in `folder`, or from `start`) and be killed behind that (phase, epoch, batch).

    It must come.
    """

    def stop(step: Step) -> None:
        if (step.phase, step.epoch, step.batch) == place:
            raise KilledError

    with pytest.raises(KilledError):
        train(recipe, folder, start=start, progress=stop)
