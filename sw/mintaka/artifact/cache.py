"""Where built programs are kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """MINTAKA_CACHE, else XDG_CACHE_HOME/mintaka, else ~/.cache/mintaka; absolute."""
    if chosen := os.environ.get("MINTAKA_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "mintaka"
