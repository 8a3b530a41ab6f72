"""Shifting, leaking and saturating in Amaranth: the only place where the hardware does these.

`tests/hw/test_arithmetic.py` compares each with the contract's reference, exhaustively at small widths.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Mux, Value

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
    """A signed `value` clipped to [-limit, limit], limit = 2^n - 1.

    By bits, without a carry chain: a value lies within n + 1 bits where all bits above are copies of its sign, and of
    those numbers only -2^n is left to be clipped.
    """
    bits = limit.bit_length()
    if len(value) <= bits:
        return value
    sign, low = value[-1], value[:bits]
    above = value[bits:-1]
    outside = Mux(sign, ~above.all(), above.any()) if len(above) else C(0, 1)
    least = sign & ~low.any()
    held = Mux(outside, (~sign).replicate(bits), low)
    return Cat(held[0] | least | (outside & sign), held[1:], sign).as_signed()


def greater(a: Value, b: Value) -> Value:
    """`a > b` of signed values as a tree of gates: fewer LUTs than a carry chain where b is narrower than a.

    Where the bits of `a` beyond b's width are no copies of its sign, the sign alone decides.
    """
    width = len(b)
    if len(a) < width:
        a = Cat(a, a[-1].replicate(width - len(a)))
    above = a[width - 1 :]
    alike = above.all() | ~above.any()
    inside, _ = _compared(Cat(a[: width - 1], ~a[width - 1]), Cat(b[: width - 1], ~b[width - 1]))
    return Mux(alike, inside, ~a[-1])


def _compared(a: Value, b: Value) -> tuple[Value, Value]:
    """Of unsigned values of one width: whether a > b, and whether a = b."""
    if len(a) == 1:
        return a & ~b, ~(a ^ b)
    half = len(a) // 2
    above, same = _compared(a[half:], b[half:])
    below, equal = _compared(a[:half], b[:half])
    return above | (same & below), same & equal
