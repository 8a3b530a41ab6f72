"""The differentiable LIF scan: all steps of a layer as one autograd function.

Forward: the integer scan of `lif.py`. Backward, with h = (K - T) * G:

    dL/dK_t = dL/ds_t * triangle(h_t) * G + dL/dU_t        U_t joins K_(t+1), so dL/dU_t = dL/dK_(t+1)
    dL/dK_t += dL/dU_t * slope * [not clipped] * (1 - s_t for reset to zero)

Leak and clip pass gradients straight through (the clip where it does not act), the reset is detached. T, B and G are
inputs of their own, so that autograd carries their gradients on to gamma, beta and the batch statistics.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mintaka.snn.exact import leaked, per_channel
from mintaka.snn.lif import LIF, scan
from mintaka.snn.surrogate import triangle


class _Spikes(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        gain: Tensor,
        threshold: Tensor,
        bias: Tensor,
        reset_by: Tensor | None,
        lif: LIF,
        steps: int | None,
    ) -> Tensor:
        done = scan(current, steps, lif, threshold, bias, reset_by)
        ctx.save_for_backward(done.k, done.s, gain, threshold, reset_by)
        ctx.lif, ctx.steps = lif, steps
        return done.s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        K, s, gain, threshold, reset_by = ctx.saved_tensors
        lif, T = ctx.lif, len(K)
        channels = [0, 1, *range(3, K.ndim)]
        G, theta = per_channel(gain, K[0]), per_channel(threshold, K[0])
        h = torch.sub(K, theta).mul_(G)
        grad_h = triangle(h).mul_(grads[0])
        grad_threshold = grad_h.sum(channels).mul_(gain).neg_()
        grad_gain = h.mul_(grad_h).sum(channels).div_(gain)
        grad_K = grad_h.mul_(G)
        if T > 1 and lif.leak:
            keep = kept(K[:-1], s[:-1], theta, None if reset_by is None else per_channel(reset_by, K[0]), lif)
            for t in range(T - 2, -1, -1):
                grad_K[t].addcmul_(keep[t], grad_K[t + 1], value=lif.slope)
        grad_bias = grad_K.sum(channels)
        grad_current = grad_K if ctx.steps is None else grad_K.sum(0)
        return grad_current, grad_gain, grad_threshold, grad_bias, None, None, None


def kept(K: Tensor, s: Tensor, theta: Tensor | None, R: Tensor | None, lif: LIF) -> Tensor:
    """dU/dK in units of the leak's slope, at each step (T, N, C, ...): 1 or 0, or with stairs the slope of theirs.

    theta, R : per channel, shaped (C, 1, ...); theta None where s is not [K > theta] alone (refractory neurons).
    """
    if not lif.integer:
        return 1 - s if lif.reset == "zero" else torch.ones_like(s)
    if lif.stairs is not None:
        keep = lif.stairs.passing(torch.addcmul(K, s, K if R is None else R, value=-1))
        return keep.addcmul_(keep, s, value=-1) if lif.reset == "zero" else keep
    if theta is not None and lif.reset == "zero" and len(lif.leak) == 1 and lif.leak[0].sign > 0:
        # The usual case in two passes: K does not fire, and K >> shift is from -Qu to Qu.
        unit = 2 ** lif.leak[0].shift
        least, most = -lif.membrane_max * unit, (lif.membrane_max + 1) * unit - 1
        limit = theta.clamp(min=least - 0.5, max=most)  # a threshold below `least` leaves no integer
        inside = torch.clamp(K, torch.full_like(theta, least), limit)
        return torch.eq(K, inside, out=inside)
    V = torch.addcmul(K, s, K if R is None else R, value=-1)
    stored = leaked(V, lif.leak).abs_()
    keep = torch.le(stored, lif.membrane_max, out=stored)
    return keep.addcmul_(keep, s, value=-1) if lif.reset == "zero" else keep


def lif_spikes(
    current: Tensor,
    gain: Tensor,
    threshold: Tensor,
    bias: Tensor,
    reset_by: Tensor | None,
    lif: LIF,
    steps: int | None,
) -> Tensor:
    """Spikes (T, N, C, ...) of a layer.

    current : (T, N, C, ...), or (N, C, ...) with `steps` = T where it is the same at every step.
    gain, threshold, bias, reset_by : per channel (C,); the gain scales the surrogate only.
    All tensors have current's dtype.
    """
    s: Tensor = _Spikes.apply(current, gain, threshold, bias, reset_by, lif, steps)  # type: ignore[no-untyped-call]
    return s
