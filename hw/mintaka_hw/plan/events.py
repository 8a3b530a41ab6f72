"""The events of a layer core: the lists that the collector keeps, and what an entry and a slot carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.schedule import Schedule

LIST_SLOTS = 16  # event lists in the collector's ring at once; 10 hide the way of an empty one
# Entries between list and slots: one is there three cycles after it was asked for, and its place free one after that.
ENTRIES_AHEAD = 4


@dataclass(frozen=True)
class WordChunks:
    """How a word of an edge falls into chunks, of which each that is not zero is an entry of the event list.

    word_bits, chunk_bits : bits of a word and of a chunk; a word's last chunk may have fewer.
    numbers : how far the numbers of elements go on from one chunk to the next.
    """

    word_bits: int
    chunk_bits: int
    numbers: int

    @property
    def count(self) -> int:
        """Chunks per word."""
        return ceil(self.word_bits / self.chunk_bits)


@dataclass(frozen=True)
class EventList:
    """The lists of events, whose entries are the non-zero chunks of the edges' words, and the slots that they cause.

    An entry holds a chunk's bits, the number of its first element, and its edge. The entries of all lists follow one
    another in a ring that holds two lists of any length, and more of short ones.

    depth : most entries that one list can have.
    element_bits : bits of an element's number.
    chunks : per edge, how its words fall into chunks.
    chunk_fields : most slots that an entry can cause.
    spike_places : places of the widest chunk of spikes; 0 where all edges bring numbers of several bits.
    planes : an event's weight counts 2^plane times, for planes below this.
    unit_bits : bits of n where an event stands for 2^n spikes, as those of a pooled count do.
    subtracts : an event's weight may count negative: an edge is from a signed input.
    is_grouped : an edge is a grouped convolution or an identity, so that an event need not reach all lanes.
    """

    depth: int
    element_bits: int
    chunks: tuple[WordChunks, ...]
    chunk_fields: int
    spike_places: int = 0
    planes: int = 1
    unit_bits: int = 0
    subtracts: bool = False
    is_grouped: bool = False

    @classmethod
    def of(cls, edges: Sequence[EdgePlan], schedule: Schedule) -> EventList:
        return cls(
            depth=sum(edge.list_depth for edge in edges),
            element_bits=max(1, *(edge.number(edge.lists.elements - 1).bit_length() for edge in edges)),
            chunks=tuple(WordChunks(edge.lists.word_bits, edge.chunk_bits, edge.chunk_numbers) for edge in edges),
            chunk_fields=max(edge.chunk_fields for edge in edges),
            spike_places=max((edge.chunk_fields for edge in edges if edge.element_bits == 1), default=0),
            planes=max(edge.element_bits + schedule.plane_shift(n) for n, edge in enumerate(edges)),
            unit_bits=(max((e.element_bits for e in edges if e.counts_units), default=1) - 1).bit_length(),
            subtracts=any(edge.sign_plane is not None for edge in edges),
            is_grouped=any(edge.conv_groups > 1 or edge.is_spread for edge in edges),
        )

    @property
    def word_bits(self) -> int:
        """Width of the widest word that enters the collector."""
        return max(chunks.word_bits for chunks in self.chunks)

    @property
    def chunk_bits(self) -> int:
        """Width of the widest chunk."""
        return max(chunks.chunk_bits for chunks in self.chunks)

    @property
    def edge_bits(self) -> int:
        """Bits that tell which edge a word or an entry belongs to; none where there is but one."""
        return (len(self.chunks) - 1).bit_length()

    @property
    def entry_bits(self) -> int:
        """Width of an entry."""
        return self.element_bits + self.chunk_bits + self.edge_bits

    @property
    def ring_bits(self) -> int:
        """Bits of an entry's address in the ring."""
        return max(1, (self.depth - 1).bit_length()) + 1

    @property
    def pointer_bits(self) -> int:
        """Bits of a place in the ring: an entry's address, and in front of it which round of the ring it belongs to."""
        return self.ring_bits + 1

    @property
    def headroom(self) -> int:
        """Most entries in the ring with which another list may begin."""
        return 2**self.ring_bits - self.depth

    @property
    def memories(self) -> tuple[MemoryPlan, MemoryPlan]:
        """The ring, and the list of lists in it."""
        return MemoryPlan("events", 2**self.ring_bits, self.entry_bits), MemoryPlan(
            "lists", LIST_SLOTS, self.pointer_bits + 1
        )
