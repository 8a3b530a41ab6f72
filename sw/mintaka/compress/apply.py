"""Any method on a network of your own program, without a recipe."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mintaka.compress.errors import CompressError
from mintaka.compress.method import Method, Phase, Stage, Task
from mintaka.compress.scores import EMPTY
from mintaka.snn.network import SNN, Seen, takes_snn

# Of the gradient, where a layer reads itself. Ordinary ones are far below; through many steps of an extreme gain single
# batches would outweigh all others.
LARGEST_NORM = 10.0


@takes_snn
def apply(method: Method, snn: SNN, task: Task, *, learning_rate: float = 1e-3) -> SNN:
    """The network behind all phases of the method, trained with Adam on the task's batches; nothing is stored.

    snn : in full precision for methods that work `at = "float"`, quantized for those `at = "qat"`. It may be changed in
        place.
    learning_rate : at the start of each phase; it falls to 0 as half a cosine.
    Raises CompressError where the method cannot work on this network, trains nothing, or finds no data to train with.
    """
    phases = method.phases()
    if not phases:
        raise CompressError(
            f"'{method.method}' trains nothing: call `calibrate` and `with_margins` on the artifact instead"
        )
    if method.at == "qat" and not snn.integer:
        raise CompressError(
            f"'{method.method}' works behind quantization (at = \"qat\"), but the network is in full precision: call "
            "its `quantize` and train it before"
        )
    method.check(snn, task)
    for phase in phases:
        snn = phase.stage.begin(snn, task)
        phase.stage.attach(snn)
        _train(snn, phase, task, learning_rate)
        snn = phase.stage.finish(snn, task)
    return snn


def batch_loss(
    snn: SNN, stage: Stage, x: Tensor, labels: Tensor, class_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, the stage's penalty included, and the logits (N, classes); x as `SNN.forward` takes it,
    labels (N,). class_weights : of the classes in the cross-entropy, (K,); None weighs all samples alike."""
    seen = Seen(membranes={} if stage.membranes else None, inputs=x, labels=labels)
    seen.logits = snn(x, seen=seen)
    scores = snn.scores(seen.logits)
    if class_weights is not None:  # outputs beyond the classes are no sample's
        class_weights = F.pad(class_weights, (0, scores.shape[1] - len(class_weights)), value=1.0)
    loss = F.cross_entropy(scores, labels, class_weights)
    penalty = stage.penalty(snn, seen)
    return loss if penalty is None else loss + penalty, seen.logits


def update(snn: SNN, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    if snn.recurrent:
        nn.utils.clip_grad_norm_(snn.parameters(), LARGEST_NORM)
    optimizer.step()


def _train(snn: SNN, phase: Phase, task: Task, learning_rate: float) -> None:
    stage = phase.stage
    optimizer = torch.optim.Adam(snn.parameters(), lr=learning_rate)
    for epoch in range(phase.epochs):
        snn.train()
        batches = list(task.batches(snn))
        if not batches:
            raise CompressError(f"there are no samples to train with: {EMPTY}")
        schedule = torch.cos(torch.linspace(0, torch.pi, len(batches) * phase.epochs + 1)) / 2 + 0.5
        for number, (x, classes) in enumerate(batches, epoch * len(batches)):
            rate = learning_rate * float(schedule[number])
            for group in optimizer.param_groups:
                group["lr"] = rate
            stage.before_step(snn, number / (len(batches) * phase.epochs), rate)
            loss, _ = batch_loss(snn, stage, x, classes)
            update(snn, optimizer, loss)
        if epoch + 1 < phase.epochs:
            stage.after_epoch(snn, task, epoch + 1, phase.epochs)
