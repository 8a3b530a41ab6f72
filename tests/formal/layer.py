"""The event lists between collector and replay, and the queue behind the lanes, whose places are given out at issue."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from formal.kit import Inside, free, mutated, offers, property_module, sequencer_of, takes, transfer, using
from formal.prove import NoPath, Proof
from handmade import dense_network

from mintaka_hw.plan import LayerPlan, Schedule, StreamLayout, make_plan
from mintaka_hw.rtl.collector import Collector
from mintaka_hw.rtl.layer import LayerCore, replay_parameters
from mintaka_hw.rtl.pipeline import DECODE, PipelineTiming
from mintaka_hw.rtl.replay import Replay, slot_layout
from mintaka_hw.rtl.sequencer import Sequencer
from mintaka_hw.rtl.walker import Walker


class Lists(wiring.Component):
    """Sequencer, collector and replay as a layer core joins them; words in, slots out.

    Attributes
    ----------
    i : In(stream of the edge's words)
    credit : In(1)
    valid, spend, take, readable : Out(1)
    slot : Out(slot_layout)
    """

    def __init__(self, layer: LayerPlan, collector: Any, replay: Any):
        self.layer, self.kinds = layer, (collector, replay)
        self.parameters = replay_parameters(layer, PipelineTiming.of(layer))
        ports = dict.fromkeys(("valid", "spend", "take", "readable"), Out(1))
        words = In(stream.Signature(layer.edges[0].incoming.word_bits))
        super().__init__({"i": words, "credit": In(1), "slot": Out(slot_layout(self.parameters)), **ports})

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        m.submodules.sequencer = sequencer = sequencer_of(Sequencer, self.layer)
        m.submodules.collector = collector = self.kinds[0](self.layer.name, self.layer.events)
        m.submodules.replay = replay = self.kinds[1](self.parameters)
        wiring.connect(m, wiring.flipped(self.i), sequencer.i0)
        wiring.connect(m, sequencer.o, collector.i)
        for name in ("address", "take", "release"):
            m.d.comb += getattr(collector, name).eq(getattr(replay, name))
        for name in ("entry", "readable", "list"):
            m.d.comb += getattr(replay, name).eq(getattr(collector, name))
        m.d.comb += replay.credit.eq(self.credit)
        for name in ("valid", "spend", "take", "readable", "slot"):
            source = collector if name == "readable" else replay
            m.d.comb += getattr(self, name).eq(getattr(source, name))
        return m


def each_event_is_replayed_once(kinds: Any, layer: LayerPlan) -> Module:
    """For any element of any list: it has one slot in each group's pass over the list if its bit was set, else none.

    Slots of a pass come by rising element, so none is there twice; every list has its passes, in the order of lists.
    """
    m = property_module()
    Inside(m, lists := Lists(layer, *kinds))
    offers(m, lists.i, "i")
    free(m, lists.credit, "credit")
    edge, slot = layer.edges[0], lists.slot
    size, words, per_word = edge.fan_in, edge.lists.words, edge.lists.word_elements

    # ---- in: any list, any element
    element, pick = Signal(range(size), name="element"), Signal(name="pick")
    m.d.comb += [element.eq(AnyConst(len(element))), Assume(element < size), pick.eq(AnySeq(1))]
    word = Signal(range(max(2, words)), name="word_of_list")
    comes, begins = transfer(lists.i), Signal(name="list_begins")
    m.d.comb += begins.eq(comes & (word == 0))
    with m.If(comes):
        m.d.sync += word.eq(Mux(word == words - 1, 0, word + 1))
    ahead, level = Signal(range(32), name="lists_ahead"), Signal(range(32), name="lists_inside")
    following, entering, was_set = Signal(name="following"), Signal(name="entering"), Signal(name="was_set")
    bits = Cat(lists.i.payload[n * edge.element_bits : (n + 1) * edge.element_bits].any() for n in range(per_word))
    here = comes & (word == element // per_word) & (entering | (begins & pick & ~following))
    with m.If(here):
        m.d.sync += was_set.eq(bits.bit_select(element % per_word, 1))

    # ---- out: passes over the list at hand
    group = Signal(range(max(2, layer.folding.groups)), name="pass_of_list")
    ends = lists.valid & slot.last
    list_ends = ends & (group == layer.folding.groups - 1)
    event = lists.valid & slot.event
    mine = event & (slot.weight + slot.among == group * size + element)
    begun, found, latest = Signal(name="pass_begun"), Signal(name="found"), Signal(range(size), name="latest")
    number = Signal(range(size * layer.folding.groups), name="element_of_slot")
    m.d.comb += number.eq(slot.weight + slot.among - group * size)
    with m.If(lists.valid):
        m.d.sync += [begun.eq(~slot.last), latest.eq(number), found.eq(~slot.last & (found | mine))]
    with m.If(ends):
        m.d.sync += group.eq(Mux(list_ends, 0, group + 1))

    m.d.sync += level.eq(level + begins - list_ends)
    with m.If(~following & begins & pick):
        m.d.sync += [following.eq(1), entering.eq(words > 1), ahead.eq(level - list_ends)]
    with m.Elif(following):
        m.d.sync += [entering.eq(entering & ~(comes & (word == words - 1))), ahead.eq(ahead - list_ends)]
        with m.If(list_ends & (ahead == 0)):
            m.d.sync += following.eq(0)
    at_hand = following & (ahead == 0)
    m.d.comb += [
        Assert(~lists.valid | (level != 0)),
        Assert(~(lists.valid & at_hand) | ~entering),
        Assert(~lists.valid | (slot.first == ~begun)),
        Assert(~lists.valid | (slot.group == group)),
        Assert(~event | (number < size)),
        Assert(~(event & begun) | (number > latest)),
        Assert(~(ends & at_hand) | ((found | mine) == was_set)),
        Assert(~(mine & found)),
        Assert(~lists.take | lists.readable),
        Assert(~lists.spend | (lists.valid & slot.first & lists.credit)),
        Assert(~(lists.valid & slot.first) | lists.credit),
    ]
    return m


class AnyReplay(Replay):
    """Any slots that keep to what a replay promises: of a group first to last, the first one with a place if it gives a
    word. That the replay does is part of `each_event_is_replayed_once`."""

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        for name, member in self.signature.members.items():
            if member.flow is Out and name != "spend":
                free(m, Value.cast(getattr(self, name)), f"any_{name}")
        slot, begun, giving = self.slot, Signal(name="group_begun"), Signal(name="group_gives")
        gives = gives_word(self.parameters.schedule, slot)
        with m.If(self.valid):
            m.d.sync += [begun.eq(~slot.last), giving.eq(gives)]
        m.d.comb += [
            self.spend.eq(self.valid & slot.first & gives),
            Assume(~self.valid | (slot.first == ~begun)),
            Assume(~(self.valid & begun) | (gives == giving)),
            Assume(~self.spend | self.credit),
        ]
        return m


def gives_word(schedule: Schedule, slot: Any) -> Any:
    """Whether a word leaves the core behind the slot's group."""
    return slot.closing if schedule.words_after_last_step_only else slot.phase == len(schedule.preloads)


def words_find_their_place(kind: Any, layer: LayerPlan) -> Module:
    """However long the reader waits, the queue behind the lanes has a place for every word.

    Places that are free, words in the queue, and words that were begun and are on their way add up to its depth.
    """
    m = property_module()
    inside = Inside(m, core := kind(layer))
    offers(m, core.i0, "i")
    takes(m, core.o, "o")
    depth, timing = layer.output_depth, PipelineTiming.of(layer)
    parameters = replay_parameters(layer, timing)

    def slot_at(cycle: int) -> Any:
        return data.View(slot_layout(parameters), inside.value(f"slot_{cycle}"))

    def ends_at(cycle: int) -> Any:
        return inside.value(f"valid_{cycle}") & slot_at(cycle).last

    written, level = inside.value("w_en", "out_fifo"), inside.value("level", "out_fifo")
    produce, consume = inside.value("produce", "out_fifo"), inside.value("consume", "out_fifo")
    begun = inside.value("begun", "replay") & inside.value("giving", "replay")
    cycles = range(1, timing.result + 1)
    under_way = sum((ends_at(cycle) & gives_word(layer.schedule, slot_at(cycle)) for cycle in cycles), begun)
    m.d.comb += [
        Assert(~written | inside.value("w_rdy", "out_fifo")),
        Assert(inside.value("places") + level + under_way == depth),
        Assert(level <= depth),
        Assert((produce - consume)[: len(produce)] == level[: len(produce)]),
        Assert(inside.value("valid", "lanes") == inside.value(f"valid_{DECODE + 1}")),
        Assert(inside.value("summed", "lanes") == ends_at(DECODE + 2)),
        Assert(inside.value("done", "lanes") == ends_at(timing.result)),
    ]
    return m


def narrow_layer(sources: int, neurons: int, word: int, time_steps: int = 2) -> LayerPlan:
    """`neurons` on 2 lanes, which read `sources` in words of `word`."""
    layer = make_plan(dense_network([sources, neurons, 2], time_steps=time_steps), 2).layers[0]
    return replace(layer, edges=(replace(layer.edges[0], incoming=StreamLayout(1, 1, sources, word, 1)),))


TINY = {"time_steps": 1}
FORGOTTEN = mutated(Collector, "Mux(writes, place, latest)", "latest")
SHORT = using(Replay, Walker=mutated(Walker, "number == groups - 1, 0", "number == groups - 2, 0"))
LISTS = "every set bit of every list has one slot in each pass over it, in order"


def _lists(name: str, claim: str, layer: LayerPlan, depth: int, faults: dict[str, Any]) -> Proof:
    build = partial(each_event_is_replayed_once, layer=layer)
    return Proof(f"lists-{name}", claim, build, (Collector, Replay), faults, depth=depth, induction=False)


PROOFS: list[Proof | NoPath] = [
    _lists("any", LISTS, narrow_layer(2, 2, 1, **TINY), 12, {"a list forgets its last entry": (FORGOTTEN, Replay)}),
    _lists("passes", LISTS, narrow_layer(2, 3, 2, **TINY), 12, {"the last pass is left out": (Collector, SHORT)}),
]
PROOFS += [
    Proof(
        f"places-{name}",
        f"the queue behind the lanes never overflows ({name})",
        partial(words_find_their_place, layer=layer),
        using(LayerCore, Replay=AnyReplay),
        {
            "a place too many is given out": mutated(
                LayerCore,
                "places = Signal(range(layer.output_depth + 1), init=layer.output_depth)",
                "places = Signal(range(layer.output_depth + 2), init=layer.output_depth + 1)",
                Replay=AnyReplay,
            ),
        },
        depth=2,
        fault_depth=18,
        memories=True,
    )
    for name, layer in (("hidden", narrow_layer(4, 3, 2)), ("head", make_plan(dense_network([4, 3, 2]), 2).layers[1]))
]
