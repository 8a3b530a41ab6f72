"""What happened in each epoch, as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mintaka.artifact.whole import write_whole


@dataclass(frozen=True)
class Epoch:
    """One epoch. `phase` is "float", "qat" or one of a compression method; `epoch` counts from 1 in each; accuracies
    are shares of 1, that of the training measured while training, and either of the test split or of a validation split
    where the recipe has one; `learning_rate` at the epoch's end."""

    phase: str
    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    learning_rate: float
    seconds: float
    validation_accuracy: float | None = None


def float_accuracy(epochs: Sequence[Epoch]) -> float | None:
    """Test accuracy in the last epoch in full precision; None where there is none."""
    names = [epoch.phase for epoch in epochs]
    floats = epochs[: names.index("qat")] if "qat" in names else epochs
    return floats[-1].test_accuracy if floats else None


def write_history(folder: Path, epochs: Sequence[Epoch], about: dict[str, Any]) -> None:
    """history.csv (the epochs) and history.json (`about` and the epochs)."""
    text = io.StringIO()
    rows = [{name: value for name, value in asdict(epoch).items() if value is not None} for epoch in epochs]
    known = [field.name for field in fields(Epoch) if any(field.name in row for row in rows)]
    writer = csv.DictWriter(text, known, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / "history.csv", text.getvalue().encode())
    write_whole(folder / "history.json", json.dumps({**about, "epochs": rows}, indent=1).encode() + b"\n")
