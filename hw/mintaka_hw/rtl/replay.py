"""The replay: issues one event per cycle, the whole list once per group of neurons, with no gap in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, C, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EdgePlan, EventList, Folding, Schedule, WeightMemory
from mintaka_hw.rtl.arithmetic import popcount
from mintaka_hw.rtl.collector import entry_layout, list_layout, of_edge, without_lowest
from mintaka_hw.rtl.index import RowIndex
from mintaka_hw.rtl.steps import step_shape
from mintaka_hw.rtl.walker import Walker, context_layout, list_entry_layout


@dataclass(frozen=True)
class ReplayParameters:
    """What a replay is made for.

    layer : name of the layer.
    edges : what the fields of an entry are, and which lanes they reach.
    events : what an entry and a list are, and what a slot must carry.
    weights : where the rows of an entry are.
    folding : groups and windows that each list is replayed for.
    schedule : the phases of a sample, and in which of them words are given.
    state_distance : cycles from a group's last slot to the first slot that may read what it stores.
    """

    layer: str
    edges: Sequence[EdgePlan]
    events: EventList
    weights: WeightMemory
    folding: Folding
    schedule: Schedule
    state_distance: int


def slot_layout(p: ReplayParameters) -> data.StructLayout:
    """One issue slot.

    event : 0 in the slot of an empty list, which adds nothing.
    mask : bit per lane that the event reaches; not there where it always reaches all.
    weight, among : their sum is the row of the weight memory: group * fan_in + element, or where it is sparse as its
        index says; `among` tells the chunk's events apart.
    plane : the weight counts 2^plane times (bit-plane of a multi-bit element, shift of an edge).
    negative : it counts negative (highest bit-plane of a signed element); not there where none does.
    units : the event stands for 2^units spikes (bit-plane of a pooled count).
    state : where its group's state is kept, window * groups + group.
    first, last : of its group and window.
    phase : which pass over a direct edge; the number of passes in every step.
    opening : there is no state yet: the sample's first step, and the passes before it.
    closing : the sample's last step.
    """
    return data.StructLayout(
        {
            "event": 1,
            "mask": p.folding.lanes if p.events.is_grouped else 0,
            "weight": p.weights.row_bits,
            "among": (p.events.chunk_fields - 1).bit_length(),
            "plane": (p.events.planes - 1).bit_length(),
            "negative": int(p.events.subtracts),
            "units": p.events.unit_bits,
            "group": max(1, (p.folding.groups - 1).bit_length()),
            "state": max(1, (p.folding.states - 1).bit_length()),
            "first": 1,
            "last": 1,
            "phase": p.schedule.phase_bits,
            "opening": 1,
            "closing": 1,
        }
    )


def fields_of(edge: EdgePlan, bits: Value) -> list[Value]:
    """The fields of an entry."""
    return [bits[n * edge.mask_bits : (n + 1) * edge.mask_bits] for n in range(edge.chunk_fields)]


class Replay(wiring.Component):
    """Walks the collector's lists, one per window or section of it, and issues slots.

    A group's first slot waits until the group's state of the step before is stored (`state_distance`) and, where the
    group gives a word, until the output has a place for it (`credit`). Nothing waits behind the first slot, so the
    datapath needs no stall. A pass over a direct edge gives no words. Phases without a list are one slot per window and
    group.

    Attributes
    ----------
    address, entry, readable, list, take, release : the collector's other side
    credit : In(1)
        A word that leaves the core may be issued.
    spend : Out(1)
        One cycle: such a word was begun.
    valid : Out(1)
        `slot` is issued in this cycle.
    slot : Out(slot_layout)
    occupied : Out(1)
        A slot is issued or waits.
    ends : Out(1)
        With `valid`: the last slot of a sample.
    last_step : In, with steps at run time the number of a sample's last one
    """

    def __init__(self, parameters: ReplayParameters):
        p = self.parameters = parameters
        super().__init__(
            {
                "address": Out(p.events.ring_bits),
                "entry": In(entry_layout(p.events)),
                "readable": In(1),
                "list": In(list_layout(p.events)),
                "take": Out(1),
                "release": Out(1),
                "credit": In(1),
                "spend": Out(1),
                "valid": Out(1),
                "slot": Out(slot_layout(p)),
                "occupied": Out(1),
                "ends": Out(1),
                **({"last_step": In(step_shape(p.schedule.time_steps))} if p.schedule.run_time else {}),
            }
        )

    def describe(self) -> dict[str, Any]:
        p = self.parameters
        return {
            "layer": p.layer,
            "groups": p.folding.groups,
            "windows": p.folding.windows,
            "time steps": p.schedule.time_steps,
            "weight rows": p.weights.fan_in * p.folding.groups,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        p = self.parameters
        edges, events, sparse = p.edges, p.events, p.weights.sparse
        m = Module()
        m.submodules.walker = walker = Walker(p.layer, events, p.weights, p.folding, p.schedule)
        m.d.comb += [
            self.address.eq(walker.address),
            self.take.eq(walker.take),
            walker.entry.eq(self.entry),
            walker.readable.eq(self.readable),
            walker.list.eq(self.list),
        ]
        if p.schedule.run_time:
            m.d.comb += walker.last_step.eq(self.last_step)

        # ---- the chunk at hand
        chunk = Signal(self.slot.shape(), reset_less=True)  # constant fields of its slots; `weight` is its first row
        bits = Signal(events.chunk_bits, reset_less=True)
        element = Signal(events.element_bits, reset_less=True)
        # Which fields of `bits` are still to come, now and in the next cycle.
        flags, rest = (Signal(events.chunk_fields, reset_less=True, name=n) for n in ("flags", "rest"))
        edge = Signal(events.edge_bits, reset_less=True)
        kept = Signal(events.spike_places, reset_less=True)  # which places of a chunk of spikes have a stored row
        waiting, lasts, frees, ends = (Signal(name=n) for n in ("waiting", "lasts", "frees", "ends_sample"))
        occupied, only = Signal(), Signal(reset_less=True)  # `only`: no further field comes
        load, finished, go = Signal(), Signal(), Signal()
        m.d.comb += [self.valid.eq(occupied & go), finished.eq(self.valid & only)]
        m.d.sync += occupied.eq(load | (occupied & ~finished))
        with m.If(self.valid):
            m.d.sync += [flags.eq(rest), waiting.eq(0)]
            m.d.sync += [rest.eq(without_lowest(rest)), only.eq(~without_lowest(rest).any())]
        free = ~occupied | finished
        context = ("group", "state", "phase", "opening", "closing")
        registers = {name: chunk[name] for name in ("event", "weight", *context)}
        registers |= {"edge": edge, "element": element, "bits": bits, "flags": flags, "waiting": waiting}
        registers |= {"lasts": lasts, "frees": frees, "ends": ends, "kept": kept}
        walked = walker.o.payload
        if sparse is None:
            nonzero = [Cat(field.any() for field in fields_of(e, walked.bits)) for e in edges]
            first_rows: list[Value] = [C(e.offset) if e.is_spread else walked.element for e in edges]
            m.d.comb += [
                load.eq(free & walker.o.valid),
                walker.o.ready.eq(free),
                self.occupied.eq(occupied),
            ]
            loaded = {
                "event": ~walked.nothing,
                "edge": walked.edge,
                "weight": walked.row + of_edge(walked.edge, first_rows),
                "element": walked.element,
                "bits": walked.bits,
                "flags": of_edge(walked.edge, nonzero),
                "waiting": walked.first,
                "lasts": walked.last,
            }
            marks = walked.context
        else:
            asked = list_entry_layout(events, p.weights, p.folding, p.schedule)
            context_of_entry = context_layout(p.folding, p.schedule)
            begins = Signal(init=1)  # the next chunk is the first of its group
            m.submodules.row_index = rows_of = RowIndex(p.layer, edges, events, p.weights, asked, context_of_entry)
            wiring.connect(m, walker.o, rows_of.i)
            m.d.comb += [
                rows_of.o.ready.eq(free),
                load.eq(free & rows_of.o.valid),
                self.occupied.eq(occupied | rows_of.occupied),
            ]
            found = rows_of.o.payload
            loaded = {
                "event": found.fields.any(),
                "edge": found.edge,
                "weight": found.weight,
                "flags": found.fields,
                "kept": found.kept,
                "waiting": begins,
                "lasts": found.last,
            }
            marks = found.context
            with m.If(load):
                m.d.sync += begins.eq(found.last)
        loaded |= {name: marks[name] for name in (*context, "frees", "ends")}
        following = Signal.like(rest, name="following")
        m.d.comb += following.eq(loaded["flags"])
        with m.If(load):
            m.d.sync += [registers[name].eq(value) for name, value in loaded.items()]
            m.d.sync += [rest.eq(without_lowest(following)), only.eq(~without_lowest(following).any())]

        # ---- the slot: the chunk's lowest field
        lowest = flags & ~rest
        number = self._number_of(lowest)
        m.d.comb += [
            self.slot.eq(chunk),
            self.slot.first.eq(waiting),
            self.slot.last.eq(lasts & only),
            self.ends.eq(ends & only),
            self.release.eq(finished & frees),
        ]
        # A field's number is a plane of one element, or one element of several.
        elements = [Const(0, 1) if e.element_bits > 1 else number for e in edges]
        rows = [Const(0, 1) if e.is_spread else among for e, among in zip(edges, elements, strict=True)]
        if sparse is not None:
            before = popcount(kept & (lowest - 1)[: len(kept)]) if len(kept) else Const(0, 1)
            rows = [Const(0, 1) if e.element_bits > 1 else before for e in edges]
        shifts = [p.schedule.plane_shift(n) for n in range(len(edges))]
        planes = [
            number + shift if e.element_bits > 1 else Const(shift) for e, shift in zip(edges, shifts, strict=True)
        ]
        units = [number if e.counts_units else Const(0, 1) for e in edges]
        signs = [Const(0, 1) if e.sign_plane is None else lowest[e.sign_plane] for e in edges]
        m.d.comb += [
            self.slot.among.eq(of_edge(edge, rows)),
            self.slot.plane.eq(of_edge(edge, planes)),
            self.slot.units.eq(of_edge(edge, units)),
        ]
        if events.subtracts:
            m.d.comb += self.slot.negative.eq(of_edge(edge, signs))

        if events.is_grouped:
            masks = [
                self._one_lane(element + among, chunk.group)
                if e.is_spread
                else self._lanes(e, bits, lowest, chunk.group)
                for e, among in zip(edges, elements, strict=True)
            ]
            m.d.comb += self.slot.mask.eq(Mux(chunk.event, of_edge(edge, masks), 0))

        # ---- when a group may begin
        gives_word = chunk.closing if p.schedule.words_after_last_step_only else chunk.phase == len(p.schedule.preloads)
        m.d.comb += [
            go.eq(~waiting | ((self.credit | ~gives_word) & ~self._state_pending(m, chunk, waiting))),
            self.spend.eq(self.valid & waiting & gives_word),
        ]

        return m

    def _number_of(self, one_hot: Value) -> Value:
        fields = self.parameters.events.chunk_fields
        width = max(1, (fields - 1).bit_length())
        return Cat(Cat(one_hot[i] for i in range(fields) if i >> bit & 1).any() for bit in range(width))

    def _one_lane(self, neuron: Value, group: Value) -> Value:
        """The lane of that neuron, if it is in the group at hand."""
        lanes = self.parameters.folding.lanes
        first = Array([Const(number * lanes) for number in range(self.parameters.folding.groups)])[group]
        return Cat(neuron == first + lane for lane in range(lanes))

    def _lanes(self, edge: EdgePlan, bits: Value, lowest: Value, group: Value) -> Value:
        """Lanes that the field reaches; those without a neuron never, so that they do not count as synapses."""
        lanes, groups = self.parameters.folding.lanes, self.parameters.folding.groups
        fields = fields_of(edge, bits)
        masks = reduce(or_, (Mux(lowest[n], field, 0) for n, field in enumerate(fields)))

        def bit(group: int, lane: int) -> Value:
            which = edge.mask_bit(group, lane)
            return C(0, 1) if which is None else masks[which]

        by_lane = []
        for lane in range(lanes):
            choices = [bit(number, lane) for number in range(groups)]
            alike = len({edge.mask_bit(number, lane) for number in range(groups)}) == 1
            by_lane.append(choices[0] if alike else Array(choices)[group])
        return Cat(by_lane)

    def _state_pending(self, m: Module, chunk: data.View, first: Value) -> Value:
        """True while the state that `chunk`'s group reads is still on its way to its memory.

        Groups begin and are stored in the same order, so it is there once fewer groups are on their way than there are
        states.
        """
        distance, states = self.parameters.state_distance, self.parameters.folding.states
        if states >= distance:
            return Const(0, 1)  # all other groups come in between, at least a slot each
        stored: Value = self.valid & self.slot.last
        for stage in range(1, distance):
            later = Signal(name=f"stored_{stage}")
            m.d.sync += later.eq(stored)
            stored = later
        going = Signal(range(distance + 2))  # groups on their way
        m.d.sync += going.eq(going + (self.valid & first) - stored)
        return (going >= states) & ~(chunk.opening & (chunk.phase == 0))
