"""The word sequencer: the words of all edges of a list, in order, each with the number of its first element."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EdgePlan, EventList, Schedule
from mintaka_hw.rtl.steps import last_of_steps, step_shape
from mintaka_hw.rtl.windows import pixel_layout


def word_layout(events: EventList) -> data.StructLayout:
    """A word on its way to the collector.

    bits : its elements. element : number of the first one. edge : which edge it came by.
    first, last : of its list.
    """
    return data.StructLayout(
        {
            "bits": events.word_bits,
            "element": events.element_bits,
            "edge": events.edge_bits,
            "first": 1,
            "last": 1,
        }
    )


class Sequencer(wiring.Component):
    """Takes turns: all words of a list from its first edge, then from the second, and so on; adds no cycle.

    In a pass over a direct edge that edge alone makes the lists; those of the steps follow.

    Parameters
    ----------
    layer : name of the layer
    edges : where words come from, and how their elements are numbered
    events : what a word is
    schedule : which edges meet in the lists of a phase
    lists : event lists per time step

    Attributes
    ----------
    i0, i1, ... : In(stream of the edge's words, or of a window reader's pixels)
        Element e in bits [e * element_bits +: element_bits]. Bits beyond a flat source's end are ignored.
    o : Out(stream of word_layout)
    last_step : In, with steps at run time the number of a sample's last one
    """

    def __init__(self, layer: str, edges: Sequence[EdgePlan], events: EventList, schedule: Schedule, lists: int):
        self.layer, self.edges, self.events, self.schedule, self.lists = layer, edges, events, schedule, lists
        inputs = {f"i{n}": In(stream.Signature(self._payload(edge))) for n, edge in enumerate(edges)}
        known = {"last_step": In(step_shape(schedule.time_steps))} if schedule.run_time else {}
        super().__init__({**inputs, "o": Out(stream.Signature(word_layout(events))), **known})

    def _payload(self, edge: EdgePlan) -> data.StructLayout | int:
        return edge.lists.word_bits if edge.window_buffer is None else pixel_layout(edge.window_buffer)

    def describe(self) -> dict[str, Any]:
        words = {f"words per list from input {n}": edge.lists.words for n, edge in enumerate(self.edges)}
        return {"layer": self.layer, **words}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        edges, lists = self.edges, self.schedule.edges_by_phase
        m = Module()
        turn = Signal(range(max(2, len(edges))), init=lists[0][0])
        begins = Signal(init=1)  # the next word is the first of its edge's part
        edge_ends = Signal()
        transfer = self.o.valid & self.o.ready
        m.d.comb += [
            self.o.payload.edge.eq(turn),
            self.o.payload.first.eq(self._among(turn, [turns[0] for turns in lists]) & begins),
            self.o.payload.last.eq(edge_ends & self._among(turn, [turns[-1] for turns in lists])),
        ]
        next_turn = self._next_turn(m, turn, edge_ends, transfer)
        for number, edge in enumerate(edges):
            port = getattr(self, f"i{number}")
            with m.If(turn == number):
                m.d.comb += [self.o.valid.eq(port.valid), port.ready.eq(self.o.ready)]
                if edge.window_buffer is None:
                    self._words(m, edge, port.payload, edge_ends, transfer)
                else:
                    self._pixels(m, edge, port.payload, edge_ends)
        with m.If(transfer):
            m.d.sync += begins.eq(edge_ends)
            with m.If(edge_ends):
                m.d.sync += turn.eq(next_turn)
        return m

    def _among(self, turn: Signal, numbers: list[int]) -> Value:
        return Cat(turn == number for number in numbers).any()

    def _next_turn(self, m: Module, turn: Signal, edge_ends: Value, transfer: Value) -> Signal:
        """Whose turn it is when this edge's part of a list ends: the list's next edge, or whoever begins the next list.

        A layer without passes has one kind of list. Otherwise the lists of a phase are counted: in all steps together
        as many times those of a pass as there are steps.
        """
        schedule, lists = self.schedule, self.schedule.edges_by_phase
        after = Signal.like(turn)
        counted = len(lists) > 1
        number = Signal(range(max(2, self.lists * schedule.time_steps)))
        with m.Switch(turn):
            for kind, turns in enumerate(lists):
                for here, there in pairwise(turns):
                    with m.Case(here):
                        m.d.comb += after.eq(there)
                with m.Case(turns[-1]):
                    m.d.comb += after.eq(turns[0])
                    if counted:
                        if kind < len(schedule.preloads):
                            done = number == self.lists - 1
                        else:
                            last_step = self.last_step if schedule.run_time else None
                            done = number == last_of_steps(last_step, schedule.time_steps, self.lists)
                        with m.If(done):
                            m.d.comb += after.eq(lists[(kind + 1) % len(lists)][0])
                        with m.If(transfer & edge_ends):
                            m.d.sync += number.eq(Mux(done, 0, number + 1))
        return after

    def _pixels(self, m: Module, edge: EdgePlan, pixel: data.View, edge_ends: Signal) -> None:
        """A window's pixels say where they are."""
        elements = [Const(edge.number(position * edge.lists.channels)) for position in range(edge.lists.pixels)]
        m.d.comb += [
            edge_ends.eq(pixel.last),
            self.o.payload.bits.eq(self._by_planes(edge, pixel.bits)),
            self.o.payload.element.eq(Array(elements)[pixel.position] if len(elements) > 1 else elements[0]),
        ]

    def _by_planes(self, edge: EdgePlan, pixel: Value) -> Value:
        """The pixel's elements; of each, plane by plane the bits of all conv groups that the lanes reach into."""
        planes, masks = edge.element_bits, edge.mask_bits
        return Cat(
            pixel[(element * masks + group) * planes + plane]
            for element in range(edge.lists.channels)
            for plane in range(planes)
            for group in range(masks)
        )

    def _words(self, m: Module, edge: EdgePlan, word: Value, edge_ends: Signal, transfer: Value) -> None:
        """All words of a source, one list after the other: they are counted."""
        lists = edge.lists
        number = Signal(range(max(2, lists.words)), name="number")
        element = Signal(self.events.element_bits, init=edge.number(0), name="element")
        m.d.comb += [
            edge_ends.eq(number == lists.words - 1),
            self.o.payload.bits.eq(self._inside(edge, word, edge_ends)),
            self.o.payload.element.eq(element),
        ]
        with m.If(transfer):
            step: Value = Const(edge.steps[0])
            if lists.rest < lists.word_elements and lists.pixels > 1:  # a pixel's last word is shorter
                word_of_pixel = Signal(range(max(2, lists.words_per_pixel)), name="word_of_pixel")
                pixel_ends = word_of_pixel == lists.words_per_pixel - 1
                m.d.sync += word_of_pixel.eq(Mux(pixel_ends, 0, word_of_pixel + 1))
                step = Mux(pixel_ends, edge.steps[1], edge.steps[0])
            m.d.sync += [
                number.eq(Mux(edge_ends, 0, number + 1)),
                element.eq(Mux(edge_ends, edge.number(0), element + step)),
            ]

    def _inside(self, edge: EdgePlan, word: Value, is_last: Value) -> Value:
        """The word without the bits that lie beyond a flat source's last element, whatever the sender put there."""
        lists = edge.lists
        if lists.rest == lists.word_elements or lists.pixels > 1:
            return word
        mask = (1 << (lists.rest * lists.element_bits)) - 1
        return Mux(is_last, word & mask, word)
