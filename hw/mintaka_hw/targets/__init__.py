"""Families of devices that can be synthesized for, a file each. docs/guide/adding-a-target.md says how to add one."""

from mintaka_hw.targets.family import (
    Family,
    Memory,
    Nextpnr,
    Packer,
    Part,
    PinFile,
    Project,
    Synthesis,
    TargetError,
    Tool,
    Vendor,
)
from mintaka_hw.targets.registry import families, family_of, find_family, part_of

__all__ = [
    "Family",
    "Memory",
    "Nextpnr",
    "Packer",
    "Part",
    "PinFile",
    "Project",
    "Synthesis",
    "TargetError",
    "Tool",
    "Vendor",
    "families",
    "family_of",
    "find_family",
    "part_of",
]
