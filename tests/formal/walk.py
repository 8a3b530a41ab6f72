"""From the event lists to the slots: the walker's entries and the index of a sparse weight memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from formal.kit import Followed, Inside, mutated, offers, property_module, takes, transfer
from formal.prove import NoPath, Proof, valid_alone
from formal.streams import surrounded
from handmade import dense_network

from mintaka_hw.plan import LayerPlan, make_plan
from mintaka_hw.plan.events import ENTRIES_AHEAD
from mintaka_hw.rtl.index import RowIndex
from mintaka_hw.rtl.walker import Walker, context_layout, list_entry_layout


def entry_of(layer: LayerPlan) -> data.StructLayout:
    """What the walker of a layer gives."""
    return list_entry_layout(layer.events, layer.weights, layer.folding, layer.schedule)


def walker_of(kind: Any, layer: LayerPlan) -> Any:
    """The walker of a layer."""
    return kind(layer.name, layer.events, layer.weights, layer.folding, layer.schedule)


def index_of(kind: Any, layer: LayerPlan) -> Any:
    """The row index of a sparse layer."""
    context = context_layout(layer.folding, layer.schedule)
    return kind(layer.name, layer.edges, layer.events, layer.weights, entry_of(layer), context)


def entries_wait(kind: Any, layer: LayerPlan) -> Module:
    """Every entry that is asked for leaves once and in order, unchanged while it waits, whatever the lists are.

    The collector's side is quite free: what it gives two cycles behind the address is the entry.
    """
    m = property_module()
    inside = Inside(m, walker := walker_of(kind, layer))
    surrounded(m, walker)
    walk, on_the_way = inside.value("walk"), [inside.value(f"walk_{cycle}") for cycle in (1, 2)]
    level = inside.value("level", "ahead")
    produce, consume = inside.value("produce", "ahead"), inside.value("consume", "ahead")
    comes = on_the_way[-1]
    entry = Signal(entry_of(layer), name="entry_that_comes")
    m.d.comb += entry.eq(inside.value("asked_2"))
    nothing = entry.nothing
    wanted = Signal.like(entry, name="entry_with_its_bits")
    m.d.comb += [
        wanted.eq(entry),
        wanted.element.eq(walker.entry.element),
        wanted.bits.eq(Mux(nothing, 0, walker.entry.bits)),
        wanted.edge.eq(Mux(nothing, 0, walker.entry.edge)),
    ]
    word = Followed(m, comes, wanted.as_value(), transfer(walker.o), ENTRIES_AHEAD)
    place = (consume + word.ahead)[:2]
    m.d.comb += [
        Assert(~(word.due & walker.o.valid) | (walker.o.payload.as_value() == word.value)),
        Assert(walker.o.valid == (word.level != 0)),
        # Inside.
        Assert(inside.value("places") + level + sum(on_the_way) == ENTRIES_AHEAD),
        Assert(~walk | (inside.value("places") != 0)),
        Assert(level == word.level),
        Assert((produce - consume)[:2] == level[:2]),
        Assert(~word.active | (inside.stored(place, "ahead", "storage") == word.value)),
    ]
    return m


def rows_are_found(kind: Any, layer: LayerPlan) -> Module:
    """An entry leaves once if a stored row belongs to it or it is a group's last one; with the rows of its weights.

    Which rows are stored is worked out from the weights alone: those that are not all zero, numbered one by one.
    """
    m = property_module()
    inside = Inside(m, index := index_of(kind, layer))
    asked, found = index.i.payload, index.o.payload
    offers(m, index.i, "i")
    takes(m, index.o, "o")
    (edge,) = layer.edges
    assert edge.blocks is not None
    words = layer.folding.groups * layer.weights.blocks
    m.d.comb += [
        Assume(asked.row + (asked.element >> edge.blocks.place_bits) < words),
        Assume(~asked.nothing | (asked.bits == 0)),
    ]

    # ---- the entry that was taken, until it has left, or for a cycle if it is passed over
    entry, here = Signal(entry_of(layer), name="entry"), Signal(name="entry_here")
    leaves = Signal(name="entry_leaves")
    with m.If(transfer(index.i)):
        m.d.sync += [entry.eq(asked), here.eq(1)]
    with m.Elif(~leaves | index.o.ready):
        m.d.sync += here.eq(0)
    number = Signal(range(words), name="block")
    m.d.comb += number.eq(entry.row + (entry.element >> edge.blocks.place_bits))
    kept, row = _expected(layer, number)
    place = entry.element[: edge.blocks.place_bits]
    if edge.element_bits == 1:
        fields, first = entry.bits & kept, row(kept & -kept)
    else:
        mine = (kept >> place)[0]
        fields, first = Mux(mine, entry.bits, 0), row(1 << place)
    some = found.fields.any()
    m.d.comb += [
        leaves.eq(here & (fields.any() | entry.last)),
        Assert(index.o.valid == leaves),
        Assert(index.i.ready == (~leaves | index.o.ready)),
        Assert(index.occupied == here),
        Assert(~leaves | ((found.fields == fields) & (found.context == entry.context) & (found.last == entry.last))),
        Assert(~(leaves & some) | (found.weight == first)),
        # Inside.
        Assert(~here | ((number < words) & (~entry.nothing | (entry.bits == 0)))),
        Assert(~here | (inside.value("held").as_value() == entry.as_value())),
    ]
    if edge.element_bits == 1:
        m.d.comb += Assert(~leaves | (found.kept == kept))
    m.d.comb += Assert(~here | (inside.value("word") == inside.stored(number, "index")))
    return m


def _expected(layer: LayerPlan, number: Value) -> tuple[Value, Any]:
    """Of that block, a bit per place with a stored row; and a function from a place (one-hot) to its row."""
    weights, lanes, places = layer.weights.values, layer.folding.lanes, layer.edges[0].places
    stored = [(weights[first : first + lanes] != 0).any(axis=0) for first in range(0, len(weights), lanes)]
    rows = np.cumsum(np.concatenate(stored)).reshape(len(stored), -1) - 1
    blocks = [(group, block) for group in range(len(stored)) for block in range(len(places))]
    masks = [sum(int(e >= 0 and stored[g][e]) << p for p, e in enumerate(places[b])) for g, b in blocks]
    numbers = [[int(rows[g][e]) if e >= 0 else 0 for e in places[b]] for g, b in blocks]

    def row(one_hot: Value) -> Value:
        found: Value = Const(0, 1)
        for place in range(places.shape[1]):
            found = Mux(one_hot[place], Array([of_block[place] for of_block in numbers])[number], found)
        return found

    return Array([Const(mask, places.shape[1]) for mask in masks])[number], row


def pruned(kind: str, bits: int) -> LayerPlan:
    """A sparse layer of 5 neurons on 2 lanes that reads 37 inputs, with most weights at 0."""
    network = dense_network([37, 5, 2], kind=kind, bits=bits)
    node = network.nodes[0]
    (edge,) = node.inputs
    assert edge.weight is not None
    values = np.where(np.random.default_rng(2).random(edge.weight.values.shape) < 0.8, 0, edge.weight.values)
    node = replace(node, inputs=(replace(edge, weight=replace(edge.weight, values=values)),))
    return make_plan(replace(network, nodes=(node, *network.nodes[1:])), 2, ["hidden1"]).layers[0]


WALKED = {
    "dense": make_plan(dense_network([4, 3, 2], time_steps=2), 2).layers[0],
    "direct": make_plan(dense_network([4, 3, 2], time_steps=2, kind="direct", bits=2), 2).layers[0],
}
PRUNED = {"spikes": pruned("spikes", 1), "numbers": pruned("direct", 3)}
PROOFS: list[Proof | NoPath] = [
    Proof(
        f"walker-{name}",
        f"every entry that the walker asks for leaves once, in order, and waits unchanged until it is taken ({name})",
        partial(entries_wait, layer=layer),
        Walker,
        {
            "a place too many is given out": mutated(
                Walker,
                "Signal(range(ENTRIES_AHEAD + 1), init=ENTRIES_AHEAD)",
                "Signal(range(ENTRIES_AHEAD + 2), init=ENTRIES_AHEAD + 1)",
            ),
            "an entry does not wait": mutated(Walker, "ahead.r_en.eq(self.o.ready)", "ahead.r_en.eq(1)"),
        },
        depth=2,
        fault_depth=10,
    )
    for name, layer in WALKED.items()
]
PROOFS += [
    Proof(
        f"index-{name}",
        f"a sparse layer's entries with a stored row leave once, unchanged until taken, with its number ({name})",
        partial(rows_are_found, layer=layer),
        RowIndex,
        {
            "an entry does not wait": mutated(RowIndex, "~some | self.o.ready", "1"),
            "a group's last entry is passed over": mutated(RowIndex, "fields.any() | held.last", "fields.any()"),
            "an entry without a row leaves": mutated(RowIndex, "self.occupied & some", "self.occupied"),
        },
        depth=2,
        fault_depth=6,
    )
    for name, layer in PRUNED.items()
]
PROOFS += [
    valid_alone("walker", Walker, partial(entries_wait, layer=WALKED["dense"]), "ahead.r_rdy"),
    valid_alone("index", RowIndex, partial(rows_are_found, layer=PRUNED["spikes"]), "self.occupied & some"),
]
