"""Registers around a core, for its Fmax.

A core has more ports than a part has pins, and paths through pins say nothing of it. So a shift register feeds all its
inputs, and all its outputs go to a register and through a tree of registered XORs to one pin.
"""

from __future__ import annotations

import json
from pathlib import Path

from mintaka_hw.implement.errors import SynthesisError
from mintaka_hw.implement.tools import Say, on_stderr
from mintaka_hw.implement.yosys import Netlist, run_yosys, script_of
from mintaka_hw.targets import Part, family_of

NAME, CORE, CLOCK = "harness", "core", "clk"
PORTS = (CLOCK, "si", "so")
TREE = 4  # inputs of one XOR: one LUT


def in_harness(core: Netlist, folder: Path, *, say: Say = on_stderr) -> Path:
    """A netlist (JSON) of the core, cell by cell as it was synthesized without pads, between registers.

    Names inside the core begin with "core.". Raises SynthesisError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module = json.loads(core.json.read_text())["modules"][core.top]
    (folder / f"{NAME}.v").write_text(harness(core.top, module["ports"]))
    (folder / "core.json").write_bytes(core.json.read_bytes())
    script = script_of(core.part)
    commands = [f"read_verilog {NAME}.v", f"hierarchy -check -top {NAME}", f"{script} -top {NAME}", "autoname"]
    # The core in place of the black box that stood for it.
    commands += [f"delete ={core.top}", "read_json core.json", f"hierarchy -top {NAME}", "flatten"]
    commands += [f"select {NAME}", f"write_json -selected {NAME}.json"]
    run_yosys(commands, folder, f"the registers around {core.top}", [f"{NAME}.json"], say=say)
    return folder / f"{NAME}.json"


def harness_pins(part: Part, folder: Path) -> Path | None:
    """A pin file for the harness' three ports, for parts where nextpnr wants every port at a pin."""
    if not part.sites:
        return None
    pin_file = family_of(part).pin_file
    path = folder / f"{NAME}.{pin_file.suffix}"
    sites = zip(PORTS, part.sites, strict=True)
    path.write_text("".join(pin_file.line.format(port=port, site=site) for port, site in sites))
    return path


def harness(top: str, ports: dict[str, dict[str, object]]) -> str:
    """Verilog. ports : of the core, as in Yosys' JSON; outputs of constants are left open."""
    widths: dict[str, dict[str, int]] = {"input": {}, "output": {}}
    for name, port in ports.items():
        bits = port["bits"]
        assert isinstance(bits, list)
        if name != CLOCK and any(isinstance(bit, int) for bit in bits):
            widths[str(port["direction"])][name] = len(bits)
    inputs, outputs = sum(widths["input"].values()), sum(widths["output"].values())
    if CLOCK not in ports or not inputs or not outputs:
        raise SynthesisError(f"{top} has no port '{CLOCK}', or no other inputs or outputs: it has no Fmax")
    lines = [f"module {NAME}(input {CLOCK}, input si, output reg so);"]
    lines += [f"  reg [{inputs - 1}:0] in_q;", f"  always @(posedge {CLOCK}) in_q <= {{in_q, si}};"]
    lines += [f"  wire [{outputs - 1}:0] out_w;", f"  reg [{outputs - 1}:0] out_q;"]
    lines += [f"  always @(posedge {CLOCK}) out_q <= out_w;"]
    wires = [f".{CLOCK}({CLOCK})"]
    for vector, direction in (("in_q", "input"), ("out_w", "output")):
        low = 0
        for name, width in widths[direction].items():
            wires.append(f".{name}({vector}[{low + width - 1}:{low}])")
            low += width
    lines.append(f"  {top} {CORE}({', '.join(wires)});")
    name, width, level = "out_q", outputs, 0
    while width > 1:
        count = -(-width // TREE)
        lines.append(f"  reg [{count - 1}:0] xor_{level};")
        for at in range(count):
            high = min(TREE * at + TREE, width) - 1
            lines.append(f"  always @(posedge {CLOCK}) xor_{level}[{at}] <= ^{name}[{high}:{TREE * at}];")
        name, width, level = f"xor_{level}", count, level + 1
    lines += [f"  always @(posedge {CLOCK}) so <= {name}[0];", "endmodule", "(* blackbox *)"]
    declared = [
        f"{direction} [{width - 1}:0] {name}" for direction, found in widths.items() for name, width in found.items()
    ]
    return "\n".join([*lines, f"module {top}(input {CLOCK}, {', '.join(declared)});", "endmodule", ""])
