"""Fewer synapses by soft thresholds: STDS and S-LATS, one family.

The weight that is used is what is left of the stored one, theta, above a threshold d that rises while the phase lasts:

    w = sign(theta) * max(|theta| - d, 0)        dL/dtheta = dL/dw, also where w is 0

so a synapse that is gone may come back. Behind the phase w replaces theta, and what is 0 stays 0 for good, through
quantization, too: these integers are exactly 0, no synapse in any count.

What it saves in hardware: SOPs (an addition of 0 is none). Cycles and weight bits of a dense weight memory stay; a
sparse one (`mintaka generate --sparse`) leaves out what is 0 in all lanes of a group.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from math import pi, sin
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mintaka.compress.errors import CompressError
from mintaka.compress.method import Epochs, Method
from mintaka.compress.sharing import check_unshared
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.network import SNN, takes_snn
from mintaka.snn.synapses import Summing, Synapses


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, d: Tensor) -> Tensor:  # noqa: ARG004
        return torch.sign(theta) * (theta.abs() - d).clamp_(min=0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grads[0], None


def soft(theta: Tensor, d: Tensor | float) -> Tensor:
    """sign(theta) * max(|theta| - d, 0), with the gradient of theta."""
    w: Tensor = _Soft.apply(theta, torch.as_tensor(d))  # type: ignore[no-untyped-call]
    return w


def sparse_edges(snn: SNN) -> dict[str, list[Synapses]]:
    """The weights that may get zeros, by layer: of all dense and conv2d edges, the head's and recurrences, too; not the
    single weights of identity edges."""
    pairs = zip(snn.specs, snn.layers, strict=True)
    layers = {spec.name: layer for spec, layer in pairs if isinstance(layer, Summing)}
    return {name: [edge for edge in layer.edges if edge.weight.ndim > 1] for name, layer in layers.items()}


def check_zeros(snn: SNN) -> None:
    """Raise CompressError where weights of 1 bit, which are -1 or +1, would have to be 0, or shared ones one by one."""
    check_unshared(snn)
    for name, edges in sparse_edges(snn).items():
        if any(edge.quantizer.bits == 1 for edge in edges):
            raise CompressError(f"layer '{name}' has weights of 1 bit, which cannot be 0; give it 2 bits or more")


def fix_zeros(snn: SNN) -> None:
    """Make the weights that the rules give the stored ones, zeros for good, and take the rules away.

    Raises CompressError where nothing would be left of a layer, or as `check_zeros` does.
    """
    check_zeros(snn)
    with torch.no_grad():
        for name, edges in sparse_edges(snn).items():
            for edge in edges:
                edge.weight.copy_(edge.real())
                edge.rule, edge.mask = None, edge.weight != 0
                if not edge.mask.any():
                    raise CompressError(f"no synapse of layer '{name}' would be left; ask for fewer zeros")


def with_zeros(snn: SNN) -> SNN:
    """A copy whose weights may be 0: it has masks, though nobody knows yet where the zeros will be."""
    new = deepcopy(snn)
    for edges in sparse_edges(new).values():
        for edge in edges:
            edge.mask = torch.ones_like(edge.weight, dtype=torch.bool)
    return new


@takes_snn
def zero_share(snn: SNN) -> float:
    """Share of the weights of `sparse_edges` that are exactly 0: integers once quantized."""
    with torch.no_grad():
        layers = [layer for layer in snn.layers if isinstance(layer, Summing)]
        found = [
            layer.integers(index, None) if layer.integer else edge.real()
            for layer in layers
            for index, edge in enumerate(layer.edges)
            if edge.weight.ndim > 1
        ]
    return sum(int((w == 0).sum()) for w in found) / sum(w.numel() for w in found)


class _SoftThreshold(nn.Module):
    """The rule of one edge's weights. depth : D, in the weight's units; d : the threshold now."""

    depth: Tensor
    d: Tensor

    def __init__(self, depth: float) -> None:
        super().__init__()
        self.register_buffer("depth", torch.tensor(depth))
        self.register_buffer("d", torch.tensor(0.0))

    def forward(self, theta: Tensor) -> Tensor:
        return soft(theta, self.d)


class SoftThreshold(Method):
    """What both methods share.

    depth : the threshold D in the end, as a multiple of the mean |weight| that an edge begins with. (The papers give
        one absolute number for all layers; in units of the weights it means the same for layers of any fan-in.)
    search_epochs : while the threshold rises; `epochs` follow with the zeros as they are.
    """

    depth: Annotated[float, Field(gt=0)]
    search_epochs: Annotated[Epochs, Field(ge=1)]

    needs_training: ClassVar[bool] = False

    def share(self, progress: float) -> float:
        """d / D when `progress` (0 to 1) of the phase is done."""
        raise NotImplementedError

    def phases(self) -> list[Phase]:
        return [
            Phase(self.method, self.search_epochs, _Rising(self)),
            Phase(f"{self.method}-tune", self.epochs, PhaseHooks()),
        ]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        check_zeros(snn)

    def predict_structure(self, snn: SNN) -> SNN:
        return with_zeros(snn)


class STDS(SoftThreshold):
    """State transition of dendritic spines (Chen et al., ICML 2022): d = D (1 + sin(pi (n/N - 1/2))) / 2."""

    method: Literal["stds"]

    def share(self, progress: float) -> float:
        return (1 + sin(pi * (progress - 0.5))) / 2


class SLATS(SoftThreshold):
    """S-LATS (Chen et al. 2023): d = D (n/N + sin(pi n/N) / pi). The increments follow the cosine learning rate, so the
    L1 coefficient that they stand for is constant."""

    method: Literal["slats"]

    def share(self, progress: float) -> float:
        return progress + sin(pi * progress) / pi


@dataclass(frozen=True)
class _Rising(PhaseHooks):
    method: SoftThreshold

    def attach(self, snn: SNN) -> None:
        for edges in sparse_edges(snn).values():
            for edge in edges:
                edge.rule = _SoftThreshold(self.method.depth * float(edge.real().detach().abs().mean()))

    def before_step(self, snn: SNN, progress: float, rate: float) -> None:  # noqa: ARG002
        set_share(snn, self.method.share(progress))

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        set_share(snn, self.method.share(1.0))
        fix_zeros(snn)
        return snn


def set_share(snn: SNN, share: float) -> None:
    """d = share * D in every edge."""
    for edges in sparse_edges(snn).values():
        for edge in edges:
            assert isinstance(edge.rule, _SoftThreshold)
            edge.rule.d.copy_(edge.rule.depth * share)
