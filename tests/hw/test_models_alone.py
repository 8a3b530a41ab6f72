"""Models of single components against the components, word for word in every cycle, whoever keeps the other waiting.

Within a whole accelerator most of what they model shows only at rare times.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

from mintaka.artifact import Edge, Node, Pool
from mintaka_hw.estimate.models import ExitModel, ForkModel, PoolModel, QueueModel, WindowModel, Wire
from mintaka_hw.plan import Link, PoolPlan, StreamLayout, WindowPlan
from mintaka_hw.plan.link import DEEP_QUEUE
from mintaka_hw.rtl.exit import EarlyExit
from mintaka_hw.rtl.link import Fork, Queue
from mintaka_hw.rtl.pool import PoolCore
from mintaka_hw.rtl.windows import WindowReader

PATIENCE = 3000


@dataclass
class Source:
    """Offers word number n from cycle `begins[n]` on."""

    begins: Sequence[int]

    def advance(self, wire: Wire) -> None:
        wire.offers.append(self.begins[len(wire.offers)])

    def wire(self) -> Wire:
        found = Wire()
        found.producer = self
        return found


@dataclass
class Sink:
    """Is ready in the cycles that `ready` is true for, over and over again."""

    ready: Sequence[bool]

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        time = max(wire.offered(number), wire.earliest)
        while not self.ready[time % len(self.ready)]:
            time += 1
        if number == len(wire.takes):
            wire.takes.append(time)

    def wire(self) -> Wire:
        found = Wire()
        found.consumer = self
        return found


def source(words: int, rng: random.Random) -> Source:
    """Words that are always there, or come after random waits, or in bursts."""
    wait = rng.choice([lambda: 0, lambda: rng.randrange(3), lambda: rng.choice([0, 0, 0, 0, 40])])
    begins = [0]
    for _ in range(words - 1):
        begins.append(begins[-1] + wait())
    return Source(begins)


def sink(rng: random.Random, closed: int = 0) -> Sink:
    """Always ready, or at random, or after `closed` cycles."""
    rate = rng.choice([1.0, 0.6, 0.2])
    ready = [rng.random() < rate for _ in range(PATIENCE)]
    return Sink([False] * rng.choice([0, closed]) + ready)


def transfers(
    part: Elaboratable,
    offered: list[tuple[Any, Source, list[int]]],
    taken: list[tuple[Any, Sink, int]],
    high: Sequence[Any] = (),
) -> list[list[int]]:
    """Cycles in which words go over each stream, those into the component first.

    offered : stream, its source, words. taken : stream, its sink, how many words come. high : signals that are 1.
    """
    found: list[list[int]] = [[] for _ in (*offered, *taken)]
    counts = [len(words) for _, _, words in offered] + [count for _, _, count in taken]

    async def bench(ctx: Any) -> None:
        for signal in high:
            ctx.set(signal, 1)
        for cycle in range(PATIENCE):
            for (stream, sender, words), done in zip(offered, found, strict=False):
                number = len(done)
                valid = number < len(words) and sender.begins[number] <= cycle
                ctx.set(stream.valid, valid)
                ctx.set(stream.payload, words[number] if valid else 0)
            for stream, reader, _ in taken:
                ctx.set(stream.ready, reader.ready[cycle % len(reader.ready)])
            for (stream, *_), done in zip((*offered, *taken), found, strict=True):
                if ctx.get(stream.valid) and ctx.get(stream.ready):
                    done.append(cycle)
            if all(len(done) >= count for done, count in zip(found, counts, strict=True)):
                return
            await ctx.tick()
        raise AssertionError(f"{[len(done) for done in found]} of {counts} words went")

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return [
        done[:count] for done, count in zip(found, counts, strict=True)
    ]  # zeros of a next sample may have come, too


@pytest.mark.parametrize("seed", range(6))
def test_fork(seed: int) -> None:
    rng = random.Random(seed)
    words, readers = 30, 2 + seed % 2
    begins, sinks = source(words, rng), [sink(rng) for _ in range(readers)]
    part = Fork(4, readers)
    found = transfers(
        part, [(part.i, begins, [1] * words)], [(getattr(part, f"o{n}"), each, words) for n, each in enumerate(sinks)]
    )
    into, outs = begins.wire(), [each.wire() for each in sinks]
    ForkModel(into, outs)
    assert [[wire.taken(n) for n in range(words)] for wire in (into, *outs)] == found


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("depth", [2, 5, DEEP_QUEUE])
def test_queue(depth: int, delay: int) -> None:
    """Full, empty and in between; with a delay behind zeros, and without each sample's last frame."""
    frame_words, time_steps = (7, 3) if delay else (1, 1)
    words = (2 * depth + 20) // (frame_words * time_steps) * frame_words * time_steps
    for seed in range(3):
        rng = random.Random(seed)
        begins, reader = source(words, rng), sink(rng, closed=3 * depth)
        part = Queue(4, depth, frame_words=frame_words, time_steps=time_steps if delay else 0)
        found = transfers(part, [(part.i, begins, [1] * words)], [(part.o, reader, words)])
        into, out = begins.wire(), reader.wire()
        layout = StreamLayout(1, 1, frame_words * 4, 4, 1)
        QueueModel(Link("a", "b", 0, layout, delay, depth), time_steps, into, out)
        assert [[wire.taken(n) for n in range(words)] for wire in (into, out)] == found, seed


def pictures(plan: WindowPlan, frames: int) -> tuple[list[int], list[int]]:
    """Frames of few, some and many spikes for windows of words of two channels: the words; per window its pixels."""
    shape = (frames, plan.incoming.rows, plan.incoming.cols, plan.incoming.channels)
    rates = np.resize([0.1, 0.6, 0.9], frames).reshape(-1, 1, 1, 1)
    x = np.random.default_rng(1).random(shape) < rates
    words = [int(a) | int(b) << 1 for a, b in np.pad(x, [(0, 0)] * 3 + [(0, -shape[-1] % 2)]).reshape(-1, 2)]
    image = np.pad(x.any(axis=-1), ((0, 0), *((around,) * 2 for around in plan.padding)))
    windows = product(range(frames), *map(range, plan.shape_out))
    parts = [image[f, r * plan.stride[0] :, c * plan.stride[1] :] for f, r, c in windows]
    return words, [max(1, int(part[: plan.kernel[0], : plan.kernel[1]].sum())) for part in parts]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((2, 2), (1, 1), 0), ((2, 2), (1, 1), 1), ((1, 3), (2, 1), 1), ((2, 2), (3, 2), 0), ((2, 2), (3, 2), 1)],
)
def test_windows(kernel: tuple[int, int], stride: tuple[int, int], padding: int) -> None:
    """Rows are waited for, and places in the ring; strides beyond the kernel drop rows and columns."""
    rows, cols, channels, frames = 5, 4, 3, 3
    around = tuple(min(padding, k - 1) for k in kernel)
    out = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip((rows, cols), around, kernel, stride, strict=True))
    plan = WindowPlan(StreamLayout(rows, cols, channels, 2, 1), kernel, stride, around, out)
    words, pixels = pictures(plan, frames)
    for seed in range(2):
        rng = random.Random(seed)
        begins, reader = source(len(words), rng), sink(rng, closed=50)
        part = WindowReader(plan)
        found = transfers(part, [(part.i, begins, words)], [(part.o, reader, sum(pixels))])
        into, given = begins.wire(), reader.wire()
        WindowModel(plan, pixels, into, given)
        model = [[wire.taken(n) for n in range(count)] for wire, count in ((into, len(words)), (given, sum(pixels)))]
        assert model == found, seed


def test_pool() -> None:
    """A window's result waits for its reader, and the next window's pixels with it."""
    pool = Node("pool", "pool2d", (Edge("input", 0),), (3, 5, 4), (3, 4, 2), pool=Pool("sum", (2, 2), (1, 2)))
    plan = PoolPlan(pool, StreamLayout(5, 4, 3, 2, 1))
    words, pixels = pictures(plan.window_buffer, 2)
    for seed in range(3):
        rng = random.Random(seed)
        begins, reader = source(len(words), rng), sink(rng, closed=30)
        part = PoolCore(plan)
        found = transfers(part, [(part.i, begins, words)], [(part.o, reader, len(pixels))])
        into, between, given = begins.wire(), Wire(), reader.wire()
        WindowModel(plan.window_buffer, pixels, into, between)
        PoolModel(pixels, between, given)
        model = [[wire.taken(n) for n in range(count)] for wire, count in ((into, len(words)), (given, len(pixels)))]
        assert model == found, seed


@pytest.mark.parametrize(
    ("logits", "stop"),
    [
        ([(9, 2, 5)], 0),  # the margin of 4, just
        ([(9, 2, 6), (1, 8, 8), (3, 1, 2)], 2),  # a step without a margin, and the last one, which needs none
        ([(-9, -2, -5), (0, -127, 127), (127, -128, 0)], 2),
        ([(-6, -2, -9)], 0),
    ],
)
def test_early_exit(logits: list[tuple[int, ...]], stop: int) -> None:
    """Where a sample stops, when its logits are taken, and that they leave in the cycles after they are judged."""
    layout, beats = StreamLayout(1, 1, 3, 2, 8), [2, 1]
    words = [word for a, b, c in logits for word in ((a & 255) | (b & 255) << 8, c & 255)]
    for seed in range(2):
        begins, reader = source(len(words), random.Random(seed)), Sink([True])
        part = EarlyExit(layout, (4, None))
        found = transfers(part, [(part.i, begins, words)], [(part.o, reader, 3)], high=[part.finished])
        into = begins.wire()
        model = ExitModel(beats, stop, 0, into)
        assert [into.taken(n) for n in range(len(words))] == found[0]
        assert [model.judged + 1 + n for n in range(3)] == found[1]
