"""Neurons of the fast integer engine, step by step: LIF and CUBA-LIF, refractory or not, and leaky integrators.

Integers in float tensors, as everywhere in the engine; `docs/semantics.md` has the rules. `mintaka.snn.lif.scan` is
the faster way through all steps of a `plain` cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mintaka.artifact import SynapticCurrent
from mintaka.snn.exact import leaked, per_channel
from mintaka.snn.lif import LIF


@dataclass
class CellState:
    """What a layer's neurons keep, each (N, C, ...): U, stored J, and how many steps they are still refractory."""

    u: Tensor
    j: Tensor
    silent: Tensor

    @classmethod
    def start(cls, like: Tensor) -> CellState:
        """Of a new sample: all zero."""
        zero = torch.zeros_like(like)
        return cls(zero, zero, zero)


@dataclass(frozen=True)
class Cell:
    """The neurons of one layer; tensors per channel (C,), all of the layer's dtype.

    threshold : None where they never fire (a leaky integrator).
    reset_by : None for reset to zero.
    """

    lif: LIF
    threshold: Tensor | None
    bias: Tensor | None
    reset_by: Tensor | None
    refractory: int = 0
    current: SynapticCurrent | None = None

    @property
    def plain(self) -> bool:
        """True for LIF without refractory steps."""
        return self.threshold is not None and self.refractory == 0 and self.current is None

    def step(self, total: Tensor, state: CellState) -> tuple[Tensor, Tensor]:
        """One step from the current `total` (I, (N, C, ...)): K and the spikes; brings `state` up to date."""
        if self.current is not None:
            total = total + leaked(state.j, self.current.leak)
            state.j = total.clamp(-self.current.max, self.current.max)
        K = total + state.u
        if self.bias is not None:
            K += per_channel(self.bias, K)
        if self.threshold is None:
            state.u = self.lif.store(K)
            return K, torch.zeros_like(K)
        R = None if self.reset_by is None else per_channel(self.reset_by, K)
        if not self.refractory:
            s, state.u = self.lif.step(K, per_channel(self.threshold, K), R)
            return K, s
        silent = state.silent > 0
        K = torch.where(silent, state.u, K)
        s = ((per_channel(self.threshold, K) < K) & ~silent).to(K.dtype)
        state.u = self.lif.store(torch.addcmul(K, s, K if R is None else R, value=-1))
        state.silent = torch.where(s > 0, float(self.refractory), (state.silent - 1).clamp_(min=0))
        return K, s
