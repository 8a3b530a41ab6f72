"""SD-SNN, structure development (Han et al. 2022): channels whose weights keep narrow ranges go, strong ones come back.

Every weight w has a range [r-, r+], which starts at the largest magnitude of its edge and develops behind each epoch:

    |w| shrank for c epochs on end        r+ and r- become 3/4 of themselves
    w >= r+ for c epochs on end           r+ grows by the mean excess w - r+ of these epochs; r- likewise below

From epoch c + 1 on, weights are held within their ranges. A channel is worth the sum of r+ + |r-| over its weights,
normalised to 0..1 within the edge (here: the mean, so that layers of any fan-in compare).

What it saves in hardware is what all of `mintaka.compress.structured` saves.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mintaka.compress.choose import Target, choose, prunable, unit_score
from mintaka.compress.cut import cut_masked, mask_channels
from mintaka.compress.errors import CompressError
from mintaka.compress.method import Epochs
from mintaka.compress.scores import spiking_layers
from mintaka.compress.sharing import check_unshared
from mintaka.compress.structured import Pruning
from mintaka.compress.ties import Family
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.network import SNN

KEPT = 0.75  # of a range whose weight keeps shrinking
PACE = 5.0  # epochs in which the increments of the masked share fall to 1/e
FIRST_PERCENTILE, LAST_PERCENTILE, RISE = 65.0, 99.0, 1.1


class Ranges(nn.Module):
    """The ranges of one edge's weights, and what they have done lately; all buffers have the weight's shape.

    high, low : r+ and r-. before : |w| an epoch ago. above, below, shrunk : for how many epochs on end; over, under :
    the sums of the excess in these.
    """

    high: Tensor
    low: Tensor
    before: Tensor
    above: Tensor
    below: Tensor
    shrunk: Tensor
    over: Tensor
    under: Tensor

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        w = w.detach()
        most = torch.full_like(w, float(w.abs().max()))
        for name, value in (("high", most), ("low", -most), ("before", w.abs())):
            self.register_buffer(name, value.clone())
        for name in ("above", "below", "shrunk", "over", "under"):
            self.register_buffer(name, torch.zeros_like(w))

    def follow(self, w: Tensor, patience: int) -> None:
        """Develop the ranges by the weights that an epoch has left."""
        w = w.detach()
        self.above, self.over, grown = _streak(w >= self.high, w - self.high, self.above, self.over, patience)
        self.high += grown
        self.below, self.under, grown = _streak(w <= self.low, w - self.low, self.below, self.under, patience)
        self.low += grown
        self.shrunk = (self.shrunk + 1) * (w.abs() < self.before)
        done = self.shrunk >= patience
        for bound in (self.high, self.low):
            bound[done] *= KEPT
        self.shrunk[done] = 0
        self.before = w.abs()

    def widths(self) -> Tensor:
        """r+ + |r-|, normalised to 0..1."""
        width = self.high + self.low.abs()
        least, most = width.min(), width.max()
        return (width - least) / (most - least) if most > least else torch.full_like(width, 0.5)


def _streak(
    outside: Tensor, excess: Tensor, count: Tensor, total: Tensor, patience: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Counts and sums of what is outside one epoch longer, and by how much the bound moves where that is enough."""
    count, total = (count + 1) * outside, (total + excess) * outside
    done = count >= patience
    moved = torch.where(done, total / patience, 0.0)
    return count * ~done, total * ~done, moved


class Returns(nn.Module):
    """Of one family's units: for how many epochs on end each masked one was strong, and which have come back."""

    strong: Tensor
    returned: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.register_buffer("strong", torch.zeros(units, dtype=torch.int64))
        self.register_buffer("returned", torch.zeros(units, dtype=torch.bool))


class Development(nn.Module):
    """What a network in development keeps between epochs; it is the network's `development` while the phase lasts."""

    def __init__(self, snn: SNN, found: list[Family]) -> None:
        super().__init__()
        layers = spiking_layers(snn)
        names = [name for family in found for name in family.layers if name in layers]
        self.ranges = nn.ModuleDict(
            {name: nn.ModuleList(Ranges(edge.weight) for edge in layers[name].edges) for name in names}
        )
        self.returns = nn.ModuleDict({family.layers[0]: Returns(len(family.units)) for family in found})


def develop(snn: SNN, patience: int, *, hold: bool) -> None:
    """Let all ranges follow the weights, and then, where `hold`, the weights keep to them."""
    layers = spiking_layers(snn)
    with torch.no_grad():
        for name, ranges in _of(snn).ranges.items():
            assert isinstance(ranges, nn.ModuleList)
            for edge, own in zip(layers[name].edges, ranges, strict=True):
                assert isinstance(own, Ranges)
                own.follow(edge.weight, patience)
                if hold:
                    edge.weight.clamp_(own.low, own.high)


def range_scores(snn: SNN) -> dict[str, Tensor]:
    """Per channel the mean normalised width of its weights' ranges, (C,), of the layers that develop."""
    found = {}
    for name, ranges in _of(snn).ranges.items():
        assert isinstance(ranges, nn.ModuleList)
        widths = [own.widths().flatten(1) if own.high.ndim > 1 else own.widths()[:, None] for own in ranges]  # type: ignore[operator]
        found[name] = torch.cat(widths, 1).double().mean(1)
    return found


def signed_sums(snn: SNN) -> dict[str, Tensor]:
    """Per channel the sum of its weights, as they act: where gamma < 0 those in front of the BatchNorm change sign."""
    found = {}
    for name, layer in spiking_layers(snn).items():
        total = torch.zeros(len(layer.norm.gamma), dtype=torch.float64)
        for index, edge in enumerate(layer.edges):
            own = edge.real().detach().double().reshape(len(total), -1).sum(1)
            total += own if index == layer.own else own * layer.norm.sign()
        found[name] = total
    return found


def regrow(snn: SNN, family: Family, percentile: float, patience: int) -> None:
    """Count for how long the masked units of a family have been strong, and note which come back by that."""
    own = _of(snn).returns[family.layers[0]]
    assert isinstance(own, Returns)
    sums = signed_sums(snn)
    totals = torch.tensor([unit_score(unit, sums) for unit in family.units], dtype=torch.float64)
    strong = (totals > torch.quantile(totals, percentile / 100)) & masked(snn, family)
    own.strong = (own.strong + 1) * strong
    back = own.strong > patience
    own.returned |= back
    own.strong[back] = 0


def masked(snn: SNN, family: Family) -> Tensor:
    """(units,): True for those that never spike now; all channels of a unit are masked or none."""
    layers = spiking_layers(snn)
    name = next(name for name in family.layers if name in layers)
    mask = layers[name].mask
    return torch.tensor([mask is not None and not bool(mask[unit[name][0]]) for unit in family.units])


def worth(snn: SNN, found: list[Family], *, last: bool) -> dict[str, Tensor]:
    """`range_scores`, below all others for what is masked and has not come back; what has come back is safe until the
    `last` choice."""
    scores = range_scores(snn)
    for family in found:
        own = _of(snn).returns[family.layers[0]]
        assert isinstance(own, Returns)
        gone = masked(snn, family) & ~own.returned
        for index, unit in enumerate(family.units):
            for name, channels in unit.items():
                if name in scores and bool(gone[index]):
                    scores[name][list(channels)] = -1.0
                elif name in scores and bool(own.returned[index]) and not last:
                    scores[name][list(channels)] = float("inf")
    return scores


def _of(snn: SNN) -> Development:
    assert isinstance(snn.development, Development)
    return snn.development


class SDSNN(Pruning):
    """Develop for `search_epochs` e = 1..E with c = `patience`. Behind each epoch e > 2c, first what is masked comes
    back where the signed sum of its weights has been above a percentile of the layer for more than c epochs, and is
    then safe from masks; then the channels of the lowest scores are masked, in all a share of

        remove (1 - exp(-(e - 2c) / 5)) / (1 - exp(-(E - 2c) / 5))        percentile min(99, 65 + 1.1^(e - 2c - 1))

    What was masked stays so unless it comes back. Behind the last epoch a share of `remove` is cut off, masked ones
    first; then `epochs` of training. (The paper's rates begin differently for each kind of layer and grow by the same
    exp without an end; here `remove` is the end, as for the other methods. A masked channel's weights rest.)
    """

    method: Literal["sdsnn"]
    search_epochs: Annotated[Epochs, Field(ge=1)]
    patience: Annotated[int, Field(ge=1)] = 3

    def phases(self) -> list[Phase]:
        return [Phase("sdsnn", self.search_epochs, _Develop(self)), Phase("sdsnn-tune", self.epochs, PhaseHooks())]

    def check(self, snn: SNN, task: Task) -> None:
        super().check(snn, task)
        check_unshared(snn, {name for family in prunable(snn, self.target) for name in family.layers})
        if self.search_epochs <= 2 * self.patience:
            raise CompressError(
                f"{self.search_epochs} search epochs are too few for a patience of {self.patience}: channels are "
                f"masked from epoch {2 * self.patience + 1} on"
            )


@dataclass(frozen=True)
class _Develop(PhaseHooks):
    method: SDSNN

    def attach(self, snn: SNN) -> None:
        snn.development = Development(snn, prunable(snn, self.method.target))

    def after_epoch(self, snn: SNN, task: Task, done: int, epochs: int) -> None:  # noqa: ARG002
        patience, target = self.method.patience, self.method.target
        develop(snn, patience, hold=done > patience)
        late, whole = done - 2 * patience, epochs - 2 * patience
        if late < 1:
            return
        found = prunable(snn, target)
        percentile = min(LAST_PERCENTILE, FIRST_PERCENTILE + RISE ** min(late - 1, 100))
        for family in found:
            regrow(snn, family, percentile, patience)
        share = target.remove * (1 - exp(-late / PACE)) / (1 - exp(-whole / PACE))
        passing = Target(share, target.scope, target.least, 1, target.layers)
        mask_channels(snn, choose(snn, worth(snn, found, last=False), passing))

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        target = self.method.target
        develop(snn, self.method.patience, hold=True)
        scores = worth(snn, prunable(snn, target), last=True)
        del snn.development
        return cut_masked(snn, choose(snn, scores, target))
