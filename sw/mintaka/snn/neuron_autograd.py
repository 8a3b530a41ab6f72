"""The differentiable neurons: all steps of a layer as one autograd function, for every kind of neuron that fires.

Forward: the scans of `lif.py` (plain LIF) and `cell.py` (CUBA-LIF, refractory). Backward, from the last step to the
first, with h = (K - T) * G, live = 0 where the neuron is refractory and else 1, and J = I without a synaptic current:

    dL/ds_t = (from outside) + damping * W^T dL/dI_(t+1)          where the layer reads its own spikes
    dL/dK_t = dL/ds_t * triangle(h_t) * G * live_t + slope * keep_t * dL/dK_(t+1)
    dL/dJ_t = dL/dK_t * live_t + slope_s * [not clipped] * dL/dJ_(t+1)
    dL/dI_t = dL/dJ_t
    dL/dW   = sum over t of dL/dI_(t+1) s_t^T
    dL/dB   = sum over t of dL/dK_t * live_t

Leak and clip pass gradients straight through (the clip where it does not act), the reset is detached, and which steps
are refractory has no gradient. U_t joins K_(t+1) whether the neuron is refractory or not; the current goes on through
refractory steps. T, B and G are inputs of their own, so that autograd carries their gradients on to gamma, beta and
the batch statistics.

The damping keeps the gradient from exploding on its way back through many steps (0.3: Bellec et al., NeurIPS 2018).
Without it the IMU net of recipes/ does not train. Where gains are extreme (a neuron whose weights are nearly all 0) it
is not enough: what comes back to a spike is clipped to +-`LARGEST`, far above any useful gradient, so that every number
stays finite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from mintaka.artifact import ConvGeometry
from mintaka.snn.cell import Cell, Stepped, scan_cell
from mintaka.snn.exact import leaked, per_channel, slope
from mintaka.snn.lif import LIF, scan
from mintaka.snn.surrogate import triangle
from mintaka.snn.synapses import through

DAMPING = 0.3
LARGEST = 1e6

Transfer = Callable[[Tensor], Tensor]


def neuron_spikes(
    current: Tensor,
    gain: Tensor,
    cell: Cell,
    steps: int | None,
    W: Tensor | None = None,
    conv: ConvGeometry | None = None,
) -> Tensor:
    """Spikes (T, N, C, ...) of a layer.

    current : (T, N, C, ...), or (N, C, ...) with `steps` = T where it is the same at every step.
    gain : per channel (C,); it scales the surrogate only.
    cell : with threshold and bias; its reset is detached.
    W : where the layer reads itself with delay 1, (N_out, N_out), with `conv` (C_out, C_out / groups, kh, kw), or
        (C_out,) of an identity edge; already shifted to the grid of `current`.
    All tensors have current's dtype.
    """
    bare = replace(cell, threshold=None, bias=None)
    s: Tensor = _NeuronSpikes.apply(current, W, conv, gain, cell.threshold, cell.bias, bare, steps)  # type: ignore[no-untyped-call]
    return s


def transfer(W: Tensor, conv: ConvGeometry | None) -> Transfer:
    """Spikes (N, C, ...) -> the current that they cause through W."""
    return lambda s: through(s, W, conv)


def run_neurons(
    current: Tensor,
    steps: int | None,
    cell: Cell,
    W: Tensor | None,
    conv: ConvGeometry | None,
    *,
    membranes: bool = False,
) -> Stepped:
    """All steps of a layer, without gradients; arguments as for `neuron_spikes`. membranes : keep U, too."""
    feedback = None if W is None else transfer(W, conv)
    if not cell.plain:
        return scan_cell(current, steps, cell, feedback)
    assert cell.threshold is not None
    neurons = cell.lif, cell.threshold, cell.bias, cell.reset_by
    return Stepped(scan(current, steps, *neurons, membranes=membranes, feedback=feedback), None, None)


class _NeuronSpikes(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        W: Tensor | None,
        conv: ConvGeometry | None,
        gain: Tensor,
        threshold: Tensor,
        bias: Tensor,
        cell: Cell,
        steps: int | None,
    ) -> Tensor:
        done = run_neurons(current, steps, replace(cell, threshold=threshold, bias=bias), W, conv)
        ctx.save_for_backward(done.scan.k, done.scan.s, done.live, done.unclipped, W, gain, threshold)
        ctx.cell, ctx.steps, ctx.conv = cell, steps, conv
        return done.scan.s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        K, s, live, unclipped, W, gain, threshold = ctx.saved_tensors
        cell, grad_W = replace(ctx.cell, threshold=threshold), None
        if W is None and cell.plain:
            grad_I, *of_channels = _plain_backward(grads[0], K, s, gain, cell)
        else:
            grad_I, *of_channels = _backward(grads[0], K, s, live, unclipped, W, ctx.conv, gain, cell)
        if W is not None:
            before, after = s[:-1].flatten(0, 1), grad_I[1:].flatten(0, 1)
            grad_W = _outer(before, after, W, ctx.conv) if len(K) > 1 else torch.zeros_like(W)
        return grad_I if ctx.steps is None else grad_I.sum(0), grad_W, None, *of_channels, None, None


def _plain_backward(grad_s: Tensor, K: Tensor, s: Tensor, gain: Tensor, cell: Cell) -> tuple[Tensor, ...]:
    """`_backward` of plain LIF without recurrence in fewer passes over memory: a loop remains for the leak alone."""
    assert cell.threshold is not None
    channels = [0, 1, *range(3, K.ndim)]
    G, theta = per_channel(gain, K[0]), per_channel(cell.threshold, K[0])
    h = torch.sub(K, theta).mul_(G)
    grad_h = triangle(h).mul_(grad_s)
    grad_threshold = grad_h.sum(channels).mul_(gain).neg_()
    grad_gain = h.mul_(grad_h).sum(channels).div_(gain)
    grad_K = grad_h.mul_(G)
    if len(K) > 1 and cell.lif.leak:
        keep = membrane_grad(K[:-1], s[:-1], theta, _reset(cell, K), cell.lif)
        for t in range(len(K) - 2, -1, -1):
            grad_K[t].addcmul_(keep[t], grad_K[t + 1], value=cell.lif.slope)
    return grad_K, grad_gain, grad_threshold, grad_K.sum(channels)


def _backward(
    grad_s: Tensor,
    K: Tensor,
    s: Tensor,
    live: Tensor | None,
    unclipped: Tensor | None,
    W: Tensor | None,
    conv: ConvGeometry | None,
    gain: Tensor,
    cell: Cell,
) -> tuple[Tensor, ...]:
    """Gradients of I (T, N, C, ...), and per channel of gain, threshold and bias."""
    assert cell.threshold is not None
    channels, T = [0, 1, *range(3, K.ndim)], len(K)
    G, theta = per_channel(gain, K[0]), per_channel(cell.threshold, K[0])
    above = K - theta
    pseudo = triangle(above * G)
    if live is not None:
        pseudo *= live
    keep = membrane_grad(K[:-1], s[:-1], None if cell.refractory else theta, _reset(cell, K), cell.lif)
    keep_j = 0.0 if cell.current is None else slope(cell.current.leak)
    grad_h, grad_K = grad_s * pseudo, torch.empty_like(K)
    grad_I = grad_K if live is None and not keep_j else torch.empty_like(K)
    for t in range(T - 1, -1, -1):
        if W is not None and t + 1 < T:
            grad_h[t].addcmul_(_transposed(W, conv, grad_I[t + 1]), pseudo[t], value=DAMPING)
        torch.mul(grad_h[t], G, out=grad_K[t])
        if t + 1 < T:
            grad_K[t].addcmul_(keep[t], grad_K[t + 1], value=cell.lif.slope)
        if grad_I is not grad_K:
            grad_I[t] = grad_K[t] if live is None else grad_K[t] * live[t]
        if keep_j and t + 1 < T:
            after = grad_I[t + 1] if unclipped is None else grad_I[t + 1] * unclipped[t]
            grad_I[t].add_(after, alpha=keep_j)
    grad_gain = (above * grad_h).sum(channels)
    grad_threshold = -(grad_h * G).sum(channels)
    grad_bias = (grad_K if live is None else grad_K * live).sum(channels)
    return grad_I, grad_gain, grad_threshold, grad_bias


def membrane_grad(K: Tensor, s: Tensor, theta: Tensor | None, R: Tensor | None, lif: LIF) -> Tensor:
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


def _reset(cell: Cell, K: Tensor) -> Tensor | None:
    return None if cell.reset_by is None else per_channel(cell.reset_by, K[0])


def _transposed(W: Tensor, conv: ConvGeometry | None, grad: Tensor) -> Tensor:
    """dL/ds of `transfer`, given dL/d(current), clipped."""
    if W.ndim == 1:
        g = grad * per_channel(W, grad)
    elif conv is None:
        g = grad @ W
    else:
        g = conv2d_input(grad.shape, W, grad, conv.stride, conv.padding, groups=conv.groups)  # type: ignore[no-untyped-call]
    return g.clamp_(-LARGEST, LARGEST)


def _outer(s: Tensor, grad: Tensor, W: Tensor, conv: ConvGeometry | None) -> Tensor:
    """dL/dW of `transfer`, s and grad (M, C, ...)."""
    if W.ndim == 1:
        return (s * grad).sum([0, *range(2, s.ndim)])
    if conv is None:
        return grad.T @ s
    g: Tensor = conv2d_weight(s, W.shape, grad, conv.stride, conv.padding, groups=conv.groups)  # type: ignore[no-untyped-call]
    return g
