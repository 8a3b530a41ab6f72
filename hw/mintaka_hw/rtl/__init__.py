"""The accelerator in Amaranth, one component per file."""

from mintaka_hw.rtl.accelerator import Accelerator

__all__ = ["Accelerator"]
