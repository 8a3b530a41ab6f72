"""Exceptions of training; each message is one sentence for the user."""

from __future__ import annotations

from mintaka.errors import MintakaError


class RecipeError(MintakaError, ValueError):
    """A recipe is unreadable, holds an unknown key or a value that cannot be; names the file and the key."""


class UnknownMethodError(RecipeError):
    """A recipe asks for a compression method that is not known in this program."""


class TrainError(MintakaError, RuntimeError):
    """A run cannot go on: another recipe's folder, a damaged checkpoint, a diverged loss, a dead network, an unfinished
    training."""
