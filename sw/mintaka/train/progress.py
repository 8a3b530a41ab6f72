"""Progress of a training: a callback, and a bar on the terminal that is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@dataclass(frozen=True)
class Step:
    """After a batch: `batch` of `batches` in `epoch` of `epochs` (all from 1) of a phase: "float", "qat" or a method's.

    `test_accuracy`, or `validation_accuracy` where there is such a split, is given with the last batch of an epoch.
    """

    phase: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    test_accuracy: float | None = None
    validation_accuracy: float | None = None


Callback = Callable[[Step], None]
TITLES = {"float": "float baseline", "qat": "quantized"}


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Callback]:
    """A bar per phase on the terminal; yields the callback that `train` wants."""
    columns = (
        TextColumn("{task.description:<15}", markup=False),
        BarColumn(),
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}  {task.fields[result]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}
        result = {}

        def show(step: Step) -> None:
            if step.phase not in tasks:
                total = step.epochs * step.batches
                tasks[step.phase] = progress.add_task(
                    TITLES.get(step.phase, step.phase), total=total, epoch=step.epoch, epochs=step.epochs, result=""
                )
            for what, value in (("test", step.test_accuracy), ("validation", step.validation_accuracy)):
                if value is not None:
                    result[step.phase] = f"{what} {value:.2%}"
            progress.update(
                tasks[step.phase],
                completed=(step.epoch - 1) * step.batches + step.batch,
                epoch=step.epoch,
                result=result.get(step.phase, f"loss {step.loss:.3f}"),
            )

        yield show
