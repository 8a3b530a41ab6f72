"""The one exception of the contract."""

from __future__ import annotations

from mintaka.errors import MintakaError


class ArtifactError(MintakaError, ValueError):
    """An artifact is damaged, foreign or inconsistent; the message is one sentence for the user."""
