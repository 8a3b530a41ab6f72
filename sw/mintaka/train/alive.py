"""Whether a trained network says anything: one whose neurons never fire has the same logits for every sample."""

from __future__ import annotations

import torch

from mintaka.compress import Task
from mintaka.compress.scores import evaluating, firing_rates
from mintaka.snn.network import SNN
from mintaka.train.errors import TrainError


def check_alive(snn: SNN, task: Task) -> None:
    """Raise TrainError where all training samples have the same logits.

    A living network passes with its first batch.
    """
    if _says_something(snn, task):
        return
    rates = firing_rates(snn, task.batches(snn), head=True)
    silent = next((name for name, rate in rates.items() if not rate.any()), None)
    reason = "" if silent is None else f", as no neuron of layer '{silent}' fires at any of them"
    raise TrainError(
        f"the network is dead: its logits are the same for all training samples{reason}; give it more time steps or "
        "epochs, or ask less of its compression"
    )


def _says_something(snn: SNN, task: Task) -> bool:
    first = None
    with evaluating(snn), torch.no_grad():
        for x, _ in task.batches(snn):
            logits = snn(x)
            first = logits[:1] if first is None else first
            if (logits != first).any():
                return True
    return False
