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
NEXT = ("silent_next", "count_next")
LEAKS = [(), (LeakTerm(1, 0),), (LeakTerm(1, 1),), (LeakTerm(1, 0), LeakTerm(-1, 2)), (LeakTerm(-1, 0),)]


def parameters(**changes: Any) -> LIFParameters:
    values: dict[str, Any] = {
        "lanes": 1,
        "weight_width": K_WIDTH,
        "start_width": K_WIDTH,
        "accumulator_width": K_WIDTH,
        "k_width": K_WIDTH,
        "state_width": 3,
        "nibbles": 1,
        "shifts": ((0, 0),),
        "leak": LEAKS[1],
        "threshold_width": K_WIDTH,
        "reset_by_width": None,
    }
    return LIFParameters(**{**values, **changes})


def results(core: LIFCore, slots: list[dict[str, int]]) -> list[tuple[int, ...]]:
    """(spike, membrane, K) of every `done`, then what else there is of Js, silence and count for the next step.

    A slot's `threshold` and `reset_by` come a cycle behind it; with a synaptic current two cycles.
    """
    found: list[tuple[int, ...]] = []

    async def bench(ctx: Any) -> None:
        late: list[dict[str, int]] = [{}] * (1 if core.parameters.current_width is None else 2)
        for slot in [*slots, {}, {}, {}, {}]:
            ctx.set(core.valid, bool(slot))
            for port in ("first", "last", "phase", "nibble"):
                ctx.set(getattr(core, port), slot.get(port, 0))
            for port in ("start", "weight", "membrane", "silent", "count"):
                if hasattr(core, port):
                    ctx.set(getattr(core, port)[0], slot.get(port, 0))
            for port in ("threshold", "reset_by"):
                ctx.set(getattr(core, port)[0], late[0].get(port, 0))
            late = [*late[1:], slot]
            if ctx.get(core.done):
                more = [ctx.get(getattr(core, port)[0]) for port in ("j", *NEXT) if hasattr(core, port)]
                found.append((ctx.get(core.spikes), ctx.get(core.u[0]), ctx.get(core.k[0]), *more))
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


@pytest.mark.parametrize("cuba", [False, True])
@pytest.mark.parametrize("refractory", [1, 2, 5])
def test_silence_count_and_synaptic_current(refractory: int, cuba: bool) -> None:
    """Every U, sum and number of silent steps left; of a silent lane K is U, whatever the sum."""
    widths = {"current_width": 3, "membrane_width": 4} if cuba else {}
    core = LIFCore(parameters(refractory=refractory, count_width=3, **widths))
    neuron = Neuron(IntTensor(np.array([2], np.int8), 6), ">", "zero", None, LEAKS[1], 3, refractory)
    slots, expected = [], []
    for U in range(-3, 4):
        for total in range(-9, 10):
            for left in range(refractory + 1):
                K = U if left else U + total
                start = {"start": total, "membrane": U} if cuba else {"start": K}
                slots.append({"first": 1, "last": 1, "threshold": 2, "silent": left, "count": left + 1, **start})
                s, stored = fire(np.array([[K]]), neuron, left > 0)
                spike = int(s[0, 0])
                j = [int(np.clip(total, -3, 3))] if cuba else []
                silent = refractory if spike else max(left - 1, 0)
                expected.append((spike, int(stored[0, 0]), K, *j, silent, left + 1 + spike))
    assert results(core, slots) == expected


def test_passes_have_shifts_of_their_own() -> None:
    """A pass: (c + (sum >> 2 << 1)) through (c >> 1 << 2) in the accumulator; then a step without any."""
    sums = {"leak": None, "threshold_width": None, "state_width": 12, "k_width": 12}
    core = LIFCore(parameters(accumulator_width=12, start_width=8, shifts=((2, 1), (0, 0)), **sums))
    slots = [
        {"first": 1, "last": 1, "phase": phase, "start": c, "weight": w}
        for phase in (0, 1)
        for c in range(-20, 21, 2)
        for w in KS
    ]
    wanted = [(c + (w >> 2 << 1) if phase == 0 else c + w) for phase in (0, 1) for c in range(-20, 21, 2) for w in KS]
    assert [k for _, _, k in results(core, slots)] == wanted


def test_accumulates_nibbles_and_shifts() -> None:
    """K = start + (sum of w * 16^nibble >> input_shift), floored once."""
    core = LIFCore(
        parameters(
            accumulator_width=18,
            k_width=16,
            nibbles=3,
            shifts=((2, 0),),
            leak=None,
            threshold_width=None,
            state_width=16,
        )
    )
    weights = [(5, 0), (-7, 2), (3, 2), (-1, 1)]
    slots = [
        {"first": n == 0, "last": n == len(weights) - 1, "start": -3, "weight": w, "nibble": nibble}
        for n, (w, nibble) in enumerate(weights)
    ]
    total = sum(w * 16**nibble for w, nibble in weights)
    assert results(core, slots + slots) == [(0, -3 + (total >> 2), -3 + (total >> 2))] * 2


def test_no_lanes_are_refused() -> None:
    with pytest.raises(ValueError, match="lanes must be at least 1, not 0"):
        parameters(lanes=0)
