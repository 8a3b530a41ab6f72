"""The one exception of compression."""

from __future__ import annotations

from mintaka.errors import MintakaError


class CompressError(MintakaError, ValueError):
    """A method cannot do what it is asked to; the message is one sentence for the user and names layer and value."""
