"""Xilinx 7 (Artix-7, Zynq-7000). Nothing open places and routes them well enough: Vivado builds their boards."""

from __future__ import annotations

import re

from mintaka_hw.targets.family import Family, Memory, Part, PinFile, Synthesis, Vendor
from mintaka_hw.targets.vivado import ip_script, project_script

# LUTs that one memory or shift register takes (UG953).
LUT_RAM = {
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4},
}
# Vivado runs a pin file as a program (Tcl). These commands only set something, and call nothing but what finds it.
XDC_LINE = re.compile(
    r"(?:set_property|create_clock|create_generated_clock|set_false_path|set_clock_groups|set_input_delay"
    r"|set_output_delay|set_input_jitter)(?:[ \t]+(?:[\w.:/+-]+|\{[\w.:/+ \t-]*\}"
    r"|\[(?:current_design|get_(?:ports|clocks|pins|nets|cells)[ \t]+(?:[\w.:/-]+|\{[\w.:/ \t-]*\}))\]))*"
)

FAMILY = Family(
    name="xc7",
    title="Xilinx 7",
    parts=(
        Part("XC7A35T", "xc7", {"LUT": 20800, "FF": 41600, "BRAM": 50}),
        Part("XC7Z020", "xc7", {"LUT": 53200, "FF": 106400, "BRAM": 140}),
    ),
    synthesis=Synthesis(
        script="synth_xilinx -family xc7 -flatten",
        without_pads="-noiopad",
        cells={
            "LUT": ((r"LUT\d", 1), *LUT_RAM.items()),
            "FF": (("FD[A-Z]+(_1)?", 1),),
            "BRAM": (("RAMB36.*", 1), ("RAMB18.*", 0.5)),
            "DSP": (("DSP.*", 1),),
        },
        must_count="RAM(?!B).*|SRL.*",
    ),
    memory=Memory(block_bits=36864, lut_bits=64, half_blocks=True),
    pin_file=PinFile("xdc", location=r"PACKAGE_PIN (?P<pin>\w+) .*\[get_ports (?P<port>\w+)\]", statement=XDC_LINE),
    vendor=Vendor("Vivado", order="xc7a35ticsg324-1L", scripts={"project.tcl": project_script, "ip.tcl": ip_script}),
)
