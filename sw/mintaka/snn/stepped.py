"""The differentiable neurons beyond plain LIF (CUBA-LIF, refractory, with or without recurrence) as one function.

Forward: `scan_cell`. Backward, from the last step to the first, with h = (K - T) * G, live = 0 where the neuron is
refractory and else 1, and J = I for a neuron without a synaptic current:

    dL/ds_t = (from outside) + damping * W^T dL/dI_(t+1)          the recurrence, as in `recurrent.py`
    dL/dK_t = dL/ds_t * triangle(h_t) * G * live_t + keep_t * dL/dK_(t+1)
    dL/dJ_t = dL/dK_t * live_t + slope_s * [not clipped] * dL/dJ_(t+1)
    dL/dI_t = dL/dJ_t
    dL/dB   = sum over t of dL/dK_t * live_t

U_t joins K_(t+1) whether the neuron is refractory or not, so `keep` is that of plain LIF; the current goes on through
refractory steps. Which steps are refractory has no gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mintaka.artifact import ConvGeometry
from mintaka.snn.cell import Cell, scan_cell
from mintaka.snn.exact import per_channel, slope
from mintaka.snn.recurrent import DAMPING, outer, transfer, transposed
from mintaka.snn.spiking import kept
from mintaka.snn.surrogate import triangle


class _SteppedSpikes(torch.autograd.Function):
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
        whole = replace(cell, threshold=threshold, bias=bias)
        done = scan_cell(current, steps, whole, None if W is None else transfer(W, conv))
        ctx.save_for_backward(done.scan.k, done.scan.s, done.live, done.unclipped, W, gain, threshold, cell.reset_by)
        ctx.cell, ctx.steps, ctx.conv = cell, steps, conv
        return done.scan.s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        K, s, live, unclipped, W, gain, threshold, reset_by = ctx.saved_tensors
        cell, conv, T = ctx.cell, ctx.conv, len(K)
        channels = [0, 1, *range(3, K.ndim)]
        G = per_channel(gain, K[0])
        theta = per_channel(threshold, K[0])
        above = K - theta
        pseudo = triangle(above * G)
        if live is not None:
            pseudo *= live
        R = None if reset_by is None else per_channel(reset_by, K[0])
        keep = kept(K, s, None if cell.refractory else theta, R, cell.lif)
        keep_j = 0.0 if cell.current is None else slope(cell.current.leak)
        grad_h, grad_K, grad_I = grads[0] * pseudo, torch.empty_like(K), torch.empty_like(K)
        for t in range(T - 1, -1, -1):
            if W is not None and t + 1 < T:
                grad_h[t].addcmul_(transposed(W, conv, grad_I[t + 1]), pseudo[t], value=DAMPING)
            torch.mul(grad_h[t], G, out=grad_K[t])
            if t + 1 < T:
                grad_K[t].addcmul_(keep[t], grad_K[t + 1], value=cell.lif.slope)
            grad_I[t] = grad_K[t] if live is None else grad_K[t] * live[t]
            if keep_j and t + 1 < T:
                after = grad_I[t + 1] if unclipped is None else grad_I[t + 1] * unclipped[t]
                grad_I[t].add_(after, alpha=keep_j)
        grad_gain = (above * grad_h).sum(channels)
        grad_threshold = -(grad_h * G).sum(channels)
        grad_bias = (grad_K if live is None else grad_K * live).sum(channels)
        grad_W = None
        if W is not None:
            grad_W = outer(s[:-1].flatten(0, 1), grad_I[1:].flatten(0, 1), W, conv) if T > 1 else torch.zeros_like(W)
        grad_current = grad_I if ctx.steps is None else grad_I.sum(0)
        return grad_current, grad_W, None, grad_gain, grad_threshold, grad_bias, None, None


def stepped_spikes(
    current: Tensor,
    W: Tensor | None,
    conv: ConvGeometry | None,
    gain: Tensor,
    cell: Cell,
    steps: int | None,
) -> Tensor:
    """Spikes (T, N, C, ...) of a layer of any kind of neuron that fires.

    W : of the recurrence as for `recurrent_spikes`, None where there is none.
    cell : with threshold and bias; its reset is detached. The rest as for `lif_spikes`.
    """
    bare = replace(cell, threshold=None, bias=None)
    s: Tensor = _SteppedSpikes.apply(current, W, conv, gain, cell.threshold, cell.bias, bare, steps)  # type: ignore[no-untyped-call]
    return s
