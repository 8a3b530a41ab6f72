"""Memories as the plan lists them."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK_BITS = 4096  # constants of so many bits go to block RAM, which reads a cycle ahead as they are read
BLOCK_ROWS = 2048  # of a deeper one, so many words stand in memories of their own


@dataclass(frozen=True)
class MemoryPlan:
    """One memory: `depth` words of `width` bits."""

    name: str
    depth: int
    width: int

    @property
    def bits(self) -> int:
        return self.depth * self.width
