"""From scores to what stays: how much goes, from where, and to which multiples widths are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from mintaka.compress.cut import keep_units
from mintaka.compress.errors import CompressError
from mintaka.compress.ties import Family, Unit, families
from mintaka.snn.network import SNN, takes_snn

Multiple = Annotated[int, Field(ge=1)]
Scores = Mapping[str, Tensor]
"""Per spiking layer (C,): the more, the longer a channel stays."""


@dataclass(frozen=True)
class Target:
    """What is to go.

    remove : share of the units (channels or neurons; tied ones count once), above 0 and below 1.
    scope : "network" compares the scores of all layers, "layer" takes the same share from each.
    least : so many units stay in every layer, whatever their scores.
    multiple : widths are rounded up to a multiple of this (the lanes of the hardware) by leaving the best of what would
        go, as far as there are channels.
    layers : only these layers, and what is tied to them; None is all.
    """

    remove: float
    scope: str = "network"
    least: int = 1
    multiple: int = 1
    layers: tuple[str, ...] | None = None


def prunable(snn: SNN, target: Target) -> list[Family]:
    """The families that a target means.

    Raises CompressError where there are none, a layer cannot be pruned, or the target would empty a layer.
    """
    if not 0 < target.remove < 1:
        raise CompressError(f"a share of {target.remove} cannot be removed; it must be above 0 and below 1")
    found = families(snn)
    for name in target.layers or ():
        if not any(name in family.layers for family in found):
            reason = "it is the head, or tied to the head or the input" if name in snn.signals else "it does not exist"
            raise CompressError(f"layer '{name}' cannot be pruned: {reason}")
    if target.layers is not None:
        found = [family for family in found if set(family.layers) & set(target.layers)]
    if not found:
        raise CompressError("there is nothing to prune: every layer is the head, or tied to the head or the input")
    whole = sum(len(family.units) for family in found)
    if target.scope == "network" and _leaving(whole, target) < target.least * len(found):
        most = 1 - target.least * len(found) / whole
        raise CompressError(
            f"removing {target.remove:.4g} of all {whole} channels would empty a layer: at most {most:.4g} can go "
            f"when each of {len(found)} layers is to keep {target.least}"
        )
    for family in found if target.scope == "layer" else []:
        if _leaving(len(family.units), target) < target.least:
            raise CompressError(
                f"removing {target.remove:.4g} of the {len(family.units)} channels of {family.label} would leave "
                f"{_leaving(len(family.units), target)} of them; at least {target.least} must stay"
            )
    return found


def _leaving(units: int, target: Target) -> int:
    return units - round(target.remove * units)


def check_removal(snn: SNN, target: Target) -> None:
    """Raise CompressError as `prunable` does, and where nothing would go, whatever the scores: the share is less than
    one channel, or rounding gives all back."""
    found = prunable(snn, target)
    whole = sum(len(family.units) for family in found)
    for family in found:
        units = len(family.units)
        pool = units if target.scope == "layer" else whole
        fewest = max(target.least, units - (pool - _leaving(pool, target)))
        if rounded(family, fewest, target.multiple) < units:
            return
    up = f", with widths rounded up to multiples of {target.multiple}," if target.multiple > 1 else ""
    advice = "lower 'multiple' or raise 'remove'" if target.multiple > 1 else "raise it"
    raise CompressError(f"removing {target.remove:.4g} of {whole} channels{up} would remove none: {advice}")


@takes_snn
def choose(snn: SNN, scores: Scores, target: Target) -> dict[str, list[int]]:
    """What stays, for `cut_channels` or `mask_channels`: the lowest scores go, of equal ones the first.

    Raises CompressError as `prunable` does.
    """
    found = prunable(snn, target)
    ranked = [[unit_score(unit, scores) for unit in family.units] for family in found]
    removed: list[set[int]] = [set() for _ in found]
    pools = [list(range(len(found)))] if target.scope == "network" else [[index] for index in range(len(found))]
    for pool in pools:
        whole = sum(len(ranked[index]) for index in pool)
        wanted = whole - _leaving(whole, target)
        for _, index, unit in sorted((score, i, u) for i in pool for u, score in enumerate(ranked[i])):
            if wanted and len(ranked[index]) - len(removed[index]) > target.least:
                removed[index].add(unit)
                wanted -= 1
    keep: dict[str, list[int]] = {}
    for family, own, gone in zip(found, ranked, removed, strict=True):
        left = len(own) - len(gone)
        number = rounded(family, left, target.multiple) - left
        back = set(sorted(gone, key=lambda u: (-own[u], u))[:number])
        keep |= keep_units(family, [unit for unit in range(len(own)) if unit not in gone or unit in back])
    return keep


def rounded(family: Family, units: int, multiple: int) -> int:
    """So many units or as few more as make all widths multiples; all that there are where no number does."""
    fits = (
        n for n in range(units, len(family.units)) if all(family.width(f, n) % multiple == 0 for f in family.layers)
    )
    return next(fits, len(family.units))


def unit_score(unit: Unit, scores: Scores) -> float:
    """The mean of the scores of its spiking channels."""
    values = [float(scores[name][c]) for name, channels in unit.items() if name in scores for c in channels]
    return sum(values) / len(values)
