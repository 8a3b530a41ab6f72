"""A run as a list of phases: the float baseline, what compresses it, the integer network, what compresses that."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from mintaka.compress import CompressError, Method, Phase, PhaseHooks, Task
from mintaka.compress.steps import check_steps
from mintaka.snn.network import SNN
from mintaka.train.errors import RecipeError
from mintaka.train.keys import Recipe

FLOAT, QAT = "float", "qat"
END = "end"  # stands for a phase in the checkpoint of a finished run


class _Quantize(PhaseHooks):
    def begin(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        snn.quantize()
        return snn


def phases(recipe: Recipe) -> list[Phase]:
    """In the order in which they are run; every name occurs once."""
    methods = recipe.compress or []
    found = [
        Phase(FLOAT, recipe.train.float_epochs, PhaseHooks()),
        *(phase for method in methods if method.at == "float" for phase in method.phases()),
        Phase(QAT, recipe.train.epochs, _Quantize()),
        *(phase for method in methods if method.at == "qat" for phase in method.phases()),
    ]
    seen: Counter[str] = Counter()
    for index, phase in enumerate(found):
        seen[phase.name] += 1
        if seen[phase.name] > 1:
            found[index] = replace(phase, name=f"{phase.name}-{seen[phase.name]}")
    return found


def check_methods(recipe: Recipe, snn: SNN, task: Task) -> None:
    """Raise RecipeError where a method cannot work on the recipe's (untrained) network, or nothing crosses it within
    its steps."""
    try:
        check_steps(snn, snn.time_steps)
    except CompressError as error:
        raise RecipeError(f"'network.time_steps': {error}") from None
    for index, method in enumerate(recipe.compress or []):
        try:
            _check_method(recipe, method, snn, task)
            snn = method.outlook(snn)
        except CompressError as error:
            raise RecipeError(f"compress[{index}] ({method.method}): {error}") from None


def _check_method(recipe: Recipe, method: Method, snn: SNN, task: Task) -> None:
    if method.trained and method.at == "float" and recipe.train.float_epochs == 0:
        raise CompressError("it looks at a trained network, but 'train.float_epochs' is 0; say at = \"qat\" or train")
    if method.at == "qat" and method.epochs == 0 and method.anew:
        raise CompressError(
            "'epochs' is 0, but it leaves a network that has to learn anew and has seen no batch yet: say 1 or more"
        )
    method.check(snn, task)
