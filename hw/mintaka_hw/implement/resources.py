"""LUTs, flip-flops, block RAMs and DSPs of a netlist, in the family's own terms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from mintaka_hw.implement.errors import SynthesisError

# LUTs that one memory or shift register of a Xilinx 7 takes (UG953).
LUT_RAM = {
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4},
}
# Of the other families: names of the cells as regular expressions, and how many units one cell takes.
# ecp5, nexus: one CCU2C or CCU2 is a carry chain through two LUTs. gowin: an ALU is a LUT with its carry.
COUNTED: dict[str, dict[str, tuple[tuple[str, float], ...]]] = {
    "ecp5": {
        "LUT": (("LUT4", 1), ("CCU2C", 2), ("TRELLIS_DPR16X4", 4)),
        "FF": (("TRELLIS_FF", 1),),
        "BRAM": (("DP16KD|PDPW16KD", 1),),
        "DSP": (("MULT.*|ALU.*", 1),),
    },
    "ice40": {
        "LUT": (("SB_LUT4", 1),),
        "FF": (("SB_DFF.*", 1),),
        "BRAM": (("SB_RAM40_4K.*", 1),),
        "DSP": (("SB_MAC16", 1),),
    },
    "gowin": {
        "LUT": (("LUT[1-4]", 1), ("ALU", 1), (r"RAM16S.*", 4)),
        "FF": (("DFF.*", 1),),
        "BRAM": (("SP|SPX9|SDP|SDPX9|SDPB|SDPX9B|DP|DPX9|DPB|DPX9B|pROM|pROMX9", 1),),
        "DSP": (("MULT.*|PADD.*|ALU54D", 1),),
    },
    "nexus": {
        "LUT": (("LUT4", 1), ("CCU2", 2), ("DPR16X4", 4)),
        "FF": (("FD1P3.*", 1),),
        "BRAM": (("DP16K|PDP16K|PDPSC16K", 1),),
        "LRAM": (("DPSC512K|PDPSC512K|SP512K|DPSC512K", 1),),
        "DSP": (("MULT.*|PREADD.*|ACC54", 1),),
    },
}


def resources(target: str, cells: Mapping[str, int]) -> dict[str, float]:
    """LUT, FF, BRAM, DSP; BRAM of xc7 in units of 36 kbit. Raises SynthesisError where a cell's size is not known."""
    if target == "xc7":
        return _xilinx(Counter(cells))
    return {
        unit: sum(n * per for kind, n in cells.items() for name, per in names if re.fullmatch(name, kind))
        for unit, names in COUNTED[target].items()
    }


def _xilinx(cells: Counter[str]) -> dict[str, float]:
    memories = {kind: n for kind, n in cells.items() if kind.startswith(("RAM", "SRL")) and not kind.startswith("RAMB")}
    for kind in memories:
        if kind not in LUT_RAM:
            raise SynthesisError(f"the netlist holds {kind}, whose LUTs are not known here")
    luts = sum(n for kind, n in cells.items() if re.fullmatch(r"LUT\d", kind))
    return {
        "LUT": luts + sum(LUT_RAM[kind] * n for kind, n in memories.items()),
        "FF": sum(n for kind, n in cells.items() if re.fullmatch(r"FD[A-Z]+(_1)?", kind)),
        "BRAM": sum(n for kind, n in cells.items() if kind.startswith("RAMB36"))
        + sum(n for kind, n in cells.items() if kind.startswith("RAMB18")) / 2,
        "DSP": sum(n for kind, n in cells.items() if kind.startswith("DSP")),
    }


def without_multipliers(found: Mapping[str, float]) -> None:
    """Raise SynthesisError where there is a DSP: nothing in these designs multiplies, so something is wrong."""
    if found["DSP"]:
        raise SynthesisError(f"the netlist holds {found['DSP']:g} DSPs; none are wanted, because nothing multiplies")
