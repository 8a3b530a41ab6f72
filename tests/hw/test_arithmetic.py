"""Shift, leak and clip in Amaranth against the reference: every value of small widths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import C, Module, Signal, Value, signed
from amaranth.sim import Simulator

from mintaka.artifact import LeakTerm
from mintaka.artifact.reference import leaked as reference_leaked
from mintaka_hw.rtl.arithmetic import clipped, greater, leaked, negated, shifted_right

WIDTH = 6
VALUES = range(-(2 ** (WIDTH - 1)), 2 ** (WIDTH - 1))
LEAKS = [
    (),
    (LeakTerm(1, 0),),
    (LeakTerm(1, 1),),
    (LeakTerm(1, 0), LeakTerm(-1, 2)),
    (LeakTerm(-1, 0),),
    (LeakTerm(1, 1), LeakTerm(1, 2), LeakTerm(-1, 4), LeakTerm(1, 31)),
]


def evaluate(build: Callable[[Value], Value], values: Iterable[int]) -> list[int]:
    """`build(x)` for each value of a signed `WIDTH`-bit x, in the simulator."""
    x = Signal(signed(WIDTH))
    y = Signal(signed(20))
    m = Module()
    m.d.comb += y.eq(build(x))
    found = []

    async def bench(ctx: Any) -> None:
        for value in values:
            ctx.set(x, value)
            await ctx.delay(1e-9)
            found.append(ctx.get(y))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("amount", [0, 1, 2, 5, 6, 9, 31])
def test_shift_is_floor(amount: int) -> None:
    assert evaluate(lambda x: shifted_right(x, amount), VALUES) == [v >> amount for v in VALUES]


@pytest.mark.parametrize("leak", LEAKS)
def test_leak(leak: tuple[LeakTerm, ...]) -> None:
    assert evaluate(lambda x: leaked(x, leak), VALUES) == reference_leaked(np.array(VALUES), leak).tolist()


@pytest.mark.parametrize("width", [2, 3, WIDTH])
def test_negated(width: int) -> None:
    most = 2 ** (width - 1) - 1
    values = range(-most, most + 1)
    assert evaluate(lambda x: negated(x[:width].as_signed(), C(1, 1)), values) == [-v for v in values]
    assert evaluate(lambda x: negated(x[:width].as_signed(), C(0, 1)), values) == list(values)
    twice = evaluate(lambda x: negated(negated(x, x[0]), x[0]), VALUES[1:])
    assert twice == list(VALUES[1:])


@pytest.mark.parametrize("limit", [1, 3, 7, 15, 31, 32767])
def test_clip(limit: int) -> None:
    assert evaluate(lambda x: clipped(x, limit), VALUES) == np.clip(VALUES, -limit, limit).tolist()


@pytest.mark.parametrize("width", [1, 2, 3, 5, 6, 8])
def test_greater(width: int) -> None:
    """Against every constant of widths below, at and above x's own."""
    for b in range(-(2 ** (width - 1)), 2 ** (width - 1), 1 if width < 6 else 5):
        found = evaluate(lambda x, b=b: greater(x, C(b, signed(width))), VALUES)
        assert found == [int(v > b) for v in VALUES], b
