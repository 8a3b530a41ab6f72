"""The membrane rule as released with MINT (Yin et al. 2024), by integer boundaries: for comparison with shift and clip.

The released code stores, with the real numbers of a network whose threshold is theta = 1/2 and lambda the leak's share,

    U = round(clip(tanh(lambda V) / alpha, -1, 1) * Q)            halves to even

on the grid of the layer's weights, d = alpha / Q. Behind the folded BatchNorm that grid is u = theta * G in each
channel (G: the gain, in thresholds per integer), and V is an integer of it:

    U = round(clip(tanh(lambda V u) / u, -Qu, Qu))

(with Qu = Q, where weights and membranes have the same bits, that is the line above for alpha = Q u). V is an integer
and U never falls with V, so the 2 Qu smallest V at which U reaches -Qu + 1, ..., Qu say it all:

    U = -Qu + (number of boundaries b with V >= b)

These integers are what training, artifact and reference compute with. In hardware each lane would need 2 Qu comparators
and as many numbers per channel, where shift and clip need two constant comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mintaka.snn.exact import per_channel

THETA = 0.5
FAR = 2**30  # a boundary that no membrane reaches


def boundaries(gain: Tensor, share: float, most: int) -> Tensor:
    """(C, 2 * most), float64, ascending integers, of the gains (C,) in thresholds per integer.

    share : lambda, above 0. most : Qu.
    """
    u = (THETA * gain.double())[:, None]
    level = torch.arange(-most, most, dtype=torch.float64) + 0.5  # U reaches the next integer above it
    argument = level * u
    inside = argument.abs() < 1
    exact = torch.atanh(torch.where(inside, argument, 0.0)) / (share * u)
    far = torch.where(argument > 0, float(FAR), -float(FAR))
    return torch.where(inside, exact.ceil(), far).clamp(-FAR, FAR)


@dataclass(frozen=True, eq=False)
class Staircase:
    """How the neurons of one layer store their membranes.

    boundaries : (C, 2 Qu), of the dtype of V. unit, share : u (C,) and lambda, for the gradient.
    """

    boundaries: Tensor
    unit: Tensor | None = None
    share: float = 1.0

    @property
    def most(self) -> int:
        """Qu."""
        return self.boundaries.shape[1] // 2

    def store(self, V: Tensor) -> Tensor:
        """U of V, (N, C, ...); a new tensor."""
        rows = V.movedim(1, 0)
        passed = torch.searchsorted(self.boundaries, rows.reshape(len(rows), -1).contiguous(), right=True)
        return passed.to(V.dtype).sub_(self.most).reshape(rows.shape).movedim(0, 1).contiguous()

    def passing(self, V: Tensor) -> Tensor:
        """dU / dV without the factor lambda, V (T, N, C, ...): the slope of tanh, 0 where the clip acts."""
        assert self.unit is not None
        u = per_channel(self.unit, V.flatten(0, 1)).to(V.dtype)  # of one step there is none to store: T is 0
        y = torch.tanh(V * u * self.share)
        return (1 - y.square()) * (y.abs() <= u * self.most)


def staircase(gain: Tensor, share: float, most: int, dtype: torch.dtype) -> Staircase:
    """Of a layer's gains (C,); no gradient goes to them."""
    gain = gain.detach()
    return Staircase(boundaries(gain, share, most).to(dtype), THETA * gain, share)
