"""The state of a run after an epoch, whole or not at all."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mintaka.artifact.whole import write_whole
from mintaka.train.errors import TrainError
from mintaka.train.history import Epoch, float_accuracy

FILE = "checkpoint.pt"
VERSION = 2


@dataclass
class Checkpoint:
    """`done` counts the finished epochs of `phase` (which is "end" when all are done); `network` is the structure of
    the network then (`mintaka.train.form`), `model` and `optimizer` are state dictionaries. `float_accuracy` is the
    test accuracy of the network that was quantized; None before that, and where nothing was trained in full precision.

    The random numbers of an epoch depend on seed, phase and epoch alone, so no generator's state is needed.
    """

    recipe: str
    data: str
    phase: str
    done: int
    network: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    history: list[Epoch] = field(default_factory=list)
    float_accuracy: float | None = None


def save_checkpoint(folder: Path, checkpoint: Checkpoint, file: str = FILE) -> None:
    form = {**vars(checkpoint), "version": VERSION, "history": [asdict(epoch) for epoch in checkpoint.history]}
    buffer = io.BytesIO()
    torch.save(form, buffer)
    write_whole(folder / file, buffer.getvalue())


def load_checkpoint(folder: Path, file: str = FILE) -> Checkpoint | None:
    """The checkpoint of a run folder, None where there is none; TrainError where it is damaged."""
    path = folder / file
    if not path.is_file():
        return None
    advice = "delete it to start anew"
    try:
        form = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
        raise TrainError(f"{path} is no intact checkpoint: {advice}") from None
    if not isinstance(form, dict) or form.pop("version", None) != VERSION:
        raise TrainError(f"{path} was written by another version of Mintaka: {advice}")
    history = [Epoch(**epoch) for epoch in form.pop("history")]
    form.setdefault("float_accuracy", float_accuracy(history))  # older ones have none
    return Checkpoint(**form, history=history)
