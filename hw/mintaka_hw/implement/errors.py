"""What can go wrong between Verilog and a bitstream."""

from __future__ import annotations

from mintaka.errors import MintakaError


class ImplementError(MintakaError, RuntimeError):
    """A tool is missing, or failed, or the design does not fit; the message is one sentence."""


class SynthesisError(ImplementError):
    """Yosys failed, or its netlist holds what cannot be counted or must not be there."""


class PlaceError(ImplementError):
    """nextpnr failed, or the part is too small."""
