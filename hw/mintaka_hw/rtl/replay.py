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
from mintaka_hw.rtl.collector import entry_layout, list_layout, of_edge
from mintaka_hw.rtl.index import RowIndex
from mintaka_hw.rtl.steps import step_shape


def slot_layout(layer: LayerPlan) -> data.StructLayout:
    """One issue slot.

    event : 0 in the slot of an empty list, which adds nothing.
    mask : bit per lane that the event reaches; not there where it always reaches all.
    weight : row of the weight memory: group * fan_in + element, or where it is sparse as its index says.
    plane : the weight counts 2^plane times (bit-plane of a multi-bit element, shift of an edge).
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
            "plane": (layer.planes - 1).bit_length(),
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
    datapath needs no stall. A pass over a direct edge gives no words. Phases without a list (the later steps, where a
    direct input is all there is) are one slot per window and group.

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

    def __init__(self, layer: LayerPlan):
        self.layer = layer
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

        # ---- the sequence: which entry of the list for which group comes next
        start, index = Signal(layer.ring_bits), Signal(layer.ring_bits)  # the list's first entry, and the next one
        group = Signal(self.slot.group.shape())
        index_rows = layer.groups * layer.blocks
        row = Signal(range(max(2, index_rows)) if layer.sparse is not None else self.slot.weight.shape())
        state = Signal(self.slot.state.shape())
        phase = Signal(range(max(2, layer.phases.number)))
        passes = len(layer.phases.passes)
        last_phase = passes + self.last_step if layer.run_time else layer.phases.number - 1
        opening, closing = self._below(phase, passes + 1), phase == last_phase
        listed = Const(1, 1) if layer.phases.listed == layer.phases.number else self._below(phase, layer.phases.listed)

        load, finished = Signal(), Signal()
        walk = load if layer.sparse is None else Signal(name="walk")  # an entry leaves the list
        nothing, chunk_last, list_last, group_last, phase_last = (
            Signal(name=n) for n in ("nothing", "chunk_last", "list_last", "group_last", "phase_last")
        )
        m.d.comb += [
            nothing.eq(~listed | self.list.empty),
            chunk_last.eq(nothing | (index == self.list.last[: layer.ring_bits])),
            list_last.eq(self._list_last(m, walk & chunk_last)),
            group_last.eq(group == layer.groups - 1),
            phase_last.eq(state == layer.states - 1),
        ]
        sample_last = chunk_last & phase_last & closing
        next_index = Signal.like(index)
        again = chunk_last & ~list_last  # the list's entries once more, for the next group
        m.d.comb += [next_index.eq(index), self.address.eq(next_index)]
        m.d.comb += self.take.eq(walk & chunk_last & list_last & listed)
        with m.If(walk):
            m.d.comb += next_index.eq(Mux(nothing | again, start, index + 1))
            with m.If(chunk_last):
                m.d.sync += [
                    group.eq(Mux(group_last, 0, group + 1)),
                    row.eq(Mux(group_last, 0, row + (layer.fan_in if layer.sparse is None else layer.blocks))),
                    state.eq(Mux(phase_last, 0, state + 1)),
                ]
                with m.If(phase_last):
                    m.d.sync += phase.eq(Mux(closing, 0, phase + 1))
        m.d.sync += index.eq(next_index)
        with m.If(self.take):
            m.d.sync += start.eq(next_index)

        # ---- the chunk at hand
        chunk = Signal(self.slot.shape(), reset_less=True)  # constant fields of its slots; `weight` is its first row
        bits = Signal(layer.chunk_bits, reset_less=True)
        element = Signal(layer.element_address_bits, reset_less=True)
        flags = Signal(layer.chunk_fields, reset_less=True)  # which fields of `bits` are still to come
        edge = Signal(layer.edge_bits, reset_less=True)
        kept = Signal(layer.spike_places, reset_less=True)  # which places of a chunk of spikes have a stored row
        waiting, lasts, frees, ends = (Signal(name=n) for n in ("waiting", "lasts", "frees", "ends_sample"))
        occupied = Signal()
        rest = Signal.like(flags)
        m.d.comb += rest.eq(flags & (flags - 1)[: layer.chunk_fields])
        go = Signal()
        m.d.comb += [self.valid.eq(occupied & go), finished.eq(self.valid & (rest == 0))]
        m.d.sync += occupied.eq(load | (occupied & ~finished))
        with m.If(self.valid):
            m.d.sync += [flags.eq(rest), waiting.eq(0)]
        available, free = ~listed | self.readable, ~occupied | finished
        context: dict[str, Value] = {
            "group": group,
            "state": state,
            "phase": Mux(phase < passes, phase, passes),
            "opening": opening,
            "closing": closing,
        }
        marks: dict[str, Value] = {"frees": self.take, "ends": sample_last}
        registers = {name: chunk[name] for name in ("event", "weight", *context)}
        registers |= {"edge": edge, "element": element, "bits": bits, "flags": flags, "waiting": waiting}
        registers |= {"lasts": lasts, "frees": frees, "ends": ends, "kept": kept}
        if layer.sparse is None:
            nonzero = [Cat(field.any() for field in fields_of(e, self.entry.bits)) for e in layer.edges]
            first_rows: list[Value] = [C(e.offset) if e.is_spread else self.entry.element for e in layer.edges]
            m.d.comb += [
                load.eq(self._unless_over(m, free & available, load & sample_last)),
                self.occupied.eq(occupied),
            ]
            loaded = {
                "event": ~nothing,
                "edge": Mux(nothing, 0, self.entry.edge),
                "weight": row + Mux(nothing, 0, of_edge(self.entry.edge, first_rows)),
                "element": self.entry.element,
                **context,
                "bits": self.entry.bits,
                "flags": Mux(nothing, 0, of_edge(self.entry.edge, nonzero)),
                "waiting": nothing | (index == start),
                "lasts": chunk_last,
                **marks,
            }
        else:
            asked = {
                "nothing": nothing,
                "element": self.entry.element,
                "bits": self.entry.bits,
                "edge": self.entry.edge,
            }
            begins = Signal(init=1)  # the next chunk is the first of its group
            passed = data.StructLayout({name: len(Value.cast(registers[name])) for name in context | marks})
            m.submodules.row_index = rows_of = RowIndex(layer, passed)
            m.d.comb += [
                *(rows_of.i.payload[name].eq(value) for name, value in asked.items()),
                rows_of.i.payload.row.eq(row),
                rows_of.i.payload.last.eq(chunk_last),
                *(rows_of.i.payload.context[name].eq(value) for name, value in (context | marks).items()),
                rows_of.i.valid.eq(available),
                walk.eq(available & rows_of.i.ready),
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
                **{name: found.context[name] for name in context | marks},
            }
            with m.If(load):
                m.d.sync += begins.eq(found.last)
        with m.If(load):
            m.d.sync += [registers[name].eq(value) for name, value in loaded.items()]

        # ---- the slot: the chunk's lowest field
        lowest = flags & ~rest
        number = self._number_of(lowest)
        m.d.comb += [
            self.slot.eq(chunk),
            self.slot.first.eq(waiting),
            self.slot.last.eq(lasts & (rest == 0)),
            self.ends.eq(ends & (rest == 0)),
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
        m.d.comb += [
            self.slot.weight.eq(chunk.weight + of_edge(edge, rows)),
            self.slot.plane.eq(of_edge(edge, planes)),
            self.slot.units.eq(of_edge(edge, units)),
        ]

        if layer.is_grouped:
            masks = [
                self._one_lane(element + among, chunk.group)
                if e.is_spread
                else self._lanes(e, bits, lowest, chunk.group)
                for e, among in zip(layer.edges, elements, strict=True)
            ]
            m.d.comb += self.slot.mask.eq(Mux(chunk.event, of_edge(edge, masks), 0))

        # ---- when a group may begin
        gives_word = chunk.closing if layer.gives_last_step else chunk.phase == passes
        m.d.comb += [
            go.eq(~waiting | ((self.credit | ~gives_word) & ~self._state_pending(m, chunk))),
            self.spend.eq(self.valid & waiting & gives_word),
        ]

        return m

    def _unless_over(self, m: Module, ready: Value, ends: Value) -> Value:
        """`ready`; with early exit not behind the sample's last chunk, until the restart: no layer runs ahead."""
        if not self.layer.exits:
            return ready
        over = Signal(name="sample_over")
        with m.If(ends):
            m.d.sync += over.eq(1)
        return ready & ~over

    def _below(self, phase: Value, limit: int) -> Value:
        return phase == 0 if limit == 1 else phase < limit

    def _number_of(self, one_hot: Value) -> Value:
        fields = self.layer.chunk_fields
        width = max(1, (fields - 1).bit_length())
        return Cat(Cat(one_hot[i] for i in range(fields) if i >> bit & 1).any() for bit in range(width))

    def _list_last(self, m: Module, group_ends: Value) -> Value:
        """Whether the group at hand is the last one for which the list is replayed."""
        groups = self.layer.list_groups
        if groups == 1:
            return Const(1, 1)
        number = Signal(range(groups), name="group_of_list")
        with m.If(group_ends):
            m.d.sync += number.eq(Mux(number == groups - 1, 0, number + 1))
        return number == groups - 1

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

    def _state_pending(self, m: Module, chunk: data.View) -> Value:
        """True while the state that `chunk`'s group reads is still on its way to its memory."""
        pending: Value = Const(0, 1)
        if self.layer.states >= self.layer.state_distance:
            return pending  # all other groups come in between, at least a slot each
        valid: Value = self.valid & self.slot.last
        state: Value = chunk.state
        for stage in range(1, self.layer.state_distance):
            valid_then = Signal(name=f"issued_valid_{stage}")
            state_then = Signal.like(chunk.state, name=f"issued_state_{stage}", reset_less=True)
            m.d.sync += [valid_then.eq(valid), state_then.eq(state)]
            pending = pending | (valid_then & (state_then == chunk.state))
            valid, state = valid_then, state_then
        return pending & ~(chunk.opening & (chunk.phase == 0))
