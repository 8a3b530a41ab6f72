"""The differentiable leaky integrator of a head that is read by its membrane: K at the last step.

Forward: `scan_cell` of neurons that never fire. Backward: U_t = clip(leak(K_t)) joins K_(t+1), so

    dL/dK_t = slope * [not clipped] * dL/dK_(t+1)         dL/dI_t = dL/dK_t         dL/dB = sum over t of dL/dK_t
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mintaka.snn.cell import Cell, scan_cell
from mintaka.snn.neuron_autograd import membrane_grad


class _LastMembrane(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, bias: Tensor, cell: Cell, steps: int | None) -> Tensor:
        K = scan_cell(current, steps, replace(cell, bias=bias)).scan.k
        ctx.save_for_backward(K)
        ctx.lif, ctx.steps = cell.lif, steps
        return K[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (K,) = ctx.saved_tensors
        keep = membrane_grad(K, torch.zeros_like(K), None, None, ctx.lif).mul_(ctx.lif.slope)
        grad_K = torch.empty_like(K)
        grad_K[-1] = grads[0]
        for t in range(len(K) - 2, -1, -1):
            torch.mul(keep[t], grad_K[t + 1], out=grad_K[t])
        return grad_K if ctx.steps is None else grad_K.sum(0), grad_K.sum([0, 1, *range(3, K.ndim)]), None, None


def last_membrane(current: Tensor, cell: Cell, steps: int | None) -> Tensor:
    """K (N, C, ...) of the last step.

    current : (T, N, C, ...), or (N, C, ...) with `steps` = T where it is the same at every step.
    cell : without threshold, with bias.
    """
    K: Tensor = _LastMembrane.apply(current, cell.bias, replace(cell, bias=None), steps)  # type: ignore[no-untyped-call]
    return K
