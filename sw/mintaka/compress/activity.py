"""Fewer spikes: a penalty on firing or on the membranes that lead to it.

What it saves in hardware: a spike that is not there is one event less in every list of the layers behind it, so one
cycle less per group of their lanes, and as many SOPs less as it has synapses. Memories stay as they are. The penalty
lasts as long as its phase: put it last (`at = "qat"`), or what it won is unlearned again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from mintaka.compress.method import Method
from mintaka.compress.scores import spiking_layers
from mintaka.snn.hooks import Phase, PhaseHooks
from mintaka.snn.network import SNN, ForwardRecord


def mean_rate(snn: SNN, seen: ForwardRecord) -> Tensor:
    """Spikes per hidden neuron and step, over all layers: each neuron counts the same."""
    spikes = [seen.emitted[name] for name in spiking_layers(snn)]
    return torch.stack([s.sum() for s in spikes]).sum() / sum(s.numel() for s in spikes)


def mean_membrane(snn: SNN, seen: ForwardRecord) -> Tensor:
    """max(0, K / T) before firing, averaged over hidden neurons, steps and samples (`ForwardRecord.membranes`)."""
    assert seen.membranes is not None
    membranes = [seen.membranes[name] for name in spiking_layers(snn)]
    return torch.stack([v.clamp(min=0).sum() for v in membranes]).sum() / sum(v.numel() for v in membranes)


class Activity(Method):
    """Activity regularisation: train for `epochs` with

        L + strength * mean rate              of = "rate": spikes per hidden neuron and step, 0 to 1
        L + strength * mean max(0, K / T)     of = "membrane": K in units of the threshold

    A rate has a gradient only where K is within one threshold of firing (the surrogate's width); the membrane has one
    wherever it is above 0, also in neurons that fire all the time. (Deng et al. 2021 use the first, beside ADMM.)
    """

    method: Literal["activity"]
    strength: Annotated[float, Field(gt=0)]
    of: Literal["rate", "membrane"] = "rate"

    def phases(self) -> list[Phase]:
        return [Phase("activity", self.epochs, _Activity(self, self.of == "membrane"))]


@dataclass(frozen=True)
class _Activity(PhaseHooks):
    method: Activity
    membranes: bool

    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor:
        measure = mean_membrane if self.membranes else mean_rate
        return self.method.strength * measure(snn, seen)
