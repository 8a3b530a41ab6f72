"""The layer core: from words of its sources to words of its spikes, with its memories and counters."""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import LayerPlan
from mintaka_hw.plan.layer import table_width
from mintaka_hw.rtl.collector import Collector
from mintaka_hw.rtl.lif import LIFCore, LIFParameters, lanes_of
from mintaka_hw.rtl.replay import Replay
from mintaka_hw.rtl.sequencer import Sequencer
from mintaka_hw.rtl.table import group_words, packed, rom, state
from mintaka_hw.rtl.windows import WindowReader

COUNTER_WIDTH = 32


class LayerCore(wiring.Component):
    """One dense or conv2d layer. Its cycles are `mintaka_hw.estimate`'s: one per event and group.

    Pipeline, from the slot: 0 weight row is addressed | 1 weight and start are there | 2 accumulate | 3 K complete |
    4 result: spikes leave, state is stored.

    Attributes
    ----------
    i0, i1, ... : In(stream of the edge's words)
    o : Out(stream of outgoing.word_bits)
        A word of `lanes` spikes per group and step, or for the head `lanes` sums per group after the last step.
    done : Out(1)
        One cycle per sample; `sops`, `events` (slots that carry an event) and `busy` (cycles in which a slot was
        issued or waited) are then that sample's.
    tap_valid, tap_k, tap_s, tap_u : Out
        Monitor: each group of each step as its result leaves the lanes.
    """

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        super().__init__(
            {
                **{f"i{n}": In(stream.Signature(edge.incoming.word_bits)) for n, edge in enumerate(layer.edges)},
                "o": Out(stream.Signature(layer.outgoing.word_bits)),
                "done": Out(1),
                "sops": Out(COUNTER_WIDTH),
                "events": Out(COUNTER_WIDTH),
                "busy": Out(COUNTER_WIDTH),
                "tap_valid": Out(1),
                "tap_k": Out(lanes_of(signed(layer.k_width), layer.lanes)),
                "tap_s": Out(layer.lanes),
                "tap_u": Out(lanes_of(signed(layer.state_width), layer.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layer = self.layer
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(layer)
        m.submodules.collector = collector = Collector(layer)
        m.submodules.replay = replay = Replay(layer)
        m.submodules.lanes = lanes = LIFCore(LIFParameters.of(layer))

        for number, edge in enumerate(layer.edges):
            into, words = getattr(self, f"i{number}"), getattr(sequencer, f"i{number}")
            if edge.window_buffer is None:
                wiring.connect(m, wiring.flipped(into), words)
            else:
                windows = WindowReader(edge.window_buffer)
                m.submodules[f"windows{number}"] = windows
                wiring.connect(m, wiring.flipped(into), windows.i)
                wiring.connect(m, windows.o, words)
        wiring.connect(m, sequencer.o, collector.i)
        m.d.comb += [
            collector.address.eq(replay.address),
            collector.take.eq(replay.take),
            collector.release.eq(replay.release),
            replay.entry.eq(collector.entry),
            replay.readable.eq(collector.readable),
            replay.list.eq(collector.list),
        ]

        # ---- cycle 0 to 4: the slot on its way through the pipeline
        slots = [replay.slot]
        valids: list[Value] = [replay.valid]
        for cycle in range(1, 5):
            slot = Signal(replay.slot.shape(), name=f"slot_{cycle}", reset_less=True)
            valid = Signal(name=f"valid_{cycle}")
            m.d.sync += [slot.eq(slots[-1]), valid.eq(valids[-1])]
            slots.append(slot)
            valids.append(valid)

        weight_word = self._weights(m, replay.slot.weight)
        start = self._start(m, slots, lanes)

        # ---- cycle 1: decode the weights into the register before the accumulators
        operations = Signal(layer.lanes)  # lanes with a synapse for the event
        for lane in range(layer.lanes):
            weight = self._decoded(weight_word, lane)
            held = Signal(signed(weight.shape().width), name=f"weight_{lane}", reset_less=True)
            reached = slots[1].mask[lane] if layer.is_grouped else slots[1].event
            m.d.sync += held.eq(Mux(reached, weight, 0))
            if layer.is_grouped:
                m.d.sync += operations[lane].eq(reached & (weight != 0))
            begin = Signal(lanes.start[lane].shape(), name=f"start_{lane}", reset_less=True)
            m.d.sync += begin.eq(start[lane])
            m.d.comb += [lanes.weight[lane].eq(held), lanes.start[lane].eq(begin)]
        m.d.comb += [
            lanes.valid.eq(valids[2]),
            lanes.first.eq(slots[2].first),
            lanes.last.eq(slots[2].last),
            lanes.plane.eq(slots[2].plane),
        ]
        if not layer.is_head:
            width = table_width(layer.threshold)
            words = group_words(layer.threshold, layer.lanes, width)
            m.d.comb += lanes.threshold.as_value().eq(rom(m, "threshold", words, layer.lanes * width, slots[2].group))
            if layer.reset_by is not None:
                width = table_width(layer.reset_by)
                words = group_words(layer.reset_by, layer.lanes, width)
                m.d.comb += lanes.reset_by.as_value().eq(rom(m, "reset_by", words, layer.lanes * width, slots[2].group))

        self._output(m, lanes, replay, slots[4])
        if layer.is_grouped:
            self._counters(m, replay, slots[2], valids[2], 2, popcount(operations))
        else:
            self._counters(m, replay, slots[1], valids[1], 1, self._fanout(m, replay.slot.weight, slots[1]))
        m.d.comb += [
            self.tap_valid.eq(lanes.done),
            self.tap_k.eq(lanes.k),
            self.tap_s.eq(lanes.spikes),
            self.tap_u.eq(lanes.state),
        ]
        return m

    def _weights(self, m: Module, row: Value) -> Value:
        """The weight memory: row group * fan_in + element holds one weight per lane."""
        layer = self.layer
        rows = []
        for group in range(layer.groups):
            part = layer.weight_rows[group * layer.lanes : (group + 1) * layer.lanes]
            rows += [packed(self._encoded(column), layer.stored_weight_bits) for column in part.T]
        return rom(m, "weights", rows, layer.lanes * layer.stored_weight_bits, row)

    def _encoded(self, column: list[int]) -> list[int]:
        """Lane weights as stored: two's complement; at 1 bit, 0 is +1 and 1 is -1. Padding adds nothing, or -1."""
        stored = [int(w) if self.layer.stored_weight_bits > 1 else int(w < 0) for w in column]
        return stored + [int(self.layer.stored_weight_bits == 1)] * (self.layer.lanes - len(stored))

    def _decoded(self, word: Value, lane: int) -> Value:
        bits = self.layer.stored_weight_bits
        stored = word[lane * bits : (lane + 1) * bits]
        return Cat(1, stored).as_signed() if bits == 1 else stored.as_signed()

    def _start(self, m: Module, slots: list[Signal], lanes: LIFCore) -> list[Value]:
        """What each lane's accumulation begins with, at cycle 1: state + bias, or state + the stored current."""
        layer = self.layer
        width = table_width(layer.bias)
        bias_word = rom(m, "bias", group_words(layer.bias, layer.lanes, width), layer.lanes * width, slots[0].group)

        def kept(name: str, word: Value, enable: Value) -> Value:
            read = slots[0 if layer.state_is_deep else 1].state
            return state(m, name, layer.states, read, slots[4].state, enable, word)

        state_word = kept("state", lanes.state.as_value(), lanes.done) if layer.has_state else None
        current_word = None
        if layer.has_current:
            current_word = kept("current", lanes.k.as_value(), lanes.done & slots[4].opening)
        found = []
        for lane in range(layer.lanes):
            begin: Value = bias_word[lane * width : (lane + 1) * width].as_signed()
            if current_word is not None:
                size = layer.k_width
                begin = Mux(slots[1].opening, begin, current_word[lane * size : (lane + 1) * size].as_signed())
            if state_word is not None:
                size = layer.state_width
                before = state_word[lane * size : (lane + 1) * size].as_signed()
                begin = begin + Mux(slots[1].opening, 0, before)
            found.append(begin)
        return found

    def _output(self, m: Module, lanes: LIFCore, replay: Replay, slot: Signal) -> None:
        """The queue of outgoing words. Its places are given out at issue, so the pipeline never has to stop."""
        layer = self.layer
        m.submodules.out_fifo = fifo = SyncFIFO(width=layer.outgoing.word_bits, depth=layer.fifo_depth)
        places = Signal(range(layer.fifo_depth + 1), init=layer.fifo_depth)
        taken = self.o.valid & self.o.ready
        m.d.sync += places.eq(places + taken - replay.spend)
        word = lanes.k.as_value() if layer.is_head else lanes.spikes
        m.d.comb += [
            replay.credit.eq(places != 0),
            fifo.w_data.eq(word),
            fifo.w_en.eq(lanes.done & (slot.closing if layer.is_head else 1)),
            self.o.valid.eq(fifo.r_rdy),
            self.o.payload.eq(fifo.r_data),
            fifo.r_en.eq(self.o.ready),
        ]

    def _fanout(self, m: Module, row: Value, slot: Signal) -> Value:
        """Operations of an event in all groups, counted in the first: a table, a cycle behind the slot."""
        layer = self.layer
        width = int(layer.fanout.max()).bit_length()
        if not width:
            return C(0, 1)  # a layer without a synapse has no operations
        fanout = rom(m, "fanout", [int(n) for n in layer.fanout], width, row[: layer.element_address_bits])
        return Mux(slot.group == 0, fanout, 0)

    def _counters(self, m: Module, replay: Replay, slot: Signal, valid: Value, behind: int, operations: Value) -> None:
        """Per-sample counts, `behind` cycles after the slots; `operations`: of the slot, if it carries an event."""
        layer = self.layer
        now: list[Value] = [replay.occupied, replay.fresh, replay.valid & replay.ends]
        for cycle in range(1, behind + 1):
            then = [Signal(name=f"slot_{name}_{cycle}") for name in ("occupied", "fresh", "ends")]
            m.d.sync += [late.eq(value) for late, value in zip(then, now, strict=True)]
            now = list(then)
        occupied, fresh, ends = now
        m.d.sync += self.done.eq(ends)
        event = valid & slot.event
        operations = Mux(event, operations, 0)
        if any(edge.counts_units for edge in layer.edges):
            operations = Array([operations << n for n in range(2 ** len(slot.units))])[slot.units]
        with m.If(occupied):
            for counter, step in ((self.busy, 1), (self.events, event), (self.sops, operations)):
                m.d.sync += counter.eq(Mux(fresh, 0, counter) + step)


def popcount(bits: Value) -> Value:
    """How many bits are set, as a tree of additions."""
    if len(bits) == 1:
        return bits
    half = len(bits) // 2
    return popcount(bits[:half]) + popcount(bits[half:])
