"""Integers in float tensors: which dtype holds them exactly, and the operations that keep them exact.

A sum of integers is exact in any order while every partial sum stays below 2^24 (float32) or 2^53 (float64). Two
things could break that: reduced-precision products (TF32, bfloat16), and transform convolutions (Winograd, FFT). Both
are ruled out here, so every product of the integer network goes through this file.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mintaka.artifact import ConvGeometry, LeakTerm, Pool

EXACT32 = 2**24
EXACT64 = 2**53


def dtype_for(magnitude: int) -> torch.dtype:
    """float32 where integers up to `magnitude` are exact in it, else float64.

    Raises OverflowError beyond 2^53.
    """
    if magnitude < EXACT32 and torch.get_float32_matmul_precision() == "highest":
        return torch.float32
    if magnitude >= EXACT64:
        raise OverflowError(f"integers up to {magnitude} are not exact in float64")
    return torch.float64


def dense(x: Tensor, W: Tensor) -> Tensor:
    """x (M, ...) flattened to (M, N_in), W (N_out, N_in) -> (M, N_out)."""
    return F.linear(x.flatten(1), W)


def conv2d(x: Tensor, W: Tensor, geometry: ConvGeometry) -> Tensor:
    """x (M, C, H, W), W (C_out, C / groups, kh, kw) -> (M, C_out, H_out, W_out), as cross-correlation."""
    with torch.backends.nnpack.flags(enabled=False):  # NNPACK uses Winograd and FFT: not exact
        return F.conv2d(x, W, stride=geometry.stride, padding=geometry.padding, groups=geometry.groups)


def pool2d(x: Tensor, pool: Pool) -> Tensor:
    """x (M, C, H, W) -> (M, C, H_out, W_out): OR (maximum) or sum over windows."""
    if pool.kind == "max":
        return F.max_pool2d(x, pool.kernel, pool.stride)
    return F.avg_pool2d(x, pool.kernel, pool.stride, divisor_override=1)


def shift_right(x: Tensor, shift: int) -> Tensor:
    """The arithmetic shift `x >> shift` (floor); exact, because a power of two only moves the exponent."""
    return torch.floor(x * 2.0**-shift) if shift else x


def shift_left(x: Tensor, shift: int) -> Tensor:
    """`x << shift`; x itself where nothing is shifted."""
    return x * 2**shift if shift else x


def leaked(V: Tensor, leak: tuple[LeakTerm, ...]) -> Tensor:
    """The sum of the leak's terms, each floored on its own; a new tensor."""
    total: Tensor | None = None
    for term in leak:
        part = (V * 2.0**-term.shift).floor_() if term.shift else V
        if total is None:
            total = -part if term.sign < 0 else part if term.shift else part.clone()
        else:
            total.add_(part, alpha=term.sign)
    return torch.zeros_like(V) if total is None else total


def slope(leak: tuple[LeakTerm, ...]) -> float:
    """The leak as a factor, without its floors."""
    return sum(term.sign * 2.0**-term.shift for term in leak)


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """(C,) -> (C, 1, ...), to meet the channel axis of `like` (N, C, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 2))
