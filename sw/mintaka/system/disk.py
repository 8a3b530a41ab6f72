"""Room on the disk: tools that run out of it fail with sentences about something else."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

FULL_BELOW = 1 << 20  # bytes; what a tool could not write is often gone when it has ended


def check_room(*folders: Path) -> None:
    """Raise OSError (ENOSPC), naming the first of `folders` and the temporary folder whose disk is full. To be called
    where a tool has failed, before its own sentence is passed on."""
    for folder in (*folders, Path(tempfile.gettempdir())):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue
        if free < FULL_BELOW:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
