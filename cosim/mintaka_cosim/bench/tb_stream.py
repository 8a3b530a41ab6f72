"""cocotb tests of a whole accelerator; the job (samples, expected values, stalls, seed) comes through files."""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from mintaka_cosim.bench.agents import Agent, InputDriver, LayerMonitor, OutputSink, Pauses, RestartMonitor
from mintaka_cosim.bench.job import Job, read_job
from mintaka_cosim.bench.layout import Layout
from mintaka_cosim.bench.recording import COUNTERS
from mintaka_cosim.bench.scoreboard import MismatchError, Scoreboard

RESETS = 3
RESET_SAMPLES = 2
PROGRESS_SECONDS = 0.25


@dataclass
class Bench:
    """The parts for one stream of samples from reset to the last value."""

    scoreboard: Scoreboard
    driver: InputDriver
    sink: OutputSink
    monitors: list[LayerMonitor]
    restarts: list[RestartMonitor]

    @property
    def agents(self) -> list[Agent]:
        return [self.driver, self.sink, *self.monitors, *self.restarts]


def bench(dut: Any, job: Job, samples: int, rng: random.Random) -> Bench:
    scoreboard = Scoreboard(job, samples)
    longest = job.stalls.longest_cycles
    driver = InputDriver(dut, job.beats[:samples], Pauses(job.stalls.input_percent, longest, rng))
    sink = OutputSink(dut, job.layout, Pauses(job.stalls.output_percent, longest, rng), scoreboard)
    monitors = [LayerMonitor(dut, layer, scoreboard) for layer in job.layout.layers]
    return Bench(scoreboard, driver, sink, monitors, [RestartMonitor(dut, scoreboard)] if job.layout.exits else [])


async def reset(dut: Any, layout: Layout) -> None:
    """Three cycles of reset, with idle streams; all steps and the artifact's margins where they are inputs."""
    if layout.run_time:
        dut.steps.value = 0
    if layout.run_time and layout.exits:
        dut.margins.value = layout.margins
    dut.i_valid.value = 0
    dut.o_ready.value = 0
    dut.rst.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0


async def play(dut: Any, job: Job, parts: Bench, *, limit: int | None = None) -> int:
    """Run until everything has come, or for `limit` cycles. Returns the cycles. Raises MismatchError; TimeoutError."""
    patience = job.stalls.patience(job.layout.patience)
    cycle = quiet = 0
    told = time.monotonic()
    while not parts.scoreboard.complete:
        await RisingEdge(dut.clk)
        for agent in parts.agents:
            agent.drive()
        await FallingEdge(dut.clk)
        happened = [agent.sample(cycle) for agent in parts.agents]
        quiet = 0 if any(happened) else quiet + 1
        cycle += 1
        if cycle == limit:
            break
        if quiet > patience:
            raise TimeoutError(f"nothing happened for {patience} cycles: {parts.scoreboard.missing}")
        if limit is None and time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            (job.folder / "progress").write_text(str(parts.scoreboard.received))
    return cycle


async def start(dut: Any, layout: Layout) -> None:
    Clock(dut.clk, 2, unit="step").start()
    await reset(dut, layout)


@cocotb.test()
async def reset_in_mid_sample(dut: Any) -> None:
    """Stop samples at random points by a reset; what comes after must not notice."""
    job = read_job()
    rng = random.Random(job.seed + 1)
    few = min(RESET_SAMPLES, len(job.beats))
    await start(dut, job.layout)
    with reported(job, "reset_in_mid_sample") as report:
        parts = bench(dut, job, few, rng)
        length = await play(dut, job, parts)
        for _ in range(RESETS):
            await reset(dut, job.layout)
            await play(dut, job, bench(dut, job, few, rng), limit=rng.randrange(1, length))
        await reset(dut, job.layout)
        parts = bench(dut, job, few, rng)
        await play(dut, job, parts)
        report["resets"] = RESETS + 1


@cocotb.test()
async def stream(dut: Any) -> None:
    """All samples back to back (or with the job's stalls)."""
    job = read_job()
    await start(dut, job.layout)
    with reported(job, "stream") as report:
        parts = bench(dut, job, len(job.beats), random.Random(job.seed))
        try:
            report["total_cycles"] = await play(dut, job, parts)
        finally:
            report["counts"] = asdict(parts.scoreboard.counts)
        origin = parts.driver.accepted[0]
        report["accepted"] = [cycle - origin for cycle in parts.driver.accepted]
        report["finished"] = [cycle - origin for cycle in parts.sink.finished]
        report["cycles"] = parts.sink.cycles
        report["steps"] = parts.sink.steps
        report["counters"] = {
            layer.name: monitor.totals[: len(job.beats)]
            for layer, monitor in zip(job.layout.layers, parts.monitors, strict=True)
        }
        assert all(len(row) == len(COUNTERS) for m in parts.monitors for row in m.totals)


class reported:  # noqa: N801 (a context manager, used like a function)
    """Writes what a test found to <test>.json, whether it passed or not."""

    def __init__(self, job: Job, name: str) -> None:
        self._path = Path(job.folder) / f"{name}.json"
        self._report: dict[str, Any] = {"difference": None, "error": None}

    def __enter__(self) -> dict[str, Any]:
        return self._report

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MismatchError):
            self._report["difference"] = asdict(error.difference)
        elif error is not None:
            self._report["error"] = str(error) or type(error).__name__
        self._path.write_text(json.dumps(self._report))
