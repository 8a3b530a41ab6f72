"""CRC-16/CCITT of the frames on a serial line, one byte at a time."""

from __future__ import annotations

from amaranth.hdl import Cat, Value

CRC_START = 0xFFFF
TAPS = (5, 12)  # of x^16 + x^12 + x^5 + 1, beside bit 0


def crc16(crc: Value, byte: Value) -> Value:
    """The CRC (16 bits) with one more byte, its highest bit first (CRC-16/IBM-3740, "CCITT-FALSE").

    Behind the two bytes of the CRC itself, the high one first, it is 0.
    """
    bits = [crc[n] for n in range(16)]
    for n in reversed(range(8)):
        carry = bits[15] ^ byte[n]
        bits = [carry, *(bit ^ carry if place in TAPS else bit for place, bit in enumerate(bits[:15], 1))]
    return Cat(bits)
