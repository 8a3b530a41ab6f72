"""A sparse weight memory: it holds the rows that are not all zero, and an index says which ones those are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

BLOCK_ELEMENTS = 16  # elements that a word of the index speaks for; no more than that are in an entry of the event list


@dataclass(frozen=True)
class Blocks:
    """How the elements of an edge are numbered in a layer with a sparse weight memory: block by block.

    first : number of the edge's first block. place_bits : lowest bits of a number, the place within its block. A chunk
    of spikes is a block of its own, and an entry of the event list carries the number of its first place. Numbers of
    several bits make an entry each: `BLOCK_ELEMENTS` of them are a block.
    """

    first: int
    place_bits: int


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Which rows of weights a core stores, in the order of their groups and elements.

    weights : int64 (channels, fan_in), in the order of the lists' elements; `lanes` channels are a group.
    places : int64 (blocks, places), which element is at each place of each block; -1 for none.
    """

    weights: np.ndarray
    lanes: int
    places: np.ndarray

    @cached_property
    def kept(self) -> np.ndarray:
        """Whether a group's row of an element has a weight that is not 0, bool (groups, fan_in)."""
        edges = range(0, len(self.weights), self.lanes)
        return np.array([(self.weights[first : first + self.lanes] != 0).any(axis=0) for first in edges])

    @cached_property
    def masks(self) -> np.ndarray:
        """Bit per place of every block: its row is stored; bool (groups, blocks, places)."""
        return np.where(self.places >= 0, self.kept[:, self.places], False)

    @cached_property
    def bases(self) -> np.ndarray:
        """Number of each block's first stored row, int64 (groups, blocks); 0 for a block without one."""
        counts = self.masks.sum(axis=2)
        before = np.cumsum(counts).reshape(counts.shape) - counts
        return np.where(counts > 0, before, 0)

    @cached_property
    def rows(self) -> np.ndarray:
        """The stored rows, int64 (rows, lanes), block by block as `bases` says; 0 in lanes behind the last channel."""
        padding = -len(self.weights) % self.lanes
        by_group = np.pad(self.weights, ((0, padding), (0, 0))).reshape(-1, self.lanes, self.weights.shape[1])
        found = [group.T[self.places[mask]] for group, mask in zip(by_group, self.masks, strict=True)]
        return np.concatenate(found)

    @property
    def depth(self) -> int:
        """Words of the weight memory: a layer without a synapse has a row all the same, and no place leads to it."""
        return max(1, len(self.rows))

    @property
    def row_bits(self) -> int:
        """Address of a stored row."""
        return max(1, (self.depth - 1).bit_length())

    @property
    def synapse_bits(self) -> int:
        """Behind its weights a stored row says how many of them are not 0: the operations of an event."""
        return int((self.rows != 0).sum(axis=1).max(initial=0)).bit_length()

    @property
    def index_bits(self) -> int:
        """A word of the index: a block's mask, and the number of its first stored row."""
        return self.places.shape[1] + self.row_bits
