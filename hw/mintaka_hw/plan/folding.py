"""How the neurons of a layer share its lanes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from mintaka.artifact import Node
from mintaka_hw.plan.edge import sections_of


@dataclass(frozen=True)
class Folding:
    """Output channel c of a window sits in group c // lanes, lane c % lanes.

    lanes : neurons that are worked on side by side (P).
    channels : neurons per window, which are folded over the lanes.
    windows : times that all neurons of a pixel are worked on, per time step: 1 for a dense layer.
    sections : event lists per window, each for its own groups: several where edges are grouped convolutions.
    """

    lanes: int
    channels: int
    windows: int = 1
    sections: int = 1

    @classmethod
    def of(cls, node: Node, lanes: int) -> Folding:
        return cls(lanes, node.shape_out[0], prod(node.shape_out[1:]), sections_of(node, lanes))

    @property
    def groups(self) -> int:
        """Groups of lanes that the neurons of a window make (G)."""
        return ceil(self.channels / self.lanes)

    @property
    def groups_per_list(self) -> int:
        """Groups that an event list is replayed for."""
        return self.groups // self.sections

    @property
    def lists(self) -> int:
        """Event lists per time step."""
        return self.windows * self.sections

    @property
    def states(self) -> int:
        """Words of state, each of all lanes: one per window and group."""
        return self.windows * self.groups
