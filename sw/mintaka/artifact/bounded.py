"""Files from anybody: only regular ones, read as far as files of their kind go."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MISSING = "there is no such file"
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def no_file(path: Path) -> str | None:
    """Why there is no regular file at `path`, in words for a sentence; MISSING where nothing is there, and None where a
    file is. Nothing is opened: who opens a pipe waits for somebody to write into it.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a null byte in a path is a ValueError
        return MISSING
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return "this is a folder, not a file" if stat.S_ISDIR(mode) else _irregular(mode)


def read_bounded(path: Path, most: int) -> bytes | None:
    """The content of a regular file; None where it has more than `most` bytes. Raises OSError where it is none, or
    cannot be read.

    The size is asked for first: a file of holes takes no disk, but memory once it is read.
    """
    with open(path, "rb", opener=_at_once) as file:
        status = os.fstat(file.fileno())
        problem = _irregular(status.st_mode)
        if problem is not None:
            raise OSError(errno.EINVAL, problem, str(path))
        if status.st_size > most:
            return None
        data = file.read(most + 1)  # it may have grown
    return data if len(data) <= most else None


def _irregular(mode: int) -> str | None:
    kind = KINDS.get(stat.S_IFMT(mode), "something else")
    return None if stat.S_ISREG(mode) else f"this is {kind}, not a regular file"


def _at_once(path: str, flags: int) -> int:
    """Opened without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
