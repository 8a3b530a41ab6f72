"""What a data set is, and how it becomes the input of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Input, check_inputs
from mintaka.artifact.document import input_dtype
from mintaka.artifact.schema import Network
from mintaka.data.errors import DataError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Two splits. x: unsigned integers of `bits` bits, (N, C, H, W) or (N, F), or with an axis of time steps behind N
    where the data has one; y: int64 (N,), classes from 0."""

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    bits: int

    @property
    def classes(self) -> int:
        return int(max(self.train_y.max(), self.test_y.max())) + 1


def stratified_split(y: np.ndarray, test: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a test split of `test` samples, each class in proportion, both in rising order.

    The split depends on `y`, `test` and `seed` alone.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    ranks = np.empty(len(y), np.float64)
    for label in np.unique(y):
        members = order[y[order] == label]
        ranks[members] = (np.arange(len(members)) + 0.5) / len(members)  # spreads each class evenly over 0..1
    by_rank = np.lexsort((order.argsort(), ranks))
    return np.sort(by_rank[test:]), np.sort(by_rank[:test])


def thermometer(x: np.ndarray, bits: int, time_steps: int) -> np.ndarray:
    """Spikes of numbers: x (N, ...) of `bits` bits -> (N, T, ...) of 0 and 1, uint8.

    A number spikes in the step t = 0..T-1 where `x * (T + 1) >= (t + 1) * 2^bits`: the larger, the more steps, always
    from the first one on. With one bit the bit itself is repeated.
    """
    if bits == 1:
        return np.repeat(x[:, None], time_steps, axis=1).astype(np.uint8)
    steps = np.arange(1, time_steps + 1).reshape(1, -1, *[1] * (x.ndim - 1))
    return (x[:, None].astype(np.int64) * (time_steps + 1) >= steps * 2**bits).astype(np.uint8)


def encode(x: np.ndarray, bits: int, source: Input, time_steps: int) -> np.ndarray:
    """Make numbers of a data set the input of a network: direct as they are, spikes by `thermometer`.

    x that already has the input's shape (with time steps, for spikes and counts) is taken as it is.

    Raises DataError where the shapes or widths do not fit.
    """
    steps = () if source.static else (time_steps,)
    if x.shape[1:] == (*steps, *source.shape):
        ready = x
    elif x.shape[1:] == source.shape and source.kind == "spikes":
        ready = thermometer(x, bits, time_steps)
    else:
        shapes = f"the data has shape {['N', *x.shape[1:]]}, the input {['N', *steps, *source.shape]}"
        raise DataError(f"{shapes}: they do not fit")
    if ready.size and int(ready.max()) >= 2**source.bits:
        raise DataError(f"the data holds {int(ready.max())}, but the input has {source.bits} bits")
    return ready.astype(input_dtype(source.bits))


def network_inputs(network: Network, x: np.ndarray, bits: int) -> np.ndarray:
    """x of a data set of `bits` bits as a checked batch for `network`; see `encode`."""
    inputs = encode(x, bits, network.input, network.time_steps)
    check_inputs(network, inputs)
    return inputs
