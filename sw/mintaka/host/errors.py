"""What goes wrong between a program and a board."""

from __future__ import annotations

from mintaka.errors import MintakaError


class HostError(MintakaError, RuntimeError):
    """The board cannot be reached, is another one, or does not answer; the message is one sentence."""
