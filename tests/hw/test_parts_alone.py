"""Parts of the accelerator alone, where within a whole one a fault shows only at rare times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.sim import Simulator
from handmade import dense_network

from mintaka_hw.plan import EventList, Folding, Schedule, StreamLayout, WeightMemory, WordChunks, make_plan
from mintaka_hw.plan.memory import BLOCK_ROWS
from mintaka_hw.rtl import Accelerator
from mintaka_hw.rtl.collector import ENTRY_LATENCY, LIST_LATENCY, Collector
from mintaka_hw.rtl.exit import EarlyExit, SampleGate
from mintaka_hw.rtl.lif import LIFCore, LIFParameters
from mintaka_hw.rtl.link import Queue
from mintaka_hw.rtl.table import is_block, pipelined_rom
from mintaka_hw.rtl.walker import WALK_LATENCY, Walker

WORDS = EventList(depth=2, element_bits=2, chunks=(WordChunks(word_bits=4, chunk_bits=2, numbers=2),), chunk_fields=2)


def simulate(design: Elaboratable, bench: Any) -> None:
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_sample_that_may_stop_waits_for_its_layers() -> None:
    part = EarlyExit(StreamLayout(1, 1, 2, 1, 8), (3,))

    async def bench(ctx: Any) -> None:
        ctx.set(part.o.ready, 1)
        ctx.set(part.i.valid, 1)
        for logit in (9, 2):
            ctx.set(part.i.payload, logit)
            await ctx.tick()
        ctx.set(part.i.valid, 0)
        for _ in range(5):
            assert not ctx.get(part.restart)
            assert not ctx.get(part.o.valid)
            await ctx.tick()
        ctx.set(part.finished, 1)
        assert ctx.get(part.restart)
        await ctx.tick()
        assert not ctx.get(part.restart)
        assert (ctx.get(part.o.valid), ctx.get(part.o.payload.logit), ctx.get(part.steps)) == (1, 9, 1)

    simulate(part, bench)


@pytest.mark.parametrize("taken", [1, 3, 4])
def test_the_rest_of_a_sample_that_has_ended_is_dropped(taken: int) -> None:
    """Of four words some have come in when the sample ends; the next sample's four all come out, and nothing else."""
    part = SampleGate(8, 4)

    async def bench(ctx: Any) -> None:
        ctx.set(part.o.ready, 1)
        words, out = [*range(10, 14), *range(20, 24)], []
        restarted = False
        for _ in range(20):
            if not words:
                break
            ends = not restarted and len(words) == 8 - taken
            ctx.set(part.restart, ends)
            ctx.set(part.i.valid, not ends)
            ctx.set(part.i.payload, words[0])
            valid, ready, payload = ctx.get(part.o.valid), ctx.get(part.i.ready), ctx.get(part.o.payload)
            restarted |= ends
            await ctx.tick()
            if valid:
                out.append(payload)
            if ready and not ends:
                words.pop(0)
        assert out == [*range(10, 10 + taken), *range(20, 24)]

    simulate(part, bench)


def test_zeros_of_a_delayed_edge_wait_for_their_sample() -> None:
    part = Queue(4, 4, frame_words=2, time_steps=3, run_time=True)

    async def bench(ctx: Any) -> None:
        ctx.set(part.last_step, 2)
        ctx.set(part.o.ready, 1)
        for begun in (0, 1):
            ctx.set(part.begun, begun)
            given = 0
            for _ in range(6):
                given += ctx.get(part.o.valid)
                await ctx.tick()
            assert given == 2 * begun  # one frame of zeros for a sample, none without

    simulate(part, bench)


def test_every_part_of_a_deep_memory_answers() -> None:
    words = [(7 * n + n // BLOCK_ROWS) % 256 for n in range(2 * BLOCK_ROWS + 5)]
    assert is_block(words, 8)
    m = Module()
    earlier, later = Signal(range(len(words))), Signal(range(len(words)))
    m.d.sync += later.eq(earlier)
    word = Signal(8)
    m.d.comb += word.eq(pipelined_rom(m, "rom", words, 8, earlier, later))

    async def bench(ctx: Any) -> None:
        for address in (0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS, len(words) - 1):
            ctx.set(earlier, address)
            await ctx.tick().repeat(2)
            assert ctx.get(word) == words[address], address

    simulate(m, bench)


def test_cycles_are_counted_from_the_first_word() -> None:
    accelerator = Accelerator(make_plan(dense_network((4, 3, 2), time_steps=1), 1))

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(7)
        assert ctx.get(accelerator.o_cycles) == 0
        ctx.set(accelerator.i_valid, 1)
        assert ctx.get(accelerator.i_ready)
        for cycles in range(1, 6):
            await ctx.tick()
            ctx.set(accelerator.i_valid, 0)
            assert ctx.get(accelerator.o_cycles) == cycles

    simulate(accelerator, bench)


def test_a_list_is_there_as_late_as_the_collector_states() -> None:
    part = Collector("layer", WORDS)

    async def bench(ctx: Any) -> None:
        ctx.set(part.i.payload, {"bits": 0b0100, "element": 0, "edge": 0, "first": 1, "last": 1})
        ctx.set(part.i.valid, 1)
        await ctx.tick()
        ctx.set(part.i.valid, 0)
        await ctx.tick()  # from its first register to its second
        for _ in range(LIST_LATENCY):
            assert not ctx.get(part.readable)
            await ctx.tick()
        assert ctx.get(part.readable)
        assert not ctx.get(part.list.empty)
        await ctx.tick().repeat(ENTRY_LATENCY)
        assert (ctx.get(part.entry.element), ctx.get(part.entry.bits)) == (2, 1)

    simulate(part, bench)


def test_a_list_is_walked_once_per_group_as_late_as_the_walker_states() -> None:
    weights, folding = WeightMemory(np.ones((3, 4), np.int64), lanes=2, bits=2), Folding(lanes=2, channels=3)
    part = Walker("layer", WORDS, weights, folding, Schedule(time_steps=1))

    async def bench(ctx: Any) -> None:
        ctx.set(part.list, {"last": 0, "empty": 0})
        ctx.set(part.readable, 1)
        ctx.set(part.o.ready, 1)
        for _ in range(WALK_LATENCY):
            assert not ctx.get(part.o.valid)
            taken = ctx.get(part.take)
            await ctx.tick()
            if taken:
                ctx.set(part.readable, 0)
        for group in range(2):
            found = part.o.payload
            assert ctx.get(part.o.valid)
            assert (ctx.get(found.row), ctx.get(found.context.group)) == (4 * group, group)
            assert (ctx.get(found.context.frees), ctx.get(found.context.ends)) == (group, group)
            await ctx.tick()
        assert not ctx.get(part.o.valid)

    simulate(part, bench)


@pytest.mark.parametrize("current_width", [None, 4])
def test_a_result_is_there_as_late_as_the_lanes_state(current_width: int | None) -> None:
    lanes = LIFParameters(1, 4, 6, 6, 6, 4, 1, ((0, 0),), (), 4, current_width=current_width, membrane_width=5)
    part = LIFCore(lanes)

    async def bench(ctx: Any) -> None:
        for port in (part.valid, part.first, part.last):
            ctx.set(port, 1)
        ctx.set(part.weight[0], 5)
        ctx.set(part.threshold[0], 4)
        for _ in range(lanes.latency):
            assert not ctx.get(part.done)
            await ctx.tick()
            ctx.set(part.valid, 0)
        assert (ctx.get(part.done), ctx.get(part.spikes), ctx.get(part.k[0])) == (1, 1, 5)
        await ctx.tick()
        assert not ctx.get(part.done)

    simulate(part, bench)
