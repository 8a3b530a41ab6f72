"""Weights as integers of 1 to 8 bits on a symmetric grid with a learned step.

`W = round(clip(w / step, -Q, Q))`, `Q = 2^(bits-1) - 1`, halves to even; 1 bit is the sign. There are two ways to the
step; each starts from `a = 2 * mean|w| / sqrt(Q)`, and its gradient is divided by `sqrt(numel(w) * Q)`:

    "step"    the step itself is learned, as a logarithm, and starts at a (LSQ, Esser et al. 2020)
    "mint"    alpha is learned and starts at a; step = alpha / Q, and tanh(w) stands for w (MINT, Yin et al. 2024):
              W = round(clip(tanh(w) / alpha, -1, 1) * Q)

so MINT's grid is finer and clips the larger weights. Gradients pass roundings straight through, tanh and clip as they
are. Behind a BatchNorm over the integer sums the step cancels out of the forward, so it is never exported.

What it saves in hardware: weight memories hold `bits` bits per weight and membrane memories `membrane_bits` per neuron
(stored by `mintaka.snn.lif`), where a float32 network holds 32; sums are as narrow as the largest sum |W| + |U| + |B|
of a layer needs. Weights and membranes lie on one grid, so a lane only adds and shifts: there is no multiplier. What it
costs: per channel a threshold, a bias and where needed a reset value (integers, into which the BatchNorm is folded),
and accuracy, the more the fewer bits.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from mintaka.artifact.limits import WEIGHT_BITS
from mintaka.snn.graph import SCALES

LEAST_ALPHA = 1e-12  # an update may carry alpha through 0

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
    """float32 weights -> integer-valued float32 weights in [-Q, Q], differentiable (straight-through).

    scale : "step" or "mint", how the step is learned.
    """

    def __init__(self, bits: int, scale: str = "step") -> None:
        super().__init__()
        WEIGHT_BITS.require(bits, "the weights' bits", ValueError)
        if scale not in SCALES:
            raise ValueError(f"the scale of weights is learned as {' or '.join(SCALES)}, not '{scale}'")
        self.bits, self.mint = bits, scale == "mint"
        if self.mint:
            self.alpha = nn.Parameter(torch.ones(()))
        else:
            self.log_step = nn.Parameter(torch.zeros(()))

    @property
    def learned(self) -> nn.Parameter:
        """The one parameter: alpha, or the logarithm of the step."""
        return self.alpha if self.mint else self.log_step

    @property
    def most(self) -> int:
        """The largest magnitude of a weight."""
        return max(1, 2 ** (self.bits - 1) - 1)

    def start(self, w: Tensor) -> None:
        """Set the step from the weights that quantization starts with; where all are 0 (pruned), any step will do."""
        mean = float(w.detach().abs().mean())
        first = 2 * max(mean, 1e-12) / sqrt(self.most) if mean > 0 else 1.0
        self.learned.data.fill_(first if self.mint else log(first))

    def log_of_step(self) -> float:
        """The natural logarithm of the step."""
        if self.mint:
            return log(max(LEAST_ALPHA, abs(float(self.alpha.detach()))) / self.most)
        return float(self.log_step.detach())

    def shaped(self, w: Tensor) -> Tensor:
        """What stands for the weights in front of the grid."""
        return torch.tanh(w) if self.mint else w

    def step(self, w: Tensor) -> Tensor:
        """The step as a number, with its scaled gradient."""
        learned: Tensor = _ScaledGradient.apply(self.learned, 1 / sqrt(w.numel() * self.most))  # type: ignore[no-untyped-call]
        return learned.abs().clamp(min=LEAST_ALPHA) / self.most if self.mint else learned.exp()

    def forward(self, w: Tensor, step: Tensor | None = None, sign: Tensor | None = None) -> Tensor:
        """w as `shaped`. `step` replaces the learned one, where another edge of the same sum owns it; `sign` (C_out,)
        flips rows."""
        step = self.step(w) if step is None else step
        W: Tensor = _Grid.apply(w, step, sign, self.most, self.bits)  # type: ignore[no-untyped-call]
        return W
