"""cocotb tests of designs behind AXI, with the bus models of cocotbext-axi; test_axi.py makes the designs."""

from __future__ import annotations

import importlib
import json
import logging
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from packets import Frames, taken, with_nulls

from mintaka.artifact import Network, Result, content_hash, load, run
from mintaka_hw.host.registers import FLAGS, register_map
from mintaka_hw.plan import make_plan

FOLDER = "MINTAKA_AXI_FOLDER"
TIMEOUT = {"timeout_time": 400_000, "timeout_unit": "step"}  # two per cycle


class Bench:
    """A design between bus models. `driver_of` and `registers` come from the files beside the Verilog."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.folder = Path(os.environ[FOLDER])
        self.network = load(self.folder / "network.safetensors")
        self.x = np.load(self.folder / "x.npy")
        self.predicted = json.loads((self.folder / "predicted.json").read_text())
        (path,) = self.folder.glob("*_driver.py")
        sys.path.insert(0, str(self.folder))
        self.module = importlib.import_module(path.stem)
        self.design = self.module.DESIGN
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)  # not every transfer
        Clock(dut.clk, 2, unit="step").start()
        dut.rst.value = 1
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)

    async def start(self) -> Any:
        """Reset, then the driver of the design."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 3)
        for name in ("s_axis_tready", "s_axil_awready", "s_axil_wready", "s_axil_arready"):
            assert int(getattr(self.dut, name).value) == 0, f"{name} in reset"
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        return await bridge(self.module.Driver)(self.read32, self.write32, self.exchange)

    def stall(self, seed: int) -> None:
        """Random pauses on every channel."""
        write, read = self.bus.write_if, self.bus.read_if
        channels = [self.source, self.sink, write.aw_channel, write.w_channel, write.b_channel]
        for n, channel in enumerate([*channels, read.ar_channel, read.r_channel]):
            channel.set_pause_generator(pauses(random.Random(seed * 100 + n)))

    # ---- what the driver is given

    def read32(self, offset: int) -> int:
        return int.from_bytes(resume(self.bus.read)(offset, 4).data, "little")

    def write32(self, offset: int, value: int) -> None:
        resume(self.bus.write)(offset, value.to_bytes(4, "little"))

    def exchange(self, packet: bytes, size: int) -> bytes:
        resume(self.source.send)(AxiStreamFrame(packet))
        result = bytes(resume(self.sink.recv)().tdata)
        assert len(result) == size
        return result

    # ---- what the tests do

    async def send(self, packet: bytes, keep: Sequence[int] | None = None) -> None:
        await self.source.send(AxiStreamFrame(packet, tkeep=None if keep is None else list(keep)))

    async def receive(self, driver: Any) -> Any:
        return driver.unpack(bytes((await self.sink.recv()).tdata))

    async def exact(self, driver: Any, index: int) -> None:
        """A good sample gives its result, and nothing wrong is said of it."""
        await self.send(driver.pack(self.x[index]))
        found = await self.receive(driver)
        assert_result(found, self.expected(self.x[index : index + 1]), 0, self.network.time_steps)
        assert found.errors == ()

    async def read(self, register: str, offset: int = 0) -> tuple[int, bool]:
        """Value, and whether it was answered OKAY."""
        done = await self.bus.read(self.design["registers"][register]["offset"] + offset, 4)
        return int.from_bytes(done.data, "little"), done.resp == AxiResp.OKAY

    async def write(self, register: str, value: int, *, at: int = 0, size: int = 4) -> bool:
        """`size` bytes from byte `at` on; whether it was answered OKAY."""
        offset = self.design["registers"][register]["offset"] + at
        return bool((await self.bus.write(offset, value.to_bytes(size, "little"))).resp == AxiResp.OKAY)

    def expected(self, x: np.ndarray, steps: int | None = None) -> Result:
        """The reference on a batch."""
        network = self.network if steps is None else of_steps(self.network, steps)
        return run(network, x if network.input.static else x[:, : network.time_steps])

    def sample_of(self, packet: bytes) -> np.ndarray:
        """What a packet says, without the driver's code: the sample."""
        source, T = self.design["input"], self.design["time_steps"]
        frames = T if source["per_step"] else 1
        raw = np.frombuffer(packet, np.uint8).reshape(frames, -1)[:, : source["words"] * source["word_bytes"]]
        words = raw.reshape(frames, source["words"], source["word_bytes"])
        bits = np.unpackbits(words, axis=2, bitorder="little")[:, :, : source["elements"] * source["bits"]]
        values = bits.reshape(frames, -1, source["bits"]) @ (1 << np.arange(source["bits"]))
        shape = source["shape"]
        if source["order"] == "hwc":
            x = np.moveaxis(values.reshape(frames, *shape[1:], shape[0]), -1, 1)
        else:
            x = values[:, : int(np.prod(shape))].reshape(frames, *shape)
        return (x if source["per_step"] else x[0]).astype(self.x.dtype)


def of_steps(network: Network, steps: int) -> Network:
    output = replace(network.output, margins=network.output.margins[: steps - 1])
    return replace(network, time_steps=steps, output=output)


def pauses(rng: random.Random) -> Iterator[bool]:
    """Runs of random lengths."""
    while True:
        yield from [False] * rng.choice((1, 1, 2, 5, 20))
        yield from [True] * rng.choice((0, 1, 1, 2, 7, 30))


def assert_result(found: Any, wanted: Result, index: int, steps: int) -> None:
    assert found.logits.tolist() == wanted.logits[index].tolist()
    assert found.label == int(np.argmax(wanted.logits[index]))
    assert found.steps == (steps if wanted.steps is None else int(wanted.steps[index]))


@cocotb.test(**TIMEOUT)
async def back_to_back(dut: Any) -> None:
    """Without pauses: results, cycles and counters are those that the cycle model predicts."""
    b = Bench(dut)
    driver = await b.start()
    for sample in b.x:
        await b.send(driver.pack(sample))
    found = [await b.receive(driver) for _ in b.x]
    wanted = b.expected(b.x)
    for n, result in enumerate(found):
        assert_result(result, wanted, n, b.network.time_steps)
        assert result.errors == ()
    assert [result.cycles for result in found] == b.predicted["cycles"]
    counters = await bridge(driver.counters)()
    assert counters["samples_in"] == counters["samples_out"] == len(b.x)
    assert counters["layers"] == b.predicted["layers"]
    assert counters["cycles"] > found[-1].cycles
    assert await bridge(driver.flags)() == ["done"]


@cocotb.test(**TIMEOUT)
async def stalled(dut: Any) -> None:
    """Random pauses on every channel, while registers are read and, at the same time, written."""
    b = Bench(dut)
    driver = await b.start()
    b.stall(1)
    done = {"reads": 0, "writes": 0}

    async def read() -> None:
        before = 0
        while True:
            value, okay = await b.read("samples_out")
            assert okay
            assert before <= value <= len(b.x)
            before = value
            assert await b.read("id") == (0x4D4E544B, True)
            done["reads"] += 1

    async def write() -> None:
        while True:
            assert await b.write("control", 0b101)  # a snapshot
            assert await b.write("irq_enable", done["writes"] & 0x7F)
            done["writes"] += 1

    polling = [cocotb.start_soon(task) for task in (read(), write())]
    for sample in b.x:
        await b.send(driver.pack(sample))
    wanted = b.expected(b.x)
    for n in range(len(b.x)):
        found = await b.receive(driver)
        assert_result(found, wanted, n, b.network.time_steps)
        assert found.errors == ()
    for task in polling:
        task.cancel()
    assert min(done.values()) > 3


@cocotb.test(**TIMEOUT)
async def driven(dut: Any) -> None:
    """The generated driver: fewer steps, other margins, counters, and what it refuses."""
    b = Bench(dut)
    await b.start()
    b.stall(2)
    T = b.network.time_steps

    def use() -> None:
        driver = b.module.Driver(b.read32, b.write32, b.exchange)
        sops = dict.fromkeys(b.design["layers"], 0)
        samples = 0

        def check(x: np.ndarray, wanted: Result, steps: int) -> None:
            nonlocal samples
            for n, sample in enumerate(x):
                assert_result(driver.run(sample), wanted, n, steps)
            samples += len(x)
            for name, counts in wanted.sops.items():
                sops[name] += int(counts.sum())

        for steps in (*range(1, T + 1), 1):
            driver.steps = steps
            x = b.x if b.network.input.static else b.x[:, :steps]
            check(x[:2], b.expected(b.x[:2], steps), steps)
        driver.steps = T
        margins = b.network.output.margins
        for changed in ((None,) * len(margins), tuple(n % 2 for n in range(len(margins)))):
            for step, margin in enumerate(changed):
                driver.set_margin(step, margin)
            network = replace(b.network, output=replace(b.network.output, margins=changed))
            check(b.x, run(network, b.x), T)

        counters = driver.counters()
        assert counters["samples_in"] == counters["samples_out"] == samples
        assert {name: counts["sops"] for name, counts in counters["layers"].items()} == sops
        assert driver.flags() == ["done"]
        driver.clear_flags()
        assert driver.flags() == []
        driver.reset()
        counters = driver.counters()
        assert counters["samples_in"] == counters["samples_out"] == counters["cycles"] == 0
        assert all(count == 0 for counts in counters["layers"].values() for count in counts.values())

        refused("steps cannot be 0", lambda: setattr(driver, "steps", 0))
        refused(f"1 to {T} are possible", lambda: setattr(driver, "steps", T + 1))
        refused("there is no margin behind step", lambda: driver.set_margin(len(margins), 1))
        refused("a sample must be integers of shape", lambda: driver.pack(b.x[0][..., :-1]))
        refused("a sample must be integers of shape", lambda: driver.pack(b.x[0].astype(float)))
        refused("a sample holds values", lambda: driver.pack(b.x[0].astype(int) - 300))
        refused("instead of", lambda: driver.unpack(b"abcd"))
        refused("given up by a reset", lambda: driver.unpack(bytes(driver.design["result_bytes"])))  # a DMA's buffer
        refused("no Mintaka design", lambda: b.module.Driver(lambda _: 0, b.write32, b.exchange))
        other = {**b.design, "hash": b.design["hash"] ^ 1}
        refused("the driver was made for", lambda: b.module.Driver(b.read32, b.write32, b.exchange, other))
        other = {**b.design, "map_version": 99}
        refused("of version 1", lambda: b.module.Driver(b.read32, b.write32, b.exchange, other))

    def refused(sentence: str, action: Any) -> None:
        with pytest.raises(b.module.DriverError, match=sentence):
            action()

    await bridge(use)()


@cocotb.test(**TIMEOUT)
async def malformed(dut: Any) -> None:
    """Short, long and holey packets, with good ones in between, under random pauses."""
    b = Bench(dut)
    driver = await b.start()
    b.stall(3)
    rng = random.Random(4)
    width = len(dut.s_axis_tkeep)
    source, whole = b.design["input"], driver.pack(b.x[0])
    content = source["words"] * source["word_bytes"]
    form = Frames(len(whole) // source["frame_bytes"], source["frame_bytes"], content, width)
    made: list[tuple[bytes, list[int]]] = []
    for cut in (1, width, len(whole) - width, len(whole) - 1, rng.randrange(1, len(whole))):
        made.append((whole[:cut], [1] * cut))
    for more in (1, width, 5 * width, 3 * len(whole)):
        made.append((whole + rng.randbytes(more), [1] * (len(whole) + more)))
    for chance in (0.02, 0.5, 1.0):
        made.append((whole, [int(rng.random() >= chance) for _ in whole]))
    made.append((whole[:width], [0] * width))  # no byte at all
    made.append(with_nulls(whole, [1] * len(whole), width, [0, 1, 1, len(whole) // width]))  # a good one
    made.append(with_nulls(whole[: 2 * width], [1] * (2 * width), width, [1, 2, 2]))
    made.append((whole, [*([1] * (len(whole) - 1)), 0]))
    rng.shuffle(made)

    seen: set[str] = set()
    sent, wanted = [], []
    for packet, keep in made:
        sample, errors = taken(form, packet, keep)
        sent += [(packet, keep), (driver.pack(b.x[1]), None)]
        wanted += [(b.sample_of(sample), errors), (b.x[1], ())]
        seen.update(errors)
    assert seen == set(b.design["errors"])

    async def send_all() -> None:
        for packet, keep in sent:
            await b.send(packet, keep)

    sending = cocotb.start_soon(send_all())
    expected = b.expected(np.stack([x for x, _ in wanted]))
    for n, (_, errors) in enumerate(wanted):
        found = await b.receive(driver)
        assert found.errors == errors, f"packet {n}"
        assert_result(found, expected, n, b.network.time_steps)
    await sending
    counters = await bridge(driver.counters)()
    assert counters["samples_in"] == counters["samples_out"] == len(wanted)
    assert await bridge(driver.flags)() == ["done", *b.design["errors"]]
    assert (await b.read("status"))[0] == 0


@cocotb.test(**TIMEOUT)
async def unused_bits(dut: Any) -> None:
    """What carries no element does not matter."""
    b = Bench(dut)
    driver = await b.start()
    packet = bytearray(driver.pack(b.x[0]))
    assert b.sample_of(bytes(packet)).tolist() == b.x[0].tolist()
    flipped = 0
    for bit in range(8 * len(packet)):
        packet[bit // 8] ^= 1 << bit % 8
        if b.sample_of(bytes(packet)).tolist() == b.x[0].tolist():
            flipped += 1  # it stays
        else:
            packet[bit // 8] ^= 1 << bit % 8
    await b.send(bytes(packet))
    assert_result(await b.receive(driver), b.expected(b.x[:1]), 0, b.network.time_steps)
    assert flipped == 8 * len(packet) - b.x[0].size * b.network.input.bits


@cocotb.test(**TIMEOUT)
async def registers(dut: Any) -> None:
    """Every register at reset; what is refused is flagged and changes nothing; strobes; flags; the interrupt."""
    b = Bench(dut)
    driver = await b.start()
    b.stall(5)
    every = register_map(make_plan(b.network))
    content = content_hash(b.network).removeprefix("sha256:")
    live = {"hash_high": int(content[:8], 16), "hash_low": int(content[8:16], 16)}

    async def flags() -> int:
        """Read and clear."""
        value = (await b.read("flags"))[0]
        assert await b.write("flags", 0xFFFFFFFF)
        return value

    bit = {name: 1 << n for n, name in enumerate(FLAGS)}
    for register in every:
        assert await b.read(register.name) == (live.get(register.name, register.reset), True), register.name
        if not register.writable:
            assert not await b.write(register.name, 0xFFFFFFFF), register.name
            assert await flags() == bit["bad_write"]
            assert await b.read(register.name) == (live.get(register.name, register.reset), True)
    offsets = {register.offset for register in every}
    for offset in (*(o + 4 for o in offsets if o + 4 not in offsets), 0xFFFC, 0x8000, 0x3C):
        done = await b.bus.read(offset, 4)
        assert (done.resp, int.from_bytes(done.data, "little")) == (AxiResp.SLVERR, 0)
        assert await flags() == bit["bad_read"]
        assert (await b.bus.write(offset, b"\1\0\0\0")).resp == AxiResp.SLVERR
        assert await flags() == bit["bad_write"]

    T = b.network.time_steps
    for value in (0, T + 1, T + 256, 1 << 31 | 1):
        assert not await b.write("steps", value)
        assert await flags() == bit["bad_value"]
        assert await b.read("steps") == (T, True)
    assert await b.write("steps", 1)
    assert not await b.write("steps", 1, at=1, size=1)  # 0x101
    assert await b.write("steps", T, at=0, size=1)
    assert await b.write("steps", 0, at=2, size=2)
    assert await b.read("steps") == (T, True)
    assert await flags() == bit["bad_value"]
    for step in range(len(b.network.output.margins)):
        before = await b.read(f"margin{step}")
        assert not await b.write(f"margin{step}", 1 << 30)
        assert await b.read(f"margin{step}") == before
        assert await b.write(f"margin{step}", 1 << 31)
        assert await b.read(f"margin{step}") == (1 << 31, True)
        assert await b.write(f"margin{step}", before[0])
        assert await flags() == bit["bad_value"]

    # requests that follow one another without waiting for the answers
    first = b"".join(register.reset.to_bytes(4, "little") for register in every if register.offset <= 0x24)
    done = await b.bus.read(0, len(first))
    assert (done.resp, bytes(done.data)) == (AxiResp.OKAY, first)
    words = (T, 0, bit["done"])  # STEPS, FLAGS, IRQ_ENABLE
    packed = b"".join(word.to_bytes(4, "little") for word in words)
    for _ in range(8):
        assert (await b.bus.write(b.design["registers"]["steps"]["offset"], packed)).resp == AxiResp.OKAY
    assert await b.read("irq_enable") == (bit["done"], True)
    assert await flags() == 0

    # the interrupt is the enabled flags, and goes when they are cleared
    assert await b.write("irq_enable", bit["done"] | bit["short"])
    assert not await b.write("id", 0)
    await ClockCycles(dut.clk, 3)
    assert int(dut.irq.value) == 0
    assert await flags() == bit["bad_write"]
    await b.exact(driver, 0)
    await ClockCycles(dut.clk, 3)
    assert int(dut.irq.value) == 1
    assert await b.write("flags", bit["short"])
    await ClockCycles(dut.clk, 3)
    assert int(dut.irq.value) == 1
    assert await flags() == bit["done"]
    await ClockCycles(dut.clk, 3)
    assert int(dut.irq.value) == 0
    assert await b.write("irq_enable", 0)

    # while it is not enabled the next packet waits
    assert await b.write("control", 0)
    await b.send(driver.pack(b.x[1]))
    await ClockCycles(dut.clk, 1500)
    assert b.sink.empty()
    assert (await b.read("status"))[0] == 0
    assert await b.write("control", 1)
    assert_result(await b.receive(driver), b.expected(b.x[1:2]), 0, T)


@cocotb.test(**TIMEOUT)
async def steps_in_flight(dut: Any) -> None:
    """STEPS written at any time counts from the next packet on that begins."""
    b = Bench(dut)
    driver = await b.start()
    T = b.network.time_steps
    rng = random.Random(6)
    packets = [driver.pack(sample) for sample in b.x[:2]]
    seen = set()
    for _ in range(10):
        for packet in packets:
            await b.send(packet)
        while not (await b.read("status"))[0] & 0b10:  # receiving the first one
            pass
        await ClockCycles(dut.clk, rng.randrange(60))
        assert await b.write("steps", 1)
        assert_result(await b.receive(driver), b.expected(b.x[:1]), 0, T)
        second = await b.receive(driver)
        early = second.steps == 1  # it had not begun; where each step has a frame, the packet has too many of them
        assert_result(second, b.expected(b.x[1:2], 1 if early else T), 0, 1 if early else T)
        assert second.errors == (("long",) if early and not b.network.input.static else ())
        seen.add(early)
        assert await b.write("steps", T)
        assert (await b.read("status"))[0] == 0
    assert True in seen


@cocotb.test(**TIMEOUT)
async def soft_reset(dut: Any) -> None:
    """At any moment: what is cut off ends cleanly, packets that begin later are exact."""
    b = Bench(dut)
    driver = await b.start()
    b.stall(7)
    rng = random.Random(8)
    size = b.design["result_bytes"]
    wanted = b.expected(b.x).logits[:2].tolist()
    aborted = 0
    for turn in range(12):
        for sample in b.x[:2]:
            await b.send(driver.pack(sample))
        if turn % 2:
            await ClockCycles(dut.clk, rng.choice((3, 30, 100)) + rng.randrange(30))
        else:  # in the middle of a result
            await ClockCycles(dut.clk, 3)  # what came before has gone
            while not (int(dut.m_axis_tvalid.value) and int(dut.m_axis_tready.value)):
                await RisingEdge(dut.clk)
            await ClockCycles(dut.clk, rng.randrange(4))
            b.sink.set_pause_generator(repeat(True))
        assert await b.write("control", 0b11)
        b.sink.set_pause_generator(pauses(rng))
        await b.source.wait()
        while (await b.read("status"))[0]:
            pass
        await ClockCycles(dut.clk, 200)
        while not b.sink.empty():
            packet = bytes(b.sink.recv_nowait().tdata)
            if len(packet) < size:
                assert packet[-4:] == (1 << 31).to_bytes(4, "little")
                aborted += 1
                continue
            found = driver.unpack(packet)
            assert found.errors == ()
            assert found.logits.tolist() in wanted
        await b.exact(driver, 2)
    assert aborted > 1
