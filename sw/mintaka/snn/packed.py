"""Several small integer products in one: a float32 holds two or more sums side by side, exactly.

With `W = W_0 + 2^width * W_1 + ...` one product gives `I_0 + 2^width * I_1 + ...`, and while every |I| is less than
2^(width - 1) and the whole less than 2^24, all partial sums are exact and the parts can be told apart. Products of
spikes with weights of few bits stay far below 2^24, so half the work or less gives the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mintaka.snn.exact import EXACT32, dense

LEAST_PARTS = 2
LEAST_ROWS = 16  # of W in one part: with fewer, the product is not what takes the time
LEAST_WORK = 2**24  # multiplications: with fewer, packing in every forward costs more than it saves


@dataclass(frozen=True)
class Packed:
    """W (N_out, N_in) as `parts` blocks of rows in one: `weight` (ceil(N_out / parts), N_in), float32."""

    weight: Tensor
    parts: int
    width: int
    size_out: int

    def product(self, x: Tensor) -> Tensor:
        """x (M, ...) flattened to (M, N_in) -> (M, N_out): what `dense` gives for the unpacked W."""
        rest = dense(x, self.weight)
        rows = rest.shape[1]
        out = torch.empty(len(rest), self.parts * rows, dtype=rest.dtype)
        for index in range(self.parts - 1):
            # Dropping the lowest part leaves the others: |part| < 2^(width - 1), so rounding finds their sum.
            above = torch.mul(rest, 2.0**-self.width).round_()
            torch.sub(rest, above, alpha=2**self.width, out=out[:, index * rows : (index + 1) * rows])
            rest = above
        out[:, (self.parts - 1) * rows :] = rest
        return out[:, : self.size_out]


def largest_sum(W: Tensor, most: int, least: int = 0) -> int:
    """Magnitude that no sum of W (N_out, N_in), integers, times values `least`..`most` (0 among them) can leave, in any
    order."""
    magnitudes, sums = W.abs().sum(1), W.sum(1).abs()
    if not least:
        # The larger of the sum of the positive and that of the negative weights, without taking them apart.
        return int(magnitudes.add_(sums).max()) // 2 * most
    return int(magnitudes.max()) * max(most, -least)


def pack(W: Tensor, magnitude: int) -> Packed | None:
    """W (N_out, N_in), integers in float32 whose sums stay within `magnitude`; None where parts of it do not fit."""
    width = magnitude.bit_length() + 1
    parts = min(EXACT32.bit_length() // width, len(W) // LEAST_ROWS)
    if parts < LEAST_PARTS or W.dtype != torch.float32:
        return None
    rows = -(-len(W) // parts)
    weight = torch.zeros(rows, W.shape[1])
    for index in range(parts):
        block = W[index * rows : (index + 1) * rows]
        weight[: len(block)].add_(block, alpha=2 ** (width * index))
    return Packed(weight, parts, width, len(W))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, packed: Packed) -> Tensor:
        ctx.save_for_backward(x, W)
        return packed.product(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, W = ctx.saved_tensors
        grad_x = (grads[0] @ W).reshape(x.shape) if ctx.needs_input_grad[0] else None
        return grad_x, grads[0].T @ x.flatten(1), None


def integer_dense(x: Tensor, W: Tensor, most: int, least: int = 0) -> Tensor:
    """`dense(x, W)` of integers in dtypes that hold it: W of few bits, x in `least`..`most`; differentiable."""
    if len(x) * W.numel() >= LEAST_WORK and W.dtype == torch.float32:
        packed = pack(W.detach(), largest_sum(W.detach(), most, least))
        if packed is not None:
            out: Tensor = _Product.apply(x, W, packed)  # type: ignore[no-untyped-call]
            return out
    return dense(x, W)
