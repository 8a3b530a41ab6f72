"""Memories as the plan lists them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Interval

BLOCK_BITS = 4096  # constants of so many bits go to block RAM, which reads a cycle ahead as they are read
BLOCK_ROWS = 2048  # of a deeper one, so many words stand in memories of their own
REGISTER_STATES = 2  # so many words of state are registers
DEEP_STATES = 64  # from so many words on, state is kept in a memory with a read register


@dataclass(frozen=True)
class MemoryPlan:
    """One memory: `depth` words of `width` bits."""

    name: str
    depth: int
    width: int

    @property
    def bits(self) -> int:
        return self.depth * self.width


def table_width(values: np.ndarray) -> int:
    """Two's complement width that holds every one of `values` and 0 (what padding lanes hold)."""
    return Interval(min(0, int(values.min())), max(0, int(values.max()))).signed_bits
