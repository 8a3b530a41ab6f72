"""Parts of host interfaces on their own, with random stalls: packets, register slices, registers, counters."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from handmade import dense_network
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import Frames, taken, with_nulls

from mintaka_hw.host import make_host
from mintaka_hw.host.counters import Counters
from mintaka_hw.host.packet_reader import PacketReader
from mintaka_hw.host.packet_writer import PacketWriter
from mintaka_hw.host.packets import ERRORS, PacketLayout
from mintaka_hw.host.page import page
from mintaka_hw.host.register_file import RegisterFile
from mintaka_hw.host.registers import Field, Register
from mintaka_hw.host.slice import Slice
from mintaka_hw.host.unpacker import Unpacker
from mintaka_hw.plan import PlanError, make_plan
from mintaka_hw.rtl import Accelerator

TIMEOUT = 3000
Beat = tuple[int, int, int]  # data, keep, last


def simulate(m: Any, *benches: Any) -> None:
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


async def offer(ctx: Any, stream: Any, payloads: Sequence[Any], rng: random.Random, stalls: float) -> None:
    """Each until it is taken, after a random wait."""
    for payload in payloads:
        while rng.random() < stalls:
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        for _ in range(TIMEOUT):
            *_, there = await ctx.tick().sample(stream.ready)
            if there:
                break
        else:
            raise AssertionError("it is never taken")
        ctx.set(stream.valid, 0)


async def collect(ctx: Any, stream: Any, number: int, rng: random.Random, stalls: float) -> list[Any]:
    """`number` payloads; what is offered must stay until it is taken."""
    found: list[Any] = []
    offered = None
    for _ in range(TIMEOUT):
        if len(found) == number:
            return found
        ready = rng.random() >= stalls
        ctx.set(stream.ready, ready)
        *_, valid, payload = await ctx.tick().sample(stream.valid, Value.cast(stream.payload))
        if offered is not None:
            assert (valid, payload) == (1, offered)
        offered = payload if valid and not ready else None
        if valid and ready:
            found.append(payload)
    raise AssertionError(f"only {len(found)} of {number} come")


@st.composite
def layouts(draw: st.DrawFn) -> PacketLayout:
    static = draw(st.booleans())
    return PacketLayout(
        word_bits=draw(st.sampled_from([1, 8, 12, 24, 30, 32, 33, 40, 64, 100, 1100])),
        frame_words=draw(st.integers(1, 6)),
        frames=1 if static else draw(st.integers(1, 4)),
        static=static,
        classes=3,
        logit_bits=9,
    )


def beats_of(packet: bytes, keep: Sequence[int], width: int) -> list[Beat]:
    found = []
    for at in range(0, len(packet), width):
        kept = sum(bit << n for n, bit in enumerate(keep[at : at + width]))
        found.append((int.from_bytes(packet[at : at + width], "little"), kept, int(at + width >= len(packet))))
    return found


def random_packet(size: int, width: int, rng: random.Random) -> tuple[bytes, list[int]]:
    """Good, short, long, or with holes; with null beats anywhere, also as its last one."""
    length = rng.choice([size, size, rng.randint(1, size), size + rng.randint(1, 3 * width)])
    hole = rng.choice([0.0, 0.0, 0.1, 1.0])
    packet, keep = rng.randbytes(length), [int(rng.random() >= hole) for _ in range(length)]
    beats = -(-length // width)
    places = [rng.choice([beats, rng.randint(0, beats)]) for _ in range(rng.choice([0, 0, 1, 4]))]
    return with_nulls(packet, keep, width, places)


@settings(max_examples=30)
@given(layout=layouts(), seed=st.integers(0, 999), stalls=st.sampled_from([0.0, 0.4]))
def test_every_packet_becomes_one_sample(layout: PacketLayout, seed: int, stalls: float) -> None:
    """Whatever comes in; its words and what is said of it are those of the plain loops."""
    rng = random.Random(seed)
    frames = rng.randint(1, layout.frames)
    width, content = layout.beat_bytes, layout.frame_words * layout.word_bytes
    form = Frames(frames, layout.frame_bytes, content, width)
    m = Module()
    m.submodules.reader = reader = PacketReader(layout)
    m.submodules.unpacker = unpacker = Unpacker(layout)
    wiring.connect(m, reader.o, unpacker.i)
    beats: list[dict[str, int]] = []
    words: list[int] = []
    errors: list[tuple[str, ...]] = []
    size = frames * layout.frame_bytes
    end = size - layout.frame_bytes + content - 1  # of a packet whose last byte is left out, and which a null beat ends
    lacking = with_nulls(rng.randbytes(size), [1] * end + [0] * (size - end), width, [size // width])
    for packet, keep in [*(random_packet(size, width, rng) for _ in range(6)), lacking]:
        beats += [dict(zip(("data", "keep", "last"), beat, strict=True)) for beat in beats_of(packet, keep, width)]
        sample, wrong = taken(form, packet, keep)
        errors.append(wrong)
        for at in range(0, len(sample), layout.frame_bytes):
            for word in range(layout.frame_words):
                begin = at + word * layout.word_bytes
                value = int.from_bytes(sample[begin : begin + layout.word_bytes], "little")
                words.append(value & ((1 << layout.word_bits) - 1))
    said: list[tuple[str, ...]] = []
    found: list[int] = []

    async def feed(ctx: Any) -> None:
        ctx.set(reader.frames, frames)
        ctx.set(reader.open, 1)
        await offer(ctx, reader.i, beats, rng, stalls)

    async def listen(ctx: Any) -> None:
        while len(said) < len(errors):
            *_, ends, what = await ctx.tick().sample(reader.ends, reader.errors)
            if ends:
                said.append(tuple(name for n, name in enumerate(ERRORS) if what >> n & 1))

    async def take(ctx: Any) -> None:
        found.extend(await collect(ctx, unpacker.o, len(words), rng, stalls))

    simulate(m, feed, listen, take)
    assert found == words
    assert said == errors


@settings(max_examples=30)
@given(seed=st.integers(0, 9999))
def test_null_beats_change_nothing(seed: int) -> None:
    """The plain loops say of a packet with null beats what they say of it without, and of a good one nothing."""
    rng = random.Random(seed)
    form = Frames(2, 8, 6, 4)
    packet, keep = random_packet(16, 4, rng)
    beats = [at for at in range(0, len(packet), 4) if any(keep[at : at + 4])]
    rest = b"".join(packet[at : at + 4] for at in beats), [bit for at in beats for bit in keep[at : at + 4]]
    assert not beats or taken(form, packet, keep) == taken(form, *rest)
    assert taken(form, *with_nulls(bytes(16), [1] * 16, 4, [0, 2, 2, 4]))[1] == ()


def test_words_come_one_per_cycle() -> None:
    """Also three bytes from beats of four."""
    layout = PacketLayout(24, 16, frames=1, static=True, classes=2, logit_bits=8)
    unpacker = Unpacker(layout)
    taken_at: list[int] = []

    async def feed(ctx: Any) -> None:
        for number in range(layout.frame_beats):
            ctx.set(unpacker.i.payload, {"data": number, "end": number == layout.frame_beats - 1})
            ctx.set(unpacker.i.valid, 1)
            await ctx.tick().until(unpacker.i.ready)
        ctx.set(unpacker.i.valid, 0)

    async def take(ctx: Any) -> None:
        ctx.set(unpacker.o.ready, 1)
        for cycle in range(40):
            *_, valid = await ctx.tick().sample(unpacker.o.valid)
            taken_at.extend([cycle] * valid)

    simulate(unpacker, feed, take)
    assert taken_at == list(range(1, 17))


def test_an_abort_drops_the_rest_of_a_packet_and_a_second_one_does_not() -> None:
    layout = PacketLayout(32, 3, frames=1, static=True, classes=2, logit_bits=8)
    reader = PacketReader(layout)
    seen: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(reader.frames, 1)
        ctx.set(reader.open, 1)
        ctx.set(reader.o.ready, 1)

        async def beat(data: int, last: int) -> None:
            ctx.set(reader.i.payload, {"data": data, "keep": 15, "last": last})
            ctx.set(reader.i.valid, 1)
            *_, ready, valid, out = await ctx.tick().sample(reader.i.ready, reader.o.valid, reader.o.payload.data)
            assert ready
            seen.extend([out] if valid else [])
            ctx.set(reader.i.valid, 0)

        async def abort() -> None:
            ctx.set(reader.abort, 1)
            await ctx.tick()
            ctx.set(reader.abort, 0)

        await beat(1, 0)
        await abort()
        assert ctx.get(reader.drops)
        await beat(2, 0)
        await beat(3, 1)  # dropped
        for data in (4, 5, 6):
            await beat(data, data == 6)
        assert seen == [1, 4, 5, 6]
        await beat(7, 0)
        await abort()
        await abort()
        assert not ctx.get(reader.drops)
        for data in (8, 9, 10):
            await beat(data, 0)  # the sample is whole, its packet has not ended
        assert seen == [1, 4, 5, 6, 7, 8, 9, 10]
        assert ctx.get(reader.inside)
        await abort()
        assert (ctx.get(reader.inside), ctx.get(reader.drops)) == (0, 1)
        await beat(11, 1)
        for data in (12, 13, 14):
            await beat(data, data == 14)
        assert seen[8:] == [12, 13, 14]

    simulate(reader, bench)


@given(seed=st.integers(0, 999), stalls=st.sampled_from([0.0, 0.5]))
@settings(max_examples=10)
def test_a_slice_keeps_order_and_takes_one_per_cycle(seed: int, stalls: float) -> None:
    piece = Slice(8)
    rng = random.Random(seed)
    words = [rng.randrange(256) for _ in range(40)]
    found: list[int] = []
    cycles = 0

    async def feed(ctx: Any) -> None:
        await offer(ctx, piece.i, words, rng, stalls)

    async def take(ctx: Any) -> None:
        nonlocal cycles
        found.extend(await collect(ctx, piece.o, len(words), rng, stalls))

    async def count(ctx: Any) -> None:
        nonlocal cycles
        while len(found) < len(words):
            await ctx.tick()
            cycles += 1

    simulate(piece, feed, take, count)
    assert found == words
    assert stalls or cycles <= len(words) + 2


@pytest.mark.parametrize("bits", [9, 32, 40])
def test_results(bits: int) -> None:
    """Logits of any width, sign-extended; errors wait for the packet; an aborted packet ends with its mark."""
    layout = PacketLayout(8, 1, frames=1, static=True, classes=3, logit_bits=bits)
    writer = PacketWriter(layout)
    rng = random.Random(bits)
    logits = [-(1 << (bits - 1)), (1 << (bits - 1)) - 1, -1]
    beats: list[int] = []

    async def feed(ctx: Any) -> None:
        ctx.set(writer.errors.payload, 0b101)
        rows = [
            {"logit": v, "last": n == 2, "winner": 1, "steps": 7, "cycles": 0x89ABCDEF} for n, v in enumerate(logits)
        ]
        await offer(ctx, writer.i, rows, rng, 0.3)
        await ctx.tick().repeat(5)
        assert len(beats) == layout.result_beats - 2  # the class has gone, the steps wait
        ctx.set(writer.errors.valid, 1)

    async def take(ctx: Any) -> None:
        while not beats or not beats[-1] >> 32:
            beats.extend(await collect(ctx, writer.o, 1, rng, 0.3))

    simulate(writer, feed, take)
    data = b"".join((beat & 0xFFFFFFFF).to_bytes(4, "little") for beat in beats)
    size = 4 * layout.logit_beats
    parts = [data[at : at + size] for at in range(0, 3 * size, size)]
    assert [int.from_bytes(part, "little", signed=True) for part in parts] == logits
    rest = data[3 * size :]
    assert [rest[n : n + 4] for n in (0, 4, 8)] == [b"\1\0\0\0", b"\7\0\5\0", b"\xef\xcd\xab\x89"]
    assert [beat >> 32 for beat in beats] == [0] * (len(beats) - 1) + [1]


REGISTERS = (
    Register("fact", 0x00, "", (Field("value", "fixed", 0, 32, "", 0x12345678),)),
    Register("mixed", 0x08, "", (Field("kept", "rw", 4, 8, "", 0x5A), Field("go", "pulse", 0, 1, ""))),
    Register("narrow", 0x10, "", (Field("value", "rw", 0, 3, "", 5, limits=(1, 5)),)),
    Register("seen", 0x14, "", (Field("one", "w1c", 0, 1, ""), Field("two", "w1c", 1, 1, ""))),
    Register("now", 0x100, "", (Field("value", "live", 0, 32, ""),)),
)


def test_register_file() -> None:
    file = RegisterFile(REGISTERS)

    async def bench(ctx: Any) -> None:
        async def write(address: int, data: int, strobe: int = 15) -> tuple[int, int, int]:
            for name, value in (("address", address), ("data", data), ("strobe", strobe), ("en", 1)):
                ctx.set(getattr(file, f"write_{name}"), value)
            *_, okay, bad, value = await ctx.tick().sample(file.write_ok, file.bad_write, file.bad_value)
            ctx.set(file.write_en, 0)
            return okay, bad, value

        async def read(address: int) -> tuple[int, int]:
            ctx.set(file.read_address, address)
            ctx.set(file.read_en, 1)
            *_, data, okay, bad = await ctx.tick().sample(file.read_data, file.read_ok, file.bad_read)
            ctx.set(file.read_en, 0)
            assert okay == (not bad)
            return data, okay

        assert await read(0x00) == await read(0x03) == (0x12345678, 1)
        assert await read(0x04) == await read(0x8000) == (0, 0)
        assert await write(0x00, 1) == await write(0x04, 1) == await write(0x100, 1) == (0, 1, 0)
        assert await read(0x08) == (0x5A0, 1)
        assert await write(0x08, 0xFFFFFFFF, 0b1110) == (1, 0, 0)  # the lowest byte stays
        assert await read(0x08) == (0xFA0, 1)
        assert ctx.get(file.mixed_go) == 0
        assert await write(0x08, 0x31) == (1, 0, 0)
        assert (ctx.get(file.mixed_go), ctx.get(file.mixed_kept)) == (1, 3)
        await ctx.tick()
        assert (ctx.get(file.mixed_go), ctx.get(file.mixed_kept)) == (0, 3)
        for value in (0, 6, 8, 0x80000001):
            assert await write(0x10, value) == (0, 0, 1)
            assert ctx.get(file.narrow_value) == 5
        assert await write(0x10, 1) == (1, 0, 0)
        assert ctx.get(file.narrow_value) == 1

        ctx.set(file.seen_one, 1)
        ctx.set(file.seen_two, 1)
        await ctx.tick()
        ctx.set(file.seen_two, 0)
        assert await read(0x14) == (3, 1)
        assert await write(0x14, 3) == (1, 0, 0)  # what is set again in that cycle is not lost
        ctx.set(file.seen_one, 0)
        assert await read(0x14) == (1, 1)
        assert await write(0x14, 2) == (1, 0, 0)
        assert await read(0x14) == (1, 1)
        assert await write(0x14, 1, strobe=0) == (1, 0, 0)
        assert await read(0x14) == (1, 1)

    simulate(file, bench)


def test_counters_are_copied_at_once_and_cycles_go_on_beyond_32_bits() -> None:
    counters = Counters(1)

    async def bench(ctx: Any) -> None:
        async def copied() -> dict[str, int]:
            ctx.set(counters.snapshot, 1)
            await ctx.tick()
            ctx.set(counters.snapshot, 0)
            names = ("cycles_low", "cycles_high", "samples_in", "samples_out", "layer0_sops")
            return {name: ctx.get(getattr(counters, f"taken_{name}")) for name in names}

        for cycles in (0xFFFFFFFE, 0xFFFFFFFF):
            ctx.set(counters.cycles, cycles)
            await ctx.tick()
        assert (await copied())["cycles_high"] == 0
        ctx.set(counters.cycles, 0)
        ctx.set(counters.layer0_sops, 99)
        wanted = {"cycles_low": 0, "cycles_high": 1, "samples_in": 0, "samples_out": 0, "layer0_sops": 99}
        assert await copied() == wanted
        ctx.set(counters.cycles, 1)
        ctx.set(counters.layer0_sops, 100)
        await ctx.tick()
        assert ctx.get(counters.taken_layer0_sops) == 99
        assert await copied() == wanted | {"cycles_low": 1, "layer0_sops": 100}

        async def pulse(*names: str) -> None:
            for name in names:
                ctx.set(getattr(counters, name), 1)
            await ctx.tick()
            for name in names:
                ctx.set(getattr(counters, name), 0)

        states = []
        for names in (("begins",), ("comes", "begins"), ("layer0_done",), ("leaves",), ("leaves",), ("layer0_done",)):
            await pulse(*names)
            states.append((ctx.get(counters.flying), ctx.get(counters.working)))
        assert states == [(1, 1), (1, 1), (1, 1), (1, 1), (0, 1), (0, 0)]
        await pulse("layer0_done")  # a layer may be ahead of its input
        assert ctx.get(counters.working) == 0
        assert (await copied())["samples_out"] == 2
        await pulse("begins")
        assert ctx.get(counters.working) == 1  # of the result
        for names in (("begins", "leaves"), ("begins", "layer0_done"), ("begins", "comes", "leaves", "layer0_done")):
            await pulse(*names)  # both in one cycle
        states = []
        for names in (("leaves",), ("leaves",), ("layer0_done",)):
            states.append((ctx.get(counters.flying), ctx.get(counters.working)))
            await pulse(*names)
        assert states == [(1, 1), (1, 1), (0, 1)]
        assert (ctx.get(counters.flying), ctx.get(counters.working)) == (0, 0)
        assert (await copied())["samples_out"] == 6

    simulate(counters, bench)


def ready_ports(top: Any) -> list[Any]:
    """Of streams and channels that come in."""
    members = top.signature.members.items()
    return [getattr(top, name) for name, member in members if name.endswith("ready") and member.flow == Out]


@pytest.mark.parametrize("host", ["none", "axi"])
def test_no_ready_is_high_in_reset(host: str) -> None:
    """From its first cycle on, so that a master outside it sees no handshake of which nothing is left."""
    plan = make_plan(dense_network([4, 3, 2]))
    top = Accelerator(plan) if host == "none" else make_host(host, plan)
    ports = ready_ports(top)
    assert len(ports) == (1 if host == "none" else 4)
    m = Module()
    m.domains.sync = domain = ClockDomain()
    m.submodules.top = top

    async def bench(ctx: Any) -> None:
        for reset, cycles in ((0, 3), (1, 4), (0, 1), (1, 1), (0, 3)):
            ctx.set(domain.rst, reset)
            for _ in range(cycles):
                assert [ctx.get(port) for port in ports] == [1 - reset] * len(ports)
                await ctx.tick()

    simulate(m, bench)


def test_the_page_is_up_to_date() -> None:
    path = Path(__file__).parents[2] / "docs" / "reference" / "registers.md"
    assert path.read_text() == page(), "run: python -m mintaka_hw.host.page > docs/reference/registers.md"


def test_a_host_that_is_not_there() -> None:
    with pytest.raises(PlanError, match=r"no host interface 'usb': expected none or .*axi"):
        make_host("usb", make_plan(dense_network([4, 3, 2])))
