"""Simulates small flat netlists of the ECP5 as Yosys writes them: LUTs, flip-flops, block RAMs 18 bits wide.

The block RAM follows the family's memory guide: the array is read on the clock edge where the port's clock enable is
on, and with REGMODE "OUTREG" the port shows a register behind that which takes the array's output where OCE is on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Bits = dict[Any, int]


def simulate(module: dict[str, Any], inputs: list[dict[str, int]]) -> Iterator[dict[str, int]]:
    """The outputs in each cycle, before its clock edge. inputs : values by port, for each cycle."""
    cells = list(module["cells"].values())
    rams = [_Ram(cell) for cell in cells if cell["type"] == "DP16KD"]
    registers = [cell for cell in cells if cell["type"] == "TRELLIS_FF"]
    luts = [cell for cell in cells if cell["type"] == "LUT4"]
    known = {"DP16KD", "TRELLIS_FF", "LUT4", "$scopeinfo"}
    assert {cell["type"] for cell in cells} <= known
    values: Bits = {"0": 0, "1": 1, "x": 0}
    values |= {cell["connections"]["Q"][0]: 0 for cell in registers}
    for given in inputs:
        for name, port in module["ports"].items():
            if port["direction"] == "input" and name != "clk":
                values |= {bit: given[name] >> at & 1 for at, bit in enumerate(port["bits"])}
        for ram in rams:
            values |= ram.outputs()
        _settle(luts, values)
        yield {
            name: sum(values[bit] << at for at, bit in enumerate(port["bits"]))
            for name, port in module["ports"].items()
            if port["direction"] == "output"
        }
        after = {c["connections"]["Q"][0]: values[c["connections"]["DI"][0]] for c in registers if _enabled(c, values)}
        for ram in rams:
            ram.clock(values)
        values |= after


def _enabled(register: dict[str, Any], values: Bits) -> bool:
    wires, parameters = register["connections"], register["parameters"]
    assert values[wires.get("LSR", ["0"])[0]] == 0
    return parameters.get("CEMUX", "1").strip() == "1" or bool(values[wires["CE"][0]])


def _settle(luts: list[dict[str, Any]], values: Bits) -> None:
    """Until nothing changes; the order of the LUTs is not known."""
    for _ in range(len(luts) + 1):
        before = [values.get(lut["connections"]["Z"][0]) for lut in luts]
        for lut in luts:
            at = sum(values.get(lut["connections"][pin][0], 0) << n for n, pin in enumerate("ABCD"))
            values[lut["connections"]["Z"][0]] = int(lut["parameters"]["INIT"], 2) >> at & 1
        if before == [values[lut["connections"]["Z"][0]] for lut in luts]:
            return
    raise AssertionError("the LUTs do not settle")


class _Ram:
    """One DP16KD, both ports 18 bits wide."""

    def __init__(self, cell: dict[str, Any]) -> None:
        self.cell, self.wires, self.parameters = cell, cell["connections"], cell["parameters"]
        for port in "AB":
            assert int(self.parameters[f"DATA_WIDTH_{port}"], 2) == 18
        self.words = [0] * 1024
        for at in range(64):
            line = int(self.parameters[f"INITVAL_{at:02X}"].replace("x", "0"), 2)
            for word in range(16):
                self.words[16 * at + word] = line >> 20 * word & 0x3FFFF
        self.array, self.register = {"A": 0, "B": 0}, {"A": 0, "B": 0}

    def outputs(self) -> Bits:
        shown: Bits = {}
        for port in "AB":
            registered = self.parameters[f"REGMODE_{port}"] == "OUTREG"
            value = (self.register if registered else self.array)[port]
            shown |= {self.wires[f"DO{port}{n}"][0]: value >> n & 1 for n in range(18)}
        return shown

    def clock(self, values: Bits) -> None:
        def value(name: str) -> int:
            return values.get(self.wires[name][0], 0)

        before = list(self.words)
        for port in "AB":
            if self.wires[f"CLK{port}"] == ["0"]:
                continue
            if value(f"OCE{port}"):
                self.register[port] = self.array[port]
            row = sum(value(f"AD{port}{4 + n}") << n for n in range(10))
            if not value(f"CE{port}"):
                continue
            if value(f"WE{port}"):
                for byte in (0, 1):
                    if value(f"AD{port}{byte}"):
                        new = sum(value(f"DI{port}{n}") << n for n in range(9 * byte, 9 * byte + 9))
                        self.words[row] = self.words[row] & ~(0x1FF << 9 * byte) | new
            else:
                self.array[port] = before[row]
