"""The one exception of the data sets."""

from __future__ import annotations

from mintaka.errors import MintakaError


class DataError(MintakaError, ValueError):
    """A data set cannot be had or is not what it should be; the message is one sentence for the user."""
