"""Stream components on their own, with random stalls on both sides."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Shape
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator
from handmade import dense_network, neuron_network
from hypothesis import given
from hypothesis import strategies as st

from mintaka_hw.plan import LayerPlan, StreamLayout, WindowPlan, make_plan
from mintaka_hw.rtl.collector import ENTRY_LATENCY, Collector
from mintaka_hw.rtl.link import Fork, Queue
from mintaka_hw.rtl.logits import LogitOrder, LogitSerializer
from mintaka_hw.rtl.sequencer import Sequencer
from mintaka_hw.rtl.windows import WindowReader

TIMEOUT = 5000


async def put(ctx: Any, stream: Any, words: list[int], rng: random.Random, stalls: float) -> None:
    """Offer `words`, each until it is taken, after a random wait."""
    for word in words:
        while rng.random() < stalls:
            await ctx.tick()
        ctx.set(stream.payload, word)
        ctx.set(stream.valid, 1)
        for _ in range(TIMEOUT):
            *_, taken = await ctx.tick().sample(stream.ready)
            if taken:
                break
        else:
            raise AssertionError("the word is never taken")
        ctx.set(stream.valid, 0)


def layer_of(size: int, word: int, bits: int) -> LayerPlan:
    """A layer with `size` sources of `bits` bits that come in words of `word` elements."""
    kind = "spikes" if bits == 1 else "counts"
    layer = make_plan(dense_network([size, 3], kind=kind, bits=bits)).layers[0]
    return replace(layer, edges=(replace(layer.edges[0], incoming=StreamLayout(1, 1, size, word, bits)),))


@given(
    size=st.integers(1, 40),
    word=st.integers(1, 20),
    bits=st.sampled_from([1, 1, 3]),
    seed=st.integers(0, 999),
    stalls=st.sampled_from([0.0, 0.5]),
)
def test_collector_lists_every_set_bit(size: int, word: int, bits: int, seed: int, stalls: float) -> None:
    """Each list holds exactly the set bits, in order, as often as it is read; garbage beyond the source is ignored."""
    layer = layer_of(size, word, bits)
    rng = random.Random(seed)
    rate = rng.choice([0.0, 0.1, 0.9, 1.0])
    lists = [[sum((rng.random() < rate) << b for b in range(bits)) for _ in range(size)] for _ in range(12)]
    words = []
    for values in lists:
        padded = values + [rng.randrange(1 << bits) for _ in range(layer.edges[0].lists.words * word - size)]
        for start in range(0, len(padded), word):
            words.append(sum(v << (bits * e) for e, v in enumerate(padded[start : start + word])))
    m = Module()
    m.submodules.sequencer = sequencer = Sequencer(
        layer.name, layer.edges, layer.events, layer.schedule, layer.folding.lists
    )
    m.submodules.collector = collector = Collector(layer.name, layer.events)
    wiring.connect(m, sequencer.o, collector.i)
    found: list[list[int]] = []

    async def feed(ctx: Any) -> None:
        await put(ctx, sequencer.i0, words, rng, stalls)

    async def read(ctx: Any) -> None:
        start = 0
        for _ in lists:
            for _ in range(TIMEOUT):
                if ctx.get(collector.readable):
                    break
                await ctx.tick()
            else:
                raise AssertionError("the list never becomes readable")
            values = [0] * size
            empty, end = ctx.get(collector.list.empty), ctx.get(collector.list.last) + 1
            count = 0 if empty else (end - start - 1) % 2**layer.events.ring_bits + 1
            for index in range(start, start + count):
                ctx.set(collector.address, index % 2**layer.events.ring_bits)
                await ctx.tick().repeat(ENTRY_LATENCY)
                element, chunk = ctx.get(collector.entry.element), ctx.get(collector.entry.bits)
                assert chunk != 0, "a chunk of zeros was listed"
                for position in range(layer.edges[0].chunk_elements):
                    value = chunk >> (position * bits) & ((1 << bits) - 1)
                    if value:
                        values[element + position] = value
            found.append(values)
            while rng.random() < stalls:
                await ctx.tick()
            start += count
            ctx.set(collector.take, 1)
            await ctx.tick()
            ctx.set(collector.take, 0)
            while rng.random() < stalls:
                await ctx.tick()
            ctx.set(collector.release, 1)
            await ctx.tick()
            ctx.set(collector.release, 0)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(read)
    simulator.run()
    assert found == lists


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("stalls", [0.0, 0.6])
def test_logits_and_argmax(lanes: int, stalls: float) -> None:
    head = make_plan(dense_network([8, 5]), lanes).layers[0]
    rng = random.Random(lanes)
    limit = 2 ** (head.datapath.k_width - 1)
    samples = [[rng.randrange(-limit, limit) for _ in range(5)] for _ in range(6)]
    samples += [[3, 3, 1, 3, 0], [-2, -2, -2, -2, -2], [0, 1, 1, 0, 1], [-limit] * 5]
    mask = (1 << head.datapath.k_width) - 1
    words = []
    for sample in samples:
        for start in range(0, 5, lanes):
            words.append(
                sum((v & mask) << (head.datapath.k_width * n) for n, v in enumerate(sample[start : start + lanes]))
            )
    serializer = LogitSerializer(head.logits)
    logits: list[int] = []
    winners: list[int] = []

    async def feed(ctx: Any) -> None:
        await put(ctx, serializer.i, words, rng, stalls)

    async def read(ctx: Any) -> None:
        for _ in range(TIMEOUT):
            ready = rng.random() >= stalls
            ctx.set(serializer.o.ready, ready)
            o = serializer.o
            *_, valid, payload = await ctx.tick().sample(o.valid, o.payload)
            if ready and valid:
                logits.append(payload.logit)
                assert payload.last == (len(logits) % 5 == 0)
                if payload.last:
                    winners.append(payload.winner)
            if len(winners) == len(samples):
                return
        raise AssertionError("too few logits")

    simulator = Simulator(serializer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(read)
    simulator.run()
    assert logits == [v for sample in samples for v in sample]
    assert winners == np.argmax(samples, axis=1).tolist()


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.7, 0.0), (0.0, 0.7), (0.5, 0.5)])
def test_logits_of_several_pixels_come_in_order(stalls: tuple[float, float]) -> None:
    """Window by window in, channel by channel out; one sample comes while another leaves, and two wait at most."""
    head = make_plan(neuron_network(seed=1), 2).head
    assert head.folding.windows > 1
    assert head.folding.groups > 1
    rng = np.random.default_rng(1)
    width, lanes = head.datapath.logit_width, head.folding.lanes
    samples = rng.integers(0, 1 << width, (7, head.folding.windows, head.folding.groups * lanes))
    words = [
        sum(int(value) << (width * n) for n, value in enumerate(group))
        for group in samples.reshape(-1, lanes)
    ]  # fmt: skip
    expected = samples[:, :, : head.folding.channels].transpose(0, 2, 1).ravel().tolist()
    order = LogitOrder(head.name, head.folding, head.datapath.logit_width)
    found: list[int] = []

    async def feed(ctx: Any) -> None:
        await put(ctx, order.i, words, random.Random(1), stalls[0])

    async def read(ctx: Any) -> None:
        if not any(stalls):
            await ctx.tick().repeat(3 * head.folding.states)  # two samples are in, a third one waits
            assert not ctx.get(order.i.ready)
        found.extend(await get(ctx, order.o, len(expected), random.Random(2), stalls[1]))

    simulator = Simulator(order)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(read)
    simulator.run()
    assert found == expected


async def get(ctx: Any, stream: Any, count: int, rng: random.Random, stalls: float) -> list[Any]:
    """Take `count` words with random waits."""
    found: list[Any] = []
    for _ in range(TIMEOUT):
        ready = rng.random() >= stalls
        ctx.set(stream.ready, ready)
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if ready and valid:
            found.append(payload)
        if len(found) == count:
            ctx.set(stream.ready, 0)
            return found
    raise AssertionError(f"{len(found)} of {count} words came")


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.6, 0.0), (0.0, 0.8), (0.5, 0.5)])
def test_fork_gives_every_word_to_every_reader_once(stalls: tuple[float, float]) -> None:
    fork = Fork(8, 3)
    words = [random.Random(1).randrange(256) for _ in range(50)]
    found: dict[int, list[int]] = {}

    async def feed(ctx: Any) -> None:
        await put(ctx, fork.i, words, random.Random(2), stalls[0])

    def reader(number: int) -> Any:
        async def read(ctx: Any) -> None:
            rng = random.Random(10 + number)
            found[number] = await get(ctx, getattr(fork, f"o{number}"), len(words), rng, stalls[1] * number / 2)

        return read

    simulator = Simulator(fork)
    simulator.add_clock(1e-6)
    for bench in (feed, *(reader(n) for n in range(3))):
        simulator.add_testbench(bench)
    simulator.run()
    assert found == {0: words, 1: words, 2: words}


@pytest.mark.parametrize("time_steps", [0, 1, 2, 4])
@pytest.mark.parametrize("stalls", [0.0, 0.6])
def test_queue_and_delay(time_steps: int, stalls: float) -> None:
    """Without a delay the words in order; with one, each sample's frames a step later behind a frame of zeros."""
    frame_words, samples = 3, 4
    queue = Queue(8, 5, frame_words=frame_words, time_steps=time_steps)
    frames = np.arange(1, 1 + samples * max(1, time_steps) * frame_words).reshape(samples, -1, frame_words)
    expected = frames.copy()
    if time_steps:
        expected[:, 0] = 0
        expected[:, 1:] = frames[:, :-1]
    found: list[int] = []

    async def feed(ctx: Any) -> None:
        await put(ctx, queue.i, frames.ravel().tolist(), random.Random(1), stalls)

    async def read(ctx: Any) -> None:
        found.extend(await get(ctx, queue.o, expected.size, random.Random(2), stalls))

    simulator = Simulator(queue)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(read)
    simulator.run()
    assert found == expected.ravel().tolist()


@pytest.mark.parametrize("kernel", [(1, 1), (1, 2), (3, 2), (2, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2), (1, 4), (5000, 2)])
@pytest.mark.parametrize("padded", [False, True])
def test_window_reader_gives_the_nonzero_pixels_of_every_window(
    kernel: tuple[int, int], stride: tuple[int, int], padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strides beyond the kernel skip rows and pixels; nothing may lock up, whoever is slow, and whatever was stored."""

    def dirty(*, shape: Shape, depth: int, init: list[int]) -> Memory:
        return Memory(shape=shape, depth=depth, init=init or [(1 << shape.width) - 1] * depth)

    monkeypatch.setattr("mintaka_hw.rtl.windows.Memory", dirty)
    rows, cols, channels = 7, 5, 3
    padding = (kernel[0] - 1, kernel[1] - 1) if padded else (0, 0)
    out = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip((rows, cols), padding, kernel, stride, strict=True))
    plan = WindowPlan(StreamLayout(rows, cols, channels, 2, 1), kernel, stride, padding, out)
    rng = np.random.default_rng(1)
    rates = np.array([0.0, 0.1, 0.5, 1.0, 0.1]).reshape(-1, 1, 1, 1)
    frames = (rng.random((5, rows, cols, channels)) < rates).astype(int)
    words = [int(a) | int(b) << 1 for a, b in np.pad(frames, [(0, 0)] * 3 + [(0, 1)]).reshape(-1, 2)]
    words = [
        word | int(rng.integers(2)) << 1 if number % 2 else word for number, word in enumerate(words)
    ]  # beyond the end
    image = np.pad(frames @ (1 << np.arange(channels)), ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    expected = []
    for f, y, x in product(range(5), range(out[0]), range(out[1])):
        window = image[f, y * stride[0] :, x * stride[1] :][: kernel[0], : kernel[1]].ravel()
        given = [(int(pixel), n) for n, pixel in enumerate(window) if pixel or len(window) == 1] or [(0, 0)]
        expected += [(*pixel, int(n == len(given) - 1)) for n, pixel in enumerate(given)]
    for slow_in, slow_out in ((0.0, 0.0), (0.5, 0.0) if padded else (0.0, 0.7)):
        reader = WindowReader(plan)
        found: list[Any] = []

        async def feed(ctx: Any, reader: WindowReader = reader, stalls: float = slow_in) -> None:
            await put(ctx, reader.i, words, random.Random(1), stalls)

        async def read(
            ctx: Any, reader: WindowReader = reader, stalls: float = slow_out, found: list[Any] = found
        ) -> None:
            found.extend(await get(ctx, reader.o, len(expected), random.Random(2), stalls))

        simulator = Simulator(reader)
        simulator.add_clock(1e-6)
        simulator.add_testbench(feed)
        simulator.add_testbench(read)
        simulator.run()
        assert [(pixel.bits, pixel.position, pixel.last) for pixel in found] == expected
