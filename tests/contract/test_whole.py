"""Files are there whole or not at all, and nothing else is touched on the way."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mintaka.artifact import whole
from mintaka.artifact.whole import open_whole, write_whole


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_missing_folders_are_made_and_the_umask_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o640
    with open_whole(path, "w") as file:
        file.write("ünï")
    assert path.read_bytes() == "ünï".encode()
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]


def test_what_was_private_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o600)
    write_whole(path, b"new")
    assert mode(path) == 0o600


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("\U0001f600" * 63)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError("stopped"), KeyboardInterrupt()])
def test_what_is_not_finished_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with open_whole(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_whole(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


def test_links_are_replaced_and_never_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"mine")
    path.symlink_to(victim)
    write_whole(path, b"new")
    assert (path.is_symlink(), path.read_bytes(), victim.read_bytes()) == (False, b"new", b"mine")
    # Somebody who guesses the temporary name, and puts a link there.
    monkeypatch.setattr(whole.secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".file.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(path, b"newer")
    assert (path.read_bytes(), victim.read_bytes()) == (b"new", b"mine")


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link to a device"])
def test_only_files_are_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "there"
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            server.bind(os.path.relpath(path))
        elif kind == "device":
            path = Path("/dev/null")
        else:
            path.symlink_to("/dev/null")
        before = path.lstat()
        said = {"folder": "directory", "link to a device": "device"}.get(kind, kind)
        with pytest.raises(OSError, match=f"is a {said}; the name of a file is needed") as caught:
            write_whole(path, b"new")
        assert caught.value.filename == str(path)
        assert path.lstat().st_ino == before.st_ino


SCRIPT = """
import sys, time
from mintaka.artifact.whole import open_whole
with open_whole(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_removed_and_a_living_one_is_let_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "file.json"
    writer = subprocess.Popen([sys.executable, "-c", SCRIPT, path], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    write_whole(other, b"other")
    write_whole(path, b"first")
    (temporary,) = tmp_path.glob(".file.*.tmp")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    write_whole(other, b"other")
    assert temporary.is_file()  # of another file: not looked for
    write_whole(path, b"second")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "file.json"]
    assert path.read_bytes() == b"second"


def test_two_writers_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open_whole(path) as first:
        first.write(b"first")
        with open_whole(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"


def test_no_other_module_makes_temporary_names() -> None:
    root = Path(__file__).parents[2]
    files = [path for folder in ("sw", "hw", "cosim", "benchmarks") for path in (root / folder).rglob("*.py")]
    assert len(files) > 200
    assert [path.name for path in files if "mkstemp" in path.read_text()] == []
    assert [path.name for path in files if "os.O_EXCL" in path.read_text()] == ["whole.py"]
