"""A phase of training, and what is special in it: the hooks that the training core calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from mintaka.snn.network import SNN, ForwardRecord

Batches = Callable[[SNN], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class Task:
    """What hooks may look at beside the network.

    batches : gives the training data once, in a fixed order and without augmentation, as (input, classes), ready for
        the network that it is called with.
    seed : of the recipe.
    temporal : whether the data have time steps of their own.
    """

    batches: Batches
    seed: int
    temporal: bool = False


class PhaseHooks:
    """What is special in one phase of training. All random draws must come from the task's seed.

    attach : put modules into the network that hold what the phase learns or keeps; also called when a run is resumed
        in the middle of the phase, before the checkpoint is loaded.
    begin : once before the first epoch; the network to go on with, the same or another. `attach` follows.
    before_step : before each batch; `progress` is the share of the phase that is done, 0 to 1, and `rate` the learning
        rate of the update to come.
    penalty : added to the loss of a batch, in which the layers did what was `seen`; None: nothing.
    membranes : whether `seen` is to hold membranes, too.
    after_epoch : after each epoch but the last; `done` of `epochs` are done.
    finish : once after the last epoch; the network to go on with, without what `attach` put in.
    """

    membranes: bool = False

    def attach(self, snn: SNN) -> None:
        """Nothing."""

    def begin(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return snn

    def before_step(self, snn: SNN, progress: float, rate: float) -> None:
        """Nothing."""

    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor | None:  # noqa: ARG002
        return None

    def after_epoch(self, snn: SNN, task: Task, done: int, epochs: int) -> None:
        """Nothing."""

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return snn


@dataclass(frozen=True)
class Phase:
    """So many epochs of training with these hooks."""

    name: str
    epochs: int
    hooks: PhaseHooks
