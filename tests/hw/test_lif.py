"""The LIF core alone: one lane, every K, threshold, leak and reset at small widths, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from mintaka.artifact import IntTensor, LeakTerm, Neuron
from mintaka.artifact.reference import fire
from mintaka_hw.rtl.lif import LIFCore, LIFParameters

K_WIDTH = 6
KS = range(-(2 ** (K_WIDTH - 1)), 2 ** (K_WIDTH - 1))
LEAKS = [(), (LeakTerm(1, 0),), (LeakTerm(1, 1),), (LeakTerm(1, 0), LeakTerm(-1, 2)), (LeakTerm(-1, 0),)]


def parameters(**changes: Any) -> LIFParameters:
    values: dict[str, Any] = {
        "lanes": 1,
        "weight_width": K_WIDTH,
        "start_width": K_WIDTH,
        "accumulator_width": K_WIDTH,
        "k_width": K_WIDTH,
        "state_width": 3,
        "planes": 1,
        "shifts": ((0, 0),),
        "leak": LEAKS[1],
        "threshold_width": K_WIDTH,
        "reset_by_width": None,
    }
    return LIFParameters(**{**values, **changes})


def results(core: LIFCore, slots: list[dict[str, int]]) -> list[tuple[int, int, int]]:
    """(spike, membrane, K) of every `done`; a slot's `threshold` and `reset_by` come a cycle behind it."""
    found: list[tuple[int, int, int]] = []

    async def bench(ctx: Any) -> None:
        late: dict[str, int] = {}
        for slot in [*slots, {}, {}, {}]:
            ctx.set(core.valid, bool(slot))
            for port in ("first", "last", "plane"):
                ctx.set(getattr(core, port), slot.get(port, 0))
            for port in ("start", "weight"):
                ctx.set(getattr(core, port)[0], slot.get(port, 0))
            for port in ("threshold", "reset_by"):
                ctx.set(getattr(core, port)[0], late.get(port, 0))
            late = slot
            if ctx.get(core.done):
                found.append((ctx.get(core.spikes), ctx.get(core.u[0]), ctx.get(core.k[0])))
            await ctx.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("membrane_bits", [2, 3, 5])
def test_every_k(leak: tuple[LeakTerm, ...], reset: str, membrane_bits: int) -> None:
    thresholds = np.array([-32, -1, 0, 5, 31], np.int8)
    R = np.array([31, 2, -7, 0, -32], np.int8) if reset == "subtract" else None
    core = LIFCore(parameters(leak=leak, state_width=membrane_bits, reset_by_width=None if R is None else K_WIDTH))
    neuron = Neuron(IntTensor(thresholds, 6), ">", reset, None if R is None else IntTensor(R, 6), leak, membrane_bits)
    slots = [
        {"first": 1, "last": 1, "start": k, "threshold": int(T), "reset_by": 0 if R is None else int(R[channel])}
        for k in KS
        for channel, T in enumerate(thresholds)
    ]
    K = np.repeat(np.array(KS), len(thresholds)).reshape(len(KS), -1)
    s, U = fire(K, neuron)
    expected = list(zip(s.ravel().tolist(), U.ravel().tolist(), K.ravel().tolist(), strict=True))
    assert results(core, slots) == expected


def test_accumulates_planes_and_shifts() -> None:
    """K = start + (sum of w * 2^plane >> input_shift), floored once."""
    core = LIFCore(
        parameters(
            accumulator_width=12, k_width=8, planes=4, shifts=((2, 0),), leak=None, threshold_width=None, state_width=8
        )
    )
    weights = [(5, 0), (-7, 3), (3, 2), (-1, 1)]
    slots = [
        {"first": n == 0, "last": n == len(weights) - 1, "start": -3, "weight": w, "plane": plane}
        for n, (w, plane) in enumerate(weights)
    ]
    total = sum(w << plane for w, plane in weights)
    assert results(core, slots + slots) == [(0, -3 + (total >> 2), -3 + (total >> 2))] * 2


def test_no_lanes_are_refused() -> None:
    with pytest.raises(ValueError, match="lanes must be at least 1, not 0"):
        parameters(lanes=0)
