"""The families of devices that can be synthesized for, and parts of them with what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mintaka_hw.implement.errors import ImplementError

TARGETS = ("ecp5", "ice40", "gowin", "nexus", "xc7", "asic")
# Yosys' command for a whole design. Stored figures of the documentation belong to these texts.
SCRIPTS = {
    "ecp5": "synth_ecp5",
    "ice40": "synth_ice40",
    "gowin": "synth_gowin",
    "nexus": "synth_nexus",
    "xc7": "synth_xilinx -family xc7 -flatten",
}
WITHOUT_PADS = {"gowin": "-noiopads", "nexus": "-noiopad", "xc7": "-noiopad"}  # nextpnr adds those of ecp5 and ice40


@dataclass(frozen=True)
class Part:
    """A device.

    capacity : LUT, FF and BRAM (and LRAM: large memories), counted as `resources` counts.
    script : more options of the family's synthesis. device : nextpnr's options for it.
    package, speed : the default, for families where nextpnr takes them apart from the device.
    frequency_mhz : what nextpnr aims at unless told otherwise.
    sites : any three pins, the first of which can be a clock, where nextpnr wants every port at a pin.
    """

    name: str
    target: str
    capacity: Mapping[str, float]
    script: str = ""
    device: tuple[str, ...] = ()
    package: str = ""
    speed: str = ""
    frequency_mhz: float = 100.0
    sites: tuple[str, ...] = ()


def _ecp5(name: str, size: str, luts: int, brams: int) -> Part:
    capacity = {"LUT": luts, "FF": luts, "BRAM": brams}
    package = "CABGA756" if size == "85k" else "CABGA381"
    return Part(name, "ecp5", capacity, device=(f"--{size}",), package=package, speed="6", frequency_mhz=150.0)


def _ice40(name: str, size: str, luts: int, brams: int, package: str) -> Part:
    script = "-device u" if size.startswith("u") else ""
    return Part(name, "ice40", {"LUT": luts, "FF": luts, "BRAM": brams}, script, (f"--{size}",), package)


def _gowin(name: str, family: str, order: str, size: tuple[int, int, int], sites: tuple[str, ...]) -> Part:
    device, script = ("--device", order, "--vopt", f"family={family}"), f"-family {family[:4].lower()}"
    return Part(name, "gowin", dict(zip(("LUT", "FF", "BRAM"), size, strict=True)), script, device, sites=sites)


_ALL = (
    _ecp5("LFE5U-85F", "85k", 83640, 208),
    _ecp5("LFE5U-45F", "45k", 43848, 108),
    _ecp5("LFE5U-25F", "25k", 24288, 56),
    _ice40("iCE40HX8K", "hx8k", 7680, 32, "ct256"),
    _ice40("iCE40HX1K", "hx1k", 1280, 16, "tq144"),
    _ice40("iCE40UP5K", "up5k", 5280, 30, "sg48"),
    _gowin("GW2A-18", "GW2A-18", "GW2A-LV18PG256C8/I7", (20736, 15552, 46), ("H11", "T13", "M11")),
    _gowin("GW2AR-18", "GW2A-18C", "GW2AR-LV18QN88C8/I7", (20736, 15552, 46), ("4", "70", "69")),
    _gowin("GW1NR-9", "GW1N-9C", "GW1NR-LV9QN88PC6/I5", (8640, 6480, 26), ("52", "18", "17")),
    Part(
        "LIFCL-40",
        "nexus",
        {"LUT": 32256, "FF": 32256, "BRAM": 84, "LRAM": 2},
        device=("--device", "LIFCL-40-9BG400C"),
        frequency_mhz=150.0,
        sites=("L13", "G14", "E17"),
    ),
    Part("XC7A35T", "xc7", {"LUT": 20800, "FF": 41600, "BRAM": 50}),
    Part("XC7Z020", "xc7", {"LUT": 53200, "FF": 106400, "BRAM": 140}),
)
PARTS = {part.name.lower(): part for part in _ALL}
DEFAULT_PARTS = {"ecp5": "LFE5U-85F", "ice40": "iCE40HX8K", "gowin": "GW2A-18", "nexus": "LIFCL-40", "xc7": "XC7A35T"}


def part_of(name: str) -> Part:
    """The part of that name, in capital or small letters. Raises ImplementError."""
    found = PARTS.get(name.lower())
    if found is None:
        raise ImplementError(f"part {name}: known are {', '.join(part.name for part in _ALL)}")
    return found
