"""From a checkpoint back to the network and the optimizer: whatever does not belong to the recipe is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from mintaka.artifact import Input
from mintaka.compress import Phase
from mintaka.data import Dataset
from mintaka.snn.network import SNN
from mintaka.train.checkpoint import Checkpoint
from mintaka.train.errors import TrainError
from mintaka.train.evaluate import batch_of
from mintaka.train.form import from_form
from mintaka.train.inputs import network_input
from mintaka.train.keys import Recipe
from mintaka.train.phases import END, phases


def restore(recipe: Recipe, dataset: Dataset, checkpoint: Checkpoint) -> SNN:
    """The network of a checkpoint, as it was then. Raises TrainError where the checkpoint is not one of this recipe."""
    with _of_this_recipe():
        place = _place(phases(recipe), checkpoint)
        if not 1 <= checkpoint.network["time_steps"] <= recipe.network.time_steps:
            raise ValueError("other time steps")
        _check_widths(checkpoint.network, checkpoint.model)
        snn = from_form(checkpoint.network, network_input(recipe, dataset))
        if checkpoint.done:
            place.hooks.attach(snn)
        snn.load_state_dict(checkpoint.model)
        with torch.no_grad():
            logits = deepcopy(snn).eval()(batch_of(dataset.train_x[:1], snn))
        if logits.shape[1] < dataset.classes:
            raise ValueError(f"{logits.shape[1]} outputs")
        if checkpoint.confusion is not None:
            counts = np.array(checkpoint.confusion, np.int64)
            if counts.shape != (dataset.classes, logits.shape[1]) or (counts.sum(1) != _samples(dataset)).any():
                raise ValueError("other test samples")
        if checkpoint.float_network is not None:
            network_of(checkpoint.float_network, snn.source)
    return snn


def _check_widths(network: dict[str, Any], model: dict[str, Any]) -> None:
    """Raise ValueError where the structure wants other weights than there are: none are made of a size without end."""
    for number, spec in enumerate(network["specs"]):
        weight = model.get(f"layers.{number}.synapses.weight")
        if weight is not None:
            wanted = (spec.get("units", spec.get("channels")), *spec.get("kernel", ()))
            if (weight.shape[0], *weight.shape[2:]) != wanted:
                raise ValueError(f"layer '{spec['name']}' has other weights")


def network_of(form: dict[str, Any], source: Input) -> SNN:
    """The network that a checkpoint keeps beside its own. form : its `network` and `model`."""
    with _of_this_recipe():
        snn = from_form(form["network"], source)
        snn.load_state_dict(form["model"])
    return snn


def _samples(dataset: Dataset) -> np.ndarray:
    """Test samples of each class."""
    return np.bincount(dataset.test_y, minlength=dataset.classes)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over what `optimizer` had gathered of every parameter. Raises TrainError as `restore` does."""
    with _of_this_recipe():
        (group,) = optimizer.param_groups
        for index, parameter in enumerate(group["params"]):
            for name, value in state["state"].get(index, {}).items():
                if not isinstance(value, torch.Tensor) or value.shape not in ((), parameter.shape):
                    raise ValueError(f"'{name}' of parameter {index} has another shape")
        optimizer.load_state_dict({"state": state["state"], "param_groups": optimizer.state_dict()["param_groups"]})


def _place(wanted: list[Phase], checkpoint: Checkpoint) -> Phase:
    """The phase that the checkpoint is in (the last one for the end); its history must be that of the phases."""
    names = [phase.name for phase in wanted]
    index = len(names) if checkpoint.phase == END else names.index(checkpoint.phase)
    counts = [phase.epochs for phase in wanted[:index]] + [checkpoint.done]
    expected = [
        (name, epoch) for name, count in zip([*names, END], counts, strict=False) for epoch in range(1, count + 1)
    ]
    if expected != [(epoch.phase, epoch.epoch) for epoch in checkpoint.history]:
        raise ValueError("another history")
    place = wanted[min(index, len(names) - 1)]
    if checkpoint.done and not (index < len(names) and checkpoint.done < place.epochs):
        raise ValueError("more epochs than the recipe has")
    return place


@contextmanager
def _of_this_recipe() -> Iterator[None]:
    try:
        yield
    except TrainError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainError(
            f"the checkpoint does not hold a network of its recipe ({reason:.80}): train anew (--fresh)"
        ) from None
