"""The event collector: turns bitmap words into lists of non-zero chunks, some lists ahead of the replay."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EventList, WordChunks
from mintaka_hw.plan.events import LIST_SLOTS
from mintaka_hw.rtl.sequencer import word_layout

ENTRY_LATENCY = 2  # cycles from an entry's address to the entry, out of the ring's own register
LIST_LATENCY = 2  # cycles from a list's last word, when its last entry is written, to `readable`
ROOM_LATENCY = 2  # cycles from the release of a list to the one in which another may begin in its place


def entry_layout(events: EventList) -> data.StructLayout:
    """An entry of the event list: a chunk's `bits`, the number of its first `element`, and its `edge`."""
    return data.StructLayout({"element": events.element_bits, "bits": events.chunk_bits, "edge": events.edge_bits})


def of_edge(edge: Value, choices: list[Value]) -> Value:
    """The choice for that edge."""
    return Array(choices)[edge] if len(choices) > 1 else choices[0]


def without_lowest(flags: Value) -> Value:
    """`flags` without the lowest bit that is set; by gates, where a subtraction would be a carry chain."""
    return Cat(flag & flags[:n].any() if n else C(0, 1) for n, flag in enumerate(flags))


def list_layout(events: EventList) -> data.StructLayout:
    """A complete list: the place of its `last` entry, and whether it is `empty` (then it has no place)."""
    return data.StructLayout({"last": events.pointer_bits, "empty": 1})


class Collector(wiring.Component):
    """Collects the events of one list (a window's) while another is replayed.

    A list entry is a chunk of the word with at least one bit set, and the number of its first element. Chunks of zeros
    cost nothing: a word with m non-zero chunks occupies the collector max(1, m) cycles. The entries of all lists follow
    one another in a ring of twice the longest list; up to `LIST_SLOTS` lists wait in it, so that short lists, even
    empty ones, can be replayed without a gap. A list is begun as soon as the ring has room for a longest one: room that
    a list leaves counts from two cycles after its release.

    Places in the ring are addresses with one more bit on top: the difference of two places counts entries.

    Parameters
    ----------
    layer : name of the layer
    events : what a word, an entry and a list are

    Attributes
    ----------
    i : In(stream of word_layout)
    address : In(ring address)
        Entry wanted by the replay; `entry` follows `ENTRY_LATENCY` cycles later.
    entry : Out(entry_layout)
    readable : Out(1)
        There is a complete list: `list` is the oldest that the replay has not taken.
    list : Out(list_layout)
    take : In(1)
        The replay asks for no more entries of that list.
    release : In(1)
        The replay is done with one more of the lists that it took: they are released in order.
    """

    def __init__(self, layer: str, events: EventList):
        self.layer, self.events = layer, events
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(events))),
                "address": In(events.ring_bits),
                "entry": Out(entry_layout(events)),
                "readable": Out(1),
                "list": Out(list_layout(events)),
                "take": In(1),
                "release": In(1),
            }
        )

    def describe(self) -> dict[str, Any]:
        return {"layer": self.layer, "entries per list": self.events.depth, "chunk bits": self.events.chunk_bits}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        events = self.events
        m = Module()
        most_chunks = max(chunks.count for chunks in events.chunks)

        # A list is read when all of it is written: what is read where one is being written is never used.
        memory = Memory(shape=entry_layout(events), depth=2**events.ring_bits, init=[], attrs={"no_rw_check": 1})
        m.submodules.events = memory
        write, read = memory.write_port(), memory.read_port()
        entry = Signal(entry_layout(events), reset_less=True)
        m.d.comb += [read.addr.eq(self.address), self.entry.eq(entry)]
        m.d.sync += entry.eq(read.data)

        # ---- the word ahead, in a register of its own so that no path runs from one core through to the next
        ahead = Signal(word_layout(events), reset_less=True)
        ahead_valid, moves = Signal(), Signal()
        m.d.comb += self.i.ready.eq(~ahead_valid | moves)
        accept = self.i.valid & self.i.ready
        m.d.sync += ahead_valid.eq(accept | (ahead_valid & ~moves))
        with m.If(accept):
            m.d.sync += ahead.eq(self.i.payload)

        # ---- the word at hand: its bits, and which of its chunks are still to be written, now and in the next cycle
        word = Signal(word_layout(events), reset_less=True)
        flags, rest = Signal(most_chunks), Signal(most_chunks)
        place = Signal(events.pointer_bits)  # of the next entry
        # There is a word; it has a chunk to be written now; none behind that. All known a cycle ahead.
        valid, writes, ends = Signal(), Signal(), Signal()
        finished, closes = Signal(), Signal()
        m.d.comb += [finished.eq(valid & ends), closes.eq(finished & word.last)]
        room = self._lists(m, place, writes, closes, moves & ahead.first)
        m.d.comb += moves.eq(ahead_valid & (~valid | finished) & (~ahead.first | room))
        nonzero = Signal(most_chunks)
        chunks = [Cat(chunk.any() for chunk in chunks_of(each, ahead.bits)) for each in events.chunks]
        m.d.comb += nonzero.eq(of_edge(ahead.edge, chunks))
        with m.If(moves):
            m.d.sync += [word.eq(ahead), flags.eq(nonzero), rest.eq(without_lowest(nonzero))]
            m.d.sync += [writes.eq(nonzero.any()), ends.eq(~without_lowest(nonzero).any())]
        with m.Else():
            m.d.sync += [flags.eq(rest), rest.eq(without_lowest(rest))]
            m.d.sync += [writes.eq(rest.any()), ends.eq(~without_lowest(rest).any())]
        m.d.sync += valid.eq(moves | (valid & ~finished))

        # ---- write one non-zero chunk per cycle
        lowest = flags & ~rest
        picked = [self._picked(each, word.bits, lowest) for each in events.chunks]
        m.d.comb += [
            write.data.element.eq(word.element + of_edge(word.edge, [offset for offset, _ in picked])),
            write.data.bits.eq(of_edge(word.edge, [chunk for _, chunk in picked])),
            write.data.edge.eq(word.edge),
            write.addr.eq(place[: events.ring_bits]),
            write.en.eq(writes),
        ]
        m.d.sync += place.eq(place + writes)
        return m

    def _lists(self, m: Module, place: Signal, writes: Value, closes: Value, begins: Value) -> Value:
        """The lists in the ring, from `place` of the next entry; whether another may begin."""
        events = self.events
        memory = Memory(shape=list_layout(events), depth=LIST_SLOTS, init=[])
        m.submodules.lists = memory
        write = memory.write_port()
        closing, reading, releasing = (Signal(range(LIST_SLOTS), name=n) for n in ("closing", "reading", "releasing"))
        latest, some = Signal.like(place, reset_less=True), Signal()  # last entry written; this list has one
        m.d.sync += some.eq((some | writes) & ~closes)
        with m.If(writes):
            m.d.sync += latest.eq(place)
        m.d.comb += [
            write.addr.eq(closing),
            write.data.last.eq(Mux(writes, place, latest)),
            write.data.empty.eq(~(some | writes)),
            write.en.eq(closes),
        ]
        m.d.sync += closing.eq(closing + closes)

        # ---- the oldest list waits in a register, which it reaches when its last entry can be read
        waiting, fetches = Signal(range(LIST_SLOTS + 1)), Signal()
        oldest = memory.read_port(domain="comb")
        m.d.comb += [oldest.addr.eq(reading), fetches.eq((waiting != 0) & (~self.readable | self.take))]
        m.d.sync += [
            waiting.eq(waiting + closes - fetches),
            reading.eq(reading + fetches),
            self.readable.eq(fetches | (self.readable & ~self.take)),
        ]
        with m.If(fetches):
            m.d.sync += self.list.eq(oldest.data)

        # ---- room: the slot and the entries of a released list are free two cycles later
        done = memory.read_port(domain="comb")
        limit = Signal(events.pointer_bits, init=events.headroom)  # the last place at which a list may begin
        released = Signal()
        m.d.comb += done.addr.eq(releasing)
        m.d.sync += [released.eq(self.release), releasing.eq(releasing + self.release)]
        with m.If(self.release & ~done.data.empty):
            m.d.sync += limit.eq(done.data.last + (events.headroom + 1))
        kept = Signal(range(LIST_SLOTS + 1))  # lists begun and not released
        m.d.sync += kept.eq(kept + begins - released)
        # Whether the next place is at most the limit, worked out a cycle ahead for either value of `writes`.
        left = Signal(signed(events.pointer_bits))
        within, within_if_written = Signal(init=1), Signal(init=1)
        at_least = [~left[-1], ~left[-1] & left.any(), ~left[-1] & left[1:].any()]  # 0, 1, 2 places left
        m.d.comb += left.eq(limit - place)
        m.d.sync += [
            within.eq(Mux(writes, at_least[1], at_least[0])),
            within_if_written.eq(Mux(writes, at_least[2], at_least[1])),
        ]
        return (kept != LIST_SLOTS) & Mux(writes, within_if_written, within)

    def _picked(self, each: WordChunks, bits: Value, lowest: Value) -> tuple[Value, Value]:
        """Of the chunk that `lowest` (one-hot) points at: its first element within the word, and its bits."""
        chunks = chunks_of(each, bits)
        offsets = [Mux(lowest[n], n * each.numbers, 0) for n in range(len(chunks))]
        return reduce(or_, offsets), reduce(or_, (Mux(lowest[n], chunk, 0) for n, chunk in enumerate(chunks)))


def chunks_of(each: WordChunks, bits: Value) -> list[Value]:
    """A word's chunks, the first in the low bits."""
    return [bits[at : min(at + each.chunk_bits, each.word_bits)] for at in range(0, each.word_bits, each.chunk_bits)]
