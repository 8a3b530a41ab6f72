"""The index of a sparse weight memory: which rows there are for an entry of the event list, and where they begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EdgePlan, EventList, SparseRows, WeightMemory
from mintaka_hw.rtl.arithmetic import popcount
from mintaka_hw.rtl.collector import of_edge
from mintaka_hw.rtl.table import packed, rom


def found_layout(events: EventList, row_bits: int, context: data.StructLayout) -> data.StructLayout:
    """What is left of an entry.

    fields : those with a stored row. kept : of a chunk of spikes, which places have one.
    weight : row of the chunk's first place that has one, or of the number of several bits.
    """
    fields, kept, edge = events.chunk_fields, events.spike_places, events.edge_bits
    parts = {"fields": fields, "kept": kept, "weight": row_bits, "edge": edge, "last": 1}
    return data.StructLayout({**parts, "context": context})


class RowIndex(wiring.Component):
    """Looks an entry's block up, a cycle behind it, and passes over entries that no stored row belongs to.

    A word of the index is a mask, a bit per place of the block, and the number of the block's first stored row: rows
    of a block follow one another. A group's last entry is never passed over, for it ends the group. While an entry that
    is left waits here to be taken, the ones behind it wait, too; those without a row leave at one per cycle.

    Parameters
    ----------
    layer : name of the layer
    edges : how the elements of each are numbered in blocks
    events : what an entry is
    weights : the sparse memory
    asked : layout of an entry that comes in (`list_entry_layout`); context : of what goes with it

    Attributes
    ----------
    i : In(stream of list_entry_layout)
    o : Out(stream of found_layout)
    occupied : Out(1)
        There is an entry.
    """

    def __init__(
        self,
        layer: str,
        edges: Sequence[EdgePlan],
        events: EventList,
        weights: WeightMemory,
        asked: data.StructLayout,
        context: data.StructLayout,
    ):
        self.layer, self.edges, self.weights = layer, edges, weights
        super().__init__(
            {
                "i": In(stream.Signature(asked)),
                "o": Out(stream.Signature(found_layout(events, self.sparse.row_bits, context))),
                "occupied": Out(1),
            }
        )

    @property
    def sparse(self) -> SparseRows:
        assert self.weights.sparse is not None
        return self.weights.sparse

    def describe(self) -> dict[str, Any]:
        sparse, weights = self.sparse, self.weights
        return {
            "layer": self.layer,
            "blocks per group": weights.blocks,
            "places per block": sparse.places.shape[1],
            "stored rows": f"{len(sparse.rows)} of {weights.fan_in * weights.groups}",
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        edges, sparse = self.edges, self.sparse
        m = Module()

        # ---- the entry at hand, and its word
        held = Signal(self.i.payload.shape(), reset_less=True)
        accept = Signal()
        asked = self.i.payload
        m.d.comb += accept.eq(self.i.valid & self.i.ready)
        m.d.sync += self.occupied.eq(accept | (self.occupied & ~self.i.ready))
        with m.If(accept):
            m.d.sync += held.eq(asked)
        places = sparse.places.shape[1]
        word = self._word(m, (asked.row + (asked.element >> self._place_bits))[: len(asked.row)], accept)
        mask, base = word[:places], word[places:]

        # ---- what is left of it
        fields = of_edge(held.edge, [self._fields(n, held, mask) for n in range(len(edges))])
        weights = [base if e.element_bits == 1 else base + self._below(held, mask) for e in edges]
        m.d.comb += [
            self.o.payload.fields.eq(Mux(held.nothing, 0, fields)),
            self.o.payload.kept.eq(mask),
            self.o.payload.weight.eq(of_edge(held.edge, weights)),
            self.o.payload.edge.eq(Mux(held.nothing, 0, held.edge)),
            self.o.payload.last.eq(held.last),
            self.o.payload.context.eq(held.context),
        ]
        some = Signal()
        m.d.comb += [
            some.eq(self.o.payload.fields.any() | held.last),
            self.o.valid.eq(self.occupied & some),
            self.i.ready.eq(~self.occupied | ~some | self.o.ready),
        ]
        return m

    @property
    def _place_bits(self) -> int:
        blocks = self.edges[0].blocks
        assert blocks is not None
        return blocks.place_bits

    def _word(self, m: Module, address: Value, enable: Value) -> Value:
        masks, bases = (each.reshape(-1, *each.shape[2:]) for each in (self.sparse.masks, self.sparse.bases))
        places = masks.shape[1]
        words = [packed(mask, 1) | int(base) << places for mask, base in zip(masks, bases, strict=True)]
        return rom(m, "index", words, self.sparse.index_bits, address, enable)

    def _fields(self, number: int, entry: data.View, mask: Value) -> Value:
        """Of that edge: spikes whose rows are stored, or all bit-planes of a number whose row is."""
        edge = self.edges[number]
        bits = entry.bits[: edge.chunk_fields]
        if edge.element_bits == 1:
            return bits & mask
        place = entry.element[: self._place_bits]
        return bits & Cat(bit & (place == n) for n, bit in enumerate(mask)).any().replicate(len(bits))

    def _below(self, entry: data.View, mask: Value) -> Value:
        """How many stored rows of the block come before the entry's place."""
        place = entry.element[: self._place_bits]
        return popcount(Cat(bit & (place > n) for n, bit in enumerate(mask[:-1])))  # nothing is above the last place
