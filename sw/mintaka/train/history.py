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
    are shares of 1, that of the training measured while training; `learning_rate` at the epoch's end."""

    phase: str
    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    learning_rate: float
    seconds: float


def float_accuracy(epochs: Sequence[Epoch]) -> float | None:
    """Test accuracy in the last epoch in full precision; None where there is none."""
    names = [epoch.phase for epoch in epochs]
    floats = epochs[: names.index("qat")] if "qat" in names else epochs
    return floats[-1].test_accuracy if floats else None


def write_history(folder: Path, epochs: Sequence[Epoch], about: dict[str, Any]) -> None:
    """history.csv (the epochs) and history.json (`about` and the epochs)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    rows = [asdict(epoch) for epoch in epochs]
    writer.writerows(rows)
    write_whole(folder / "history.csv", text.getvalue().encode())
    write_whole(folder / "history.json", json.dumps({**about, "epochs": rows}, indent=1).encode() + b"\n")
