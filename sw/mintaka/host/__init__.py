"""Boards from Python: samples go over a serial line, results come back (docs/reference/host-uart.md)."""

from mintaka.host.board import Board, BoardResult
from mintaka.host.errors import HostError
from mintaka.host.protocol import Identity
from mintaka.host.words import pack_beats

__all__ = ["Board", "BoardResult", "HostError", "Identity", "pack_beats"]
