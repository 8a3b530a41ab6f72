"""Standard cells, with any Liberty file or as gate equivalents. There are no parts, and memories are left to macros."""

from __future__ import annotations

from mintaka_hw.targets.family import Family, Memory, Synthesis

FAMILY = Family("asic", "standard cells", Synthesis("synth -flatten"), Memory(block_bits=0, lut_bits=0))
