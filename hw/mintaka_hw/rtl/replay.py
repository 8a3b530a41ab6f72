"""The replay: issues one event per cycle, the whole list once per group of neurons, with no gap in between."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import LayerPlan
from mintaka_hw.rtl.collector import entry_layout, of_edge


def slot_layout(layer: LayerPlan) -> data.StructLayout:
    """One issue slot.

    event : 0 in the slot of an empty list, which adds nothing.
    weight : row of the weight memory, group * fan_in + element.
    plane : the weight counts 2^plane times (bit-plane of a multi-bit element, shift of an edge).
    units : the event stands for 2^units spikes (bit-plane of a pooled count).
    state : where its group's state is kept, window * groups + group.
    first, last : of its group and window.
    opening : the sample's first step (no state yet).
    closing : the sample's last step.
    """
    return data.StructLayout(
        {
            "event": 1,
            "weight": max(1, (layer.fan_in * layer.groups - 1).bit_length()),
            "plane": (layer.planes - 1).bit_length(),
            "units": (max((e.element_bits for e in layer.edges if e.counts_units), default=1) - 1).bit_length(),
            "group": max(1, (layer.groups - 1).bit_length()),
            "state": max(1, (layer.states - 1).bit_length()),
            "first": 1,
            "last": 1,
            "opening": 1,
            "closing": 1,
        }
    )


class Replay(wiring.Component):
    """Walks the collector's lists, one per window, and issues slots.

    A group's first slot waits until the group's state of the step before is stored (`state_distance`) and, where the
    group gives a word, until the output has a place for it (`credit`). Nothing waits behind the first slot, so the
    datapath needs no stall. A direct input's list is replayed in the first step; later steps are one slot per window
    and group.

    Attributes
    ----------
    address, entry, full, empty, final, release : the collector's other side
    credit : In(1)
        A word that leaves the core may be issued.
    spend : Out(1)
        One cycle: such a word was begun.
    valid : Out(1)
        `slot` is issued in this cycle.
    slot : Out(slot_layout)
    occupied : Out(1)
        A slot is issued or waits.
    fresh : Out(1)
        With `occupied`: the first cycle of a sample.
    ends : Out(1)
        With `valid`: the last slot of a sample.
    """

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        index = layer.list_address_bits
        super().__init__(
            {
                "address": Out(index + 1),
                "entry": In(entry_layout(layer)),
                "full": In(2),
                "empty": In(2),
                "final": In(data.ArrayLayout(index, 2)),
                "release": Out(2),
                "credit": In(1),
                "spend": Out(1),
                "valid": Out(1),
                "slot": Out(slot_layout(layer)),
                "occupied": Out(1),
                "fresh": Out(1),
                "ends": Out(1),
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

        # ---- the sequence: which entry of which list for which group comes next
        bank, index = Signal(), Signal(layer.list_address_bits)
        group = Signal(self.slot.group.shape())
        row = Signal(self.slot.weight.shape())
        state = Signal(self.slot.state.shape())
        step = Signal(range(max(2, layer.time_steps)))
        opening, closing = step == 0, step == layer.time_steps - 1
        listed = opening if layer.static else Const(1, 1)

        load, finished = Signal(), Signal()
        nothing, chunk_last, group_last, step_last = (
            Signal(name=n) for n in ("nothing", "chunk_last", "group_last", "step_last")
        )
        m.d.comb += [
            nothing.eq(~listed | self.empty.bit_select(bank, 1)),
            chunk_last.eq(nothing | (index == Array(self.final)[bank])),
            group_last.eq(group == layer.groups - 1),
            step_last.eq(state == layer.states - 1),
        ]
        next_bank, next_index = Signal.like(bank), Signal.like(index)
        m.d.comb += [next_bank.eq(bank), next_index.eq(index), self.address.eq(Cat(next_index, next_bank))]
        with m.If(load):
            m.d.comb += next_index.eq(Mux(chunk_last, 0, index + 1))
            with m.If(chunk_last):
                m.d.sync += [
                    group.eq(Mux(group_last, 0, group + 1)),
                    row.eq(Mux(group_last, 0, row + layer.fan_in)),
                    state.eq(Mux(step_last, 0, state + 1)),
                ]
                with m.If(step_last):
                    m.d.sync += step.eq(Mux(closing, 0, step + 1))
                with m.If(group_last):
                    m.d.comb += next_bank.eq(bank ^ listed)
        m.d.sync += [bank.eq(next_bank), index.eq(next_index)]

        # ---- the chunk at hand
        chunk = Signal(self.slot.shape(), reset_less=True)  # constant fields of its slots; `weight` is its first row
        bits = Signal(layer.chunk_bits, reset_less=True)
        edge = Signal(layer.edge_bits, reset_less=True)
        waiting, lasts, frees, ends, chunk_bank = (
            Signal(name=n) for n in ("waiting", "lasts", "frees", "ends_sample", "chunk_bank")
        )
        occupied = Signal()
        rest = Signal.like(bits)
        m.d.comb += rest.eq(bits & (bits - 1)[: layer.chunk_bits])
        go = Signal()
        m.d.comb += [
            self.valid.eq(occupied & go),
            finished.eq(self.valid & (rest == 0)),
            load.eq((~occupied | finished) & (~listed | self.full.bit_select(bank, 1))),
        ]
        m.d.sync += occupied.eq(load | (occupied & ~finished))
        with m.If(self.valid):
            m.d.sync += [bits.eq(rest), waiting.eq(0)]
        with m.If(load):
            m.d.sync += [
                chunk.event.eq(~nothing),
                edge.eq(Mux(nothing, 0, self.entry.edge)),
                chunk.weight.eq(row + Mux(nothing, 0, self.entry.element)),
                chunk.group.eq(group),
                chunk.state.eq(state),
                chunk.opening.eq(opening),
                chunk.closing.eq(closing),
                bits.eq(Mux(nothing, 0, self.entry.bits)),
                waiting.eq(nothing | (index == 0)),
                lasts.eq(chunk_last),
                frees.eq(chunk_last & group_last & listed),
                ends.eq(chunk_last & step_last & closing),
                chunk_bank.eq(bank),
            ]

        # ---- the slot: the chunk's lowest bit
        lowest = bits & ~rest
        number = self._number_of(lowest)
        m.d.comb += [
            self.slot.eq(chunk),
            self.slot.first.eq(waiting),
            self.slot.last.eq(lasts & (rest == 0)),
            self.ends.eq(ends & (rest == 0)),
            self.release.eq((finished & frees) << chunk_bank),
        ]
        # A bit's number is a plane of one element, or one element of several.
        elements = [Const(0, 1) if e.element_bits > 1 else number for e in layer.edges]
        planes = [number + e.edge.shift if e.element_bits > 1 else Const(e.edge.shift) for e in layer.edges]
        units = [number if e.counts_units else Const(0, 1) for e in layer.edges]
        m.d.comb += [
            self.slot.weight.eq(chunk.weight + of_edge(edge, elements)),
            self.slot.plane.eq(of_edge(edge, planes)),
            self.slot.units.eq(of_edge(edge, units)),
        ]

        # ---- when a group may begin
        gives_word = chunk.closing if layer.is_head else Const(1, 1)
        m.d.comb += [
            go.eq(~waiting | ((self.credit | ~gives_word) & ~self._state_pending(m, chunk))),
            self.spend.eq(self.valid & waiting & gives_word),
            self.occupied.eq(occupied),
        ]

        m.d.comb += self.fresh.eq(self._fresh(m))
        return m

    def _number_of(self, one_hot: Value) -> Value:
        width = max(1, (self.layer.chunk_bits - 1).bit_length())
        return Cat(Cat(one_hot[i] for i in range(self.layer.chunk_bits) if i >> bit & 1).any() for bit in range(width))

    def _fresh(self, m: Module) -> Signal:
        fresh = Signal(init=1)
        with m.If(self.occupied):
            m.d.sync += fresh.eq(self.valid & self.ends)
        return fresh

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
        return pending & ~chunk.opening
