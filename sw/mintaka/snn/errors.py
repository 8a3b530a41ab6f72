"""The one exception of network building and export."""

from __future__ import annotations

from mintaka.errors import MintakaError


class LayerError(MintakaError, ValueError):
    """A layer cannot be built or exported; the message is one sentence for the user and names the layer."""
