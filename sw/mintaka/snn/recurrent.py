"""The differentiable scan of a layer that reads its own spikes of the step before, as one autograd function.

Forward: the scan of `lif.py` with K_t += W s_(t-1). Backward as in `spiking.py`, where dL/ds_t gains what the spike did
one step later:

    dL/ds_t  = (from outside) + damping * W^T dL/dK_(t+1)
    dL/dK_t  = dL/ds_t * triangle(h_t) * G + keep_t * dL/dK_(t+1)
    dL/dW    = sum over t of dL/dK_(t+1) s_t^T

The damping keeps the gradient from exploding on its way back through many steps (0.3: Bellec et al., NeurIPS 2018).
Without it the IMU net of recipes/ does not train. Where gains are extreme (a neuron whose weights are nearly all 0) it
is not enough: what comes back to a spike is clipped to +-`LARGEST`, far above any useful gradient, so that every number
stays finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from mintaka.artifact import ConvGeometry
from mintaka.snn.exact import per_channel
from mintaka.snn.lif import LIF, scan
from mintaka.snn.spiking import kept
from mintaka.snn.surrogate import triangle
from mintaka.snn.synapses import through

DAMPING = 0.3
LARGEST = 1e6

Transfer = Callable[[Tensor], Tensor]


def transfer(W: Tensor, conv: ConvGeometry | None) -> Transfer:
    """Spikes (N, C, ...) -> the current that they cause through W."""
    return lambda s: through(s, W, conv)


def transposed(W: Tensor, conv: ConvGeometry | None, grad: Tensor) -> Tensor:
    """dL/ds of `transfer`, given dL/d(current), clipped."""
    if W.ndim == 1:
        g = grad * per_channel(W, grad)
    elif conv is None:
        g = grad @ W
    else:
        g = conv2d_input(grad.shape, W, grad, conv.stride, conv.padding, groups=conv.groups)  # type: ignore[no-untyped-call]
    return g.clamp_(-LARGEST, LARGEST)


def outer(s: Tensor, grad: Tensor, W: Tensor, conv: ConvGeometry | None) -> Tensor:
    """dL/dW of `transfer`, s and grad (M, C, ...)."""
    if W.ndim == 1:
        return (s * grad).sum([0, *range(2, s.ndim)])
    if conv is None:
        return grad.T @ s
    g: Tensor = conv2d_weight(s, W.shape, grad, conv.stride, conv.padding, groups=conv.groups)  # type: ignore[no-untyped-call]
    return g


class _RecurrentSpikes(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        W: Tensor,
        conv: ConvGeometry | None,
        gain: Tensor,
        threshold: Tensor,
        bias: Tensor,
        reset_by: Tensor | None,
        lif: LIF,
        steps: int | None,
    ) -> Tensor:
        done = scan(current, steps, lif, threshold, bias, reset_by, feedback=transfer(W, conv))
        ctx.save_for_backward(done.k, done.s, W, gain, threshold, reset_by)
        ctx.lif, ctx.steps, ctx.conv = lif, steps, conv
        return done.s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        K, s, W, gain, threshold, reset_by = ctx.saved_tensors
        lif, conv, T = ctx.lif, ctx.conv, len(K)
        channels = [0, 1, *range(3, K.ndim)]
        G, theta = per_channel(gain, K[0]), per_channel(threshold, K[0])
        above = K - theta
        slope = triangle(above * G)
        keep = kept(K[:-1], s[:-1], theta, None if reset_by is None else per_channel(reset_by, K[0]), lif)
        grad_h = grads[0] * slope
        grad_K = grad_h * G
        for t in range(T - 2, -1, -1):
            grad_h[t].addcmul_(transposed(W, conv, grad_K[t + 1]), slope[t], value=DAMPING)
            torch.mul(grad_h[t], G, out=grad_K[t])
            grad_K[t].addcmul_(keep[t], grad_K[t + 1], value=lif.slope)
        grad_gain = (above * grad_h).sum(channels)
        grad_threshold = -(grad_h * G).sum(channels)
        grad_W = outer(s[:-1].flatten(0, 1), grad_K[1:].flatten(0, 1), W, conv) if T > 1 else torch.zeros_like(W)
        grad_current = grad_K if ctx.steps is None else grad_K.sum(0)
        return grad_current, grad_W, None, grad_gain, grad_threshold, grad_K.sum(channels), None, None, None


def recurrent_spikes(
    current: Tensor,
    W: Tensor,
    conv: ConvGeometry | None,
    gain: Tensor,
    threshold: Tensor,
    bias: Tensor,
    reset_by: Tensor | None,
    lif: LIF,
    steps: int | None,
) -> Tensor:
    """Spikes (T, N, C, ...) of a layer that reads itself with delay 1.

    W : (N_out, N_out), with `conv` (C_out, C_out / groups, kh, kw), or (C_out,) of an identity edge; already shifted to
        the grid of `current`.
    The rest as for `lif_spikes`.
    """
    s: Tensor = _RecurrentSpikes.apply(current, W, conv, gain, threshold, bias, reset_by, lif, steps)  # type: ignore[no-untyped-call]
    return s
