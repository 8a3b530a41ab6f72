"""The parts of the serial line's interface on their own: lines of any quality, frames behind anything."""

from __future__ import annotations

import random
from binascii import crc_hqx
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from handmade import dense_network, signed
from hw.test_accelerator import draw_plan, small_networks
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mintaka.artifact import Network
from mintaka.host import protocol as program
from mintaka.host.protocol import Frame, FrameDecoder, read_identity, sample_payloads
from mintaka_hw.host import protocol as design
from mintaka_hw.host.crc import CRC_START, crc16
from mintaka_hw.host.protocol import ESCAPE, FLAG, Fault, Kind
from mintaka_hw.host.uart import cycles_per_bit
from mintaka_hw.host.uart_buffers import SampleBuffer
from mintaka_hw.host.uart_frame import FrameReader, FrameWriter
from mintaka_hw.host.uart_line import UartReceiver, UartTransmitter
from mintaka_hw.plan import PlanError, make_plan

RUN_BYTES = 5
BYTE = st.one_of(st.integers(0, 255), st.sampled_from([FLAG, ESCAPE, 0, 1, 2, RUN_BYTES]))


def simulate(m: Any, *benches: Any) -> None:
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


@given(data=st.binary(max_size=20))
def test_the_crc_is_that_of_the_standard_library(data: bytes) -> None:
    crc, byte = Signal(16, init=CRC_START), Signal(8)
    m = Module()
    m.d.sync += crc.eq(crc16(crc, byte))

    async def bench(ctx: Any) -> None:
        for value in data:
            ctx.set(byte, value)
            await ctx.tick()
        assert ctx.get(crc) == crc_hqx(data, 0xFFFF)

    simulate(m, bench)


@given(
    data=st.binary(min_size=1, max_size=6),
    divisor=st.sampled_from([4, 5, 16]),
    skew=st.sampled_from([-0.02, 0.0, 0.02]),
    pause=st.integers(0, 30),
)
@settings(max_examples=20)
def test_bytes_arrive_over_a_line_that_is_a_little_off(data: bytes, divisor: int, skew: float, pause: int) -> None:
    receiver = UartReceiver(divisor)
    levels = [1] * 3
    for value in data:
        begin = len(levels)
        for n, bit in enumerate([0, *(value >> k & 1 for k in range(8)), 1], 1):
            levels += [bit] * (begin + round(n * divisor * (1 + skew)) - len(levels))
        levels += [1] * pause
    found = []

    async def bench(ctx: Any) -> None:
        for level in [*levels, *[1] * 2 * divisor]:
            ctx.set(receiver.rx, level)
            *_, valid, byte, broken = await ctx.tick().sample(receiver.valid, receiver.data, receiver.broken)
            assert not broken
            found.extend([byte] if valid else [])

    simulate(receiver, bench)
    assert bytes(found) == data


def test_a_glitch_is_no_byte_and_a_missing_stop_bit_breaks_one() -> None:
    receiver = UartReceiver(8)
    seen: list[str] = []
    good = [0] * 8 + [1] * 72
    levels = [1] * 8 + [0] * 2 + [1] * 100 + [0] * 400 + [1] * 20 + good + [1] * 20

    async def bench(ctx: Any) -> None:
        for level in levels:
            ctx.set(receiver.rx, level)
            *_, valid, byte, broken = await ctx.tick().sample(receiver.valid, receiver.data, receiver.broken)
            seen.extend([f"{byte:02x}"] if valid else ["broken"] if broken else [])

    simulate(receiver, bench)
    assert seen == ["broken", "ff"], "one byte that is broken however long the line is low, then a good one"


@given(data=st.binary(min_size=1, max_size=5))
@settings(max_examples=10)
def test_what_is_sent_is_received(data: bytes) -> None:
    m = Module()
    m.submodules.tx = transmitter = UartTransmitter(5)
    m.submodules.rx = receiver = UartReceiver(5)
    m.d.comb += receiver.rx.eq(transmitter.tx)
    found: list[int] = []

    async def send(ctx: Any) -> None:
        for value in data:
            ctx.set(transmitter.i.payload, value)
            ctx.set(transmitter.i.valid, 1)
            await ctx.tick().until(transmitter.i.ready)
            ctx.set(transmitter.i.valid, 0)

    async def receive(ctx: Any) -> None:
        while len(found) < len(data):
            *_, byte = await ctx.tick().sample(receiver.data).until(receiver.valid)
            found.append(byte)

    simulate(m, send, receive)
    assert bytes(found) == data


def read_frames(line: bytes, *, busy: bool = False, broken: int | None = None) -> list[tuple[Any, ...]]:
    """What a FrameReader says of the bytes of a line: ("good", kind, tag, payload) and ("bad", fault, tag)."""
    reader = FrameReader({Kind.IDENTIFY: 0, Kind.RUN: RUN_BYTES})
    payload = bytearray()
    found: list[tuple[Any, ...]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(reader.busy, busy)
        for n, byte in enumerate(line):
            for valid in (1, 0):
                ctx.set(reader.i_valid, valid and n != broken)
                ctx.set(reader.i_broken, valid and n == broken)
                ctx.set(reader.i_data, byte)
                if ctx.get(reader.begins):
                    payload.clear()
                if ctx.get(reader.data_valid):
                    payload.append(ctx.get(reader.data))
                if ctx.get(reader.good):
                    found.append(("good", ctx.get(reader.kind), ctx.get(reader.tag), bytes(payload)))
                if ctx.get(reader.bad):
                    found.append(("bad", ctx.get(reader.fault), ctx.get(reader.tag)))
                await ctx.tick()

    simulate(reader, bench)
    return found


@settings(max_examples=25)
@given(noise=st.lists(BYTE, max_size=30).map(bytes), payload=st.lists(BYTE, min_size=RUN_BYTES, max_size=RUN_BYTES))
@example(noise=Frame(Kind.RUN, 1, bytes(RUN_BYTES)).encoded()[:9], payload=[FLAG] * RUN_BYTES)
@example(noise=bytes([FLAG, Kind.RUN, 1, RUN_BYTES, 0, 0, 0, ESCAPE]), payload=[ESCAPE] * RUN_BYTES)
@example(noise=bytes([ESCAPE]), payload=[0] * RUN_BYTES)
def test_a_good_frame_is_read_behind_any_noise(noise: bytes, payload: list[int]) -> None:
    good = Frame(Kind.RUN, 77, bytes(payload)).encoded()
    found = read_frames(noise + good + good)
    assert found[-2:] == [("good", Kind.RUN, 77, bytes(payload))] * 2


@given(runs=st.lists(st.integers(1, 50), max_size=12), payload=st.binary(min_size=RUN_BYTES, max_size=RUN_BYTES))
@settings(max_examples=10)
def test_a_good_frame_is_read_behind_any_levels(runs: list[int], payload: bytes) -> None:
    """High and low for any times, then quiet for a byte, then a frame."""
    divisor = 4
    m = Module()
    m.submodules.receiver = receiver = UartReceiver(divisor)
    m.submodules.reader = reader = FrameReader({Kind.IDENTIFY: 0, Kind.RUN: RUN_BYTES})
    m.d.comb += [
        reader.i_valid.eq(receiver.valid),
        reader.i_data.eq(receiver.data),
        reader.i_broken.eq(receiver.broken),
    ]
    levels = [level for n, run in enumerate(runs) for level in [n % 2] * run] + [1] * 10 * divisor
    for value in Frame(Kind.RUN, 1, payload).encoded():
        levels += [bit for bit in (0, *(value >> k & 1 for k in range(8)), 1) for _ in range(divisor)]
    good = 0

    async def bench(ctx: Any) -> None:
        nonlocal good
        for level in [*levels, *[1] * 2 * divisor]:
            ctx.set(receiver.rx, level)
            good += (await ctx.tick().sample(reader.good))[-1]

    simulate(m, bench)
    assert good == 1


def test_each_fault_has_its_name() -> None:
    good = Frame(Kind.RUN, 9, b"abcde").encoded()
    after = ("good", Kind.IDENTIFY, 10, b"")
    wrong = {
        Fault.CRC: good[:-1] + bytes([good[-1] ^ 1]),
        Fault.LENGTH: Frame(Kind.RUN, 9, b"abcd").encoded(),
        Fault.KIND: Frame(3, 9, b"abcde").encoded(),
    }
    identify = Frame(Kind.IDENTIFY, 10).encoded()
    for fault, line in wrong.items():
        assert read_frames(line + identify) == [("bad", fault, 9), after]
    assert read_frames(Frame(Kind.IDENTIFY, 9, b"x").encoded())[0] == ("bad", Fault.LENGTH, 9)
    assert read_frames(good, busy=True) == [("bad", Fault.BUSY, 9)]
    assert read_frames(good + identify, broken=10) == [("bad", Fault.CRC, 9), after]
    for n in range(1, len(good)):  # a frame that breaks off is passed over in silence
        assert read_frames(good[:n] + identify) == [after]


@given(frames=st.lists(st.lists(BYTE, min_size=6, max_size=12), min_size=1, max_size=3), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_frames_that_are_written_are_whole(frames: list[list[int]], seed: int) -> None:
    bodies = [bytes([*body[:2], *(len(body) - 6).to_bytes(4, "little"), *body[6:]]) for body in frames]
    writer, rng, line = FrameWriter(), random.Random(seed), bytearray()
    finished = False

    async def feed(ctx: Any) -> None:
        nonlocal finished
        for body in bodies:
            for n, byte in enumerate(body):
                await ctx.tick().repeat(rng.randrange(1, 3))
                ctx.set(writer.i.payload, {"byte": byte, "last": n == len(body) - 1})
                ctx.set(writer.i.valid, 1)
                await ctx.tick().until(writer.i.ready)
                ctx.set(writer.i.valid, 0)
        await ctx.tick().repeat(60)
        finished = True

    async def take(ctx: Any) -> None:
        while not finished:
            ctx.set(writer.o.ready, rng.random() < 0.5)
            *_, valid, ready, byte = await ctx.tick().sample(writer.o.valid, writer.o.ready, writer.o.payload)
            line.extend([byte] if valid and ready else [])

    simulate(writer, feed, take)
    assert line.count(FLAG) == len(bodies)
    assert list(FrameDecoder().feed(bytes(line))) == [Frame(body[0], body[1], body[6:]) for body in bodies]


@given(
    words=st.integers(1, 5),
    bits=st.sampled_from([1, 8, 9, 30]),
    stalls=st.sampled_from([0, 0.5]),
    seed=st.integers(0, 9),
)
@settings(max_examples=15)
def test_a_sample_is_given_as_often_as_it_came(words: int, bits: int, stalls: float, seed: int) -> None:
    buffer, rng = SampleBuffer(words, bits), random.Random(seed)
    size = -(-bits // 8)

    async def bench(ctx: Any) -> None:
        for broken_off in (0, words * size // 2, 0):
            sample = [rng.getrandbits(bits) for _ in range(words)]
            line = b"".join(value.to_bytes(size, "little") for value in sample)
            for part in (line[:broken_off], line):
                ctx.set(buffer.fresh, 1)
                await ctx.tick()
                ctx.set(buffer.fresh, 0)
                for byte in part:
                    ctx.set(buffer.i_data, byte)
                    ctx.set(buffer.i_valid, 1)
                    await ctx.tick()
                    ctx.set(buffer.i_valid, 0)
            ctx.set(buffer.send, 1)
            await ctx.tick()
            ctx.set(buffer.send, 0)
            found: list[int] = []
            for cycle in range(100):
                ctx.set(buffer.o.ready, rng.random() >= stalls)
                *_, valid, ready, word, empty = await ctx.tick().sample(
                    buffer.o.valid, buffer.o.ready, buffer.o.payload, buffer.empty
                )
                found.extend([word] if valid and ready else [])
                if empty:
                    assert stalls or cycle == words + 1, "one word per cycle, the first a cycle after `send`"
                    break
            assert found == sample

    simulate(buffer, bench)


def test_both_ends_know_the_same_numbers() -> None:
    for name in ("VERSION", "FLAG", "ESCAPE", "FLIP", "REPLY", "INPUT_KINDS", "ORDERS"):
        assert getattr(program, name) == getattr(design, name), name
    for ours, theirs in ((program.Kind, design.Kind), (program.Fault, design.Fault)):
        assert {x.name: x.value for x in ours} == {x.name: x.value for x in theirs}
    assert program.HEADER.size == design.HEADER_BYTES


@given(data=st.data(), network=small_networks(), hz=st.integers(1, 2**32 - 1))
@settings(max_examples=15)
def test_a_design_says_what_it_is(data: st.DataObject, network: Network, hz: int) -> None:
    plan = draw_plan(data, network)
    who = read_identity(design.identity(plan, hz))
    assert (who.artifact_hash, who.clock_hz, who.time_steps) == (plan.artifact_hash, hz, network.time_steps)
    kind = "signed" if network.input.signed else network.input.kind
    assert (who.shape, who.bits, who.input_kind) == (network.input.shape, network.input.bits, kind)
    assert who.static == network.input.static
    assert (who.classes, who.layers, who.early_exit) == (network.classes, len(plan.layers), plan.exits)
    payload = sample_payloads(np.zeros(network.input_shape(1), network.input.dtype), who)[0]
    assert len(payload) == who.sample_bytes == design.beats_per_sample(plan) * design.beat_bytes(plan)
    assert 8 * who.logit_bytes >= plan.logit_width > 8 * (who.logit_bytes - 1)


def test_the_samples_of_the_page() -> None:
    """docs/reference/host-uart.md: 20 elements of 3 bits in beats of 10."""
    network = dense_network((20, 4), kind="direct", bits=3)
    for each, x, first in ((network, [1, 2, 3], "D1 00 00 00"), (signed(network), [-1, 2, -3], "57 01 00 00")):
        who = read_identity(design.identity(make_plan(each), 10**6))
        (payload,) = sample_payloads(np.array([[*x, *[0] * 17]], each.input.dtype), who)
        assert payload.hex(" ").upper() == f"{first} 00 00 00 00"


def test_a_clock_that_cannot_make_the_baud_rate_is_refused() -> None:
    assert cycles_per_bit(12_000_000, 115200) == 104
    for hz, baud, reason in [
        (12_000_000, 4_000_000, "a bit takes at least 4 cycles, so 1 to 3000000 baud are possible"),
        (12_000_000, 0, "cannot make 0 baud"),
        (1_000_000, 115200, "with 9 cycles per bit it is -3.5% off, and 2% are allowed"),
    ]:
        with pytest.raises(PlanError, match=reason):
            cycles_per_bit(hz, baud)
