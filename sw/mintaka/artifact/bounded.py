"""Files from anybody, read as far as files of their kind go."""

from __future__ import annotations

import os
from pathlib import Path


def read_bounded(path: Path, most: int) -> bytes | None:
    """The content of a file; None where it has more than `most` bytes. Raises OSError where it cannot be read.

    The size is asked for first: a file of holes takes no disk, but memory once it is read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            return None
        data = file.read(most + 1)  # what is no plain file has no size
    return data if len(data) <= most else None
