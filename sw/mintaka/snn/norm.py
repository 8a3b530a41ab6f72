"""BatchNorm over integer sums, and its exact folding into threshold, bias and reset.

With `G = |gamma| / sqrt(var + eps)` the normalised neuron `G * (I - mu) + beta + G * U > 1` is, in integer units,
`U + I + B > T` with `T = floor(1 / G)` and `B = round(beta / G - mu)`: the weight's scale cancels. Where gamma < 0 the
channel's weights change sign instead (exact on a symmetric grid). The training forward and the export call the same
`fold`, so nothing changes at export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mintaka.snn.exact import per_channel

LEAST_GAIN = 2.0**-20  # a channel with less gain is (nearly) constant; T stays within 20 bits
MOST = 2**22  # largest |T|, |B|, |R|: with currents below 2^22 every K and V is exact in float32


@dataclass(frozen=True)
class Folded:
    """Per channel (C,), float64: G, and in integer units T, B and R (R without gradient: the reset is detached)."""

    gain: Tensor
    threshold: Tensor
    bias: Tensor
    reset_by: Tensor


def fold(gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float, *, integer: bool = True) -> Folded:
    """Fold BatchNorm into the neuron (design part 2).

    mean, var : of the current I as it is summed, so with the weights' signs flipped where gamma < 0.
    integer : round to the integers that are exported; False gives the float network's real numbers.
    """
    return Folded(*_Fold.apply(gamma, beta, mean, var, eps, integer))  # type: ignore[no-untyped-call]


class _Fold(torch.autograd.Function):
    """`fold` as one function: what flows through roundings flows straight through, nothing through R."""

    @staticmethod
    def forward(
        ctx: Any, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float, integer: bool
    ) -> tuple[Tensor, ...]:
        gamma, beta, mean = gamma.double(), beta.double(), mean.double()
        deviation = torch.sqrt(var.double() + eps)
        wanted = gamma.abs() / deviation
        gain = wanted.clamp(min=LEAST_GAIN)
        theta, offset = 1 / gain, beta / gain
        bias = offset - mean
        ctx.save_for_backward(gamma, deviation, wanted, gain, theta, offset, bias)
        ctx.integer = integer
        reset_by = theta.round().clamp_(min=1) if integer else theta.clone()
        ctx.mark_non_differentiable(reset_by)
        if not integer:
            return gain, theta, bias, reset_by
        return gain, theta.floor(), bias.clamp(-MOST, MOST).round_(), reset_by

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gamma, deviation, wanted, gain, theta, offset, bias = ctx.saved_tensors
        of_bias = grads[2] * (bias.abs() <= MOST) if ctx.integer else grads[2]
        # theta = 1 / gain and offset = beta / gain
        of_gain = grads[0] - (grads[1] * theta + of_bias * offset) / gain
        of_wanted = of_gain * (wanted >= LEAST_GAIN)
        of_gamma = of_wanted * gamma.sign() / deviation
        of_var = of_wanted * wanted / deviation.square() / -2
        return of_gamma, of_bias / gain, -of_bias, of_var, None, None


class _Statistics(torch.autograd.Function):
    """Mean and variance (not corrected) per channel, both (C,), of (M, C, ...), in two passes each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        channels = [0, *range(2, x.ndim)]
        ctx.count = x.numel() // x.shape[1]
        mean = x.sum(channels) / ctx.count
        centred = x - per_channel(mean, x)
        ctx.save_for_backward(centred)
        return mean, centred.square().sum(channels) / ctx.count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (centred,) = ctx.saved_tensors
        of_mean, of_var = (per_channel(grad, centred) for grad in grads)
        return torch.addcmul(of_mean / ctx.count, centred, of_var * (2 / ctx.count))


class Norm(nn.Module):
    """Statistics, gamma and beta of one layer; forward gives the folded neuron of this batch.

    In training the batch's own mean and variance are used (and differentiated), and running averages kept; in eval
    mode, or when `frozen`, the running ones.
    """

    eps = 1e-5
    momentum = 0.1
    running_mean: Tensor
    running_var: Tensor
    batches: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        # As if no weight were flipped: the sign of gamma may change between batches.
        self.register_buffer("running_mean", torch.zeros(channels, dtype=torch.float64))
        self.register_buffer("running_var", torch.ones(channels, dtype=torch.float64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.frozen = False
        self.integer = False

    def sign(self) -> Tensor:
        """(C,): -1 where the channel's weights must be flipped, else +1; no gradient."""
        return torch.where(self.gamma.detach() < 0, -1.0, 1.0)

    def restart(self) -> None:
        """Forget the running statistics: the next batch sets them."""
        self.batches.zero_()

    def forward(self, current: Tensor) -> Folded:
        """current (M, C, ...) with flipped signs, M all samples and steps."""
        if not self.training or self.frozen:
            return self.folded()
        mean, var = _Statistics.apply(current)  # type: ignore[no-untyped-call]
        self._remember(mean.detach().double() * self.sign(), var.detach().double())
        return fold(self.gamma, self.beta, mean, var, self.eps, integer=self.integer)

    def folded(self) -> Folded:
        """The folded neuron of the running statistics: the one that is exported."""
        mean = self.running_mean * self.sign()
        return fold(self.gamma, self.beta, mean, self.running_var, self.eps, integer=self.integer)

    def _remember(self, mean: Tensor, var: Tensor) -> None:
        share = 1.0 if int(self.batches) == 0 else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(var, share)
        self.batches += 1
