"""The cache of what slow programs made: simulators, compiled loops, netlists.

What is in it is loaded and run, so it is private and verified: nobody else may write into it, beside every entry stand
the hashes of its files, and an entry that does not match them is made again. An entry appears whole or not at all.

    CACHE/KIND/KEY/          an entry: its files, and SHA256SUMS (as `sha256sum -c` reads it)
    CACHE/KIND/.KEY.lock     held by the process that makes or looks at it
    CACHE/KIND/.KEY.new/     what is being made; what an interrupted process left is removed by the next one
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from mintaka.errors import MintakaError

SUMS = "SHA256SUMS"
PRIVATE = 0o700
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


ADVICE = "set MINTAKA_CACHE to a folder of your own"


class CacheError(MintakaError, RuntimeError):
    """The cache must not be used; the message is one sentence with the remedy."""


class NoCacheError(CacheError):
    """There can be no cache at that place."""


def cache_folder() -> Path:
    """The absolute path of MINTAKA_CACHE, else XDG_CACHE_HOME/mintaka, else ~/.cache/mintaka. It need not exist.

    A relative XDG_CACHE_HOME does not count, as its specification has it. Raises NoCacheError where there is no home
    folder to find it in.
    """
    if chosen := os.environ.get("MINTAKA_CACHE"):
        return _expanded(chosen)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else _expanded("~/.cache")) / "mintaka"


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise NoCacheError(f"the cache {path} cannot be made (there is no such home folder): {ADVICE}") from None


def cached(kind: str, key: str, make: Callable[[Path], None], *, most: int | None = None) -> tuple[Path, bool]:
    """The folder with what `make` wrote for `key`, and whether it was there already, intact.

    kind : a folder of the cache. key : everything that the files depend on, as text. make : is given an empty folder;
    what it raises passes through, and nothing is kept then. most : of this kind only so many entries stay, those that
    were used last.
    Raises CacheError where the cache cannot be made, or where others may write into it.
    """
    place = _private(_private(cache_folder()) / kind)
    name = _name(key)
    folder, aside = place / name, place / f".{name}.new"
    with _locked(place / f".{name}.lock"):
        if _intact(folder):
            os.utime(folder / SUMS)
            return folder, True
        for leftover in (folder, aside):
            _remove(leftover)
        aside.mkdir(PRIVATE)
        try:
            make(aside)
            (aside / SUMS).write_text("".join(f"{digest}  {file}\n" for file, digest in _digests(aside).items()))
            aside.rename(folder)
        finally:
            _remove(aside)
    if most is not None:
        _prune(place, most)
    return folder, False


def stored(kind: str, key: str) -> Path | None:
    """The folder that `cached` gave for `key`, None where it is not there or not intact any more."""
    folder = _private(_private(cache_folder()) / kind) / _name(key)
    return folder if _intact(folder) else None


def log_of(kind: str, key: str) -> Path:
    """Where a log may stay of what could not be made."""
    return cache_folder() / kind / f"{_name(key)}.log"


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _private(folder: Path) -> Path:
    """A folder that only this user writes into; made where it is missing."""
    try:
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid == os.geteuid() and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise NoCacheError(f"the cache {folder} cannot be made ({reason}): {ADVICE}") from None
    if status.st_uid != os.geteuid():
        raise CacheError(f"the cache {folder} belongs to somebody else, whose programs would be run: {ADVICE}")
    if status.st_mode & OTHERS_WRITE:
        raise CacheError(f"others may write into the cache {folder}, and what is in it is run: delete it, or {ADVICE}")
    return folder


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 by file, relative to `folder`, sorted. Raises OSError; a link is none of the files that were made."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise OSError(f"{name} is no file")
        if path.is_file() and name != SUMS:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _intact(folder: Path) -> bool:
    """Whether these are the files that were made, all of them and no others."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)} == _digests(folder)
    except (OSError, ValueError):
        return False


def _remove(path: Path) -> None:
    """Whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: others wait. The lock ends with the process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _prune(place: Path, most: int) -> None:
    """Drop what was used least recently, and logs that are as old."""
    used = []
    for path in (*place.glob(f"*/{SUMS}"), *place.glob("*.log")):
        with contextlib.suppress(OSError):
            used.append((path.stat().st_mtime, path))
    for _, path in sorted(used)[:-most]:
        if path.name == SUMS:
            _remove(path.parent)
            (path.parent.parent / f".{path.parent.name}.lock").unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
