"""The cache: private, verified, whole or not there at all."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mintaka.snn import native
from mintaka.system.cache import SUMS, CacheError, NoCacheError, cache_folder, cached, stored


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(folder: Path) -> None:
    (folder / "program").write_bytes(b"good")
    (folder / "more").mkdir()
    (folder / "more" / "file").write_text("text")


def test_what_is_there_is_found_again(cache: Path) -> None:
    folder, found = cached("kind", "key", make)
    assert not found
    assert cached("kind", "key", make) == (folder, True)
    assert stored("kind", "key") == folder
    assert stored("kind", "other") is None
    assert cached("kind", "other", make)[0] != folder
    assert {path.name for path in folder.iterdir()} == {"program", "more", SUMS}
    for place in (cache, cache / "kind", folder):
        assert place.stat().st_mode & 0o777 == 0o700


DAMAGE: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "program").write_bytes(b"evil"),
    "torn": lambda folder: (folder / "program").write_bytes(b""),
    "lost": lambda folder: (folder / "more" / "file").unlink(),
    "added": lambda folder: (folder / "more" / "another").write_text("text"),
    "linked": lambda folder: ((folder / "program").unlink(), (folder / "program").symlink_to("/bin/true")),
    "no sums": lambda folder: (folder / SUMS).unlink(),
    "torn sums": lambda folder: (folder / SUMS).write_text("nothing"),
    "binary sums": lambda folder: (folder / SUMS).write_bytes(b"\xff\x00"),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "a file instead": lambda folder: (folder.rename(folder.with_name("x")), folder.write_text("text")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_again(damage: str, cache: Path) -> None:
    assert cache
    folder, _ = cached("kind", "key", make)
    DAMAGE[damage](folder)
    assert stored("kind", "key") is None
    assert cached("kind", "key", make) == (folder, False)
    assert (folder / "program").read_bytes() == b"good"
    assert cached("kind", "key", make) == (folder, True)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_interrupted_is_not_there(error: type[BaseException], cache: Path) -> None:
    def stop(folder: Path) -> None:
        make(folder)
        raise error

    with pytest.raises(error):
        cached("kind", "key", stop)
    assert [path for path in (cache / "kind").iterdir() if path.is_dir()] == []
    assert not cached("kind", "key", make)[1]


def die(folder: Path) -> None:
    make(folder)
    os._exit(1)


def slow(folder: Path) -> None:
    time.sleep(0.3)
    (folder / "by").write_text(str(os.getpid()))


def build(work: Callable[[Path], None]) -> None:
    cached("kind", "key", work)


def test_processes(cache: Path) -> None:
    """One that dies leaves nothing that counts; of several at once one makes it, the others wait."""
    context = multiprocessing.get_context("fork")
    one = context.Process(target=build, args=(die,))
    one.start()
    one.join()
    assert len([path for path in (cache / "kind").iterdir() if path.is_dir()]) == 1
    several = [context.Process(target=build, args=(slow,)) for _ in range(3)]
    for each in several:
        each.start()
    for each in several:
        each.join()
    (folder,) = (path for path in (cache / "kind").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {"by", SUMS}
    assert int((folder / "by").read_text()) in [each.pid for each in several]


def test_the_least_used_go(cache: Path) -> None:
    for key in "abc":
        cached("kind", key, make, most=3)
        os.utime(cached("kind", key, make)[0] / SUMS, (1000 + ord(key), 1000 + ord(key)))
    (cache / "kind" / "old.log").write_text("text")
    os.utime(cache / "kind" / "old.log", (1000, 1000))
    cached("kind", "a", make)  # used now
    cached("kind", "d", make, most=3)
    assert [key for key in "abcd" if stored("kind", key) is not None] == ["a", "c", "d"]
    assert not (cache / "kind" / "old.log").exists()


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
@pytest.mark.parametrize("place", [".", "kind"])
def test_others_must_not_write_into_it(mode: int, place: str, cache: Path) -> None:
    (cache / "kind").mkdir(0o700, parents=True)
    (cache / place).chmod(mode)
    for call in (lambda: cached("kind", "key", make), lambda: stored("kind", "key")):
        with pytest.raises(CacheError, match=r"others may write into the cache .*, and what is in it is run: del"):
            call()
    assert list((cache / "kind").iterdir()) == []


def test_it_must_be_ones_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    with pytest.raises(CacheError, match=r"the cache .*/cache belongs to somebody else, whose programs would be"):
        cached("kind", "key", make)


def test_where_none_can_be_made(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(NoCacheError, match=r"the cache .*/cache cannot be made \(file exists\): set MINTAKA_CACHE to"):
        cached("kind", "key", make)


def test_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("MINTAKA_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    places = (
        ("MINTAKA_CACHE", "x y", tmp_path / "x y"),
        ("MINTAKA_CACHE", "~/c", Path("/home/me/c")),
        ("XDG_CACHE_HOME", "/xdg", Path("/xdg/mintaka")),
        ("XDG_CACHE_HOME", "xdg", Path("/home/me/.cache/mintaka")),  # relative ones are to be ignored
    )
    for name, value, expected in places:
        monkeypatch.setenv(name, value)
        assert cache_folder() == expected
        monkeypatch.delenv(name)
    assert cache_folder() == Path("/home/me/.cache/mintaka")


def test_without_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINTAKA_CACHE", "~nobody-at-all/c")
    said = r"the cache ~nobody-at-all/c cannot be made \(there is no such home folder\): set MINTAKA_CACHE to a folder"
    for call in (cache_folder, lambda: cached("kind", "key", make), lambda: stored("kind", "key")):
        with pytest.raises(NoCacheError, match=said):
            call()
    monkeypatch.delenv("MINTAKA_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for a user without one
    with pytest.raises(NoCacheError, match=r"the cache ~/\.cache cannot be made"):
        cache_folder()
    assert native.library.__wrapped__() is None  # and nothing else fails


def test_the_compiled_engine_is_verified(cache: Path) -> None:
    """It is loaded into the program. Without a cache there is none; from one that others may write it is not loaded."""
    if (loaded := native.library.__wrapped__()) is None:
        pytest.skip("there is no compiler")
    (path,) = (cache / "engine").glob("*/engine.so")
    assert Path(loaded._name) == path
    before = path.read_bytes()
    path.unlink()  # as it is mapped
    path.write_bytes(before[:-100])
    assert native.library.__wrapped__() is not None
    assert len(path.read_bytes()) == len(before)
    cache.chmod(0o777)
    with pytest.raises(CacheError, match="others may write"):
        native.library.__wrapped__()
    cache.rename(cache.with_name("other"))
    cache.write_text("a file")
    assert native.library.__wrapped__() is None
