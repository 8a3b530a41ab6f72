"""Any method on a network of your own program, without a recipe."""

from __future__ import annotations

import torch

from mintaka.compress.errors import CompressError
from mintaka.compress.exits import Exit
from mintaka.compress.method import Method
from mintaka.compress.scores import EMPTY
from mintaka.snn.fit import DivergedError, train_epoch
from mintaka.snn.hooks import Phase, Task
from mintaka.snn.network import SNN, takes_snn


@takes_snn
def apply(method: Method, snn: SNN, task: Task, *, learning_rate: float = 1e-3) -> SNN:
    """The network behind all phases of the method, trained with Adam on the task's batches; nothing is stored.

    snn : in full precision for methods that work `at = "float"`, quantized for those `at = "qat"`. It may be changed in
        place.
    learning_rate : at the start of each phase; it falls to 0 as half a cosine.
    Raises CompressError where the method cannot work on this network, trains nothing, or finds no data to train with,
    and where the loss does not stay finite.
    """
    if isinstance(method, Exit):
        raise CompressError("early exit trains nothing: call `calibrate` and `with_margins` on the artifact instead")
    phases = method.phases()
    if not phases:
        raise CompressError(f"'{method.method}' trains nothing: its `phases` is empty")
    if method.at == "qat" and not snn.integer:
        raise CompressError(
            f"'{method.method}' works behind quantization (at = \"qat\"), but the network is in full precision: call "
            "its `quantize` and train it before"
        )
    method.check(snn, task)
    for phase in phases:
        snn = phase.hooks.begin(snn, task)
        phase.hooks.attach(snn)
        _train(snn, phase, task, learning_rate)
        snn = phase.hooks.finish(snn, task)
    return snn


def _train(snn: SNN, phase: Phase, task: Task, learning_rate: float) -> None:
    optimizer = torch.optim.Adam(snn.parameters(), lr=learning_rate)
    for epoch in range(phase.epochs):
        batches = list(task.batches(snn))
        if not batches:
            raise CompressError(f"there are no samples to train with: {EMPTY}")
        schedule = _schedule(learning_rate, epoch, phase.epochs, len(batches))
        try:
            for _ in train_epoch(snn, phase.hooks, optimizer, batches, schedule):
                pass
        except DivergedError:
            raise CompressError(
                f"the loss is not finite in {phase.name} epoch {epoch + 1}: lower 'learning_rate' ({learning_rate})"
            ) from None
        if epoch + 1 < phase.epochs:
            phase.hooks.after_epoch(snn, task, epoch + 1, phase.epochs)


def _schedule(learning_rate: float, done: int, epochs: int, batches: int) -> list[tuple[float, float]]:
    """The progress and the learning rate of each batch of an epoch: `mintaka.snn.fit.cosine`, but in float32, which
    decides about the last bits of what is trained."""
    total = batches * epochs
    factors = torch.cos(torch.linspace(0, torch.pi, total + 1)) / 2 + 0.5
    return [(n / total, learning_rate * float(factors[n])) for n in range(done * batches, (done + 1) * batches)]
