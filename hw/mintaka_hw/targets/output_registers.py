"""Moves the registers behind block RAMs into the RAMs (ECP5).

A block RAM of the ECP5 has a register at each port's outputs, which Yosys leaves unused. Where everything that a port
puts out goes to nothing but plain flip-flops of the same clock, they are that register: the function stays the same to
the cycle, and the slow output of the RAM's array no longer crosses the fabric.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

# Ports by kind of RAM: data outputs, clock, its polarity; of their register the enable, reset and mode.
RAMS = {
    "DP16KD": (
        (r"DOA\d+", "CLKA", "CLKAMUX", "OCEA", "RSTA", "REGMODE_A"),
        (r"DOB\d+", "CLKB", "CLKBMUX", "OCEB", "RSTB", "REGMODE_B"),
    ),
    "PDPW16KD": ((r"DO\d+", "CLKR", "CLKRMUX", "OCER", "RST", "REGMODE"),),
}
Cell = dict[str, Any]


def use_output_registers(design: dict[str, Any]) -> int:
    """Rewrite a netlist of Yosys (JSON) in place; the number of RAM ports whose register is used now."""
    return sum(_in_module(module) for module in design["modules"].values())


def _in_module(module: dict[str, Any]) -> int:
    cells: dict[str, Cell] = module["cells"]
    readers: dict[int, list[tuple[str, str]]] = defaultdict(list)  # of a net: cells with their inputs
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell.get("port_directions", {}).get(port) != "output":
                for bit in bits:
                    readers[bit].append((name, port))
    exported = {bit for port in module["ports"].values() for bit in port["bits"]}
    moved = 0
    for cell in list(cells.values()):
        for outputs, clock, polarity, enable, reset, mode in RAMS.get(cell["type"], ()):
            if cell["parameters"].get(mode, "NOREG") != "NOREG" or cell["parameters"].get(polarity, clock) != clock:
                continue
            if cell["connections"].get(reset, ["0"]) != ["0"]:
                continue
            ports = [port for port in cell["connections"] if re.fullmatch(outputs, port)]
            behind = _registers_behind(cell, ports, cell["connections"].get(clock), cells, readers, exported)
            if not behind:
                continue
            for port, register in behind.items():
                cell["connections"][port] = cells.pop(register)["connections"]["Q"]
            cell["parameters"][mode] = "OUTREG"
            cell["connections"][enable] = ["1"]
            cell["port_directions"][enable] = "input"
            moved += 1
    return moved


def _registers_behind(
    ram: Cell,
    ports: list[str],
    clock: list[int] | None,
    cells: dict[str, Cell],
    readers: dict[int, list[tuple[str, str]]],
    exported: set[int],
) -> dict[str, str]:
    """The flip-flop behind each output that is used; nothing where one of them does more than that."""
    found: dict[str, str] = {}
    for port in ports:
        (net,) = ram["connections"][port]
        reading = readers.get(net, [])
        if not reading and net not in exported:
            continue
        if net in exported or len(reading) != 1:
            return {}
        name, pin = reading[0]
        if pin != "DI" or not _is_plain(cells[name], clock):
            return {}
        found[port] = name
    return found


def _is_plain(cell: Cell, clock: list[int] | None) -> bool:
    """A flip-flop that takes its input in every cycle of that clock and starts at 0, as the register of a RAM does."""
    if cell["type"] != "TRELLIS_FF" or cell["connections"].get("CLK") != clock:
        return False
    parameters, wires = cell["parameters"], cell["connections"]
    always = parameters.get("CEMUX", "1").strip() == "1" or wires.get("CE") == ["1"]
    never = wires.get("LSR", ["0"]) == ["0"] and parameters.get("LSRMUX", "LSR") != "INV"
    return (
        always
        and never
        and parameters.get("CLKMUX", "CLK") == "CLK"
        and parameters.get("REGSET", "RESET") == "RESET"
        and parameters.get("GSR", "DISABLED") == "DISABLED"
    )
