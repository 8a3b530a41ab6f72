"""What a simulation can say to its user."""

from __future__ import annotations

from mintaka.errors import MintakaError


class CosimError(MintakaError, RuntimeError):
    """A simulation could not be built or did not run as it must; the message is one sentence."""
