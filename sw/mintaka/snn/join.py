"""Spikes of several sources, joined element by element, with gradients by the multilinear form of each kind.

    or      1 - (1 - a)(1 - b)...         and     a b ...         iand    (1 - a) b         add     a + b + ...

On spikes these are the joins of `docs/reference/semantics.md`; between 0 and 1 they say how the output would move.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add, mul

import torch
from torch import Tensor, nn


def joined(xs: Sequence[Tensor], kind: str) -> Tensor:
    """xs, each (..., *shape), in the order of the inputs -> (..., *shape)."""
    if kind == "or":
        return 1 - reduce(mul, [1 - x for x in xs])
    if kind == "iand":
        return (1 - xs[0]) * xs[1]
    return reduce(mul if kind == "and" else add, xs)


class Joining(nn.Module):
    """own : by input, whether it is the join itself, one step before (its tensor is ignored)."""

    def __init__(self, kind: str, own: Sequence[bool]) -> None:
        super().__init__()
        self.kind, self.own = kind, tuple(own)

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        """xs, each (T, N, *shape) -> (T, N, *shape)."""
        if not any(self.own):
            return joined(xs, self.kind)
        outside = next(x for x, own in zip(xs, self.own, strict=True) if not own)
        last, steps = torch.zeros_like(outside[0]), []
        for t in range(len(outside)):
            last = joined([last if own else x[t] for x, own in zip(xs, self.own, strict=True)], self.kind)
            steps.append(last)
        return torch.stack(steps)
