"""Bytes on a serial line: a start bit, eight bits with the lowest first, a stop bit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

BITS = 10  # of a byte on the line, start and stop included
FROM_OUTSIDE = {"ASYNC_REG": "TRUE"}  # Vivado then keeps the registers that make a signal synchronous close together


class UartReceiver(wiring.Component):
    """Takes bytes from the line, sampled in the middle of each bit.

    A start bit that is gone by its middle is a glitch and ignored. A byte without its stop bit is broken; the next one
    can begin once the line has been high.

    Attributes
    ----------
    rx : In(1)
        The line, from outside: it passes two registers first.
    valid : Out(1)
        One cycle: `data` holds a byte.
    data : Out(8)
    broken : Out(1)
        One cycle: there was a byte without a stop bit.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "valid": Out(1), "data": Out(8), "broken": Out(1)})

    def describe(self) -> dict[str, Any]:
        return {"cycles per bit": self.divisor}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        outside, line = (Signal(name=name, init=1, attrs=FROM_OUTSIDE) for name in ("outside", "line"))
        m.d.sync += [outside.eq(self.rx), line.eq(outside)]
        was_high = Signal()
        busy = Signal()
        timer = Signal(range(self.divisor))
        number = Signal(range(BITS))
        m.d.sync += timer.eq(timer - 1)
        with m.If(~busy):
            with m.If(line):
                m.d.sync += was_high.eq(1)
            with m.Elif(was_high):
                m.d.sync += [busy.eq(1), number.eq(0), timer.eq(self.divisor // 2 - 1)]
        with m.Elif(timer == 0):
            m.d.sync += [timer.eq(self.divisor - 1), number.eq(number + 1)]
            with m.If(number == 0), m.If(line):
                m.d.sync += busy.eq(0)
            with m.Elif(number == BITS - 1):
                m.d.sync += [busy.eq(0), was_high.eq(line)]
                m.d.comb += [self.valid.eq(line), self.broken.eq(~line)]
            with m.Else():
                m.d.sync += self.data.eq(Cat(self.data[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes to the line.

    Attributes
    ----------
    i : In(stream of bytes)
    tx : Out(1)
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def describe(self) -> dict[str, Any]:
        return {"cycles per bit": self.divisor}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        left = Signal(range(BITS + 1))
        timer = Signal(range(self.divisor))
        bits = Signal(BITS - 1, init=-1)  # those behind the one on the line
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.tx.eq(0),
                bits.eq(Cat(self.i.payload, Const(1, 1))),
                left.eq(BITS),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif(left != 0):
            m.d.sync += timer.eq(timer - 1)
            with m.If(timer == 0):
                m.d.sync += [
                    self.tx.eq(bits[0]),
                    bits.eq(Cat(bits[1:], Const(1, 1))),
                    left.eq(left - 1),
                    timer.eq(self.divisor - 1),
                ]
        return m
