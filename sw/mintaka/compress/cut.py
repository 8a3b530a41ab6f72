"""Physical removal of channels: a smaller network that computes what the larger one does when they never spike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mintaka.artifact import ConvGeometry
from mintaka.compress.errors import CompressError
from mintaka.compress.ties import Family, families
from mintaka.snn.codebook import Codebook
from mintaka.snn.graph import kernel_of
from mintaka.snn.layers import Head, Spiking
from mintaka.snn.network import SNN, takes_snn
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, PoolSpec, Spec


@takes_snn
def cut_channels(snn: SNN, keep: Mapping[str, Sequence[int]]) -> SNN:
    """The network with only these channels of these layers (neurons of dense ones), everything else as it is.

    Other layers follow where they are tied (`mintaka.compress.ties`); weights that read what is gone go, too. Of what
    stays no number changes: in the integer network it spikes as it would if the removed channels never did.

    Raises CompressError where a layer cannot be cut, would be empty, or tied channels are torn apart.
    """
    kept = _kept(snn, keep)
    widths = {name: len(channels) for name, channels in kept.items()}
    new = SNN(snn.source, snn.time_steps, resized(snn.specs, widths))
    new.set_integer(snn.integer)
    everything = {name: torch.arange(signal.shape[0]) for name, signal in snn.signals.items()}
    indices = everything | {name: torch.tensor(channels) for name, channels in kept.items()}
    with torch.no_grad():
        for spec, edges, old, other in zip(snn.specs, snn.edges, snn.layers, new.layers, strict=True):
            if isinstance(old, Spiking | Head):
                rows = indices[spec.name]
                columns = [_columns(spec, edge, snn.signals[edge.source].shape, indices) for edge in edges]
                _copy(old, other, rows, columns)
    return new.train(snn.training)


@takes_snn
def mask_channels(snn: SNN, keep: Mapping[str, Sequence[int]]) -> None:
    """Let all other channels of these layers (and what is tied to them) never spike; take every earlier mask back.

    Raises CompressError as `cut_channels` does.
    """
    kept = _kept(snn, keep)
    for spec, layer in zip(snn.specs, snn.layers, strict=True):
        if isinstance(layer, Spiking):
            layer.mask = None
            if spec.name in kept:
                layer.mask = torch.zeros_like(layer.norm.gamma, dtype=torch.bool)
                layer.mask[list(kept[spec.name])] = True


def cut_masked(snn: SNN, keep: Mapping[str, Sequence[int]]) -> SNN:
    """`cut_channels` at the end of a search with masks: channels that stay spike again, also those that were masked and
    stay because widths are rounded up."""
    mask_channels(snn, {})
    return cut_channels(snn, keep)


def resized(specs: Sequence[Spec], widths: Mapping[str, int]) -> list[Spec]:
    """The specs with other numbers of neurons or output channels; groups of convolutions stay as large as they are."""
    new: list[Spec] = []
    for spec in specs:
        width = widths.get(spec.name)
        if width is None or isinstance(spec, PoolSpec | JoinSpec):
            new.append(spec)
        elif isinstance(spec, DenseSpec):
            new.append(replace(spec, units=width))
        else:
            edges = spec.edges
            if edges is not None:
                edges = tuple(_regrouped(edge, spec.channels, width) for edge in edges)
            geometry = _scaled(spec.geometry, spec.channels, width)
            new.append(replace(spec, channels=width, geometry=geometry, edges=edges))
    return new


def _regrouped(edge: EdgeSpec, old: int, new: int) -> EdgeSpec:
    return edge if edge.geometry is None else replace(edge, geometry=_scaled(edge.geometry, old, new))


def _scaled(geometry: ConvGeometry, old: int, new: int) -> ConvGeometry:
    return geometry if geometry.groups == 1 else replace(geometry, groups=geometry.groups * new // old)


def _kept(snn: SNN, keep: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The channels that stay in every layer that loses some, ties followed."""
    found = families(snn)
    for name, channels in keep.items():
        family = next((family for family in found if name in family.layers), None)
        if name not in snn.signals or name == snn.source.name:
            raise CompressError(f"there is no layer '{name}' to cut")
        if family is None:
            raise CompressError(f"layer '{name}' cannot be cut: it is the head, or tied to the head or the input")
        width = snn.signals[name].shape[0]
        wrong = [c for c in channels if not 0 <= c < width]
        if wrong or len(set(channels)) < len(channels):
            what = f"channel {wrong[0]}" if wrong else "a channel twice"
            raise CompressError(f"layer '{name}' has the channels 0 to {width - 1}; {what} cannot be kept")
        if not channels:
            raise CompressError(f"layer '{name}' would be left without channels")
    kept: dict[str, list[int]] = {}
    for family in found:
        named = {name: set(keep[name]) for name in family.layers if name in keep}
        if not named:
            continue
        units = []
        for unit in family.units:
            stays = {c in channels for name, channels in named.items() for c in unit[name]}
            if len(stays) > 1:
                tied = "; ".join(f"{list(unit[name])} of '{name}'" for name in family.layers)
                raise CompressError(f"the channels {tied} are tied: they stay or go together")
            if stays == {True}:
                units.append(unit)
        if len(units) < len(family.units):
            kept |= {name: sorted(c for unit in units for c in unit[name]) for name in family.layers}
    return kept


def keep_units(family: Family, units: Sequence[int]) -> dict[str, list[int]]:
    """The channels of a family's first layer that belong to these units, for `cut_channels`."""
    first = family.layers[0]
    return {first: sorted(c for index in units for c in family.units[index][first])}


def _columns(spec: Spec, edge: EdgeSpec, shape: tuple[int, ...], indices: Mapping[str, Tensor]) -> Tensor | None:
    """Along axis 1 of an edge's weight: what is left of what it reads; None where that axis stays as it is."""
    kept = indices[edge.source]
    if edge.op is not None or len(kept) == shape[0]:
        return None
    if isinstance(spec, ConvSpec):
        return kept if kernel_of(spec, edge)[1].groups == 1 else None
    block = torch.Size(shape[1:]).numel()  # a dense layer reads its source flattened, channel by channel
    return (kept[:, None] * block + torch.arange(block)).flatten()


def _copy(old: Spiking | Head, new: nn.Module, rows: Tensor, columns: Sequence[Tensor | None]) -> None:
    """Give a smaller layer its part of the larger one's state."""
    assert isinstance(new, Spiking | Head)
    for before, after, chosen in zip(old.edges, new.edges, columns, strict=True):
        assert before.rule is None, "a method's phase ends before channels are cut"
        after.weight.copy_(_part(before.weight, rows, chosen))
        after.mask = None if before.mask is None else _part(before.mask, rows, chosen)
        after.quantizer.learned.copy_(before.quantizer.learned)
        after.input_shift.copy_(before.input_shift)
    if old.codebook is not None:
        code = old.codebook
        places = [_part(code.place(index), rows, chosen) for index, chosen in enumerate(columns)]
        new.codebook = Codebook(code.centroids, code.trained, places)
    if old.aligned:
        new.shifts.copy_(old.shifts)
    if isinstance(old, Head) and isinstance(new, Head):
        new.bias.copy_(old.bias)
    if isinstance(old, Spiking) and isinstance(new, Spiking):
        for key, value in old.norm.state_dict().items():
            new.norm.state_dict()[key].copy_(value if value.ndim == 0 else value[rows])
        new.norm.frozen = old.norm.frozen
        mask = None if old.mask is None else old.mask[rows]
        new.mask = None if mask is None or bool(mask.all()) else mask


def _part(weight: Tensor, rows: Tensor, columns: Tensor | None) -> Tensor:
    part = weight[rows]
    return part if columns is None else part[:, columns].contiguous()
