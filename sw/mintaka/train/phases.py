"""A run as a list of phases: the float baseline, what compresses it, the integer network, what compresses that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mintaka.compress import CompressError, Method, Phase, PhaseHooks, Task
from mintaka.compress.exits import check_can_stop
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
    methods = recipe.methods
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
    with _named("'network.time_steps'"):
        check_steps(snn, snn.time_steps)
    for index, method in enumerate(recipe.methods):  # early exit comes after them
        with _named(f"compress[{index}] ({method.method})"):
            _check_method(recipe, method, snn, task)
            snn = method.predict_structure(snn)
    if recipe.early_exit is not None:
        with _named(f"compress[{len(recipe.methods)}] (exit)"):
            check_can_stop(snn.time_steps)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Errors of a table of the recipe as RecipeErrors that name it."""
    try:
        yield
    except CompressError as error:
        raise RecipeError(f"{where}: {error}") from None


def _check_method(recipe: Recipe, method: Method, snn: SNN, task: Task) -> None:
    if method.needs_training and method.at == "float" and recipe.train.float_epochs == 0:
        raise CompressError("it looks at a trained network, but 'train.float_epochs' is 0; say at = \"qat\" or train")
    if method.at == "qat" and method.epochs == 0 and method.resets_statistics:
        raise CompressError(
            "'epochs' is 0, but it leaves a network that has to learn anew and has seen no batch yet: say 1 or more"
        )
    if not method.phases():
        raise CompressError("it trains nothing: its `phases` is empty")
    for phase in method.phases():
        if phase.name != method.method and not phase.name.startswith(f"{method.method}-"):
            raise CompressError(f"its phase '{phase.name}' must be named '{method.method}' or '{method.method}-...'")
    method.check(snn, task)
