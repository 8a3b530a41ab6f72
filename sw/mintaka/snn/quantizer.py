"""Weights as integers of 1 to 8 bits on a symmetric grid with a learned step.

`W = round(clip(w / step, -Q, Q))`, `Q = 2^(bits-1) - 1`; 1 bit is the sign. The step is learned as a logarithm (LSQ,
Esser et al. 2020) and starts at MINT's `2 * mean|w| / sqrt(Q)`; its gradient is divided by `sqrt(numel(w) * Q)`.
Behind a BatchNorm over the integer sums the step cancels out of the forward, so it is never exported.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import torch
from torch import Tensor, nn

hardtanh_backward = torch.ops.aten.hardtanh_backward  # the gradient where -most < x < most, in one pass


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.scale, None


class _Grid(torch.autograd.Function):
    """sign * w / step on the grid: rounded and clipped to [-most, most], or with 1 bit -1 or +1 (0 gives +1).

    Straight-through: the gradient of w / step passes where |w / step| < most.
    """

    @staticmethod
    def forward(ctx: Any, w: Tensor, step: Tensor, sign: Tensor | None, most: int, bits: int) -> Tensor:
        divisor = step if sign is None else (step * sign).reshape(-1, *[1] * (w.ndim - 1))
        scaled = w / divisor
        ctx.save_for_backward(w, step, divisor, scaled)
        ctx.most = most
        if bits == 1:
            return torch.where(scaled < 0, -1.0, 1.0).to(w.dtype)
        return scaled.clamp(-most, most).round_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        w, step, divisor, scaled = ctx.saved_tensors
        grad = hardtanh_backward(grads[0], scaled, -ctx.most, ctx.most).div_(divisor)
        grad_step = -torch.dot(grad.flatten(), w.flatten()) / step if ctx.needs_input_grad[1] else None
        return grad, grad_step, None, None, None


class WeightQuantizer(nn.Module):
    """float32 weights -> integer-valued float32 weights in [-Q, Q], differentiable (straight-through)."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        if not 1 <= bits <= 8:
            raise ValueError(f"weights have 1 to 8 bits, not {bits}")
        self.bits = bits
        self.log_step = nn.Parameter(torch.zeros(()))

    @property
    def most(self) -> int:
        """The largest magnitude of a weight."""
        return max(1, 2 ** (self.bits - 1) - 1)

    def start(self, w: Tensor) -> None:
        """Set the step from the weights that quantization starts with."""
        mean = max(float(w.detach().abs().mean()), 1e-12)
        self.log_step.data.fill_(log(2 * mean / sqrt(self.most)))

    def step(self, w: Tensor) -> Tensor:
        """The step as a number, with its scaled gradient."""
        log_step: Tensor = _ScaledGradient.apply(self.log_step, 1 / sqrt(w.numel() * self.most))  # type: ignore[no-untyped-call]
        return log_step.exp()

    def forward(self, w: Tensor, step: Tensor | None = None, sign: Tensor | None = None) -> Tensor:
        """`step` replaces the learned one, where another edge of the same sum owns it; `sign` (C_out,) flips rows."""
        step = self.step(w) if step is None else step
        W: Tensor = _Grid.apply(w, step, sign, self.most, self.bits)  # type: ignore[no-untyped-call]
        return W
