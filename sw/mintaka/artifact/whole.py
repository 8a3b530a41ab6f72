"""Files that are there whole or not at all: every file that others may read is written by this module.

A file is written under a temporary name beside its place and takes that place when all of it is on the disk. Whoever
looks finds the old file or the new one, also after a crash or on a full disk. Temporary names are unique, so writers
do not meet; what a killed writer left is removed by the next one.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: leftovers stay
    fcntl = None  # type: ignore[assignment]

# A link that somebody put at a temporary name is an error and never followed.
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
PERMISSIONS = 0o666  # less the umask
SUFFIX = ".tmp"
REPEATED = 50  # characters of the name that the temporary one begins with


def write_whole(path: Path | str, data: bytes) -> None:
    """Write `data` to `path`, as `open_whole` does."""
    with open_whole(path) as file:
        file.write(data)


@contextmanager
def open_whole(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file to write into ("wb", or "w" for UTF-8) that appears at `path` when the block ends without an exception.

    Missing folders are made. A file that is replaced hands its permissions on; a link at `path` is replaced, and what
    it points to is left alone. Raises OSError with `path` as its file name, also where the disk is full or `path` is a
    folder, a device, a pipe or a socket; what was there before is then unharmed.
    """
    path = Path(path)
    temporary = None
    try:
        permissions = check_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        temporary, handle, lock = _new_file(path, permissions)
        try:
            with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            if lock is not None:
                os.close(lock)
    except OSError as error:
        if error.filename is not None and Path(error.filename) != temporary:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def check_replaceable(path: Path) -> int:
    """Permissions for a file that is about to be written to `path`.

    Raises OSError where something else than a file is there: writing a file in its place would destroy it.
    """
    try:
        # Through links: /dev/stdout is one.
        found = path.stat().st_mode
    except OSError:  # nothing is there, or a link to nothing
        return PERMISSIONS
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, "is a directory; the name of a file is needed", str(path))
    if not stat.S_ISREG(found):
        kinds = {stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket"}
        kind = next((name for is_kind, name in kinds.items() if is_kind(found)), "device")
        raise OSError(errno.EINVAL, f"is a {kind}; the name of a file is needed", str(path))
    return PERMISSIONS if path.is_symlink() else stat.S_IMODE(found) & PERMISSIONS


def _prefix(path: Path) -> str:
    return f".{path.name[:REPEATED]}."


def _new_file(path: Path, permissions: int) -> tuple[Path, int, int | None]:
    """A new empty file beside `path`, its handle, and a handle that holds its lock: a sign of life for `_sweep`."""
    while True:
        temporary = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}{SUFFIX}")
        handle = os.open(temporary, NEW_FILE, permissions)
        if not _locked(handle, wait=True) or os.fstat(handle).st_nlink:
            return temporary, handle, None if fcntl is None else os.dup(handle)
        os.close(handle)  # swept between its making and its lock


def _locked(handle: int, *, wait: bool) -> bool:
    """Whether this process now holds the lock of an open file; False where another one does, or locks do not work."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _sweep(path: Path) -> None:
    """Remove what killed writers of `path` left: temporary files that nobody holds any more."""
    if fcntl is None:
        return
    try:
        beside = list(path.parent.iterdir())
    except PermissionError:  # a folder may be written into and not be read
        return
    for leftover in beside:
        if not (leftover.name.startswith(_prefix(path)) and leftover.name.endswith(SUFFIX)):
            continue
        try:
            handle = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # a link, or gone
            continue
        if _locked(handle, wait=False):
            leftover.unlink(missing_ok=True)
        os.close(handle)
