"""Shared weights: all edges of a layer take their integers from one small table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mintaka.snn.quantizer import WeightQuantizer


class Codebook(nn.Module):
    """`W = integer[place]`: the integers learn, the places stay.

    centroids : (k,), real, in the units of the first edge's weights; `integers` puts them on its grid. Taking one for
        each place makes its gradient the sum over its members' (straight-through onto the grid).
    trained : bool (k,), False for an entry that is 0 and stays so.
    place0, place1, ... : per edge, of its weight's shape, where each of its weights is.
    """

    trained: Tensor

    def __init__(self, centroids: Tensor, trained: Tensor, places: Sequence[Tensor]) -> None:
        super().__init__()
        self.centroids = nn.Parameter(centroids.clone())
        self.register_buffer("trained", trained.clone())
        for index, place in enumerate(places):
            self.register_buffer(f"place{index}", place.to(torch.int32))

    def integers(self, quantizer: WeightQuantizer, step: Tensor) -> Tensor:
        """(k,), integer-valued, differentiable."""
        found: Tensor = quantizer(self.centroids * self.trained, step)
        return found

    def place(self, index: int) -> Tensor:
        """Where the weights of an edge are."""
        found: Tensor = self.get_buffer(f"place{index}")
        return found


def chosen(integers: Tensor, place: Tensor) -> Tensor:
    """The weights of an edge, of the shape of `place`."""
    return integers.index_select(0, place.flatten()).reshape(place.shape)
