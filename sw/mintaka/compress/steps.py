"""Fewer time steps.

What it saves in hardware: cycles and SOPs fall nearly in proportion to T (a direct input's sum is made once per sample,
whatever T is). With T = 1 no membrane outlives its step: the state memories disappear, and so does the wait for them.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from mintaka.artifact.limits import TIME_STEPS
from mintaka.compress.errors import CompressError
from mintaka.compress.method import Method
from mintaka.compress.scores import Samples, firing_rates
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.network import SNN, takes_snn


@takes_snn
def with_steps(snn: SNN, time_steps: int) -> SNN:
    """The same network, run for another number of steps.

    Raises CompressError where that is no smaller number.
    """
    if not 1 <= time_steps < snn.time_steps:
        raise CompressError(f"{time_steps} steps are not fewer than the network's {snn.time_steps}, or less than 1")
    new = deepcopy(snn)
    new.time_steps = time_steps
    return new


def check_steps(snn: SNN, time_steps: int) -> None:
    """Raise CompressError where every way from the input to the head is delayed by so many steps or more: its logits
    would be the same for every sample."""
    if delay_to_head(snn) >= time_steps:
        steps = "1 time step" if time_steps == 1 else f"{time_steps} time steps"
        raise CompressError(
            f"with {steps} nothing of the input reaches the head '{snn.specs[-1].name}', as every way to it is delayed "
            f"by {delay_to_head(snn)}: keep at least {delay_to_head(snn) + 1} steps"
        )


def delay_to_head(snn: SNN) -> int:
    """Fewest delayed edges on a way from the input to the head."""
    found = {snn.source.name: 0}
    for spec, edges in zip(snn.specs, snn.edges, strict=True):  # a layer reads earlier ones, and itself
        found[spec.name] = min(found[edge.source] + edge.delay for edge in edges if edge.source in found)
    return found[snn.specs[-1].name]


def check_alive(snn: SNN, batches: Samples) -> None:
    """Raise CompressError where a layer fires at no sample: what lies behind it, or a head that counts, would never
    change."""
    for name, rates in firing_rates(snn, batches, head=True).items():
        if not rates.any():
            steps = "1 time step" if snn.time_steps == 1 else f"{snn.time_steps} time steps"
            raise CompressError(
                f"with {steps} no neuron of layer '{name}' fires at any training sample: keep more steps, or give the "
                "method more epochs"
            )


class Steps(Method):
    """Progressive reduction (Chowdhury et al. 2021): take the network that was trained with T steps, run it with
    `time_steps` < T, train on for `epochs`. One table is one stage; several of them go down to 1.
    """

    method: Literal["steps"]
    time_steps: Annotated[int, AfterValidator(TIME_STEPS.check)]

    def phases(self) -> list[Phase]:
        return [Phase("steps", self.epochs, _Steps(self))]

    def check(self, snn: SNN, task: Task) -> None:
        if task.temporal:
            raise CompressError("the data have time steps of their own, which cannot be left out")
        with_steps(snn, self.time_steps)
        check_steps(snn, self.time_steps)

    def predict_structure(self, snn: SNN) -> SNN:
        return with_steps(snn, self.time_steps)


@dataclass(frozen=True)
class _Steps(PhaseHooks):
    method: Steps

    def begin(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return with_steps(snn, self.method.time_steps)

    def finish(self, snn: SNN, task: Task) -> SNN:
        check_alive(snn, task.batches(snn))
        return snn
