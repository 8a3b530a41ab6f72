"""What one layer core is made of: folding, widths and memories, all derived from the artifact and the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np

from mintaka.artifact import Integrator, Interval, Neuron, Node, NodeBounds, SynapticCurrent
from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.phases import Phases
from mintaka_hw.plan.ranges import Ranges, lane_ranges
from mintaka_hw.plan.sparse import SparseRows
from mintaka_hw.plan.stream import StreamLayout

SPIKE_FIFO_DEPTH = 8  # covers the pipeline's latency, so that single-slot groups still follow without a gap
LOGIT_FIFO_DEPTH = 4
LIST_SLOTS = 16  # event lists in the collector's ring at once; 10 hide the way of an empty one
# Entries between list and slots: one is there three cycles after it was asked for, and its place free one behind that.
ENTRIES_AHEAD = 4
COUNTER_WIDTH = 32  # bits of the counters, which go on modulo 2^32 from sample to sample
REGISTER_STATES = 2  # so many words of state are registers
DEEP_STATES = 64  # from so many words on, state is kept in a memory with a read register


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer core with `lanes` lanes (P); output channel c sits in group c // P, lane c % P.

    edges : its inputs; an event list holds the events of all of them that meet in it, one after the other.
    bounds : the contract's proven intervals.
    read : of the head, where the logits come from ("accumulate", "count" or "membrane"), else None.
    exits : samples may stop early, so that the head gives its logits after every step, and operations are counted by
        steps.
    run_time : the steps of a sample are an input of the core, `time_steps` the most of them.

    The layer works through windows: one per step for a dense layer, one per output pixel for a convolution. A window
    is a list of events, replayed once per group, or several lists, each for some of the groups (`sections`). A sample
    is a row of *phases*, each over all windows: the time steps, and ahead of them one pass for each direct edge whose
    sum must be known on its own.
    """

    node: Node
    lanes: int
    time_steps: int
    edges: tuple[EdgePlan, ...]
    bounds: NodeBounds
    read: str | None = None
    exits: bool = False
    run_time: bool = False

    # ---- what its neurons are

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_head(self) -> bool:
        return self.read is not None

    @property
    def gives_last_step(self) -> bool:
        """True for a head whose words leave after the last step only."""
        return self.is_head and not self.exits

    @property
    def fires(self) -> bool:
        return self.node.neuron is not None

    @property
    def membrane(self) -> Neuron | Integrator | None:
        """Who leaks and stores U; None where the head only sums."""
        return self.node.neuron or self.node.integrator

    @property
    def current(self) -> SynapticCurrent | None:
        """The synaptic current of CUBA-LIF neurons, else None."""
        return None if self.node.neuron is None else self.node.neuron.current

    @property
    def refractory(self) -> int:
        """Steps of silence after a spike, as far as a sample's steps reach."""
        return 0 if self.node.neuron is None else min(self.node.neuron.refractory, self.time_steps - 1)

    @cached_property
    def phases(self) -> Phases:
        return Phases(self.edges, self.time_steps, self.current is not None)

    # ---- folding

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
        """The stream of spikes (of the head: of logits) that leaves."""
        rows, cols = self.node.shape_out[1:] if len(self.node.shape_out) == 3 else (1, 1)
        return StreamLayout(rows, cols, self.channels, self.lanes, self.logit_width if self.is_head else 1)

    @property
    def logits(self) -> StreamLayout:
        """The head's logits as the serializer takes them: of several pixels one by one, for they were reordered."""
        if self.windows == 1:
            return self.outgoing
        return StreamLayout(1, 1, self.node.size_out, 1, self.logit_width)

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
        """An event's weight counts 2^plane times, for planes below this."""
        return max(edge.element_bits + self.phases.plane_shift(n) for n, edge in enumerate(self.edges))

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Weights in the order of the lists' elements, int64 (channels, fan_in)."""
        return np.concatenate([edge.weight_rows for edge in self.edges], axis=1)

    @cached_property
    def sparse(self) -> SparseRows | None:
        """The stored rows where the weight memory is sparse, else None: it holds a row per group and element."""
        if any(edge.blocks is None for edge in self.edges):
            return None
        most = max(edge.places.shape[1] for edge in self.edges)
        places = [
            np.pad(
                np.where(edge.places < 0, -1, edge.places + edge.offset),
                ((0, 0), (0, most - edge.places.shape[1])),
                constant_values=-1,
            )
            for edge in self.edges
        ]
        return SparseRows(self.weight_rows, self.lanes, np.concatenate(places))

    @property
    def weight_depth(self) -> int:
        """Rows in the weight memory."""
        return self.fan_in * self.groups if self.sparse is None else self.sparse.depth

    @property
    def blocks(self) -> int:
        """Words of the index per group; 0 without one."""
        return 0 if self.sparse is None else len(self.sparse.places)

    @property
    def spike_places(self) -> int:
        """Places of the widest chunk of spikes; 0 where all edges bring numbers of several bits."""
        return max((edge.chunk_fields for edge in self.edges if edge.element_bits == 1), default=0)

    @property
    def synapse_bits(self) -> int:
        """Bits of the count of synapses behind a row's weights, in a sparse memory."""
        return 0 if self.sparse is None else self.sparse.synapse_bits

    @property
    def stored_weight_bits(self) -> int:
        """Bits per weight in the memory: of its place in the codebook where there is one."""
        return self.node.place_bits or max(edge.weight.bits for edge in self.edges)

    @property
    def weight_width(self) -> int:
        """Two's complement width of a weight as the lanes add it."""
        if self.codebook is None:
            return max(2, self.stored_weight_bits)
        return table_width(np.concatenate([self.codebook, -self.codebook]) if self.subtracts else self.codebook)

    @property
    def subtracts(self) -> bool:
        """True where an event's weight may count negative: an edge is from a signed input."""
        return any(edge.sign_plane is not None for edge in self.edges)

    @property
    def codebook(self) -> np.ndarray | None:
        """The integers that the weights are, ascending, int64; None where the weights are stored themselves."""
        return None if self.node.codebook is None else np.array(self.node.codebook, np.int64)

    @property
    def stores_zero(self) -> bool:
        """True where a stored weight can be 0, as lanes behind the last channel then hold it.

        Of 1 bit it cannot, and of some codebooks: there these lanes are told of no event instead. So they never sum.
        """
        return self.stored_weight_bits > 1 if self.codebook is None else 0 in self.codebook

    # ---- widths

    @cached_property
    def bias(self) -> np.ndarray:
        """B per channel, int64 (channels,); zeros where the artifact has none."""
        if self.node.bias is None:
            return np.zeros(self.channels, np.int64)
        return self.node.bias.values.astype(np.int64)

    @cached_property
    def ranges(self) -> Ranges:
        return lane_ranges(self)

    @property
    def bias_less(self) -> int:
        """1 where the table holds B - 1: B + U is then (B - 1) - ~U.

        Synthesis keeps the order of a subtraction, and so puts the gates before U into the adder's own LUTs.
        """
        return int("u" in self.state_fields and not self.phases.merged and not self.refractory)

    @property
    def stored_bias(self) -> np.ndarray:
        """What the bias table holds, int64 (channels,)."""
        return self.bias - self.bias_less

    @property
    def k(self) -> Interval:
        return self.ranges.k

    @property
    def k_width(self) -> int:
        return self.k.signed_bits

    @property
    def accumulator_width(self) -> int:
        return self.ranges.accumulator.signed_bits

    @property
    def state_max(self) -> int:
        """Qu, the largest stored membrane (0 for a head that sums, which is bounded by `k`)."""
        return 0 if self.membrane is None else self.membrane.membrane_max

    @property
    def state_width(self) -> int:
        """Bits of U, or of the running sum of a head that has none."""
        return self.k_width if self.membrane is None else self.membrane.membrane_bits

    @property
    def current_width(self) -> int:
        """Bits of the direct edges' sum, as it is kept for the steps: bias included where it was K of the first."""
        return self.k_width if self.phases.merged else self.ranges.direct[-1].signed_bits

    @property
    def most_spikes(self) -> int:
        """Largest count of a head that counts: at most every (refractory + 1)-th step has a spike."""
        assert self.node.neuron is not None
        return ceil(self.time_steps / (self.node.neuron.refractory + 1))

    @property
    def logit_width(self) -> int:
        return Interval(0, self.most_spikes).signed_bits if self.read == "count" else self.k_width

    # ---- state

    @cached_property
    def state_fields(self) -> dict[str, int]:
        """What a neuron keeps from step to step, as name -> bits; nothing where there is but one step.

        u : membrane, or the head's sum. j : synaptic current. silent : refractory steps left. count : spikes so far.
        """
        found: dict[str, int] = {}
        if self.time_steps == 1:
            return found
        if self.membrane is None or self.membrane.leak:
            found["u"] = self.state_width
        if self.current is not None and self.current.leak:
            found["j"] = self.current.bits
        if self.refractory:
            found["silent"] = self.refractory.bit_length()
        if self.read == "count":
            found["count"] = self.most_spikes.bit_length()
        return found

    @property
    def has_current(self) -> bool:
        """True where a direct input's current is summed once and kept for the steps behind."""
        return bool(self.phases.passes) or (self.phases.merged and self.time_steps > 1)

    @property
    def state_is_deep(self) -> bool:
        """True where the state sits in a memory read two cycles ahead (block RAM), instead of a register file."""
        return self.states >= DEEP_STATES

    @cached_property
    def threshold(self) -> np.ndarray:
        """T per channel, int64, clipped to where it still decides: K > T is unchanged for every K that occurs."""
        assert self.node.neuron is not None
        return np.clip(self.node.neuron.threshold.values.astype(np.int64), self.k.lo - 1, self.k.hi)

    @property
    def fires_above_zero(self) -> bool:
        """True where every neuron that fires had a K >= 0, which leaks to no less than 0."""
        neuron = self.node.neuron
        return neuron is not None and bool(self.threshold.min() >= -1) and all(term.sign > 0 for term in neuron.leak)

    @cached_property
    def reset_by(self) -> np.ndarray | None:
        """R per channel, int64, or None for reset to zero."""
        neuron = self.node.neuron
        return None if neuron is None or neuron.reset_by is None else neuron.reset_by.values.astype(np.int64)

    @property
    def fanout(self) -> np.ndarray:
        """Synapses (non-zero weights) of every element of a list, int64 (fan_in,).

        Not for grouped layers; with a sparse memory every row has the number of its own.
        """
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
        return max(1, *(edge.number(edge.lists.elements - 1).bit_length() for edge in self.edges))

    @property
    def entry_bits(self) -> int:
        """An entry of the event list: a chunk's bits, its first element, its edge."""
        return self.element_address_bits + self.chunk_bits + self.edge_bits

    @property
    def walked_bits(self) -> int:
        """An entry on its way to the slots: with its row, and with its group, state and phase, and seven marks."""
        rows = self.weight_depth if self.sparse is None else self.groups * self.blocks
        numbers = sum(max(1, (count - 1).bit_length()) for count in (rows, self.groups, self.states))
        return self.entry_bits + numbers + len(self.phases.passes).bit_length() + 7

    @property
    def memories(self) -> list[MemoryPlan]:
        """Every memory and constant table of the core, as it is built."""
        P, G = self.lanes, self.groups
        found = [
            MemoryPlan("weights", self.weight_depth, P * self.stored_weight_bits + self.synapse_bits),
            MemoryPlan("index", G * self.blocks, 0 if self.sparse is None else self.sparse.index_bits),
            MemoryPlan("codebook", 0 if self.codebook is None else len(self.codebook), self.weight_width),
            MemoryPlan("events", 2**self.ring_bits, self.entry_bits),
            MemoryPlan("lists", LIST_SLOTS, self.place_bits + 1),
            MemoryPlan(
                "fanout", self.fan_in, 0 if self.is_grouped or self.sparse else int(self.fanout.max()).bit_length()
            ),
            MemoryPlan("entries", ENTRIES_AHEAD, self.walked_bits),
            MemoryPlan("out_fifo", self.fifo_depth, self.outgoing.word_bits),
        ]
        for edge in self.edges:
            found += [] if edge.window_buffer is None else edge.window_buffer.memories
        found.append(MemoryPlan("state", self.states, P * sum(self.state_fields.values())))
        if self.has_current:
            found.append(MemoryPlan("current", self.states, P * self.current_width))
        for name, values in (("bias", self.stored_bias), ("threshold", self.threshold if self.fires else None)):
            if values is not None:
                found.append(MemoryPlan(name, G, P * table_width(values)))
        if self.reset_by is not None:
            found.append(MemoryPlan("reset_by", G, P * table_width(self.reset_by)))
        if self.exits:
            found.append(MemoryPlan("marks", self.time_steps, COUNTER_WIDTH))
        return [memory for memory in found if memory.bits > 0]

    @property
    def logit_memory(self) -> MemoryPlan | None:
        """Where a head of several pixels puts its logits in order: two samples' words."""
        if not self.is_head or self.windows == 1:
            return None
        return MemoryPlan("logits", 2 * self.states, self.outgoing.word_bits)


def table_width(values: np.ndarray) -> int:
    """Two's complement width that holds every one of `values` and 0 (what padding lanes hold)."""
    return Interval(min(0, int(values.min())), max(0, int(values.max()))).signed_bits
