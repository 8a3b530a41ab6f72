"""Structured pruning: whole neurons and channels go, and with them weights, thresholds, membranes and lanes.

What it saves in hardware: with C of C' channels left, a layer has C / C' of its weight rows, membranes and lanes (or
groups of a fold), and the layer behind it as many fewer columns and events. The network that is left is an ordinary
one. Without rounding to the lanes (`multiple`) the last group may be partly empty: fewer bits, but not fewer cycles.

How it compares on small data is a question for a table, not for a docstring: beside each method stand `random` (the
control) and `small` (the same widths with fresh weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from mintaka.compress.choose import Multiple, Target, check_removal, choose, prunable, rounded, unit_score
from mintaka.compress.cut import cut_channels, cut_masked, keep_units, mask_channels, resized
from mintaka.compress.errors import CompressError
from mintaka.compress.method import Epochs, Method
from mintaka.compress.predicted import as_exact_as, open_sizes, sizes_known
from mintaka.compress.scores import (
    Samples,
    firing_rates,
    gamma_scores,
    pca_widths,
    random_scores,
    regrowth_scores,
    spiking_layers,
)
from mintaka.compress.sharing import check_unshared
from mintaka.compress.ties import families
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.network import SNN, ForwardRecord, takes_snn

Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1)]


class Pruning(Method):
    """What is to go; the keys are those of `Target`."""

    remove: Share
    scope: Literal["network", "layer"] = "network"
    least: Annotated[int, Field(ge=1)] = 1
    multiple: Multiple = 1
    layers: Annotated[list[Name], Field(min_length=1)] | None = None

    @property
    def target(self) -> Target:
        layers = None if self.layers is None else tuple(self.layers)
        return Target(self.remove, self.scope, self.least, self.multiple, layers)

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        check = check_removal if sizes_known(snn) else prunable
        check(snn, self.target)

    def predict_structure(self, snn: SNN) -> SNN:
        if self.scope == "network" and len(prunable(snn, self.target)) > 1:
            return open_sizes(snn)  # which layers lose how much is not known
        return as_exact_as(snn, prune_random(snn, self.target, 0))


# ---- network slimming


@takes_snn
def slim(snn: SNN, target: Target) -> SNN:
    """Cut off the channels of the lowest `gamma_scores`."""
    return cut_channels(snn, choose(snn, gamma_scores(snn), target))


def gamma_penalty(snn: SNN) -> Tensor:
    """The sum of |gamma| over all hidden spiking layers."""
    return torch.stack([layer.norm.gamma.abs().sum() for layer in spiking_layers(snn).values()]).sum()


class Slim(Pruning):
    """Network slimming (Liu et al., ICCV 2017; for SNNs Li et al. 2024): train with

        L + strength * sum |gamma|

    for `sparse_epochs`, cut off the channels whose BatchNorm scale (with its bias: `gamma_scores`) is the smallest,
    then train on for `epochs`.
    """

    method: Literal["slim"]
    sparse_epochs: Epochs
    strength: Annotated[float, Field(ge=0)] = 1e-4

    def phases(self) -> list[Phase]:
        return [Phase("slim", self.sparse_epochs, _Slimming(self)), Phase("slim-tune", self.epochs, PhaseHooks())]


@dataclass(frozen=True)
class _Slimming(PhaseHooks):
    method: Slim

    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor:  # noqa: ARG002
        return self.method.strength * gamma_penalty(snn)

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return slim(snn, self.method.target)


# ---- random, the control


@takes_snn
def prune_random(snn: SNN, target: Target, seed: int) -> SNN:
    """Cut off channels by lot."""
    return cut_channels(snn, choose(snn, random_scores(snn, seed), target))


class Random(Pruning):
    """The control: channels go by lot (of the recipe's seed), then `epochs` of training."""

    needs_training: ClassVar[bool] = False
    method: Literal["random"]

    def phases(self) -> list[Phase]:
        return [Phase("random", self.epochs, _Random(self))]


@dataclass(frozen=True)
class _Random(PhaseHooks):
    method: Random

    def begin(self, snn: SNN, task: Task) -> SNN:
        return prune_random(snn, self.method.target, task.seed)


# ---- spike channel activity


@takes_snn
def prune_inactive(snn: SNN, target: Target, batches: Samples) -> SNN:
    """Cut off the channels that spike least."""
    return cut_channels(snn, choose(snn, firing_rates(snn, batches), target))


class SpikeActivity(Pruning):
    """Spike channel activity, SCA (Li et al., ICML 2024): a channel is worth its mean firing rate.

    While `search_epochs` e = 1..E last, behind each of them the channels that spike least are masked, a share of
    remove * (1 - (1 - e/E)^3) of all (the ramp of Zhu & Gupta 2017). Before that, of what is masked the share
    regrow * (1 - e/E) with the largest |dL/dgamma| comes back and is safe for that epoch. Behind the last one nothing
    comes back and the masked channels are cut off; then `epochs` of training. Rates are exact counts of spikes over
    the training data: of the integer network, too (`at = "qat"`).
    """

    method: Literal["sca"]
    search_epochs: Epochs
    regrow: Annotated[float, Field(ge=0, le=1)] = 0.2

    def phases(self) -> list[Phase]:
        return [Phase("sca", self.search_epochs, _Activity(self)), Phase("sca-tune", self.epochs, PhaseHooks())]


@dataclass(frozen=True)
class _Activity(PhaseHooks):
    method: SpikeActivity

    def after_epoch(self, snn: SNN, task: Task, done: int, epochs: int) -> None:
        left = 1 - done / epochs
        target = self.method.target
        passing = Target(target.remove * (1 - left**3), target.scope, target.least, 1, target.layers)
        remask(snn, passing, task, self.method.regrow * left)

    def finish(self, snn: SNN, task: Task) -> SNN:
        return cut_masked(snn, choose(snn, _worth(snn, task), self.method.target))


def remask(snn: SNN, target: Target, task: Task, regrow: float) -> None:
    """Mask the channels that spike least, after a share `regrow` of the masked ones came back by |dL/dgamma|."""
    worth = _worth(snn, task)
    masked = [
        unit
        for family in prunable(snn, target)
        for unit in family.units
        if unit_score(unit, worth) < 0  # of a unit all channels are masked or none
    ]
    returning = ceil(regrow * len(masked)) if regrow > 0 else 0
    if returning:
        gain = regrowth_scores(snn, task.batches(snn))
        for unit in sorted(masked, key=lambda unit: -unit_score(unit, gain))[:returning]:
            for name, channels in unit.items():
                if name in worth:
                    worth[name][list(channels)] = float("inf")
    mask_channels(snn, choose(snn, worth, target))


def _worth(snn: SNN, task: Task) -> dict[str, Tensor]:
    """The firing rates, -1 for masked channels."""
    rates = firing_rates(snn, task.batches(snn))
    for name, layer in spiking_layers(snn).items():
        if layer.mask is not None:
            rates[name][~layer.mask] = -1.0
    return rates


# ---- widths alone, with fresh weights


@takes_snn
def small(snn: SNN, widths: Mapping[str, int], seed: int) -> SNN:
    """An untrained network like this one, with these widths (of one layer of a family, or of all alike).

    Raises CompressError where a layer cannot have that width, or shares its weights.
    """
    check_unshared(snn)
    keep: dict[str, list[int]] = {}
    found = families(snn)
    for name, width in widths.items():
        family = next((family for family in found if name in family.layers), None)
        if family is None:
            raise CompressError(f"layer '{name}' cannot get another width: it is not there, the head, or tied to it")
        size, most = family.width(name, 1), family.width(name, len(family.units))
        if not 1 <= width <= most or width % size:
            of = f"a multiple of {size} " if size > 1 else ""
            raise CompressError(f"layer '{name}' cannot have {width} channels: {of}from {size} to {most} are possible")
        keep |= keep_units(family, range(width // size))
    new_widths = {n: s.shape[0] for n, s in cut_channels(snn, keep).signals.items()}
    new = SNN(snn.source, snn.time_steps, resized(snn.specs, new_widths), seed)
    if snn.integer:
        new.quantize()
    return new


class Small(Method):
    """The other control: the small network trained directly.

    It has the widths of the network at hand (put it behind a pruning method), or `widths`, and fresh weights.
    """

    needs_training: ClassVar[bool] = False
    resets_statistics: ClassVar[bool] = True
    method: Literal["small"]
    widths: Annotated[dict[Name, Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None

    def phases(self) -> list[Phase]:
        return [Phase("small", self.epochs, _Fresh(self))]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        small(snn, self.widths or {}, 0)

    def predict_structure(self, snn: SNN) -> SNN:
        return as_exact_as(snn, small(snn, self.widths or {}, 0))


@dataclass(frozen=True)
class _Fresh(PhaseHooks):
    method: Small

    def begin(self, snn: SNN, task: Task) -> SNN:
        return small(snn, self.method.widths or {}, task.seed)


class PCA(Method):
    """Widths by principal components (Chowdhury et al. 2021): a layer gets as many channels as principal components
    hold `variance` of the variance of its mean membranes (`pca_widths`; tied layers the most of any). It says how many
    channels, not which: the small network begins with fresh weights and is trained for `epochs`.

    multiple : widths are rounded up to a multiple of this (the lanes), as far as there are channels; None is 1.
    """

    resets_statistics: ClassVar[bool] = True
    method: Literal["pca"]
    variance: Share
    multiple: Multiple | None = None

    def phases(self) -> list[Phase]:
        return [Phase("pca", self.epochs, _Widths(self))]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        check_unshared(snn)
        multiple, found = self.multiple or 1, families(snn)
        if sizes_known(snn) and multiple > 1 and all(rounded(f, 1, multiple) == len(f.units) for f in found):
            raise CompressError(
                f"no layer is wider than a multiple of {multiple}, so all stay as they are: lower 'multiple'"
            )

    def predict_structure(self, snn: SNN) -> SNN:
        return open_sizes(small(snn, {}, 0))


@dataclass(frozen=True)
class _Widths(PhaseHooks):
    method: PCA

    def begin(self, snn: SNN, task: Task) -> SNN:
        widths = pca_widths(snn, task.batches(snn), self.method.variance)
        return small(snn, fitting(snn, widths, self.method.multiple or 1), task.seed)


def fitting(snn: SNN, widths: Mapping[str, int], multiple: int = 1) -> dict[str, int]:
    """Wanted widths as possible ones: whole units, in a family the most that any layer wants, rounded up."""
    found = {}
    for family in families(snn):
        wanted = [ceil(widths[name] / family.width(name, 1)) for name in family.layers if name in widths]
        found[family.layers[0]] = family.width(family.layers[0], rounded(family, max(wanted), multiple))
    return found
