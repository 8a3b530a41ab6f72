"""One process at a time writes into a run's folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from mintaka.artifact.strict_json import read_object
from mintaka.train.errors import TrainError

try:
    import fcntl
except ImportError:  # Windows: runs are not locked
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder of a run, which is made if missing, until the block ends or the process does, however it does.

    what : for others to read, like "training".

    Raises TrainError where another process holds it, which is named, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _open(folder / FILE)
    except OSError as error:
        raise TrainError(
            f"the run folder {folder} cannot be written ({(error.strerror or '').lower()}): choose another one (--run)"
        ) from None
    try:
        if handle is None:
            raise TrainError(
                f"{folder} is in use by {_owner(folder / FILE)}: wait for its end, or choose another one (--run)"
            )
        about = {"pid": os.getpid(), "host": platform.node(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        with suppress(OSError):  # a full disk, where others are only told less
            os.truncate(handle, 0)
            os.write(handle, json.dumps({"what": what, **about}).encode())
        yield
    finally:
        if handle is not None:
            (folder / FILE).unlink(missing_ok=True)  # while it is held, so that it is ours
            os.close(handle)


def _open(path: Path) -> int | None:
    """The lock's file, locked; None where another process has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:  # a file system without locks
            return handle
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # its owner removed it in between


def _owner(path: Path) -> str:
    """Who holds the lock, as far as that can be read."""
    try:
        about = read_object(path)
        return f"process {about['pid']} on {about['host']} ({about['what']}, since {about['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
