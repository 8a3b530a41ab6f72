"""Neurons step by step: LIF and CUBA-LIF, refractory or not, and leaky integrators.

Integers in float tensors, by the rules of `docs/reference/semantics.md`, for the fast engine and the quantized
forward; with a `lif` that is not `integer` the real numbers of the float network. `mintaka.snn.lif.scan` is the faster
way through all steps of a `plain` cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mintaka.artifact import SynapticCurrent
from mintaka.snn.exact import leaked, per_channel, slope
from mintaka.snn.lif import LIF, Scan


@dataclass
class CellState:
    """What a layer's neurons keep, each (N, C, ...): U, stored J, how many steps they are still refractory, and for the
    training J before it was stored."""

    u: Tensor
    j: Tensor
    silent: Tensor
    exact_j: Tensor

    @classmethod
    def start(cls, like: Tensor) -> CellState:
        """Of a new sample: all zero."""
        zero = torch.zeros_like(like)
        return cls(zero, zero, zero, zero)


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
            leak, most = self.current.leak, self.current.max
            if self.lif.integer:
                state.exact_j = total = total + leaked(state.j, leak)
                state.j = total.clamp(-most, most)
            else:
                state.exact_j = state.j = total = total + state.j * slope(leak)
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


@dataclass(frozen=True)
class Stepped:
    """All steps of a layer, and for its backward, each (T, N, C, ...): where neurons are not refractory, and where the
    synaptic current is stored as it is; None where that is everywhere."""

    scan: Scan
    live: Tensor | None
    unclipped: Tensor | None


def scan_cell(
    current: Tensor, steps: int | None, cell: Cell, feedback: Callable[[Tensor], Tensor] | None = None
) -> Stepped:
    """Run the neurons of a layer over all steps.

    current : (T, N, C, ...), or (N, C, ...) with `steps` = T where it is the same at every step.
    feedback : what the spikes of the step before add to the current, where the layer reads itself.
    """
    state = CellState.start(current if steps is not None else current[0])
    log: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    live, unclipped = [], []
    for t in range(len(current) if steps is None else steps):
        total = current[t] if steps is None else current
        if feedback is not None and log:
            total = total + feedback(log[-1][1])
        if cell.refractory:
            live.append(state.silent == 0)
        K, s = cell.step(total, state)
        if cell.current is not None and cell.lif.integer:
            unclipped.append(state.exact_j.abs() <= cell.current.max)
        log.append((K, s, state.u, state.j))
    k, s, u, j = (torch.stack(values) for values in zip(*log, strict=True))
    return Stepped(
        Scan(k, s, u, None if cell.current is None else j),
        torch.stack(live) if live else None,
        torch.stack(unclipped) if unclipped else None,
    )
