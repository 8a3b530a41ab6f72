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

from mintaka.snn.surrogate import round_through


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.scale, None


class _Sign(torch.autograd.Function):
    """-1 or +1 (0 gives +1); the gradient passes where |x| <= 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x < 0, -1.0, 1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(x.abs() <= 1, grads[0], 0)


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

    def forward(self, w: Tensor, step: Tensor | None = None) -> Tensor:
        """`step` replaces the learned one, where another edge of the same sum owns it."""
        scaled = w / (self.step(w) if step is None else step)
        if self.bits == 1:
            signs: Tensor = _Sign.apply(scaled)  # type: ignore[no-untyped-call]
            return signs
        return round_through(scaled.clamp(-self.most, self.most))
