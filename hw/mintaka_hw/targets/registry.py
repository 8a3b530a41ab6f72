"""The list of all families, and how they and their parts are found."""

from __future__ import annotations

from mintaka_hw.targets import asic, ecp5, gowin, ice40, nexus, xc7
from mintaka_hw.targets.family import Family, Part, TargetError

FAMILIES = (ecp5.FAMILY, ice40.FAMILY, gowin.FAMILY, nexus.FAMILY, xc7.FAMILY, asic.FAMILY)


def families() -> tuple[Family, ...]:
    """All of them, in the order in which they are listed everywhere; the first is the default."""
    return FAMILIES


def find_family(name: str) -> Family:
    """The family that `--target` calls so. Raises TargetError."""
    for family in families():
        if family.name == name:
            return family
    raise TargetError(f"target {name}: known are {', '.join(family.name for family in families())}")


def family_of(part: Part) -> Family:
    """The family that a part belongs to."""
    return find_family(part.target)


def part_of(name: str) -> Part:
    """The part of that name, in capital or small letters. Raises TargetError."""
    parts = [part for family in families() for part in family.parts]
    for part in parts:
        if part.name.lower() == name.lower():
            return part
    raise TargetError(f"part {name}: known are {', '.join(part.name for part in parts)}")
