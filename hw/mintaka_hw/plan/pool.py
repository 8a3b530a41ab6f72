"""What a pooling core is made of."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka.artifact import Node
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.stream import StreamLayout
from mintaka_hw.plan.window import WindowPlan


@dataclass(frozen=True, eq=False)
class PoolPlan:
    """A pool of `node` over the stream `incoming`; it gives whole pixels, one per window."""

    node: Node
    incoming: StreamLayout

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_sum(self) -> bool:
        assert self.node.pool is not None
        return self.node.pool.kind == "sum"

    @property
    def window_buffer(self) -> WindowPlan:
        pool = self.node.pool
        assert pool is not None
        return WindowPlan(self.incoming, pool.kernel, pool.stride, (0, 0), self.node.shape_out[1:])

    @property
    def element_bits(self) -> int:
        """Bits of an outgoing element: 1 for an OR, enough for the whole window's sum otherwise."""
        if not self.is_sum:
            return 1
        most = (2**self.incoming.element_bits - 1) * self.window_buffer.outgoing.pixels
        return most.bit_length()

    @property
    def outgoing(self) -> StreamLayout:
        channels, rows, cols = self.node.shape_out
        return StreamLayout(rows, cols, channels, channels, self.element_bits)

    @property
    def memories(self) -> list[MemoryPlan]:
        return self.window_buffer.memories
