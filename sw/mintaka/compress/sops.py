"""Fewer synaptic operations by learned masks on weights and on neurons (Shi et al. 2023).

What it saves in hardware: SOPs by single zeros, as `mintaka.compress.soft` does, and by whole channels, which are cut
off and save rows, membranes and lanes as `mintaka.compress.structured` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mintaka.compress.choose import Multiple, rounded
from mintaka.compress.cut import cut_channels, keep_units
from mintaka.compress.errors import CompressError
from mintaka.compress.method import Epochs, Method
from mintaka.compress.predicted import open_sizes
from mintaka.compress.soft import check_zeros, fix_zeros, with_zeros
from mintaka.compress.ties import families
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.network import SNN, ForwardRecord
from mintaka.snn.synapses import Summing, Synapses

START = 0.1  # of every a: half open, and within the reach of the optimizer's steps
FIRST_BETA, LAST_BETA = 5.0, 1000.0


class Units(nn.Module):
    """a_n of one family's units, (units,)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((units,), START))


class Gate(nn.Module):
    """The rule of one edge: w * sigma(beta a_w) * sigma(beta a_n), a_n of the neuron that the weight reads.

    unit : int64, shaped like the weight's first two axes (or its one): the unit that is read; empty where that is the
        input, which always exists.
    uses : how often each weight is used in a step: the positions of the layer's output.
    """

    unit: Tensor

    def __init__(self, weight: Tensor, units: Units | None, unit: Tensor, uses: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full_like(weight, START)) if weight.ndim > 1 else None
        self.units, self.uses, self.beta = units, uses, FIRST_BETA
        self.register_buffer("unit", unit)

    def forward(self, w: Tensor) -> Tensor:
        if self.a is not None:
            w = w * torch.sigmoid(self.beta * self.a)
        if self.units is not None:
            gates = torch.sigmoid(self.beta * self.units.a)[self.unit]
            w = w * gates.reshape(*gates.shape, *[1] * (w.ndim - gates.ndim))
        return w


class SOPs(Method):
    """Train weights and masks for `search_epochs` with

        w sigma(beta a_w), spikes sigma(beta a_n);     L + strength (sum c_w sigma(beta a_w) / sum c_w
                                                                     + sum c_n sigma(beta a_n) / sum c_n)

    where beta rises from 5 to 1000 exponentially, c_w is how often a weight is used in a step (1 for dense layers, the
    output's positions for convolutions), c_n the fan-out: the uses of all weights that read the neuron's spikes. Behind
    it the weights with a_w > 0 stay, the others are 0 for good, and the channels with a_n <= 0 are cut off; `epochs`
    follow. Channels that are tied share one a_n. (The sums are divided by the whole here, so that `strength` means the
    same for any network.)

    multiple : widths are rounded up to a multiple of this (the lanes): of the channels that would go, those with the
        largest a_n stay; None is 1.
    """

    needs_training: ClassVar[bool] = False
    method: Literal["sops"]
    strength: Annotated[float, Field(gt=0)]
    multiple: Multiple | None = None
    search_epochs: Annotated[Epochs, Field(ge=1)]

    def phases(self) -> list[Phase]:
        return [Phase("sops", self.search_epochs, _Search(self)), Phase("sops-tune", self.epochs, PhaseHooks())]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        check_zeros(snn)

    def predict_structure(self, snn: SNN) -> SNN:
        return open_sizes(with_zeros(snn))


@dataclass(frozen=True)
class _Search(PhaseHooks):
    method: SOPs

    def attach(self, snn: SNN) -> None:
        attach_gates(snn)

    def before_step(self, snn: SNN, progress: float, rate: float) -> None:  # noqa: ARG002
        for edge in _edges(snn):
            _gate(edge).beta = FIRST_BETA * (LAST_BETA / FIRST_BETA) ** progress

    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor:  # noqa: ARG002
        return self.method.strength * open_share(snn)

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return close_gates(snn, self.method.multiple or 1)


def attach_gates(snn: SNN) -> None:
    """Give every edge its gate, and the edges that read one family the same units."""
    unit_of: dict[str, Tensor] = {}
    units_of: dict[str, Units] = {}
    for family in families(snn):
        units = Units(len(family.units))
        for name in family.layers:
            unit_of[name] = torch.empty(snn.signals[name].shape[0], dtype=torch.int64)
            for index, unit in enumerate(family.units):
                unit_of[name][list(unit[name])] = index
            units_of[name] = units
    for spec, reads, layer in zip(snn.specs, snn.edges, snn.layers, strict=True):
        if isinstance(layer, Summing):
            uses = torch.Size(snn.signals[spec.name].shape[1:]).numel()
            for read, edge in zip(reads, layer.edges, strict=True):
                channels = _channels(edge, snn.signals[read.source].shape)
                found = unit_of[read.source][channels] if read.source in unit_of else channels.new_empty(0)
                edge.rule = Gate(edge.weight.detach(), units_of.get(read.source), found, uses)


def _channels(edge: Synapses, shape: tuple[int, ...]) -> Tensor:
    """The channel that each weight reads: (N_out, N_in) of a dense edge, (C_out, C_in / groups), or (C_out,)."""
    if edge.weight.ndim == 1:
        return torch.arange(shape[0])
    rows, columns = edge.weight.shape[:2]
    if edge.conv is None:
        return (torch.arange(columns) // torch.Size(shape[1:]).numel()).expand(rows, columns)
    group = torch.arange(rows) // (rows // edge.conv.groups)
    return group[:, None] * columns + torch.arange(columns)


def _edges(snn: SNN) -> Iterator[Synapses]:
    return (edge for layer in snn.layers if isinstance(layer, Summing) for edge in layer.edges)


def _gate(edge: Synapses) -> Gate:
    assert isinstance(edge.rule, Gate)
    return edge.rule


def open_share(snn: SNN) -> Tensor:
    """The penalty without its strength: the open share of the weights' uses and of the neurons' fan-outs."""
    zero = torch.zeros(())
    weights, all_weights, neurons, all_neurons = zero, 0.0, zero, 0.0
    for edge in _edges(snn):
        gate = _gate(edge)
        if gate.a is not None:
            weights = weights + gate.uses * torch.sigmoid(gate.beta * gate.a).sum()
            all_weights += gate.uses * gate.a.numel()
        if gate.units is not None:
            each = gate.uses * edge.weight.numel() / gate.unit.numel()
            fan_out = torch.bincount(gate.unit.flatten(), minlength=len(gate.units.a)) * each
            neurons = neurons + (fan_out * torch.sigmoid(gate.beta * gate.units.a)).sum()
            all_neurons += float(fan_out.sum())
    return weights / max(all_weights, 1.0) + neurons / max(all_neurons, 1.0)


def close_gates(snn: SNN, multiple: int = 1) -> SNN:
    """The network without gates: weights with a_w > 0, channels with a_n > 0 and as few more as `multiple` asks.

    Raises CompressError where nothing would be left of a layer.
    """
    gates: dict[str, Units] = {}
    for spec, reads, layer in zip(snn.specs, snn.edges, snn.layers, strict=True):
        if isinstance(layer, Summing):
            for read, edge in zip(reads, layer.edges, strict=True):
                gate = _gate(edge)
                if gate.units is not None:
                    gates[read.source] = gate.units
                if gate.a is not None:
                    with torch.no_grad():
                        edge.weight.mul_(gate.a > 0)
                        if not edge.weight.any():
                            raise CompressError(f"no synapse of layer '{spec.name}' would be left; lower 'strength'")
                edge.rule = None
    keep: dict[str, list[int]] = {}
    for family in families(snn):
        units = next(gates[name] for name in family.layers if name in gates)
        number = int((units.a > 0).sum())
        if not number:
            raise CompressError(f"no channel of {family.label} would be left; lower 'strength'")
        best = units.a.argsort(descending=True, stable=True)[: rounded(family, number, multiple)]
        keep |= keep_units(family, best.tolist())
    fix_zeros(snn)
    return cut_channels(snn, keep)
