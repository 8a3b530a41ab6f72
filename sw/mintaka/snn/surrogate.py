"""What stands in for the derivative of the spike, and rounding that lets gradients through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def triangle(h: Tensor) -> Tensor:
    """max(0, 1 - |h|): the pseudo-derivative of [h > 0], h in units of the threshold (MINT, section 1 of methods)."""
    return h.abs().neg_().add_(1).clamp_(min=0)


class _Integer(torch.autograd.Function):
    """Floor or round half to even; the backward is the identity (straight-through)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, down: bool) -> Tensor:  # noqa: ARG004
        return torch.floor(x) if down else torch.round(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grads[0], None


def floor_through(x: Tensor) -> Tensor:
    """floor(x), with the gradient of x."""
    out: Tensor = _Integer.apply(x, True)  # type: ignore[no-untyped-call]
    return out


def round_through(x: Tensor) -> Tensor:
    """round(x), halves to even, with the gradient of x."""
    out: Tensor = _Integer.apply(x, False)  # type: ignore[no-untyped-call]
    return out
