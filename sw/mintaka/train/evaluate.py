"""What a network answers to samples, in eval mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mintaka.artifact.encoding import encoded
from mintaka.data import recall
from mintaka.snn.network import SNN

BATCH = 1000
MOST_BYTES = 2**28  # of what the largest layer emits in all steps; a batch takes some times as much


def batch_of(x: np.ndarray, snn: SNN) -> Tensor:
    """Samples of the data set as the network's input."""
    return torch.from_numpy(encoded(snn.source, snn.time_steps, x).astype(np.float32))


def batches_of(x: np.ndarray, y: np.ndarray, snn: SNN) -> Iterator[tuple[Tensor, Tensor]]:
    """All samples in their order, as inputs and classes."""
    largest = max(signal.size for signal in snn.signals.values())
    batch = max(1, min(BATCH, MOST_BYTES // (4 * snn.time_steps * largest)))
    for at in range(0, len(x), batch):
        yield batch_of(x[at : at + batch], snn), torch.from_numpy(y[at : at + batch])


def accuracy(snn: SNN, x: np.ndarray, y: np.ndarray) -> float:
    """Share of samples whose class is right (lowest index at ties)."""
    return recall.accuracy(np.concatenate([logits.argmax(1) for logits in _logits(snn, x, y)]), y)


def confusion(snn: SNN, x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """How many samples of each class (rows) were answered by each output (columns): int64."""
    parts = [(logits.shape[1], logits.argmax(1)) for logits in _logits(snn, x, y)]
    return recall.confusion(np.concatenate([answers for _, answers in parts]), y, classes, parts[0][0])


def _logits(snn: SNN, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
    snn.eval()
    with torch.no_grad():
        for inputs, _ in batches_of(x, y, snn):
            yield snn(inputs).numpy()
