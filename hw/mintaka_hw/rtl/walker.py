"""The walker: which entry of the collector's lists comes next, for which group of neurons and in which phase."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EventList, Folding, Schedule, WeightMemory
from mintaka_hw.plan.events import ENTRIES_AHEAD
from mintaka_hw.rtl.collector import ENTRY_LATENCY, entry_layout, list_layout
from mintaka_hw.rtl.steps import step_shape

WALK_LATENCY = ENTRY_LATENCY + 1  # cycles from a readable list to its first entry at the output, through the queue


def context_layout(folding: Folding, schedule: Schedule) -> data.StructLayout:
    """What an entry is wanted for.

    group, state, phase, opening, closing : of its slots (`slot_layout`).
    frees : it is the last one for which its list is needed. ends : it is the sample's last one.
    """
    return data.StructLayout(
        {
            "group": max(1, (folding.groups - 1).bit_length()),
            "state": max(1, (folding.states - 1).bit_length()),
            "phase": schedule.phase_bits,
            "opening": 1,
            "closing": 1,
            "frees": 1,
            "ends": 1,
        }
    )


def list_entry_layout(
    events: EventList, weights: WeightMemory, folding: Folding, schedule: Schedule
) -> data.StructLayout:
    """An entry on its way to the slots.

    nothing : the list is empty, or there is none: no entry. element, bits, edge : the entry; without one no bits, and
        edge 0.
    row : of the group's first element in the weight memory (sparse: number of its first block).
    first, last : of its group. context : `context_layout`.
    """
    return data.StructLayout(
        {
            "nothing": 1,
            **entry_layout(events).members,
            "row": weights.number_bits,
            "first": 1,
            "last": 1,
            "context": context_layout(folding, schedule),
        }
    )


class Walker(wiring.Component):
    """Walks the collector's lists, one per window or section of it, each as often as there are groups to replay it for.

    One entry per cycle, until `ENTRIES_AHEAD` wait to be taken: whoever takes at most one per cycle never waits for
    one, but for the three cycles behind a list that becomes readable. Phases without a list (the later steps, where a
    direct input is all there is) are one entry of nothing per window and group.

    Parameters
    ----------
    layer : name of the layer
    events : what an entry and a list are
    weights : how far a group's rows (sparse: blocks) are from those of the group before
    folding : groups, windows, and groups that a list is replayed for
    schedule : the phases of a sample, and whether it may end early

    Attributes
    ----------
    address, entry, readable, list, take : the collector's other side
    o : Out(stream of list_entry_layout)
    last_step : In, with steps at run time the number of a sample's last one
    """

    def __init__(self, layer: str, events: EventList, weights: WeightMemory, folding: Folding, schedule: Schedule):
        self.layer, self.events, self.weights, self.folding, self.schedule = layer, events, weights, folding, schedule
        super().__init__(
            {
                "address": Out(events.ring_bits),
                "entry": In(entry_layout(events)),
                "readable": In(1),
                "list": In(list_layout(events)),
                "take": Out(1),
                "o": Out(stream.Signature(list_entry_layout(events, weights, folding, schedule))),
                **({"last_step": In(step_shape(schedule.time_steps))} if schedule.run_time else {}),
            }
        )

    def describe(self) -> dict[str, Any]:
        folding = self.folding
        steps = self.schedule.time_steps
        return {"layer": self.layer, "groups": folding.groups, "windows": folding.windows, "time steps": steps}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        folding, schedule, ring_bits = self.folding, self.schedule, self.events.ring_bits
        m = Module()

        # ---- where it stands
        start, index = Signal(ring_bits), Signal(ring_bits)  # the list's first entry, and the next one
        asked = Signal(self.o.payload.shape())  # the entry itself comes two cycles later
        group, state, row = Signal.like(asked.context.group), Signal.like(asked.context.state), Signal.like(asked.row)
        phase = Signal(range(max(2, schedule.phases)))
        preloads = len(schedule.preloads)
        last_phase = preloads + self.last_step if schedule.run_time else schedule.phases - 1
        opening, closing = self._below(phase, preloads + 1), phase == last_phase
        with_events = schedule.phases_with_events
        listed = Const(1, 1) if with_events == schedule.phases else self._below(phase, with_events)

        walk, begins = Signal(), Signal(init=1)  # an entry is asked for; it is the first of its group
        nothing, chunk_last, list_last, group_last, phase_last = (
            Signal(name=n) for n in ("nothing", "chunk_last", "list_last", "group_last", "phase_last")
        )
        m.d.comb += [
            nothing.eq(~listed | self.list.empty),
            chunk_last.eq(nothing | (index == self.list.last[:ring_bits])),
            list_last.eq(self._list_last(m, walk & chunk_last)),
            group_last.eq(group == folding.groups - 1),
            phase_last.eq(state == folding.states - 1),
        ]
        next_index = Signal.like(index)
        again = chunk_last & ~list_last  # the list's entries once more, for the next group
        m.d.comb += [
            next_index.eq(index),
            self.address.eq(index),
            self.take.eq(walk & chunk_last & list_last & listed),
        ]
        with m.If(walk):
            m.d.comb += next_index.eq(Mux(nothing | again, start, index + 1))
            m.d.sync += begins.eq(chunk_last)
            with m.If(chunk_last):
                m.d.sync += [
                    group.eq(Mux(group_last, 0, group + 1)),
                    row.eq(Mux(group_last, 0, row + self.weights.group_stride)),
                    state.eq(Mux(phase_last, 0, state + 1)),
                ]
                with m.If(phase_last):
                    m.d.sync += phase.eq(Mux(closing, 0, phase + 1))
        m.d.sync += index.eq(next_index)
        with m.If(self.take):
            m.d.sync += start.eq(next_index)

        # ---- what it is asked for, beside the entry on its way
        sample_last = chunk_last & phase_last & closing
        m.d.comb += [
            asked.nothing.eq(nothing),
            asked.row.eq(row),
            asked.first.eq(begins),
            asked.last.eq(chunk_last),
            asked.context.group.eq(group),
            asked.context.state.eq(state),
            asked.context.phase.eq(Mux(phase < preloads, phase, preloads)),
            asked.context.opening.eq(opening),
            asked.context.closing.eq(closing),
            asked.context.frees.eq(self.take),
            asked.context.ends.eq(sample_last),
        ]
        coming, comes = asked, walk
        for cycle in range(1, ENTRY_LATENCY + 1):
            before, coming = coming, Signal.like(asked, reset_less=True, name=f"asked_{cycle}")
            was, comes = comes, Signal(name=f"walk_{cycle}")
            m.d.sync += [coming.eq(before), comes.eq(was)]

        # ---- the queue of entries; its places are given out when they are asked for
        m.submodules.ahead = ahead = SyncFIFO(width=len(coming.as_value()), depth=ENTRIES_AHEAD)
        found = Signal.like(asked)
        taken = self.o.valid & self.o.ready
        places = Signal(range(ENTRIES_AHEAD + 1), init=ENTRIES_AHEAD)
        m.d.sync += places.eq(places + taken - walk)
        m.d.comb += [
            found.eq(coming),
            found.element.eq(self.entry.element),
            found.bits.eq(Mux(coming.nothing, 0, self.entry.bits)),
            found.edge.eq(Mux(coming.nothing, 0, self.entry.edge)),
            ahead.w_data.eq(found),
            ahead.w_en.eq(comes),
            ahead.r_en.eq(self.o.ready),
            self.o.valid.eq(ahead.r_rdy),
            self.o.payload.eq(ahead.r_data),
            walk.eq(self._unless_over(m, (~listed | self.readable) & (places != 0), walk & sample_last)),
        ]
        return m

    def _unless_over(self, m: Module, ready: Value, ends: Value) -> Value:
        """`ready`; with early exit not behind the sample's last entry, until the restart: no layer runs ahead."""
        if not self.schedule.exits:
            return ready
        over = Signal(name="sample_over")
        with m.If(ends):
            m.d.sync += over.eq(1)
        return ready & ~over

    def _below(self, phase: Value, limit: int) -> Value:
        return phase == 0 if limit == 1 else phase < limit

    def _list_last(self, m: Module, group_ends: Value) -> Value:
        """Whether the group at hand is the last one for which the list is replayed."""
        groups = self.folding.groups_per_list
        if groups == 1:
            return Const(1, 1)
        number = Signal(range(groups), name="group_of_list")
        with m.If(group_ends):
            m.d.sync += number.eq(Mux(number == groups - 1, 0, number + 1))
        return number == groups - 1
