"""What goes wrong between a program and a board."""

from __future__ import annotations


class HostError(RuntimeError):
    """The board cannot be reached, is another one, or does not answer; the message is one sentence."""
