"""cocotb tests of designs behind AXI, with the bus models of cocotbext-axi; test_axi.py makes the designs."""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
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

from mintaka.artifact import Network, Result, load, run

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
        Clock(dut.clk, 2, unit="step").start()
        dut.rst.value = 1
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)

    async def start(self) -> Any:
        """Reset, then the driver of the design."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 3)
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
        return bytes(resume(self.sink.recv)().tdata)

    # ---- what the tests do

    async def send(self, packet: bytes, keep: Sequence[int] | None = None) -> None:
        await self.source.send(AxiStreamFrame(packet, tkeep=None if keep is None else list(keep)))

    async def receive(self, driver: Any) -> Any:
        return driver.unpack(bytes((await self.sink.recv()).tdata))

    def expected(self, x: np.ndarray, steps: int | None = None) -> Result:
        """The reference on a batch."""
        network = self.network if steps is None else of_steps(self.network, steps)
        return run(network, x if network.input.static else x[:, : network.time_steps])

    def padded(self, driver: Any, packet: bytes, cut: int) -> bytes:
        """The packet as the core takes a short one: what comes behind byte `cut` is 0."""
        return packet[:cut] + bytes(len(packet) - cut)

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
