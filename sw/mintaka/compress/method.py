"""What a compression method is: parameters, and the phases of training that they ask for.

A method is a pydantic model of its parameters (one `[[compress]]` table of a recipe) whose `phases` names one or more
phases. What is special in a phase are its hooks (`mintaka.snn.hooks.PhaseHooks`), all of which are optional.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from mintaka.snn.hooks import Phase, Task
from mintaka.snn.network import SNN

Epochs = Annotated[int, Field(ge=0)]


class Method(BaseModel):
    """The parameters of a method, checked; a subclass adds its own, and says `method: Literal["its name"]`.

    needs_training : of the class, whether it looks at what the network has learned.
    resets_statistics : of the class, whether it leaves layers without statistics, until they see a batch.
    epochs : of training after the change (fine-tuning), or with the penalty where there is nothing else.
    at : "float" between the float phase and quantization-aware training, "qat" after that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    needs_training: ClassVar[bool] = True
    resets_statistics: ClassVar[bool] = False
    method: str
    epochs: Epochs
    at: Literal["float", "qat"] = "float"

    def phases(self) -> list[Phase]:
        """The phases of this method, in order; their names begin with its own."""
        raise NotImplementedError

    def check(self, snn: SNN, task: Task) -> None:
        """Raise CompressError where it is known before training that the method cannot work.

        snn : the recipe's network, untrained, as the methods before this one will leave it (`predict_structure`).
        """

    def predict_structure(self, snn: SNN) -> SNN:
        """What is known before training of the structure after this method: another one, or `snn` as it is.

        snn : has passed `check`. Sizes that training decides about are the largest ones, marked by `open_sizes`
            (`mintaka.compress.predicted`).
        """
        return snn
