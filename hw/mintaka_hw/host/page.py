"""docs/reference/registers.md: `python -m mintaka_hw.host.page > docs/reference/registers.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mintaka_hw.host.packets import PacketLayout
from mintaka_hw.host.registers import (
    ADDRESS_BITS,
    COUNTERS,
    LAYER_STRIDE,
    LAYERS_AT,
    MAP_VERSION,
    MARGINS_AT,
    WORD_BYTES,
    Field,
    Register,
    common_registers,
    layer_registers,
    margin_register,
)

# Two designs that differ in everything: what their maps have in common is so in every design.
FIRST = PacketLayout(8, 1, frames=1, static=True, classes=2, logit_bits=8)
SECOND = PacketLayout(64, 3, frames=5, static=False, classes=3, logit_bits=9)

HEAD = f"""# Registers

Of designs with an AXI host interface ([host.md](host.md)), on AXI4-Lite. All registers have 32 bits; offsets are in
bytes, in a window of 2^{ADDRESS_BITS}. This is version {MAP_VERSION} of the map. The page is made by
`python -m mintaka_hw.host.page` from the same description (`hw/mintaka_hw/host/registers.py`) that the hardware, the
C header `<top>_regs.h` and the Python driver `<top>_driver.py` are made from.

| access | |
|---|---|
| ro | read only. A write is answered with SLVERR and sets `bad_write` |
| rw | as it was written last. An impossible value is answered with SLVERR, sets `bad_value` and changes nothing |
| w1c | set by the design; a write clears the bits that are written as 1 |
| w1 | a 1 does something once; reads as 0 |

Bits without a field read as 0 and ignore writes; in registers whose values have limits (STEPS, margins) setting them is
refused. Where no register is, reads give 0, and reads and writes are answered with SLVERR and set `bad_read` or
`bad_write`. Bytes without their WSTRB bit stay as they are. The two lowest bits of an address do not matter.

Counters are copies: writing 1 to `snapshot` in CONTROL copies all of them in one cycle, so what is read then belongs
together. They count on modulo 2^32 (the cycles modulo 2^64) until `soft_reset` or reset. "design": the value says
something of the design.
"""


def page() -> str:
    """The text."""
    first = common_registers(FIRST, 1, layers=1, margins=0, version=(1, 0), hash_word=0)
    second = common_registers(SECOND, 5, layers=3, margins=4, version=(2, 3), hash_word=(1 << 64) - 1)
    lines = [HEAD, "## Of every design", "", *_table(first, second)]
    lines += ["", "## Margins", "", "Only with early exit, one per step n but the last.", ""]
    low, high = margin_register(0, 8, 1), margin_register(0, 9, None)
    offset = f"0x{MARGINS_AT:04X} + {WORD_BYTES} * n"
    lines += _table([replace(low, name="margin*")], [high], offsets=[offset])
    lines += ["", "## Layers", "", "One block per layer n, in the order of the artifact.", ""]
    block = layer_registers(0, "n")
    offsets = [f"0x{LAYERS_AT:04X} + 0x{LAYER_STRIDE:X} * n + {WORD_BYTES * n}" for n in range(len(COUNTERS))]
    lines += _table([replace(r, name=r.name.replace("0", "*")) for r in block], block, offsets=offsets)
    return "\n".join(lines) + "\n"


def _table(
    registers: Sequence[Register], others: Sequence[Register], *, offsets: Sequence[str] | None = None
) -> list[str]:
    """A row per field; `others` are the same registers of another design."""
    lines = ["| offset | register | bits | field | access | reset | |", "|---|---|---|---|---|---|---|"]
    places = offsets or [f"0x{register.offset:04X}" for register in registers]
    for place, register, other in zip(places, registers, others, strict=True):
        start = f"| {place} | {register.name.upper().replace('*', 'n')} "
        for field, same in zip(register.fields, other.fields, strict=True):
            whole = field.name == "value"
            name, text = ("", register.text) if whole else (f"`{field.name}`", field.text)
            text = f"{register.text}: {field.text}" if whole and field.text != register.text else text
            cells = [_bits(field, same), name, _access(field), _reset(field, same), text]
            lines.append(start + "| " + " | ".join(cells) + " |")
            start = "| | "
    return lines


def _bits(field: Field, other: Field) -> str:
    if field.bits != other.bits:
        return f"from {field.low} on"
    return f"{field.low}" if field.bits == 1 else f"{field.low + field.bits - 1}:{field.low}"


def _access(field: Field) -> str:
    return {"fixed": "ro", "live": "ro", "pulse": "w1"}.get(field.access, field.access)


def _reset(field: Field, other: Field) -> str:
    if field.reset != other.reset:
        return "design" if field.access == "fixed" else "artifact's"
    return f"0x{field.reset:X}" if field.reset > 9 else str(field.reset)


if __name__ == "__main__":
    print(page(), end="")
