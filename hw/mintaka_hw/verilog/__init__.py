"""Verilog out: deterministic bytes for the same artifact and plan."""

from mintaka_hw.verilog.generate import Design, generate
from mintaka_hw.verilog.identity import design_hash, without_comments

__all__ = ["Design", "design_hash", "generate", "without_comments"]
