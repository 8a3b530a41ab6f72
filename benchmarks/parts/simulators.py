"""The same network in everything that runs it: samples per second."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.parts.networks import INPUTS, Shape, dense_lanes, images, trained
from benchmarks.parts.store import Store, Values, sources
from mintaka.artifact import content_hash, run
from mintaka.snn import run_fast
from mintaka_cosim.bench import cosim
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_hw.plan import make_plan

CODE = ("sw/mintaka/artifact", "sw/mintaka/snn", "hw/mintaka_hw", "cosim/mintaka_cosim/bench")
RATE = 0.1
LANES = 32


class UnequalError(RuntimeError):
    """Two implementations gave other numbers."""


def measure(store: Store, samples: dict[str, int], training: int) -> None:
    """784-128-10 (T = 8), spikes at 10 %. samples : by runner, see `RUNNERS`."""
    network = trained(Shape("rate"), images("made", None, 2048), 128, training)
    plan = make_plan(network, dense_lanes(LANES))
    rng = np.random.default_rng(0)
    x = (rng.random((max(samples.values()), Shape("rate").steps, INPUTS)) < RATE).astype(np.uint8)

    def checked(classes: np.ndarray, count: int) -> None:
        if not np.array_equal(classes, run_fast(network, x[:count]).classes):
            raise UnequalError("a simulator and the fast engine disagree: please report it")

    def reference(count: int) -> float:
        return _seconds(lambda: checked(run(network, x[:count]).classes, count))

    def fast(count: int) -> float:
        run_fast(network, x[:count])
        return _seconds(lambda: run_fast(network, x[:count]))

    def amaranth(count: int) -> float:
        limit = 100_000 * count
        return _seconds(lambda: checked(simulate_amaranth(plan, x[:count], max_cycles=limit).classes, count))

    def verilator(count: int, taps: bool) -> float:
        found = cosim(network, plan, x[:count], taps=taps, processes=1)
        if not found.verified:
            raise UnequalError(found.sentence)
        return found.seconds - found.build_seconds

    runners: dict[str, Callable[[int], float]] = {
        "reference": reference,
        "fast": fast,
        "amaranth": amaranth,
        "cocotb": lambda count: verilator(count, True),
        "cpp": lambda count: verilator(count, False),
    }
    for name, count in samples.items():
        key = {"artifact": content_hash(network), "samples": count, "lanes": plan.lanes, "code": sources(*CODE)}

        def one(name: str = name, count: int = count) -> Values:
            return {"samples": count, "seconds": runners[name](count), "lanes": plan.lanes}

        store.point("simulate", name, key, one)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
