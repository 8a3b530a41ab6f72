"""What a join core is made of."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka.artifact import Node
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.stream import StreamLayout
from mintaka_hw.plan.window import WindowPlan


@dataclass(frozen=True, eq=False)
class JoinPlan:
    """A join of `node` over the streams `incoming`; it gives whole pixels, with bits for the largest sum."""

    node: Node
    incoming: tuple[StreamLayout, ...]
    outgoing: StreamLayout

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def window_buffers(self) -> tuple[WindowPlan, ...]:
        """Per input, what puts its words together to whole pixels."""
        return tuple(WindowPlan(i, (1, 1), (1, 1), (0, 0), (i.rows, i.cols)) for i in self.incoming)

    @property
    def memories(self) -> list[MemoryPlan]:
        return [memory for window in self.window_buffers for memory in window.memories]
