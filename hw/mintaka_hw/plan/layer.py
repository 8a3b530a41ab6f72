"""What one layer core is made of: folding, widths and memories, all derived from the artifact and the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from mintaka.artifact import Interval, Node, NodeBounds, Signal

CHUNK_ELEMENTS = 8
SPIKE_FIFO_DEPTH = 8  # covers the pipeline's latency, so that single-slot groups still follow without a gap
LOGIT_FIFO_DEPTH = 2
STATE_DISTANCE = 4  # cycles from a group's last slot to the first slot that may read the state it stores


@dataclass(frozen=True)
class MemoryPlan:
    """One memory: `depth` words of `width` bits."""

    name: str
    depth: int
    width: int

    @property
    def bits(self) -> int:
        return self.depth * self.width


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A dense layer core with `lanes` lanes (P); neuron j sits in group j // P, lane j % P.

    word_elements : source elements per incoming word.
    source : what the layer reads; a static one is summed once per sample.
    bounds : the contract's proven intervals.
    """

    node: Node
    lanes: int
    time_steps: int
    word_elements: int
    source: Signal
    bounds: NodeBounds

    # ---- folding

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_head(self) -> bool:
        return self.node.neuron is None

    @property
    def size_in(self) -> int:
        return self.node.size_in

    @property
    def size_out(self) -> int:
        return self.node.size_out

    @property
    def groups(self) -> int:
        """G: how often the event list is replayed per time step."""
        return ceil(self.size_out / self.lanes)

    @property
    def element_bits(self) -> int:
        """Bit-planes per source element; 1 for spikes."""
        return int(self.source.max_value).bit_length()

    @property
    def word_bits(self) -> int:
        return self.word_elements * self.element_bits

    @property
    def words(self) -> int:
        """Words per event list (per time step; per sample for a static source)."""
        return ceil(self.size_in / self.word_elements)

    @property
    def chunk_elements(self) -> int:
        """Source elements in one entry of the event list: 8 spikes, or one multi-bit number."""
        return 1 if self.element_bits > 1 else min(CHUNK_ELEMENTS, self.word_elements)

    @property
    def chunk_bits(self) -> int:
        return self.chunk_elements * self.element_bits

    @property
    def word_chunks(self) -> int:
        return ceil(self.word_elements / self.chunk_elements)

    @property
    def list_depth(self) -> int:
        """Most entries that one event list can have."""
        whole, rest = divmod(self.size_in, self.word_elements)
        return whole * self.word_chunks + ceil(rest / self.chunk_elements)

    # ---- proven ranges

    @property
    def input_shift(self) -> int:
        return self.node.inputs[0].input_shift

    @cached_property
    def bias(self) -> np.ndarray:
        """B per neuron, int64 (size_out,); zeros where the artifact has none."""
        if self.node.bias is None:
            return np.zeros(self.size_out, np.int64)
        return self.node.bias.values.astype(np.int64)

    @property
    def k(self) -> Interval:
        """K = U + I + B, padding lanes included (they sum nothing, or -1 per event where weights have 1 bit)."""
        lo, hi = min(self.bounds.k.lo, 0), max(self.bounds.k.hi, 0)
        if self.weight_bits == 1:
            padding = (-self.size_in * self.source.max_value) >> self.input_shift
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
        if self.is_head or self.source.static:
            return self.k.hull(bias)
        return (Interval(-self.state_max, self.state_max) + bias).hull(bias)

    @property
    def accumulator(self) -> Interval:
        """Every value that an accumulator takes, before `input_shift`, in any order of addition."""
        shift = self.input_shift
        scaled = Interval(self.k.lo << shift, ((self.k.hi + 1) << shift) - 1)
        sums = self.bounds.sums[0]
        low = sums.lo if self.weight_bits > 1 else min(sums.lo, -self.size_in * self.source.max_value)
        bias = Interval(int(self.bias.min()) << shift, int(self.bias.max()) << shift).hull(Interval(0, 0))
        return scaled.hull(bias + Interval(low, sums.hi))

    # ---- widths

    @property
    def weight_bits(self) -> int:
        weight = self.node.inputs[0].weight
        assert weight is not None
        return weight.bits

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
        return self.source.static and self.time_steps > 1

    @property
    def state_distance(self) -> int:
        return STATE_DISTANCE if self.has_state or self.has_current else 1

    @cached_property
    def threshold(self) -> np.ndarray:
        """T per neuron, int64, clipped to where it still decides: K > T is unchanged for every K that occurs."""
        assert self.node.neuron is not None
        return np.clip(self.node.neuron.threshold.values.astype(np.int64), self.k.lo - 1, self.k.hi)

    @cached_property
    def reset_by(self) -> np.ndarray | None:
        """R per neuron, int64, or None for reset to zero."""
        neuron = self.node.neuron
        return None if neuron is None or neuron.reset_by is None else neuron.reset_by.values.astype(np.int64)

    @property
    def fanout(self) -> np.ndarray:
        """Synapses (non-zero weights) of every source element, int64 (size_in,)."""
        weight = self.node.inputs[0].weight
        assert weight is not None
        return (weight.values != 0).sum(axis=0).astype(np.int64)

    @property
    def fifo_depth(self) -> int:
        return LOGIT_FIFO_DEPTH if self.is_head else SPIKE_FIFO_DEPTH

    @property
    def out_word_bits(self) -> int:
        return self.lanes * (self.k_width if self.is_head else 1)

    # ---- memories

    @property
    def list_address_bits(self) -> int:
        return max(1, (self.list_depth - 1).bit_length())

    @property
    def element_address_bits(self) -> int:
        return max(1, (self.size_in - 1).bit_length())

    @property
    def memories(self) -> list[MemoryPlan]:
        """Every memory and constant table of the core, as it is built."""
        P, G = self.lanes, self.groups
        entry = self.element_address_bits + self.chunk_bits
        found = [
            MemoryPlan("weights", self.size_in * G, P * self.weight_bits),
            MemoryPlan("events", 2 * 2**self.list_address_bits, entry),
            MemoryPlan("fanout", self.size_in, int(self.fanout.max()).bit_length()),
            MemoryPlan("out_fifo", self.fifo_depth, self.out_word_bits),
        ]
        if self.has_state:
            found.append(MemoryPlan("state", G, P * self.state_width))
        if self.has_current:
            found.append(MemoryPlan("current", G, P * self.k_width))
        for name, values in (("bias", self.bias), ("threshold", None if self.is_head else self.threshold)):
            if values is not None:
                found.append(MemoryPlan(name, G, P * table_width(values)))
        if self.reset_by is not None:
            found.append(MemoryPlan("reset_by", G, P * table_width(self.reset_by)))
        return [memory for memory in found if memory.bits > 0]


def table_width(values: np.ndarray) -> int:
    """Two's complement width that holds every one of `values` and 0 (what padding lanes hold)."""
    return Interval(min(0, int(values.min())), max(0, int(values.max()))).signed_bits
