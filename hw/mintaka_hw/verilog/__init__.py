"""Verilog out: deterministic bytes for the same artifact and plan."""

from mintaka_hw.verilog.generate import Design, generate

__all__ = ["Design", "generate"]
