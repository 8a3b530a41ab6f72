"""What a compression method is: parameters, and the phases of training that they ask for.

A method is a pydantic model of its parameters (one `[[compress]]` table of a recipe) whose `phases` names one or more
phases. What is special in a phase is a `Stage`; the training loop calls its parts, all of which are optional.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mintaka.snn.network import SNN, Seen

Epochs = Annotated[int, Field(ge=0)]
Batches = Callable[[SNN], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class Task:
    """What a stage may look at beside the network.

    batches : gives the training data once, in a fixed order and without augmentation, as (input, classes), ready for
        the network that it is called with.
    seed : of the recipe.
    temporal : whether the data have time steps of their own.
    """

    batches: Batches
    seed: int
    temporal: bool = False


class Stage:
    """One phase of training, as the loop calls it. It must draw nothing at random but from the task's seed.

    attach : put modules into the network that hold what the phase learns or keeps; also called when a run is resumed
        in the middle of the phase, before the checkpoint is loaded.
    begin : once before the first epoch; the network to go on with, the same or another. `attach` follows.
    before_step : before each batch; `progress` is the share of the phase that is done, 0 to 1, and `rate` the learning
        rate of the update to come.
    penalty : added to the loss of a batch, in which the layers did what was `seen`; None: nothing.
    membranes : whether `seen` is to hold membranes, too.
    after_epoch : behind each epoch but the last; `done` of `epochs` are done.
    finish : once behind the last epoch; the network to go on with, without what `attach` put in.
    """

    membranes: bool = False

    def attach(self, snn: SNN) -> None:
        """Nothing."""

    def begin(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return snn

    def before_step(self, snn: SNN, progress: float, rate: float) -> None:
        """Nothing."""

    def penalty(self, snn: SNN, seen: Seen) -> Tensor | None:  # noqa: ARG002
        return None

    def after_epoch(self, snn: SNN, task: Task, done: int, epochs: int) -> None:
        """Nothing."""

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return snn


@dataclass(frozen=True)
class Phase:
    """So many epochs of training with a stage."""

    name: str
    epochs: int
    stage: Stage


class Method(BaseModel):
    """The parameters of a method, checked; a subclass adds its own, and says `method: Literal["its name"]`.

    epochs : of training behind the change (fine-tuning), or with the penalty where there is nothing else.
    at : "float" between the float phase and quantization-aware training, "qat" behind that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    trained: ClassVar[bool] = True  # whether it looks at what the network has learned
    anew: ClassVar[bool] = False  # whether layers that it leaves have no statistics before they see a batch
    method: str
    epochs: Epochs
    at: Literal["float", "qat"] = "float"

    def phases(self) -> list[Phase]:
        """The phases of this method, in order; their names begin with its own."""
        raise NotImplementedError

    def check(self, snn: SNN, task: Task) -> None:
        """Raise CompressError where it is known before training that the method cannot work.

        snn : the recipe's network, untrained, as the methods before this one are known to leave it (`outlook`).
        """

    def outlook(self, snn: SNN) -> SNN:
        """What is known before training of the structure behind this method: another one, or `snn` as it is.

        snn : has passed `check`. Sizes that training decides about are the largest ones, marked by `open_sizes`
            (`mintaka.compress.outlook`).
        """
        return snn
