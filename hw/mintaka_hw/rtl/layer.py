"""The layer core: from words of its sources to words of its spikes, with its memories and counters."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import LayerPlan
from mintaka_hw.plan.layer import COUNTER_WIDTH
from mintaka_hw.plan.memory import table_width
from mintaka_hw.rtl.arithmetic import leaked, negated, popcount
from mintaka_hw.rtl.collector import Collector
from mintaka_hw.rtl.lif import PLANES_PER_NIBBLE, LIFCore, LIFParameters
from mintaka_hw.rtl.pipeline import DECODE, PipelineTiming
from mintaka_hw.rtl.replay import Replay, ReplayParameters
from mintaka_hw.rtl.sequencer import Sequencer
from mintaka_hw.rtl.steps import step_shape
from mintaka_hw.rtl.table import (
    group_words,
    lookup,
    packed,
    pipelined_rom,
    pow2_split_rom,
    state_latency,
    state_memory,
)
from mintaka_hw.rtl.windows import WindowReader


def masked(value: Value, off: Value) -> Value:
    """`value`, or 0 where `off`: as gates, where a multiplexer's other input would need a place of its own."""
    kept = value.as_unsigned() & (~off).replicate(len(value))
    return kept.as_signed() if value.shape().signed else kept


def tapped(layer: LayerPlan) -> dict[str, int]:
    """What a layer's taps show, as name -> bits per lane: K, and s, U and Js where its neurons have them."""
    datapath = layer.datapath
    found = {"k": datapath.k_width}
    if datapath.fires:
        found["s"] = 1
    if datapath.membrane is not None:
        found["u"] = datapath.state_width
    if datapath.current is not None:
        found["j"] = datapath.current.bits
    return found


def lif_parameters(layer: LayerPlan) -> LIFParameters:
    """What the lanes of a layer are."""
    datapath, planes = layer.datapath, layer.events.planes
    return LIFParameters(
        lanes=layer.folding.lanes,
        weight_width=layer.weights.width + min(planes - 1, PLANES_PER_NIBBLE - 1),
        start_width=datapath.ranges.start.signed_bits,
        accumulator_width=datapath.accumulator_width,
        k_width=datapath.k_width,
        state_width=datapath.state_width,
        nibbles=ceil(planes / PLANES_PER_NIBBLE),
        shifts=layer.schedule.sum_shifts,
        leak=datapath.leak,
        threshold_width=None if datapath.threshold is None else table_width(datapath.threshold),
        fires_above_zero=datapath.fires_above_zero,
        reset_by_width=None if datapath.reset_by is None else table_width(datapath.reset_by),
        refractory=datapath.refractory,
        count_width=datapath.most_spikes.bit_length(),
        current_width=None if datapath.current is None else datapath.current.bits,
        membrane_width=datapath.ranges.membrane.signed_bits,
    )


def replay_parameters(layer: LayerPlan, timing: PipelineTiming) -> ReplayParameters:
    """What the replay of a layer is."""
    return ReplayParameters(
        layer.name, layer.edges, layer.events, layer.weights, layer.folding, layer.schedule, timing.state
    )


class LayerCore(wiring.Component):
    """One dense or conv2d layer. Its cycles are `mintaka_hw.estimate`'s: one per event and group.

    Pipeline, from the slot: 1 weight row is addressed | 2 weight leaves the memory | 3 weight and start are there |
    4 accumulate | 5 K complete | 6 result: spikes leave, state is stored. CUBA-LIF: 5 J complete | 6 K complete |
    7 result.

    Attributes
    ----------
    i0, i1, ... : In(stream of the edge's words)
    o : Out(stream of outgoing.word_bits)
        A word of `lanes` spikes per window, group and step, or of the head `lanes` logits per window and group after
        the last step.
    done : Out(1)
        One cycle per sample. Then `sops`, `events` (slots that carry an event) and `busy` (cycles in which a slot was
        issued or waited) are the totals of all samples since reset, modulo 2^32.
    commit, step, finished : with early exit. `finished`: step number `step` is done. `commit`: the sample ends after
        it. The operations of later steps are dropped; `events` and `busy` have them, as far as they were begun.
    last_step : In, with steps at run time the number of a sample's last one
    tap_valid, tap_k, tap_s, tap_u, tap_j : Out
        Monitor: each group of each step as its result leaves the lanes. What a layer's neurons do not have is missing
        (`tapped`).
    """

    def __init__(self, layer: LayerPlan):
        self.layer, self.timing = layer, PipelineTiming.of(layer)
        exits = {"commit": In(1), "step": In(range(layer.schedule.time_steps)), "finished": Out(1)}
        super().__init__(
            {
                **{f"i{n}": In(stream.Signature(edge.incoming.word_bits)) for n, edge in enumerate(layer.edges)},
                "o": Out(stream.Signature(layer.outgoing.word_bits)),
                "done": Out(1),
                "sops": Out(COUNTER_WIDTH),
                "events": Out(COUNTER_WIDTH),
                "busy": Out(COUNTER_WIDTH),
                **(exits if layer.schedule.exits else {}),
                **({"last_step": In(step_shape(layer.schedule.time_steps))} if layer.schedule.run_time else {}),
                "tap_valid": Out(1),
                **{f"tap_{name}": Out(width * layer.folding.lanes) for name, width in tapped(layer).items()},
            }
        )

    def describe(self) -> dict[str, Any]:
        layer = self.layer
        return {
            "layer": layer.name,
            "op": layer.node.op,
            "shape in": layer.node.shape_in,
            "shape out": layer.node.shape_out,
            "lanes": layer.folding.lanes,
            "groups": layer.folding.groups,
            "windows": layer.folding.windows,
            **{f"memory {memory.name}": f"{memory.depth} words of {memory.width} bits" for memory in layer.memories},
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layer = self.layer
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(
            layer.name, layer.edges, layer.events, layer.schedule, layer.folding.lists
        )
        m.submodules.collector = collector = Collector(layer.name, layer.events)
        m.submodules.replay = replay = Replay(replay_parameters(layer, self.timing))
        m.submodules.lanes = lanes = LIFCore(lif_parameters(layer))
        if layer.schedule.run_time:
            m.d.comb += [sequencer.last_step.eq(self.last_step), replay.last_step.eq(self.last_step)]

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

        # ---- the slot on its way through the pipeline, cycle by cycle up to the result
        slots = [replay.slot]
        valids: list[Value] = [replay.valid]
        for cycle in range(1, self.timing.result + 1):
            slot = Signal(replay.slot.shape(), name=f"slot_{cycle}", reset_less=True)
            valid = Signal(name=f"valid_{cycle}")
            m.d.sync += [slot.eq(slots[-1]), valid.eq(valids[-1])]
            slots.append(slot)
            valids.append(valid)
        result = slots[-1]
        stepped = Signal()  # a step's result, not a pass's
        m.d.comb += stepped.eq(lanes.done & (result.phase == len(layer.schedule.preloads)))

        rows = [slot.weight + slot.among for slot in slots[: DECODE + 1]]
        weight_word = self._weights(m, rows[DECODE - 2], rows[DECODE - 1])
        still = self._begin(m, slots, lanes, stepped)

        # ---- decode the weights into the register before the accumulators
        at = slots[DECODE]
        operations = Signal(layer.folding.lanes)  # lanes with a synapse for the event
        within = at.event if layer.weights.stores_zero else at.event & (at.group != layer.folding.groups - 1)
        for lane in range(layer.folding.lanes):
            weight = self._decoded(m, weight_word, lane)
            if layer.events.subtracts:
                weight = negated(weight, at.negative)
            if layer.events.planes > 1:  # in two steps, around the register: within a nibble, and to a nibble
                shifted = [weight << plane for plane in range(min(layer.events.planes, PLANES_PER_NIBBLE))]
                weight = Array(shifted)[at.plane[:2]]
            held = Signal(signed(weight.shape().width), name=f"weight_{lane}", reset_less=True)
            padding = lane >= layer.outgoing.rest  # in the last group
            reached = at.mask[lane] if layer.events.is_grouped else within if padding else at.event
            m.d.sync += held.eq(Mux(reached & ~still[lane], weight, 0))
            if layer.events.is_grouped:
                m.d.sync += operations[lane].eq(reached & (weight != 0))
            m.d.comb += lanes.weight[lane].eq(held)
        m.d.comb += [
            lanes.valid.eq(valids[DECODE + 1]),
            lanes.first.eq(slots[DECODE + 1].first),
            lanes.last.eq(slots[DECODE + 1].last),
            lanes.phase.eq(slots[DECODE + 1].phase),
            lanes.nibble.eq(slots[DECODE + 1].plane[2:]),
        ]
        if layer.datapath.threshold is not None:  # there when K is complete
            self._table(m, "threshold", layer.datapath.threshold, slots, self.timing.result - 1, lanes.threshold)
        if layer.datapath.reset_by is not None:
            self._table(m, "reset_by", layer.datapath.reset_by, slots, self.timing.result - 1, lanes.reset_by)

        self._output(m, lanes, replay, stepped, result)
        if layer.events.is_grouped:
            counted: Value = popcount(operations)
        elif layer.weights.sparse is not None:
            counted = weight_word[layer.folding.lanes * layer.weights.bits :]
        else:
            counted = self._fanout(m, rows[DECODE - 2], rows[DECODE - 1], at)
        self._counters(m, replay, slots, valids, counted)
        if layer.schedule.exits:
            steps = Signal(range(layer.schedule.time_steps + 1))
            m.d.sync += steps.eq(steps + (stepped & self._step_ends(result)))
            m.d.comb += self.finished.eq(steps > self.step)
        m.d.comb += self.tap_valid.eq(stepped)
        for name in tapped(layer):
            port = lanes.spikes if name == "s" else getattr(lanes, name).as_value()
            m.d.comb += getattr(self, f"tap_{name}").eq(port)
        return m

    def _table(
        self, m: Module, name: str, values: np.ndarray, slots: list[Signal], cycle: int, port: data.View
    ) -> None:
        """A constant per channel: the group's word, on the lanes' `port` in that cycle."""
        width = table_width(values)
        words = group_words(values, self.layer.folding.lanes, width)
        earlier, later = slots[cycle - 2].group, slots[cycle - 1].group
        m.d.comb += port.as_value().eq(pipelined_rom(m, name, words, self.layer.folding.lanes * width, earlier, later))

    def _weights(self, m: Module, earlier: Value, later: Value) -> Value:
        """The weight memory: row group * fan_in + element holds one weight per lane. `pipelined_rom`.

        A sparse one has the rows of `SparseRows`, behind the weights how many of them are not 0.
        """
        weights, width = self.layer.weights, self.layer.weights.lanes * self.layer.weights.bits
        if weights.sparse is not None:
            stored = [packed(self._encoded(row), weights.bits) for row in weights.sparse.rows]
            synapses = (weights.sparse.rows != 0).sum(axis=1).tolist()
            rows = [word | number << width for word, number in zip(stored, synapses, strict=True)] or [0]
            return pow2_split_rom(m, "weights", rows, width + weights.synapse_bits, earlier, later)
        rows = []
        for group in range(weights.groups):
            part = weights.values[group * weights.lanes : (group + 1) * weights.lanes]
            rows += [packed(self._encoded(column), weights.bits) for column in part.T]
        return pipelined_rom(m, "weights", rows, width, earlier, later)

    def _encoded(self, column: list[int]) -> list[int]:
        """Lane weights as stored: their places in the codebook, or two's complement; at 1 bit, 0 is +1 and 1 is -1.

        Lanes behind the last channel hold 0, or where no stored weight is 0 whatever is stored as 0.
        """
        memory = self.layer.weights
        weights = [int(w) for w in column]
        if memory.stores_zero:
            weights += [0] * (memory.lanes - len(weights))
        if memory.codebook is not None:
            stored = np.searchsorted(memory.codebook, weights).tolist()
        else:
            stored = weights if memory.bits > 1 else [int(w < 0) for w in weights]
        return stored + [0] * (memory.lanes - len(stored))

    def _decoded(self, m: Module, word: Value, lane: int) -> Value:
        memory = self.layer.weights
        bits = memory.bits
        stored = word[lane * bits : (lane + 1) * bits]
        if memory.codebook is not None:
            decoded = Signal(signed(memory.width), name=f"decoded_{lane}")
            m.d.comb += decoded.eq(lookup(memory.codebook, stored))
            return decoded
        return Cat(1, stored).as_signed() if bits == 1 else stored.as_signed()

    def _begin(self, m: Module, slots: list[Signal], lanes: LIFCore, stepped: Value) -> list[Value]:
        """Beside the weights: what each lane's accumulation begins with, into the register before the accumulators.

        Returns by lane whether it is silent, so that its weights must not count.
        """
        layer, datapath, at = self.layer, self.layer.datapath, slots[DECODE]
        width = table_width(datapath.stored_bias)
        words = group_words(datapath.stored_bias, layer.folding.lanes, width, padding=-datapath.bias_offset)
        asked = slots[DECODE - 2].group, slots[DECODE - 1].group
        bias_word = pipelined_rom(m, "bias", words, layer.folding.lanes * width, *asked)
        state_word = self._state(m, slots, lanes, stepped)
        current_word = self._current(m, slots, lanes)
        passing = at.phase != len(layer.schedule.preloads)
        silents: list[Value] = []
        for lane in range(layer.folding.lanes):
            before = {name: masked(value, at.opening) for name, value in state_word[lane].items()}
            u, silent = before.get("u", C(0, 1)), before.get("silent", C(0, 1)).any()
            first: Value = bias_word[lane * width : (lane + 1) * width].as_signed()
            current = current_word[lane]
            if layer.schedule.preloads_in_first_step and current is not None:
                first = Mux(at.opening, first, current)  # K of the first step: the bias is in it
            if datapath.refractory:
                first = Mux(silent, 0, first)
            begin = first - ~u if datapath.bias_offset else first + u
            if datapath.current is not None:
                start = leaked(before["j"], datapath.current.leak) if "j" in before else C(0, 1)
                self._held(m, lanes.membrane[lane], Mux(passing, 0, begin), f"membrane_{lane}")
            else:
                start = begin
            if layer.schedule.preloads:
                assert current is not None
                kept = Mux(silent, 0, current) if datapath.refractory and datapath.current is None else current
                start = Mux(passing, Mux(at.phase == 0, 0, current), start + kept)
            self._held(m, lanes.start[lane], start, f"start_{lane}")
            for name in ("silent", "count"):
                if name in before:
                    self._held(m, getattr(lanes, name)[lane], before[name], f"{name}_{lane}")
            silents.append(silent if datapath.current is None else C(0, 1))
        return silents

    def _held(self, m: Module, port: Value, value: Value, name: str) -> None:
        """`value` on `port`, a cycle later."""
        register = Signal(port.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        m.d.comb += port.eq(register)

    def _state(self, m: Module, slots: list[Signal], lanes: LIFCore, stepped: Value) -> list[dict[str, Value]]:
        """By lane, the state of the step before, as fields; there with the weights, meaningless in the first step."""
        fields, folding = self.layer.datapath.state_fields, self.layer.folding
        if not fields:
            return [{}] * folding.lanes
        shapes = {n: (signed if n in ("u", "j") else unsigned)(width) for n, width in fields.items()}
        each = data.StructLayout(shapes)
        after = Signal(data.ArrayLayout(each, folding.lanes))
        for lane in range(folding.lanes):
            for name in shapes:
                source = getattr(lanes, name if name in ("u", "j") else f"{name}_next")
                m.d.comb += after[lane][name].eq(source[lane])
        read = slots[DECODE - state_latency(folding.states)].state
        word = state_memory(m, "state", folding.states, read, slots[-1].state, stepped, after.as_value())
        before = data.View(data.ArrayLayout(each, folding.lanes), word)
        return [{name: before[lane][name] for name in shapes} for lane in range(folding.lanes)]

    def _current(self, m: Module, slots: list[Signal], lanes: LIFCore) -> list[Value | None]:
        """By lane, the direct edges' sum: written by the passes or the first step, read as the state is."""
        folding, schedule, result = self.layer.folding, self.layer.schedule, slots[-1]
        width = self.layer.datapath.direct_sum_width
        if not width:
            return [None] * folding.lanes
        after = Cat(lanes.k[lane][:width] for lane in range(folding.lanes))
        summed = result.opening if schedule.preloads_in_first_step else result.phase != len(schedule.preloads)
        read = slots[DECODE - state_latency(folding.states)].state
        word = state_memory(m, "current", folding.states, read, result.state, lanes.done & summed, after)
        return [word[lane * width : (lane + 1) * width].as_signed() for lane in range(folding.lanes)]

    def _output(self, m: Module, lanes: LIFCore, replay: Replay, stepped: Value, slot: Signal) -> None:
        """The queue of outgoing words. Its places are given out at issue, so the pipeline never has to stop."""
        layer = self.layer
        m.submodules.out_fifo = fifo = SyncFIFO(width=layer.outgoing.word_bits, depth=layer.output_depth)
        places = Signal(range(layer.output_depth + 1), init=layer.output_depth)
        taken = self.o.valid & self.o.ready
        m.d.sync += places.eq(places + taken - replay.spend)
        m.d.comb += [
            replay.credit.eq(places != 0),
            fifo.w_data.eq(self._word(lanes)),
            fifo.w_en.eq(stepped & (slot.closing if layer.schedule.words_after_last_step_only else 1)),
            self.o.valid.eq(fifo.r_rdy),
            self.o.payload.eq(fifo.r_data),
            fifo.r_en.eq(self.o.ready),
        ]

    def _word(self, lanes: LIFCore) -> Value:
        """A group's spikes, or the head's logits.

        Behind the last channel nothing may spike, or a reader would take it for the next pixel's first. Lanes there do
        not, as they sum nothing.
        """
        layer = self.layer
        if layer.read == "count":
            width = layer.datapath.logit_width
            return Cat(Cat(count, C(0, width))[:width] for count in lanes.count_next)
        if layer.is_head:
            return lanes.k.as_value()
        return lanes.spikes

    def _fanout(self, m: Module, earlier: Value, later: Value, slot: Signal) -> Value:
        """Operations of an event in all groups, counted in the first: a table, there with the weights."""
        layer = self.layer
        width = int(layer.weights.fanout.max()).bit_length()
        if not width:
            return C(0, 1)  # a layer without a synapse has no operations
        bits, table = layer.events.element_bits, [int(n) for n in layer.weights.fanout]
        fanout = pipelined_rom(m, "fanout", table, width, earlier[:bits], later[:bits])
        return Mux(slot.group == 0, fanout, 0)

    def _counters(self, m: Module, replay: Replay, slots: list[Signal], valids: list[Value], operations: Value) -> None:
        """Totals, `PipelineTiming.counters` cycles after the slots.

        operations : of the slot a cycle before, if it carries an event.

        They are never cleared but by reset: the reader takes differences, and the counters need no multiplexers.
        """
        layer, delay = self.layer, self.timing.counters
        occupied, ends = replay.occupied, replay.valid & replay.ends
        for cycle in range(1, delay + 1):
            then = [Signal(name=f"slot_{name}_{cycle}") for name in ("occupied", "ends")]
            m.d.sync += [then[0].eq(occupied), then[1].eq(ends)]
            occupied, ends = then
        if not layer.schedule.exits:
            m.d.sync += self.done.eq(ends)
        slot, before = slots[delay], slots[delay - 1]
        event = valids[delay] & slot.event
        operations = Mux(valids[delay - 1] & before.event, operations, 0)
        if any(edge.counts_units for edge in layer.edges):
            operations = Array([operations << n for n in range(2 ** len(slot.units))])[before.units]
        counted = Signal(len(operations), name="operations_held")
        m.d.sync += counted.eq(operations)
        total = "total" if layer.schedule.exits else "sync"
        for counter, step in ((self.busy, occupied), (self.events, event)):
            m.d[total] += counter.eq(counter + step)
        if layer.schedule.exits:
            self._commit(m, counted, valids[delay] & slot.last & self._step_ends(slot))
        else:
            m.d.sync += self.sops.eq(self.sops + counted)

    def _step_ends(self, slot: Signal) -> Value:
        """Whether the slot's group is the last one of a step."""
        return (slot.state == self.layer.folding.states - 1) & (slot.phase == len(self.layer.schedule.preloads))

    def _commit(self, m: Module, operations: Value, step_ends: Value) -> None:
        """Operations up to the end of each step; at the end of the sample those of its last step count.

        The domain `total` is the clock's, but outlives the restart between samples.
        """
        so_far, after = Signal(COUNTER_WIDTH), Signal(COUNTER_WIDTH)
        memory = Memory(shape=unsigned(COUNTER_WIDTH), depth=self.layer.schedule.time_steps, init=[])
        m.submodules.marks = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            after.eq(so_far + operations),
            write.data.eq(after),
            write.en.eq(step_ends),
            read.addr.eq(self.step),
        ]
        m.d.sync += [so_far.eq(after), write.addr.eq(write.addr + step_ends)]
        m.d.total += self.done.eq(self.commit)
        with m.If(self.commit):
            m.d.total += self.sops.eq(self.sops + read.data)
