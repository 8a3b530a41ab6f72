"""A whole design behind AXI in Amaranth's simulator: what a bus model in Verilator rarely does, and a system does.

Reads and writes at the same time, a closed sink until all places are taken, samples that begin while others end.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator
from formal.kit import Inside
from handmade import dense_network
from packets import Frames, taken
from strategies import random_inputs

from mintaka.artifact import Network, run
from mintaka_hw.host.axi import IN_FLIGHT, AxiHost
from mintaka_hw.host.registers import FLAGS
from mintaka_hw.plan import make_plan

# A sample is one beat and one step, so that more than IN_FLIGHT of them are in the layers' lists and queues.
NETWORK = dense_network([4, 3, 3, 3, 3, 2], kind="direct", bits=8, time_steps=1, threshold=200, seed=3)
SAMPLES = 60
PATIENCE = 6000


class Design:
    """The host with its registers, its streams and what is looked at inside."""

    def __init__(self, network: Network = NETWORK) -> None:
        self.m = Module()
        self.top = AxiHost(make_plan(network))
        self.inside = Inside(self.m, self.top)
        self.offsets = {register.name: register.offset for register in self.top.registers}
        self.seen: Counter[str] = Counter()

    def simulate(self, *benches: Any, beside: tuple[Any, ...] = ()) -> None:
        """Until all `benches` end."""
        simulator = Simulator(self.m)
        simulator.add_clock(1e-6)
        for bench in benches:
            simulator.add_testbench(bench)
        for bench in beside:
            simulator.add_testbench(bench, background=True)
        simulator.run()

    async def send(self, ctx: Any, beat: tuple[int, int, int]) -> None:
        top = self.top
        for port, value in zip((top.s_axis_tdata, top.s_axis_tkeep, top.s_axis_tlast), beat, strict=True):
            ctx.set(port, value)
        ctx.set(top.s_axis_tvalid, 1)
        for _ in range(PATIENCE):
            *_, ready = await ctx.tick().sample(top.s_axis_tready)
            if ready:
                ctx.set(top.s_axis_tvalid, 0)
                return
        raise AssertionError("a beat is never taken")

    async def receive(self, ctx: Any, rng: random.Random, stalls: float) -> list[int]:
        """The words of a packet."""
        top, words = self.top, list[int]()
        for _ in range(PATIENCE):
            ready = rng.random() >= stalls
            ctx.set(top.m_axis_tready, ready)
            *_, valid, word, last = await ctx.tick().sample(top.m_axis_tvalid, top.m_axis_tdata, top.m_axis_tlast)
            if valid and ready:
                words.append(word)
                if last:
                    ctx.set(top.m_axis_tready, 0)
                    return words
        raise AssertionError(f"no result comes ({len(words)} words)")

    async def write(self, ctx: Any, name: str, value: int, rng: random.Random) -> int:
        """Address and data in any order; the response."""
        top = self.top
        ctx.set(top.s_axil_awaddr, self.offsets[name])
        ctx.set(top.s_axil_wdata, value)
        ctx.set(top.s_axil_wstrb, 15)
        after_address, after_data = rng.randrange(3), rng.randrange(3)
        address, data = True, True  # still to be taken
        for cycle in range(PATIENCE):
            offers = (address and cycle >= after_address, data and cycle >= after_data)
            ctx.set(top.s_axil_awvalid, offers[0])
            ctx.set(top.s_axil_wvalid, offers[1])
            if not (address or data):
                break
            *_, of_address, of_data = await ctx.tick().sample(top.s_axil_awready, top.s_axil_wready)
            address &= not (offers[0] and of_address)
            data &= not (offers[1] and of_data)
        return await self._answer(ctx, top.s_axil_bvalid, top.s_axil_bready, top.s_axil_bresp, rng)

    async def read(self, ctx: Any, name: str, rng: random.Random) -> int:
        top = self.top
        ctx.set(top.s_axil_araddr, self.offsets[name])
        ctx.set(top.s_axil_arvalid, 1)
        await ctx.tick().until(top.s_axil_arready)
        ctx.set(top.s_axil_arvalid, 0)
        return await self._answer(ctx, top.s_axil_rvalid, top.s_axil_rready, top.s_axil_rdata, rng)

    async def _answer(self, ctx: Any, valid: Any, ready: Any, value: Any, rng: random.Random) -> int:
        for _ in range(PATIENCE):
            ctx.set(ready, rng.random() < 0.6)
            *_, comes, takes, found = await ctx.tick().sample(valid, ready, value)
            if comes and takes:
                ctx.set(ready, 0)
                return int(found)
        raise AssertionError("no answer comes")

    async def watch(self, ctx: Any) -> None:
        """Counts coincidences."""
        value = self.inside.value
        read_and_write = value("write_en", "bus") & value("read_en", "bus")
        begins_and_leaves = value("begins", "counters") & value("leaves", "counters")
        watched = (read_and_write, begins_and_leaves, value("w_rdy", "errors"))
        async for *_, both, together, room in ctx.tick().sample(*watched):
            self.seen["read and write"] += both
            self.seen["begins and leaves"] += together
            self.seen["full"] += not room


def test_a_closed_sink_and_a_busy_bus() -> None:
    """No more samples begin than results have places; every result comes with its own packet's errors; and the bus
    reads and writes meanwhile, both in one cycle among others."""
    design = Design()
    rng = random.Random(1)
    top = design.top
    form = Frames(1, 4, 4, 4)
    sent, samples, wrong = [], [], []
    for row in random_inputs(NETWORK, SAMPLES, seed=2, rate=0.8):
        keep = rng.choice([[1, 1, 1, 1]] * 3 + [[1, 1, 0, 0], [0, 1, 1, 1]])
        sample, errors = taken(form, row.tobytes(), keep)
        sent.append((int.from_bytes(row.tobytes(), "little"), sum(bit << n for n, bit in enumerate(keep)), 1))
        samples.append(np.frombuffer(sample, np.uint8))
        wrong.append(sum(1 << ("short", "long", "keep").index(name) for name in errors))
    expected = run(NETWORK, np.stack(samples))
    assert len(set(wrong)) == 3
    results: list[list[int]] = []
    open_sink = False

    async def source(ctx: Any) -> None:
        for beat in sent:
            await design.send(ctx, beat)

    async def sink(ctx: Any) -> None:
        nonlocal open_sink
        await ctx.tick().repeat(600)
        status = await design.read(ctx, "status", rng)
        assert status & 1, "samples are in flight"
        assert await design.write(ctx, "control", 0b101, rng) == 0  # a snapshot
        assert await design.read(ctx, "samples_in", rng) == IN_FLIGHT
        assert design.seen["full"] > 100
        open_sink = True
        while len(results) < SAMPLES:
            results.append(await design.receive(ctx, rng, 0.3))

    async def writer(ctx: Any) -> None:
        own = random.Random(2)
        while not open_sink:
            await ctx.tick()
        while len(results) < SAMPLES:
            assert await design.write(ctx, "irq_enable", own.randrange(1 << len(FLAGS)), own) == 0

    async def reader(ctx: Any) -> None:
        own = random.Random(3)
        while not open_sink:
            await ctx.tick()
        while len(results) < SAMPLES:
            name = own.choice(["id", "time_steps", "classes", "irq_enable"])
            value = await design.read(ctx, name, own)
            if name == "irq_enable":
                assert value < 1 << len(FLAGS)
            else:
                assert value == next(r.reset for r in top.registers if r.name == name)

    design.simulate(source, sink, writer, reader, beside=(design.watch,))
    for number, words in enumerate(results):
        *logits, label, steps, _ = words
        signed = [logit - (1 << 32) * (logit >> 31) for logit in logits]
        assert signed == expected.logits[number].tolist(), f"sample {number}"
        assert (label, steps & 0xFFFF, steps >> 16) == (expected.classes[number], 1, wrong[number]), f"sample {number}"
    assert design.seen["read and write"] > 5
    assert design.seen["begins and leaves"] > 0


@pytest.mark.parametrize("name", ["irq_enable", "steps"])
def test_a_register_that_is_read_as_it_is_written(name: str) -> None:
    """Gives the value before or the one behind, and the write is done."""
    design = Design()
    rng, values = random.Random(1), {"irq_enable": (5, 2), "steps": (1, 1)}[name]
    seen: list[int] = []
    done = False

    async def writer(ctx: Any) -> None:
        nonlocal done
        for turn in range(40):
            assert await design.write(ctx, name, values[turn % 2], rng) == 0
        done = True

    async def reader(ctx: Any) -> None:
        while not done:
            seen.append(await design.read(ctx, name, rng))

    design.simulate(writer, reader, beside=(design.watch,))
    assert set(seen) <= {*values, 0}
    assert design.seen["read and write"] > 0


def test_steps_wait_for_the_results_to_come() -> None:
    """No packet begins while the host is not enabled, and none that has begun takes other steps."""
    network = dense_network([4, 3, 2], kind="direct", bits=8, time_steps=3, threshold=200, seed=3)
    design = Design(network)
    x = random_inputs(network, 2, seed=1)
    rng = random.Random(1)
    results: list[list[int]] = []

    async def source(ctx: Any) -> None:
        assert await design.write(ctx, "control", 0, rng) == 0
        beats = [(int.from_bytes(row.tobytes(), "little"), 15, 1) for row in x]
        await design.send(ctx, beats[0])
        await ctx.tick().repeat(100)
        assert not await design.read(ctx, "status", rng) & 1, "nothing is in flight"
        assert await design.write(ctx, "control", 1, rng) == 0
        await ctx.tick().repeat(4)
        assert await design.read(ctx, "status", rng) & 1
        assert await design.write(ctx, "steps", 1, rng) == 0
        await design.send(ctx, beats[1])
        await ctx.tick().repeat(20)
        results.extend([await design.receive(ctx, rng, 0.0) for _ in x])

    design.simulate(source)
    for words, steps, row in zip(results, (3, 1), x, strict=True):
        expected = run(replace(network, time_steps=steps), row[None])
        assert [word - (1 << 32) * (word >> 31) for word in words[:2]] == expected.logits[0].tolist()
        assert words[3] & 0xFFFF == steps
