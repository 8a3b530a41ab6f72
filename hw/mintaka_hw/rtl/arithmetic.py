"""Shifting, leaking and saturating in Amaranth: the only place where the hardware does these.

`tests/hw/test_arithmetic.py` compares each with the contract's reference, exhaustively at small widths.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Mux, Value

from mintaka.artifact import LeakTerm


def shifted_right(value: Value, amount: int) -> Value:
    """`value >> amount` for a signed value: floor, for any amount."""
    return value.shift_right(amount)


def leaked(value: Value, leak: Sequence[LeakTerm]) -> Value:
    """The sum of the leak's terms, each floored on its own; the width grows with the terms."""
    total: Value = C(0, 1)
    for term in leak:
        part = shifted_right(value, term.shift)
        total = total + part if term.sign > 0 else total - part
    return total


def clipped(value: Value, limit: int) -> Value:
    """`value` clipped to [-limit, limit]."""
    return Mux(value > limit, limit, Mux(value < -limit, -limit, value))
