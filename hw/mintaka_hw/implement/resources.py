"""LUTs, flip-flops, block RAMs and DSPs of a netlist, in the family's own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mintaka_hw.implement.errors import SynthesisError
from mintaka_hw.targets import Family


def resources(family: Family, cells: Mapping[str, int]) -> dict[str, float]:
    """Units (LUT, FF, BRAM, DSP, ...) of a netlist. Raises SynthesisError where a cell's size is not known."""
    counted = family.synthesis.cells
    for kind in cells:
        known = any(re.fullmatch(name, kind) for names in counted.values() for name, _ in names)
        if not known and re.fullmatch(family.synthesis.must_count, kind):
            raise SynthesisError(f"the netlist holds {kind}, whose LUTs are not known here")
    return {
        unit: sum(per * sum(n for kind, n in cells.items() if re.fullmatch(name, kind)) for name, per in names)
        for unit, names in counted.items()
    }


def without_multipliers(found: Mapping[str, float]) -> None:
    """Raise SynthesisError where there is a DSP: nothing in these designs multiplies, so something is wrong."""
    if found["DSP"]:
        raise SynthesisError(f"the netlist holds {found['DSP']:g} DSPs, but must hold none, because nothing multiplies")
