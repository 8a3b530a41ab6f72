"""The `watch` set: shoulder exercises seen by a smartwatch, as spikes.

140 recordings of 10 subjects (7 exercises, both arms): three accelerations in g and three turning rates in rad/s,
50 times a second (Burns et al., arXiv 1802.01489, in the package seglearn). Subjects 9 and 10 are the test: nobody
is in both splits.

Encoding, integers only after the first line, per channel and window:

    q = rint(16 * x / delta), the mean of two samples each (25 a second)
    r = 0 at the start; at each step: up spike where q - r >= 16, down spike where r - q >= 16, and r moves by 16 with
    the spike

A window of 2 s gives 50 steps of 12 inputs: up and down of ax, ay, az, wx, wy, wz. There is at most one spike per step
and direction, so the posture is a train of spikes at the start, a fast change one later: what a neuron sees at one
step says little, the classes are in how the spikes follow each other.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.lib import format as npy

from mintaka.data.dataset import Dataset
from mintaka.data.errors import DataError

STEPS = 50
STRIDE = 25  # between the starts of windows, in 25ths of a second
FINE = 16
DELTA = (0.25, 0.25, 0.25, 1.0, 1.0, 1.0)  # g, rad/s
TEST_SUBJECTS = (9, 10)
ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")  # the name in numpy 1 and in numpy 2
ALLOWED = {("numpy", "dtype"), ("numpy", "ndarray"), ("_codecs", "encode"), *((m, "_reconstruct") for m in ARRAYS)}


class _Arrays(pickle.Unpickler):
    """Reads arrays, lists and numbers, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        if name == "_reconstruct":
            module = ARRAYS[-1]
        return super().find_class(module, name)


def read_recordings(data: bytes) -> dict[str, Any]:
    """The dictionary in watch_dataset.npy: X (a list of (samples, 6) float64), y, subject and more.

    Raises DataError where the bytes are something else.
    """
    file = io.BytesIO(data)
    try:
        npy.read_magic(file)
        npy.read_array_header_1_0(file)
        found = _Arrays(file, encoding="ASCII").load().item()
        shapes = {np.shape(x)[1:] for x in found["X"]}
    except Exception as error:  # a damaged pickle fails in every way there is
        raise DataError(f"watch_dataset.npy is not the recordings ({error!s:.80}): fetch it again") from None
    if shapes != {(6,)} or not len(found["X"]) == len(found["y"]) == len(found["subject"]):
        raise DataError("watch_dataset.npy is not the recordings (other shapes): fetch it again")
    return dict(found)


def quantized(x: np.ndarray) -> np.ndarray:
    """A recording (samples, 6) at 50 Hz -> (samples // 2, 6) int64 at 25 Hz, in 16ths of `DELTA`."""
    pairs = x[: len(x) // 2 * 2].reshape(-1, 2, x.shape[1]).mean(1)
    return np.rint(pairs * (FINE / np.array(DELTA))).astype(np.int64)


def delta_spikes(q: np.ndarray) -> np.ndarray:
    """Windows (N, T, F) int64 -> spikes (N, T, 2 F) uint8: first all up, then all down inputs."""
    reference = np.zeros_like(q[:, 0])
    steps = []
    for t in range(q.shape[1]):
        up, down = q[:, t] - reference >= FINE, reference - q[:, t] >= FINE
        reference += FINE * up.astype(np.int64) - FINE * down.astype(np.int64)
        steps.append(np.concatenate([up, down], axis=1))
    return np.stack(steps, axis=1).astype(np.uint8)


def windows(recordings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All windows in the order of the recordings: spikes (N, T, 12), classes (N,) int64, subjects (N,) int64."""
    x, y, subjects = [], [], []
    for recording, label, subject in zip(recordings["X"], recordings["y"], recordings["subject"], strict=True):
        q = quantized(np.asarray(recording, np.float64))
        starts = range(0, len(q) - STEPS + 1, STRIDE)
        x += [q[at : at + STEPS] for at in starts]
        y += [int(label)] * len(starts)
        subjects += [int(subject)] * len(starts)
    return delta_spikes(np.stack(x)), np.array(y, np.int64), np.array(subjects, np.int64)


def watch_dataset(data: bytes) -> Dataset:
    """The data set from the checked content of watch_dataset.npy."""
    x, y, subjects = windows(read_recordings(data))
    test = np.isin(subjects, TEST_SUBJECTS)
    return Dataset("watch", x[~test], y[~test], x[test], y[test], bits=1, train_groups=subjects[~test])
