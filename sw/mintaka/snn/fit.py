"""The training core: the loss of a batch, an update, an epoch, the learning rate. Recipes and `apply` both train by it.

Phases, checkpoints and progress belong to the caller (`mintaka.train.loop`, `mintaka.compress.apply`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mintaka.snn.hooks import PhaseHooks
from mintaka.snn.network import SNN, ForwardRecord

# Of the gradient, where a layer reads itself. Ordinary ones are far below; through many steps of an extreme gain single
# batches would outweigh all others.
LARGEST_NORM = 10.0


class DivergedError(ArithmeticError):
    """The loss of a batch is not finite; the network is as it was before the batch."""


@dataclass(frozen=True)
class BatchResult:
    """One update: the loss before it, and how many of the `samples` were classified `right`."""

    loss: float
    right: int
    samples: int


def cosine(learning_rate: float, progress: float) -> float:
    """The learning rate when the share `progress` of a phase is done: half a cosine, from `learning_rate` to 0."""
    return learning_rate * (1 + math.cos(math.pi * progress)) / 2


def train_epoch(
    snn: SNN,
    hooks: PhaseHooks,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    schedule: Iterable[tuple[float, float]],
    class_weights: Tensor | None = None,
) -> Iterator[BatchResult]:
    """Train on each batch in turn, in train mode; gives a result after each update.

    batches : inputs as `SNN.forward` takes them, and labels (N,).
    schedule : for each batch the share of the phase that is done before it, and the learning rate.
    class_weights : as for `batch_loss`.
    Raises DivergedError.
    """
    snn.train()
    for (x, labels), (progress, rate) in zip(batches, schedule, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        hooks.before_step(snn, progress, rate)
        loss, logits = batch_loss(snn, hooks, x, labels, class_weights)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergedError
        update(snn, optimizer, loss)
        yield BatchResult(value, int((logits.detach().argmax(1) == labels).sum()), len(labels))


def batch_loss(
    snn: SNN, hooks: PhaseHooks, x: Tensor, labels: Tensor, class_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, the hooks' penalty included, and the logits (N, classes); x as `SNN.forward` takes it,
    labels (N,). class_weights : of the classes in the cross-entropy, (K,); None weighs all samples alike."""
    seen = ForwardRecord(membranes={} if hooks.membranes else None, inputs=x, labels=labels)
    seen.logits = snn(x, seen=seen)
    scores = snn.scores(seen.logits)
    if class_weights is not None:  # outputs beyond the classes are no sample's
        class_weights = F.pad(class_weights, (0, scores.shape[1] - len(class_weights)), value=1.0)
    loss = F.cross_entropy(scores, labels, class_weights)
    penalty = hooks.penalty(snn, seen)
    return loss if penalty is None else loss + penalty, seen.logits


def update(snn: SNN, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    if snn.recurrent:
        nn.utils.clip_grad_norm_(snn.parameters(), LARGEST_NORM)
    optimizer.step()
