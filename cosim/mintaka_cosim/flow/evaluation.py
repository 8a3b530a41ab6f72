"""What an artifact does on labelled samples, in software."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mintaka.artifact import Network, Result, encode
from mintaka.artifact.checks import require_network
from mintaka.artifact.reference import leaked, per_channel
from mintaka.data import DataError
from mintaka.data.labels import class_problem
from mintaka.data.recall import ClassResult, accuracy, class_results, confusion
from mintaka.errors import counted

BATCH = 500


@dataclass(frozen=True, eq=False)
class Evaluation:
    """*Measured* by the integer engine, on all `samples`.

    answers : int64 (N,), classes. classes : of each class how many there are, were recognized and were answered.
    total_steps : time steps taken. spikes, sops : totals by layer. clipped : share of the membranes that were clipped
    when they were stored, None where that was not asked for, or no membrane is clipped.
    """

    samples: int
    accuracy: float
    answers: np.ndarray
    classes: tuple[ClassResult, ...]
    total_steps: int
    spikes: dict[str, int]
    sops: dict[str, int]
    clipped: float | None = None

    @property
    def mean_steps(self) -> float:
        """Time steps per sample."""
        return self.total_steps / self.samples

    @property
    def spikes_per_sample(self) -> float:
        """Of all neurons."""
        return sum(self.spikes.values()) / self.samples

    @property
    def sops_per_sample(self) -> float:
        """Synaptic operations of the whole network."""
        return sum(self.sops.values()) / self.samples


def evaluate(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    membranes: bool = False,
    batch: int = BATCH,
) -> Evaluation:
    """Run samples through the integer engine.

    x : samples as the network was trained with, (N, ...), N at least 1. y : int64 (N,), their classes.
    class_names : of the data; None: their numbers. membranes : also count how many are clipped, which takes longer.
    batch : samples at a time. Raises ArtifactError where `x` does not fit to the network, DataError where there is
        no sample, `y` is not a class of its for each of them, or `class_names` not a name for each class.
    """
    from mintaka.snn import run_fast  # needs torch

    require_network(network)
    x, y = np.asarray(x), np.asarray(y)
    if not (x.ndim and len(x)):
        raise DataError(f"x holds no sample, but has the shape {x.shape}")
    if y.shape != x.shape[:1]:
        raise DataError(f"y must be a class for each of {counted(len(x), 'sample')}, got the shape {y.shape}")
    problem = class_problem(y, network.classes)
    if problem is not None:
        raise DataError(f"the labels do not fit to the network: {problem}")
    if class_names is not None and len(class_names) != network.classes:
        raise DataError(f"the network has {network.classes:,} classes, but class_names holds {len(class_names):,}")
    answers, steps = [], 0
    spikes, sops = Counter[str](), Counter[str]()
    clipped, stored = 0, 0
    for begin, end in pairwise([*range(0, len(x), batch), len(x)]):
        found = run_fast(network, encode(network, x[begin:end]), trace=membranes)
        answers.append(found.classes)
        steps += int(found.steps.sum())
        spikes.update({name: int(counts.sum()) for name, counts in found.spikes.items()})
        sops.update({name: int(counts.sum()) for name, counts in found.sops.items()})
        more = clipped_membranes(network, found) if membranes else (0, 0)
        clipped, stored = clipped + more[0], stored + more[1]
    every = np.concatenate(answers)
    return Evaluation(
        samples=len(x),
        accuracy=accuracy(every, y),
        answers=every,
        classes=class_results(confusion(every, y, network.classes, network.classes), class_names),
        total_steps=steps,
        spikes=dict(spikes),
        sops=dict(sops),
        clipped=clipped / stored if stored else None,
    )


def clipped_membranes(network: Network, result: Result) -> tuple[int, int]:
    """Of the membranes that were stored in the steps taken, how many had to be clipped, and how many there were.

    result : with its trace. A membrane by boundaries is not clipped, and not counted.
    """
    clipped, stored = 0, 0
    taken = np.arange(network.time_steps) < result.steps[:, None]
    for node in network.nodes:
        neuron, integrator = node.neuron, node.integrator
        if node.name not in result.trace or (neuron is None and integrator is None):
            continue
        trace = result.trace[node.name]
        K = trace.k[taken]  # (steps taken, C, ...)
        if neuron is not None:
            if neuron.boundaries is not None:
                continue
            assert trace.s is not None
            after = np.zeros_like(K) if neuron.reset_by is None else K - per_channel(neuron.reset_by.values, K)
            value, most = leaked(np.where(trace.s[taken] == 1, after, K), neuron.leak), neuron.membrane_max
        else:
            assert integrator is not None
            value, most = leaked(K, integrator.leak), integrator.membrane_max
        clipped += int((np.abs(value) > most).sum())
        stored += value.size
    return clipped, stored
