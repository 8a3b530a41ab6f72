"""The weight memory of a layer core: which weights it holds, in which rows, and how many bits they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from mintaka.artifact import Node
from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.memory import table_width
from mintaka_hw.plan.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class WeightMemory:
    """A row holds the weights of one input element for the `lanes` neurons of a group, lane 0 in the low bits.

    Dense, there is a row per group and element: number group * fan_in + element. Sparse, the rows that are not all 0.

    values : int64 (channels, fan_in), in the order of the lists' elements.
    lanes : weights per row.
    bits : per weight, as it is stored: of its place in the codebook where there is one.
    codebook : the integers that the weights are, ascending, int64; None where the weights are stored themselves.
    subtracts : a weight may count negative.
    sparse : the stored rows of a sparse memory, else None.
    """

    values: np.ndarray
    lanes: int
    bits: int
    codebook: np.ndarray | None = None
    subtracts: bool = False
    sparse: SparseRows | None = None

    @classmethod
    def of(cls, node: Node, edges: Sequence[EdgePlan], lanes: int) -> WeightMemory:
        values = np.concatenate([edge.weight_rows for edge in edges], axis=1)
        codebook = None if node.codebook is None else np.array(node.codebook, np.int64)
        bits = node.place_bits or max(edge.weight.bits for edge in edges)
        subtracts = any(edge.sign_plane is not None for edge in edges)
        return cls(values, lanes, bits, codebook, subtracts, _sparse(edges, values, lanes))

    @property
    def fan_in(self) -> int:
        """Elements of a list, those of the edges one after the other: rows per group of a dense memory."""
        return self.values.shape[1]

    @property
    def groups(self) -> int:
        """Groups of lanes."""
        return ceil(len(self.values) / self.lanes)

    @property
    def depth(self) -> int:
        """Rows in the memory."""
        return self.fan_in * self.groups if self.sparse is None else self.sparse.depth

    @property
    def blocks(self) -> int:
        """Words of a sparse memory's index per group; 0 without one."""
        return 0 if self.sparse is None else len(self.sparse.places)

    @property
    def group_stride(self) -> int:
        """How far the numbers by which a group's rows are found go on from one group to the next: rows, or blocks."""
        return self.fan_in if self.sparse is None else self.blocks

    @property
    def number_bits(self) -> int:
        """Bits of those numbers."""
        return max(1, (self.groups * self.group_stride - 1).bit_length())

    @property
    def row_bits(self) -> int:
        """Address of a row."""
        return max(1, (self.depth - 1).bit_length())

    @property
    def synapse_bits(self) -> int:
        """Bits of the count of synapses that follows a row's weights, in a sparse memory."""
        return 0 if self.sparse is None else self.sparse.synapse_bits

    @cached_property
    def width(self) -> int:
        """Two's complement width of a weight as the lanes add it."""
        if self.codebook is None:
            return max(2, self.bits)
        return table_width(np.concatenate([self.codebook, -self.codebook]) if self.subtracts else self.codebook)

    @cached_property
    def stores_zero(self) -> bool:
        """True where a stored weight can be 0, as lanes beyond the last channel then hold it.

        Of 1 bit it cannot, and of some codebooks: there these lanes are told of no event instead. So they never sum.
        """
        return self.bits > 1 if self.codebook is None else 0 in self.codebook

    @cached_property
    def fanout(self) -> np.ndarray:
        """Synapses (non-zero weights) of every element of a list, int64 (fan_in,).

        Not for grouped layers; with a sparse memory every row has the number of its own.
        """
        return (self.values != 0).sum(axis=0).astype(np.int64)


def _sparse(edges: Sequence[EdgePlan], values: np.ndarray, lanes: int) -> SparseRows | None:
    """The stored rows where the elements of the edges are numbered in blocks, else None."""
    if any(edge.blocks is None for edge in edges):
        return None
    most = max(edge.places.shape[1] for edge in edges)
    places = [
        np.pad(
            np.where(edge.places < 0, -1, edge.places + edge.offset),
            ((0, 0), (0, most - edge.places.shape[1])),
            constant_values=-1,
        )
        for edge in edges
    ]
    return SparseRows(values, lanes, np.concatenate(places))
