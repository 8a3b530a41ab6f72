"""What one layer core is made of, all derived from the artifact, the lanes and the way samples are worked on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mintaka.artifact import Node, NodeBounds
from mintaka_hw.plan.datapath import Datapath
from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.events import ENTRIES_AHEAD, EventList
from mintaka_hw.plan.folding import Folding
from mintaka_hw.plan.memory import MemoryPlan, table_width
from mintaka_hw.plan.schedule import Schedule
from mintaka_hw.plan.stream import StreamLayout
from mintaka_hw.plan.weights import WeightMemory

SPIKE_FIFO_DEPTH = 8  # covers the pipeline's latency, so that single-slot groups still follow without a gap
LOGIT_FIFO_DEPTH = 4
COUNTER_WIDTH = 32  # bits of the counters, which go on modulo 2^32 from sample to sample


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer core: it works through windows, one per step for a dense layer, one per output pixel for a convolution. A
    window is a list of events, replayed once per group of lanes, or several lists, each for some of the groups.

    edges : its inputs; an event list holds the events of all of them that meet in it, one after the other.
    bounds : the contract's proven intervals.
    read : of the head, where the logits come from ("accumulate", "count" or "membrane"), else None.
    folding : how its neurons share the lanes.
    schedule : what it goes through in a sample.

    What follows from these is worked out once: `events` (lists, entries and slots), `weights` (the weight memory) and
    `datapath` (what the lanes compute with, and what they keep).
    """

    node: Node
    edges: tuple[EdgePlan, ...]
    bounds: NodeBounds
    read: str | None
    folding: Folding
    schedule: Schedule

    @cached_property
    def events(self) -> EventList:
        return EventList.of(self.edges, self.schedule)

    @cached_property
    def weights(self) -> WeightMemory:
        return WeightMemory.of(self.node, self.edges, self.folding.lanes)

    @cached_property
    def datapath(self) -> Datapath:
        return Datapath.of(self.node, self.bounds, self.schedule, self.read)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_head(self) -> bool:
        return self.read is not None

    @cached_property
    def outgoing(self) -> StreamLayout:
        """The stream of spikes (of the head: of logits) that leaves."""
        rows, cols = self.node.shape_out[1:] if len(self.node.shape_out) == 3 else (1, 1)
        bits = self.datapath.logit_width if self.is_head else 1
        return StreamLayout(rows, cols, self.folding.channels, self.folding.lanes, bits)

    @property
    def logits(self) -> StreamLayout:
        """The head's logits as the serializer takes them: of several pixels one by one, for they were reordered."""
        if self.folding.windows == 1:
            return self.outgoing
        return StreamLayout(1, 1, self.node.size_out, 1, self.datapath.logit_width)

    @property
    def output_depth(self) -> int:
        """Words of the queue between the lanes and the core's output."""
        return LOGIT_FIFO_DEPTH if self.is_head else SPIKE_FIFO_DEPTH

    @property
    def memories(self) -> list[MemoryPlan]:
        """Every memory and constant table of the core, as it is built."""
        P, G, states = self.folding.lanes, self.folding.groups, self.folding.states
        events, weights, datapath, sparse = self.events, self.weights, self.datapath, self.weights.sparse
        ring, lists = events.memories
        has_fanout = not events.is_grouped and sparse is None
        found = [
            MemoryPlan("weights", weights.depth, P * weights.bits + weights.synapse_bits),
            MemoryPlan("index", G * weights.blocks, 0 if sparse is None else sparse.index_bits),
            MemoryPlan("codebook", 0 if weights.codebook is None else len(weights.codebook), weights.width),
            ring,
            lists,
            MemoryPlan("fanout", weights.fan_in, int(weights.fanout.max()).bit_length() if has_fanout else 0),
            MemoryPlan("entries", ENTRIES_AHEAD, self._queued_entry_bits),
            MemoryPlan("out_fifo", self.output_depth, self.outgoing.word_bits),
        ]
        for edge in self.edges:
            found += [] if edge.window_buffer is None else edge.window_buffer.memories
        found.append(MemoryPlan("state", states, P * sum(datapath.state_fields.values())))
        found.append(MemoryPlan("current", states, P * datapath.direct_sum_width))
        tables = {"bias": datapath.stored_bias, "threshold": datapath.threshold, "reset_by": datapath.reset_by}
        found += [MemoryPlan(n, G, P * table_width(values)) for n, values in tables.items() if values is not None]
        if self.schedule.exits:
            found.append(MemoryPlan("marks", self.schedule.time_steps, COUNTER_WIDTH))
        return [memory for memory in found if memory.bits > 0]

    @property
    def _queued_entry_bits(self) -> int:
        """An entry on its way to the slots: with its row, and with its group, state and phase, and seven flags."""
        counts = (self.folding.groups, self.folding.states)
        numbers = self.weights.number_bits + sum(max(1, (count - 1).bit_length()) for count in counts)
        return self.events.entry_bits + numbers + self.schedule.phase_bits + 7

    @property
    def logit_memory(self) -> MemoryPlan | None:
        """Where a head of several pixels puts its logits in order: two samples' words."""
        if not self.is_head or self.folding.windows == 1:
            return None
        return MemoryPlan("logits", 2 * self.folding.states, self.outgoing.word_bits)
