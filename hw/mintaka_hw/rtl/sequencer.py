"""The word sequencer: the words of all edges of a list, in order, each with the number of its first element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EdgePlan, LayerPlan


def word_layout(layer: LayerPlan) -> data.StructLayout:
    """A word on its way to the collector.

    bits : its elements. element : number of the first one. edge : which edge it came by.
    first, last : of its list.
    """
    return data.StructLayout(
        {
            "bits": layer.word_bits,
            "element": layer.element_address_bits,
            "edge": layer.edge_bits,
            "first": 1,
            "last": 1,
        }
    )


class Sequencer(wiring.Component):
    """Takes turns: all words of a list from the first edge, then from the second, and so on; adds no cycle.

    Attributes
    ----------
    i0, i1, ... : In(stream of the edge's words)
        Element e in bits [e * element_bits +: element_bits]. Bits beyond a flat source's end are ignored.
    o : Out(stream of word_layout)
    """

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        inputs = {f"i{n}": In(stream.Signature(edge.lists.word_bits)) for n, edge in enumerate(layer.edges)}
        super().__init__({**inputs, "o": Out(stream.Signature(word_layout(layer)))})

    def describe(self) -> dict[str, Any]:
        words = {f"words per list from input {n}": edge.lists.words for n, edge in enumerate(self.layer.edges)}
        return {"layer": self.layer.name, **words}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        edges = self.layer.edges
        m = Module()
        turn = Signal(range(max(2, len(edges))))
        position = Signal(range(max(2, *(edge.lists.words for edge in edges), 2)))
        element = Signal(self.layer.element_address_bits)
        step, next_element = Signal.like(element), Signal.like(element)
        edge_ends = Signal()
        transfer = self.o.valid & self.o.ready
        m.d.comb += [
            self.o.payload.element.eq(element),
            self.o.payload.edge.eq(turn),
            self.o.payload.first.eq((turn == 0) & (position == 0)),
            self.o.payload.last.eq(edge_ends & (turn == len(edges) - 1)),
            next_element.eq(element + step),
        ]
        for number, edge in enumerate(edges):
            port = getattr(self, f"i{number}")
            with m.If(turn == number):
                follower = edges[(number + 1) % len(edges)]
                m.d.comb += [
                    edge_ends.eq(position == edge.lists.words - 1),
                    self.o.valid.eq(port.valid),
                    port.ready.eq(self.o.ready),
                    self.o.payload.bits.eq(self._inside(edge, port.payload, edge_ends)),
                    step.eq(self._step(m, number, edge, transfer & (turn == number))),
                ]
                with m.If(edge_ends):
                    m.d.comb += next_element.eq(follower.offset)
        with m.If(transfer):
            m.d.sync += [position.eq(Mux(edge_ends, 0, position + 1)), element.eq(next_element)]
            with m.If(edge_ends):
                m.d.sync += turn.eq(Mux(turn == len(edges) - 1, 0, turn + 1))
        return m

    def _step(self, m: Module, number: int, edge: EdgePlan, transfer: Value) -> Value:
        """Elements in the word: the last one of a pixel may be shorter."""
        lists = edge.lists
        if lists.rest == lists.word_elements or lists.pixels == 1:
            return Const(lists.word_elements)
        word = Signal(range(max(2, lists.words_per_pixel)), name=f"word_of_pixel_{number}")
        pixel_ends = word == lists.words_per_pixel - 1
        with m.If(transfer):
            m.d.sync += word.eq(Mux(pixel_ends, 0, word + 1))
        return Mux(pixel_ends, lists.rest, lists.word_elements)

    def _inside(self, edge: EdgePlan, word: Value, is_last: Value) -> Value:
        """The word without the bits that lie beyond a flat source's last element, whatever the sender put there."""
        lists = edge.lists
        if lists.rest == lists.word_elements or lists.pixels > 1:
            return word
        mask = (1 << (lists.rest * lists.element_bits)) - 1
        return Mux(is_last, word & mask, word)
