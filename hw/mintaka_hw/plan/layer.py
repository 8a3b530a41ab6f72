"""What one layer core is made of: folding, widths and memories, all derived from the artifact and the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np

from mintaka.artifact import Interval, Node, NodeBounds
from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.stream import StreamLayout

SPIKE_FIFO_DEPTH = 8  # covers the pipeline's latency, so that single-slot groups still follow without a gap
LOGIT_FIFO_DEPTH = 2
STATE_DISTANCE = 4  # cycles from a group's last slot to the first slot that may read the state it stores
LIST_SLOTS = 8  # event lists in the collector's ring at once; 5 hide the way of an empty one
DEEP_STATES = 64  # from so many words on, state is kept in a memory with a read register


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer core with `lanes` lanes (P); output channel c sits in group c // P, lane c % P.

    edges : its inputs; an event list holds the events of all of them, one after the other.
    bounds : the contract's proven intervals.

    The layer works through windows: one per step for a dense layer, one per output pixel for a convolution. A window
    is a list of events, replayed once per group, or several lists, each for some of the groups (`sections`).
    """

    node: Node
    lanes: int
    time_steps: int
    edges: tuple[EdgePlan, ...]
    bounds: NodeBounds

    # ---- folding

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_head(self) -> bool:
        return self.node.neuron is None

    @property
    def static(self) -> bool:
        """True where the source is a direct input, which is summed once per sample."""
        return self.edges[0].source.static

    @property
    def windows(self) -> int:
        """Times that all neurons of a pixel are worked on, per time step."""
        return prod(self.node.shape_out[1:])

    @property
    def channels(self) -> int:
        """Neurons per window: what the lanes are folded over."""
        return self.node.shape_out[0]

    @property
    def groups(self) -> int:
        """G: how many groups of lanes the neurons of a window make."""
        return ceil(self.channels / self.lanes)

    @property
    def sections(self) -> int:
        """Event lists per window, each for its own groups: several where edges are grouped convolutions."""
        return self.edges[0].sections

    @property
    def list_groups(self) -> int:
        """Groups that a list is replayed for."""
        return self.groups // self.sections

    @property
    def lists(self) -> int:
        """Event lists per time step."""
        return self.windows * self.sections

    @property
    def states(self) -> int:
        """Words of state: one per window and group."""
        return self.windows * self.groups

    @property
    def outgoing(self) -> StreamLayout:
        """The stream of spikes (for the head: of sums) that leaves."""
        rows, cols = self.node.shape_out[1:] if len(self.node.shape_out) == 3 else (1, 1)
        return StreamLayout(rows, cols, self.channels, self.lanes, self.k_width if self.is_head else 1)

    @property
    def fan_in(self) -> int:
        """Rows of weights per group, the edges' one after the other."""
        return sum(edge.fan_in for edge in self.edges)

    @property
    def list_depth(self) -> int:
        """Most entries that one event list can have."""
        return sum(edge.list_depth for edge in self.edges)

    @property
    def word_bits(self) -> int:
        """Width of the widest word that enters the collector."""
        return max(edge.lists.word_bits for edge in self.edges)

    @property
    def chunk_bits(self) -> int:
        """Width of the widest chunk in an event list."""
        return max(edge.chunk_bits for edge in self.edges)

    @property
    def chunk_fields(self) -> int:
        """Most slots that an entry can cause."""
        return max(edge.chunk_fields for edge in self.edges)

    @property
    def is_grouped(self) -> bool:
        """True where an edge is a grouped convolution or an identity: an event need not reach all lanes."""
        return any(edge.conv_groups > 1 or edge.is_spread for edge in self.edges)

    @property
    def planes(self) -> int:
        return max(edge.planes for edge in self.edges)

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Weights in the order of the lists' elements, int64 (channels, fan_in)."""
        return np.concatenate([edge.weight_rows for edge in self.edges], axis=1)

    @property
    def stored_weight_bits(self) -> int:
        """Bits per weight in the memory: 1 only where every weight is -1 or +1."""
        bits = max(edge.weight.bits for edge in self.edges)
        return 2 if bits == 1 and (self.weight_rows == 0).any() else bits

    # ---- proven ranges

    @property
    def input_shift(self) -> int:
        return self.node.inputs[0].input_shift

    @cached_property
    def bias(self) -> np.ndarray:
        """B per channel, int64 (channels,); zeros where the artifact has none."""
        if self.node.bias is None:
            return np.zeros(self.channels, np.int64)
        return self.node.bias.values.astype(np.int64)

    @property
    def k(self) -> Interval:
        """K = U + I + B, padding lanes included (they sum nothing, or -1 per event where weights have 1 bit)."""
        lo, hi = min(self.bounds.k.lo, 0), max(self.bounds.k.hi, 0)
        if self.stored_weight_bits == 1:
            padding = self._padding_sum >> self.input_shift
            lo = min(lo, padding * self.time_steps if self.is_head else padding - self.state_max)
        return Interval(lo, hi)

    @property
    def state_max(self) -> int:
        """Qu, the largest stored membrane (0 for the head, whose running sum is bounded by `k`)."""
        return 0 if self.node.neuron is None else self.node.neuron.membrane_max

    @property
    def start(self) -> Interval:
        """What an accumulation starts from: B, U + B, U + the stored current (a K already), or the head's sum + B."""
        bias = Interval(int(self.bias.min()), int(self.bias.max())).hull(Interval(0, 0))
        if self.is_head or self.static:
            return self.k.hull(bias)
        return (Interval(-self.state_max, self.state_max) + bias).hull(bias)

    @property
    def accumulator(self) -> Interval:
        """Every value that an accumulator takes, before `input_shift`, in any order of addition."""
        shift = self.input_shift
        scaled = Interval(self.k.lo << shift, ((self.k.hi + 1) << shift) - 1)
        low = sum(i.lo << e.edge.shift for i, e in zip(self.bounds.sums, self.edges, strict=True))
        high = sum(i.hi << e.edge.shift for i, e in zip(self.bounds.sums, self.edges, strict=True))
        if self.stored_weight_bits == 1:
            low = min(low, self._padding_sum)
        bias = Interval(int(self.bias.min()) << shift, int(self.bias.max()) << shift).hull(Interval(0, 0))
        return scaled.hull(bias + Interval(low, high))

    @property
    def _padding_sum(self) -> int:
        """Least sum of a padding lane that subtracts every event, as it does where weights have 1 bit."""
        return -sum(edge.fan_in * edge.source.max_value << edge.edge.shift for edge in self.edges)

    # ---- widths

    @property
    def k_width(self) -> int:
        return self.k.signed_bits

    @property
    def accumulator_width(self) -> int:
        return self.accumulator.signed_bits

    @property
    def state_width(self) -> int:
        """Bits of the state that a neuron keeps between steps."""
        return self.k_width if self.node.neuron is None else self.node.neuron.membrane_bits

    @property
    def has_state(self) -> bool:
        """False where nothing survives a step: one step only, or a leak that keeps nothing."""
        keeps = self.node.neuron is None or len(self.node.neuron.leak) > 0
        return self.time_steps > 1 and keeps

    @property
    def has_current(self) -> bool:
        """True where the input's current is summed once and kept for the other steps."""
        return self.static and self.time_steps > 1

    @property
    def state_distance(self) -> int:
        if not (self.has_state or self.has_current):
            return 1
        return STATE_DISTANCE + self.state_is_deep

    @property
    def state_is_deep(self) -> bool:
        """True where the state sits in a memory that is read a cycle ahead (block RAM) instead of a register file."""
        return self.states >= DEEP_STATES

    @cached_property
    def threshold(self) -> np.ndarray:
        """T per channel, int64, clipped to where it still decides: K > T is unchanged for every K that occurs."""
        assert self.node.neuron is not None
        return np.clip(self.node.neuron.threshold.values.astype(np.int64), self.k.lo - 1, self.k.hi)

    @cached_property
    def reset_by(self) -> np.ndarray | None:
        """R per channel, int64, or None for reset to zero."""
        neuron = self.node.neuron
        return None if neuron is None or neuron.reset_by is None else neuron.reset_by.values.astype(np.int64)

    @property
    def fanout(self) -> np.ndarray:
        """Synapses (non-zero weights) of every element of a list, int64 (fan_in,); not for grouped layers."""
        return (self.weight_rows != 0).sum(axis=0).astype(np.int64)

    @property
    def fifo_depth(self) -> int:
        return LOGIT_FIFO_DEPTH if self.is_head else SPIKE_FIFO_DEPTH

    # ---- memories

    @property
    def list_address_bits(self) -> int:
        return max(1, (self.list_depth - 1).bit_length())

    @property
    def ring_bits(self) -> int:
        """Address of an entry: the ring holds two lists of any length, and more of short ones."""
        return self.list_address_bits + 1

    @property
    def place_bits(self) -> int:
        """An entry's address and a bit that says in which round of the ring."""
        return self.ring_bits + 1

    @property
    def list_room(self) -> int:
        """Most entries in the ring with which another list may begin."""
        return 2**self.ring_bits - self.list_depth

    @property
    def edge_bits(self) -> int:
        """Bits that say which edge a word or an entry belongs to; none where there is but one."""
        return (len(self.edges) - 1).bit_length()

    @property
    def element_address_bits(self) -> int:
        return max(1, *((edge.elements[-1]).bit_length() for edge in self.edges))

    @property
    def memories(self) -> list[MemoryPlan]:
        """Every memory and constant table of the core, as it is built."""
        P, G = self.lanes, self.groups
        entry = self.element_address_bits + self.chunk_bits + self.edge_bits
        found = [
            MemoryPlan("weights", self.fan_in * G, P * self.stored_weight_bits),
            MemoryPlan("events", 2**self.ring_bits, entry),
            MemoryPlan("lists", LIST_SLOTS, self.place_bits + 1),
            MemoryPlan("fanout", self.fan_in, 0 if self.is_grouped else int(self.fanout.max()).bit_length()),
            MemoryPlan("out_fifo", self.fifo_depth, self.outgoing.word_bits),
        ]
        for edge in self.edges:
            found += [] if edge.window_buffer is None else edge.window_buffer.memories
        if self.has_state:
            found.append(MemoryPlan("state", self.states, P * self.state_width))
        if self.has_current:
            found.append(MemoryPlan("current", self.states, P * self.k_width))
        for name, values in (("bias", self.bias), ("threshold", None if self.is_head else self.threshold)):
            if values is not None:
                found.append(MemoryPlan(name, G, P * table_width(values)))
        if self.reset_by is not None:
            found.append(MemoryPlan("reset_by", G, P * table_width(self.reset_by)))
        return [memory for memory in found if memory.bits > 0]


def table_width(values: np.ndarray) -> int:
    """Two's complement width that holds every one of `values` and 0 (what padding lanes hold)."""
    return Interval(min(0, int(values.min())), max(0, int(values.max()))).signed_bits
