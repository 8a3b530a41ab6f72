"""The register map in hardware: decoding, storage, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.registers import ADDRESS_BITS, DATA_BITS, WORD_BYTES, Field, Register

BYTE = DATA_BITS // WORD_BYTES


class RegisterFile(wiring.Component):
    """Answers one read and one write per cycle. The two lowest bits of an address do not matter.

    A write is refused, and changes nothing, where there is no register, where it is read-only, or where the value is
    not possible; a read where there is no register: it gives 0.

    Attributes
    ----------
    write_en, write_address, write_data, write_strobe : In
    write_ok : Out(1)
    read_en, read_address : In
    read_data, read_ok : Out
    R_F : of field F of register R
        "live" In: its value. "rw" Out: what was written last. "pulse" Out: one cycle behind the write. "w1c": In, what
        sets it, and as R_F_now Out: its value.
    bad_read, bad_write, bad_value : Out(1)
        One cycle per refusal.
    """

    def __init__(self, registers: Sequence[Register]):
        self.registers = tuple(registers)
        ports: dict[str, Any] = {
            "write_en": In(1),
            "write_address": In(ADDRESS_BITS),
            "write_data": In(DATA_BITS),
            "write_strobe": In(WORD_BYTES),
            "write_ok": Out(1),
            "read_en": In(1),
            "read_address": In(ADDRESS_BITS),
            "read_data": Out(DATA_BITS),
            "read_ok": Out(1),
            "bad_read": Out(1),
            "bad_write": Out(1),
            "bad_value": Out(1),
        }
        for register in self.registers:
            for field in register.fields:
                name = f"{register.name}_{field.name}"
                if field.access in ("live", "w1c"):
                    ports[name] = In(field.bits)
                if field.access == "w1c":
                    ports[f"{name}_now"] = Out(field.bits)
                if field.access in ("rw", "pulse"):
                    ports[name] = Out(field.bits, init=field.reset)
        super().__init__(ports)

    def port(self, register: Register, field: Field) -> Value:
        """The port R_F."""
        return getattr(self, f"{register.name}_{field.name}")

    def describe(self) -> dict[str, Any]:
        return {"registers": len(self.registers), "bits": DATA_BITS}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        word = slice((WORD_BYTES - 1).bit_length(), None)
        bits = Cat(self.write_strobe[n // BYTE] for n in range(DATA_BITS))
        ones = Signal(DATA_BITS)
        m.d.comb += ones.eq(self.write_data & bits)

        # ---- read
        with m.Switch(self.read_address[word]):
            for register in self.registers:
                with m.Case(register.offset // WORD_BYTES):
                    m.d.comb += [self.read_ok.eq(1), self.read_data.eq(self._read(register))]
        m.d.comb += self.bad_read.eq(self.read_en & ~self.read_ok)

        # ---- write
        there, possible = Signal(), Signal(init=1)
        m.d.comb += [
            self.write_ok.eq(there & possible),
            self.bad_write.eq(self.write_en & ~there),
            self.bad_value.eq(self.write_en & there & ~possible),
        ]
        pulses = [(r, f) for r in self.registers for f in r.fields if f.access == "pulse"]
        m.d.sync += [self.port(register, field).eq(0) for register, field in pulses]
        for register in self.registers:
            for field in register.fields:
                if field.access == "w1c":
                    now = self._now(register, field)
                    m.d.sync += now.eq(now | self.port(register, field))
        with m.Switch(self.write_address[word]):
            for register in self.registers:
                if not register.writable:
                    continue
                with m.Case(register.offset // WORD_BYTES):
                    m.d.comb += there.eq(1)
                    value = (self._read(register) & ~bits) | ones
                    if register.strict:
                        m.d.comb += possible.eq(self._possible(register, value))
                    with m.If(self.write_en & possible):
                        for field in register.fields:
                            self._write(m, register, field, value, ones)
        return m

    def _now(self, register: Register, field: Field) -> Any:
        return getattr(self, f"{register.name}_{field.name}_now")

    def _read(self, register: Register) -> Value:
        """All 32 bits."""
        found = Const(0, DATA_BITS)
        for field in register.fields:
            value: Value
            if field.access == "fixed":
                value = Const(field.reset, field.bits)
            elif field.access == "w1c":
                value = self._now(register, field)
            elif field.access == "pulse":
                continue
            else:
                value = self.port(register, field)
            found = found | (value << field.low)
        return found[:DATA_BITS]

    def _possible(self, register: Register, value: Value) -> Value:
        """Nothing outside of fields, and every field within its limits."""
        used = sum(field.mask for field in register.fields)
        found = (value & ~Const(used, DATA_BITS)) == 0
        for field in register.fields:
            if field.limits is not None:
                least, most = field.limits
                part = value[field.low : field.low + field.bits]
                if least > 0:
                    found &= part >= least
                if most < (1 << field.bits) - 1:
                    found &= part <= most
        return found

    def _write(self, m: Module, register: Register, field: Field, value: Value, ones: Value) -> None:
        part = slice(field.low, field.low + field.bits)
        if field.access in ("rw", "pulse"):
            m.d.sync += self.port(register, field).eq((value if field.access == "rw" else ones)[part])
        elif field.access == "w1c":  # what is set in this cycle stays set
            now = self._now(register, field)
            m.d.sync += now.eq((now & ~ones[part]) | self.port(register, field))
