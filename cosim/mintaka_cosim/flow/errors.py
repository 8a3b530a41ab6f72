"""The exception of the flow's functions."""

from __future__ import annotations

from mintaka.errors import MintakaError


class FlowError(MintakaError, ValueError):
    """What a function of the flow was given is not what one before it returns; the message is one sentence."""
