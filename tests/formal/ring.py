"""The collector's ring of entries: every non-zero chunk is in it once, within its list, until that is freed.

The walker behind it begins at entry 0 and goes on to the next list behind the last entry of the one it took; that is
how the lists' ends are used here, too.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from amaranth.asserts import AnyConst
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, Signal, Value
from formal.kit import Followed, Inside, free, mutated, offers, property_module, transfer, using
from formal.layer import narrow_layer
from formal.prove import Proof

from mintaka_hw.plan import LayerPlan, StreamLayout
from mintaka_hw.rtl.arithmetic import popcount
from mintaka_hw.rtl.collector import Collector, entry_layout


class Ends:
    """Where the lists begin in the ring, numbered modulo twice the slots, so that none in use has another's number.

    closed, taken, released : lists so far, and thus the number of the next one. first : of a number, its first place;
    `first[closed]` is where the list being written began.
    """

    def __init__(self, m: Module, collector: Collector, slots: int, closes: Value, next_place: Value):
        self.closed, self.taken, self.released = (
            Signal(range(2 * slots), name=f"lists_{name}") for name in ("closed", "taken", "released")
        )
        self.places = [Signal.like(next_place, name=f"first_{n}") for n in range(2 * slots)]
        self.first = Array(self.places)
        m.d.sync += [
            self.closed.eq(self.closed + closes),
            self.taken.eq(self.taken + collector.take),
            self.released.eq(self.released + collector.release),
        ]
        with m.If(closes):
            m.d.sync += self.first[self.number(self.closed, 1)].eq(next_place)

    def number(self, of: Value, more: int) -> Value:
        return (of + more)[: len(self.closed)]

    def behind(self, number: Value | int, other: Value) -> Value:
        """How many lists `number` comes after `other`."""
        return (number - other)[: len(self.closed)]


def entries_stay_until_they_are_freed(kind: Any, layer: LayerPlan, slots: int) -> Module:
    """Any words in lists of so many, any reader that takes lists that are there and releases what it took, in order.

    One chunk of one word is followed, any one: if it is not zero it is written once, before its list is closed; the
    list's ends enclose it; and until the list is released, the ring gives it to whoever asks for its place.
    """
    m = property_module()
    inside = Inside(m, collector := kind(layer.name, layer.events))
    edge, at = layer.edges[0], inside.value
    words, chunks, ring = edge.lists.words, edge.word_chunks, 2**layer.events.ring_bits
    offers(m, collector.i, "i")
    for name in ("address", "take", "release"):
        free(m, getattr(collector, name), f"any_{name}")

    # ---- what comes: lists of `words` words
    number = Signal(range(words), name="word_of_list")
    with m.If(transfer(collector.i)):
        m.d.sync += number.eq(Mux(number == words - 1, 0, number + 1))
    m.d.comb += [
        Assume(collector.i.payload.first == (number == 0)),
        Assume(collector.i.payload.last == (number == words - 1)),
    ]

    # ---- lists: begun, closed, taken, released
    place, writes, closes, moves, valid, ahead_valid = map(
        at, ("place", "writes", "closes", "moves", "valid", "ahead_valid")
    )
    flags, rest = at("flags"), at("rest")
    ends = Ends(m, collector, slots, closes, (place + writes)[: len(place)])
    closed, taken, released = ends.closed, ends.taken, ends.released
    readable = collector.readable
    m.d.comb += [
        Assume(~collector.take | readable),
        Assume(~collector.release | (taken != released)),
    ]
    base = ends.first[released]
    start = Signal.like(place, name="start")  # of the reader
    with m.If(collector.take & ~collector.list.empty):
        m.d.sync += start.eq(collector.list.last + 1)

    def distance(there: Value, here: Value) -> Value:
        """Places from `here` on to `there`."""
        return (there - here)[: len(place)]

    # ---- a chunk, followed from its word to the ring
    word = Followed(m, transfer(collector.i), collector.i.payload.as_value(), at("finished"), 2)
    payload = Signal(collector.i.payload.shape(), name="followed_word")
    chunk, written = Signal(range(chunks), name="chunk"), Signal(chunks, name="written")  # chunks of the word
    bits = [payload.bits[n * edge.chunk_bits : (n + 1) * edge.chunk_bits] for n in range(chunks)]
    todo = Cat(each.any() for each in bits) & ~written
    at_hand = word.due & valid
    lowest = todo & -todo
    with m.If(~word.active):
        m.d.sync += written.eq(0)
    with m.Elif(at_hand & writes):
        m.d.sync += written.eq(written | lowest)
    wanted = Signal(entry_layout(layer.events), name="entry_wanted")
    m.d.comb += [
        chunk.eq(AnyConst(len(chunk))),
        Assume(chunk < chunks),
        payload.eq(word.value),
        wanted.element.eq(payload.element + chunk * edge.chunk_numbers),
        wanted.bits.eq(Array(bits)[chunk]),
        Assert(~writes | valid),
        Assert(~(at_hand & writes) | (todo != 0)),
        Assert(~(at_hand & at("finished")) | ((todo & ~Mux(writes, lowest, 0)) == 0)),
    ]
    active, entry = Signal(name="in_ring"), Signal(entry_layout(layer.events), name="entry")
    its_place, its_list = Signal.like(place, name="its_place"), Signal.like(closed, name="its_list")
    with m.If(~active), m.If(at_hand & writes & lowest.bit_select(chunk, 1)):
        m.d.sync += [active.eq(1), entry.eq(wanted), its_place.eq(place), its_list.eq(closed)]
    with m.Elif(collector.release & (its_list == released)):
        m.d.sync += active.eq(0)
    here = active & readable & (its_list == taken)
    ends_at = collector.list.last
    m.d.comb += [
        Assert(~here | (~collector.list.empty & (distance(its_place, start) <= distance(ends_at, start)))),
        # Of every list, the reader's way from `start` to its last entry is what was written for it.
        Assert(~readable | (start == ends.first[taken])),
        Assert(~readable | (collector.list.empty == (ends.first[ends.number(taken, 1)] == start))),
        Assert(~readable | collector.list.empty | (distance(ends.first[ends.number(taken, 1)], ends_at) == 1)),
    ]

    # ---- inside: the word ahead and the word at hand
    moved = Signal(range(words), name="words_moved")  # of the list
    is_open = (moved != 0) | valid
    with m.If(moves):
        m.d.sync += moved.eq(Mux(moved == words - 1, 0, moved + 1))
    written_of_list = distance(place, ends.first[closed])
    m.d.comb += [
        Assert(moved < words),
        Assert(number < words),
        Assert(number == Mux(ahead_valid, Mux(moved == words - 1, 0, moved + 1), moved)),
        Assert(~ahead_valid | (at("ahead").first == (moved == 0))),
        Assert(~ahead_valid | (at("ahead").last == (moved == words - 1))),
        Assert(~valid | (at("word").last == (moved == 0))),
        Assert(word.level == valid + ahead_valid),
        Assert(~word.active | (payload.as_value() == Mux(at_hand, at("word").as_value(), at("ahead").as_value()))),
        Assert(~word.active | at_hand | (written == 0)),
        Assert(~at_hand | (todo == flags)),
        Assert(rest == (flags & (flags - 1)[:chunks])),
        Assert(writes == flags.any()),
        Assert(~valid | (at("ends") == (rest == 0))),
        Assert(valid | (flags == 0)),
        Assert(written_of_list + popcount(flags) <= chunks * Mux(valid & (moved == 0), words, moved)),
        Assert(at("some") == (written_of_list != 0)),
        Assert((written_of_list == 0) | (distance(place, at("latest")) == 1)),
    ]

    # ---- inside: the lists in the ring
    waiting, kept, limit = at("waiting"), at("kept"), at("limit")
    used, begun = ends.behind(closed, released), ends.behind(taken, released)
    fetched = ends.number(taken, readable)
    m.d.comb += [
        Assert(used + is_open <= slots),
        Assert(begun + readable <= used),
        Assert(waiting == used - begun - readable),
        Assert(kept == used + is_open + at("released")),
        Assert(kept <= slots),
        Assert(at("closing") == closed[:-1]),
        Assert(at("reading") == fetched[:-1]),
        Assert(at("releasing") == released[:-1]),
        Assert(limit == (base + layer.events.headroom)[: len(place)]),
        Assert(~at("within") | (distance(place, base) <= layer.events.headroom)),
        Assert(~at("within_if_written") | (distance(place, base) < layer.events.headroom)),
        Assert(distance(place, base) <= ring),
        Assert(~is_open | (distance(ends.first[closed], base) <= layer.events.headroom)),
        Assert(start == ends.first[taken]),
    ]
    stored = [inside.stored(Const(slot, range(slots)), "lists") for slot in range(slots)]
    for n in range(2 * slots):
        is_used, last = ends.behind(n, released) < used, len(place) + 1
        first, following = ends.places[n], ends.places[(n + 1) % (2 * slots)]
        ended, empty = stored[n % slots][: last - 1], stored[n % slots][last - 1]
        m.d.comb += [
            Assert(~is_used | (empty == (first == following))),
            Assert(~is_used | empty | (distance(following, ended) == 1)),
            Assert(~is_used | (distance(following, base) >= distance(first, base))),
            Assert(~is_used | (distance(following, base) <= distance(place, base))),
        ]
    to_entry = distance(its_place, base)
    m.d.comb += [
        Assert(~active | (to_entry < distance(place, base))),
        Assert(~active | (to_entry >= distance(ends.first[its_list], base))),
        Assert(~active | (its_list == closed) | (to_entry < distance(ends.first[ends.number(its_list, 1)], base))),
        Assert(~active | (ends.behind(its_list, released) <= used)),
        Assert(~active | (inside.stored(its_place[: layer.events.ring_bits], "events") == entry.as_value())),
    ]
    return m


def two_chunks() -> LayerPlan:
    """A layer that reads lists of two words, of two numbers each: lists of four entries in a ring of eight."""
    layer = narrow_layer(4, 2, 2)
    return replace(layer, edges=(replace(layer.edges[0], incoming=StreamLayout(1, 1, 4, 2, 2)),))


def _ring(name: str, layer: LayerPlan, slots: int) -> Proof:
    """Of a collector with so many lists at once instead of 16: more of them, and Z3 does not come to an end."""
    faults = {
        "a list begins without room": ("& (~ahead.first | room)", ""),
        "room is given back too early": ("events.headroom + 1", "events.headroom + 2"),
        "a list forgets its last entry": ("Mux(writes, place, latest)", "latest"),
        "what is behind a word's first chunk is left out": ("finished.eq(valid & ends)", "finished.eq(valid)"),
    }
    if layer.edges[0].word_chunks == 1:
        faults.popitem()
    return Proof(
        f"ring-{name}",
        f"every non-zero chunk is in the ring once, within its list's ends, until the list is freed ({slots} lists)",
        partial(entries_stay_until_they_are_freed, layer=layer, slots=slots),
        using(Collector, LIST_SLOTS=slots),
        {fault: mutated(Collector, *change, LIST_SLOTS=slots) for fault, change in faults.items()},
        depth=1,
        fault_depth=14,
    )


PROOFS = [_ring("slots", narrow_layer(2, 2, 1), 4), _ring("chunks", two_chunks(), 2)]
