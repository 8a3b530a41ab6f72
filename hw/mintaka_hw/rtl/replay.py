"""The replay: issues one event per cycle, the whole list once per group of neurons, with no gap in between."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, C, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EdgePlan, LayerPlan
from mintaka_hw.rtl.arithmetic import popcount
from mintaka_hw.rtl.collector import entry_layout, list_layout, of_edge, without_lowest
from mintaka_hw.rtl.index import RowIndex
from mintaka_hw.rtl.steps import step_shape
from mintaka_hw.rtl.walker import Walker, context_layout, walked_layout


def slot_layout(layer: LayerPlan) -> data.StructLayout:
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
            "mask": layer.lanes if layer.is_grouped else 0,
            "weight": max(1, (layer.weight_depth - 1).bit_length()),
            "among": (layer.chunk_fields - 1).bit_length(),
            "plane": (layer.planes - 1).bit_length(),
            "negative": int(layer.subtracts),
            "units": (max((e.element_bits for e in layer.edges if e.counts_units), default=1) - 1).bit_length(),
            "group": max(1, (layer.groups - 1).bit_length()),
            "state": max(1, (layer.states - 1).bit_length()),
            "first": 1,
            "last": 1,
            "phase": len(layer.phases.passes).bit_length(),
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

    Parameters
    ----------
    state_distance : cycles from a group's last slot to the first slot that may read what it stores

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

    def __init__(self, layer: LayerPlan, state_distance: int):
        self.layer, self.state_distance = layer, state_distance
        super().__init__(
            {
                "address": Out(layer.ring_bits),
                "entry": In(entry_layout(layer)),
                "readable": In(1),
                "list": In(list_layout(layer)),
                "take": Out(1),
                "release": Out(1),
                "credit": In(1),
                "spend": Out(1),
                "valid": Out(1),
                "slot": Out(slot_layout(layer)),
                "occupied": Out(1),
                "ends": Out(1),
                **({"last_step": In(step_shape(layer.time_steps))} if layer.run_time else {}),
            }
        )

    def describe(self) -> dict[str, Any]:
        layer = self.layer
        return {
            "layer": layer.name,
            "groups": layer.groups,
            "windows": layer.windows,
            "time steps": layer.time_steps,
            "weight rows": layer.fan_in * layer.groups,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layer = self.layer
        m = Module()
        m.submodules.walker = walker = Walker(layer)
        m.d.comb += [
            self.address.eq(walker.address),
            self.take.eq(walker.take),
            walker.entry.eq(self.entry),
            walker.readable.eq(self.readable),
            walker.list.eq(self.list),
        ]
        if layer.run_time:
            m.d.comb += walker.last_step.eq(self.last_step)

        # ---- the chunk at hand
        chunk = Signal(self.slot.shape(), reset_less=True)  # constant fields of its slots; `weight` is its first row
        bits = Signal(layer.chunk_bits, reset_less=True)
        element = Signal(layer.element_address_bits, reset_less=True)
        # Which fields of `bits` are still to come, now and in the next cycle.
        flags, rest = (Signal(layer.chunk_fields, reset_less=True, name=n) for n in ("flags", "rest"))
        edge = Signal(layer.edge_bits, reset_less=True)
        kept = Signal(layer.spike_places, reset_less=True)  # which places of a chunk of spikes have a stored row
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
        if layer.sparse is None:
            nonzero = [Cat(field.any() for field in fields_of(e, walked.bits)) for e in layer.edges]
            first_rows: list[Value] = [C(e.offset) if e.is_spread else walked.element for e in layer.edges]
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
            begins = Signal(init=1)  # the next chunk is the first of its group
            m.submodules.row_index = rows_of = RowIndex(layer, walked_layout(layer), context_layout(layer))
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
        elements = [Const(0, 1) if e.element_bits > 1 else number for e in layer.edges]
        rows = [Const(0, 1) if e.is_spread else among for e, among in zip(layer.edges, elements, strict=True)]
        if layer.sparse is not None:
            before = popcount(kept & (lowest - 1)[: len(kept)]) if len(kept) else Const(0, 1)
            rows = [Const(0, 1) if e.element_bits > 1 else before for e in layer.edges]
        shifts = [layer.phases.plane_shift(n) for n in range(len(layer.edges))]
        planes = [
            number + shift if e.element_bits > 1 else Const(shift) for e, shift in zip(layer.edges, shifts, strict=True)
        ]
        units = [number if e.counts_units else Const(0, 1) for e in layer.edges]
        signs = [Const(0, 1) if e.sign_plane is None else lowest[e.sign_plane] for e in layer.edges]
        m.d.comb += [
            self.slot.among.eq(of_edge(edge, rows)),
            self.slot.plane.eq(of_edge(edge, planes)),
            self.slot.units.eq(of_edge(edge, units)),
        ]
        if layer.subtracts:
            m.d.comb += self.slot.negative.eq(of_edge(edge, signs))

        if layer.is_grouped:
            masks = [
                self._one_lane(element + among, chunk.group)
                if e.is_spread
                else self._lanes(e, bits, lowest, chunk.group)
                for e, among in zip(layer.edges, elements, strict=True)
            ]
            m.d.comb += self.slot.mask.eq(Mux(chunk.event, of_edge(edge, masks), 0))

        # ---- when a group may begin
        gives_word = chunk.closing if layer.gives_last_step else chunk.phase == len(layer.phases.passes)
        m.d.comb += [
            go.eq(~waiting | ((self.credit | ~gives_word) & ~self._state_pending(m, chunk, waiting))),
            self.spend.eq(self.valid & waiting & gives_word),
        ]

        return m

    def _number_of(self, one_hot: Value) -> Value:
        fields = self.layer.chunk_fields
        width = max(1, (fields - 1).bit_length())
        return Cat(Cat(one_hot[i] for i in range(fields) if i >> bit & 1).any() for bit in range(width))

    def _one_lane(self, neuron: Value, group: Value) -> Value:
        """The lane of that neuron, if it is in the group at hand."""
        lanes = self.layer.lanes
        first = Array([Const(number * lanes) for number in range(self.layer.groups)])[group]
        return Cat(neuron == first + lane for lane in range(lanes))

    def _lanes(self, edge: EdgePlan, bits: Value, lowest: Value, group: Value) -> Value:
        """Lanes that the field reaches; those without a neuron never, so that they do not count as synapses."""
        layer = self.layer
        fields = fields_of(edge, bits)
        masks = reduce(or_, (Mux(lowest[n], field, 0) for n, field in enumerate(fields)))

        def bit(group: int, lane: int) -> Value:
            which = edge.mask_bit(group, lane)
            return C(0, 1) if which is None else masks[which]

        by_lane = []
        for lane in range(layer.lanes):
            choices = [bit(number, lane) for number in range(layer.groups)]
            alike = len({edge.mask_bit(number, lane) for number in range(layer.groups)}) == 1
            by_lane.append(choices[0] if alike else Array(choices)[group])
        return Cat(by_lane)

    def _state_pending(self, m: Module, chunk: data.View, first: Value) -> Value:
        """True while the state that `chunk`'s group reads is still on its way to its memory.

        Groups begin and are stored in the same order, so it is there once fewer groups are on their way than there are
        states.
        """
        distance, states = self.state_distance, self.layer.states
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
