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
    """A signed `value` clipped to [-limit, limit], limit = 2^n - 1."""
    bits = limit.bit_length()
    return clamped(value[:bits], value[-1], outside(value, bits)) if len(value) > bits else value


def outside(value: Value, bits: int) -> Value:
    """Whether a signed `value` lies outside of [-2^bits, 2^bits): where not all bits above are copies of its sign."""
    if len(value) <= bits + 1:
        return C(0, 1)
    above = value[bits:-1]
    return Mux(value[-1], ~above.all(), above.any())


def clamped(low: Value, sign: Value, beyond: Value) -> Value:
    """The value of that `sign` with those `low` bits, clipped to as many; `beyond`: it needs more of them.

    By bits, without a carry chain. Of the numbers within reach only -2^n is left to be clipped.
    """
    held = Mux(beyond, (~sign).replicate(len(low)), low)
    least = sign & ~low.any()
    return Cat(held[0] | least | (beyond & sign), held[1:], sign).as_signed()


def greater(a: Value, b: Value) -> Value:
    """`a > b` of signed values as a tree of gates: fewer LUTs than a carry chain where b is narrower than a."""
    width = max(len(a), len(b))
    if len(a) < width:
        a = Cat(a, a[-1].replicate(width - len(a)))
    low = len(b) - 1
    above = a[low:-1]
    larger, _ = _compared(a[:low], b[:low])
    # With b >= 0: not where a < 0; else where a has a bit above b's, or a larger rest. With b < 0 likewise.
    negative = ~a[-1] | (above.all() & larger)
    return Mux(b[-1], negative, ~a[-1] & (above.any() | larger))


def _compared(a: Value, b: Value) -> tuple[Value, Value]:
    """Of unsigned values of one width: whether a > b, and whether a = b."""
    if not len(a):
        return C(0, 1), C(1, 1)
    if len(a) == 1:
        return a & ~b, ~(a ^ b)
    half = len(a) // 2
    above, same = _compared(a[half:], b[half:])
    below, equal = _compared(a[:half], b[:half])
    return above | (same & below), same & equal


def negated(value: Value, on: Value) -> Value:
    """A signed `value`, or where `on` its opposite, in as many bits: it must not be the least of them.

    A bit is inverted where one below it is set: gates instead of an adder, which few bits do not need.
    """
    below = [value[:place].any() if place else C(0, 1) for place in range(len(value))]
    return Cat(bit ^ (on & flips) for bit, flips in zip(value, below, strict=True)).as_signed()


def popcount(bits: Value) -> Value:
    """How many bits are set, as a tree of additions."""
    if len(bits) <= 1:
        return bits
    half = len(bits) // 2
    return popcount(bits[:half]) + popcount(bits[half:])
