"""Files that are small, or hardly there, and unpack to more than there is memory: refused within 2 s and 1 GB.

Artifacts are in contract/test_limits.py, arrays in sw/test_npz.py, checkpoints in sw/test_runs.py.
"""

from __future__ import annotations

import gzip
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile.harness import Kind, Tally, judge

from mintaka.artifact import load
from mintaka.data import fetch, load_dataset, read_npz
from mintaka.data.idx import read_checked
from mintaka.data.sources import MNIST_PACK, WATCH_PACK
from mintaka.errors import MintakaError
from mintaka.train import load_recipe
from mintaka.train.checkpoint import load_checkpoint
from mintaka.train.lock import FILE as LOCK
from mintaka.train.lock import locked
from mintaka.train.whereabouts import FILE as NOTE
from mintaka.train.whereabouts import noted
from mintaka_cosim.report.files import read_json
from mintaka_hw.implement import load_board
from mintaka_hw.implement.board import boards_folder
from mintaka_hw.implement.build import REPORT as BUILD
from mintaka_hw.implement.build import _remove_products as remove_products
from mintaka_hw.implement.standard_cells import check_liberty

HOLES = 20 * 10**9  # bytes of a file that takes no disk
PACKED = 2**30  # bytes that come out of a packed one


def judged(read: Callable[[Path], object], path: Path) -> Tally:
    tally = Tally("bomb", 1)
    assert judge(Kind("bomb", [path], read), path, tally) is None
    return tally


def zeros(path: Path, count: int, head: bytes = b"") -> Path:
    """A gzip file of `count` zeros after the head, made of pieces as it is read: quickly."""
    piece = gzip.compress(bytes(2**24))
    path.write_bytes(gzip.compress(head) + piece * (count // 2**24))
    return path


def _pack(path: Path) -> None:
    fetch("mnist" if path.name == MNIST_PACK else "watch", path.parent.parent)


def _lock(path: Path) -> None:
    with locked(path.parent, "training"):
        pass


HOLLOW: dict[str, Callable[[Path], object]] = {
    "data.npz": load_dataset,
    "recipe.toml": load_recipe,
    "board.toml": lambda path: load_board(str(path)),
    "checkpoint.pt": lambda path: load_checkpoint(path.parent),
    "history.json": read_json,
    "cells.lib": check_liberty,
    "images.gz": lambda path: read_checked(path, ""),
    "images": lambda path: read_checked(path, ""),
    f"mnist/{MNIST_PACK}": _pack,
    f"watch/{WATCH_PACK}": _pack,
}


@pytest.mark.parametrize("name", HOLLOW)
def test_files_of_holes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mintaka.data.sources._seglearn_data", tuple)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(HOLES)
    assert judged(HOLLOW[name], path).refused == 1


def test_pin_files_of_holes(tmp_path: Path) -> None:
    for name in ("icebreaker.toml", "icebreaker.pcf"):
        (tmp_path / name).write_bytes((boards_folder() / name).read_bytes())
    with (tmp_path / "icebreaker.pcf").open("wb") as file:
        file.truncate(HOLES)
    assert judged(lambda _: load_board(str(tmp_path / "icebreaker.toml")), tmp_path / "icebreaker.pcf").refused == 1


NOTES: dict[str, Callable[[Path], object]] = {
    NOTE: lambda path: noted(path.parent),
    LOCK: _lock,
    BUILD: lambda path: remove_products(path.parent),
}


@pytest.mark.parametrize("kind", ["holes", "pipe"])
@pytest.mark.parametrize("name", NOTES)
def test_notes_that_are_none_are_passed_over(name: str, kind: str, tmp_path: Path) -> None:
    """Nobody waits for what comes out of a pipe. (A lock is opened to be locked, and a pipe can be.)"""
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(HOLES)
    assert judged(NOTES[name], path).read == 1


READERS: dict[str, Callable[[Path], object]] = {
    "a.npz": load_dataset,
    "x.npz": lambda path: read_npz(path, ("x",)),
    "a.safetensors": load,
    "recipe.toml": load_recipe,
    "board.toml": lambda path: load_board(str(path)),
    "icebreaker.pcf": lambda path: load_board(str(path.with_suffix(".toml"))),
    "cells.lib": check_liberty,
    "checkpoint.pt": lambda path: load_checkpoint(path.parent),
    "history.json": read_json,
}


@pytest.mark.parametrize("name", READERS)
def test_nobody_waits_for_a_pipe(name: str, tmp_path: Path) -> None:
    """Every reader says what it is; nobody would ever write into it."""
    (tmp_path / "icebreaker.toml").write_bytes((boards_folder() / "icebreaker.toml").read_bytes())
    os.mkfifo(tmp_path / name)
    with pytest.raises(MintakaError, match=rf"{name}\b.*this is a named pipe, not a regular file"):
        READERS[name](tmp_path / name)


def test_keys_without_end(tmp_path: Path) -> None:
    """Python's parser takes a second for the first ten thousand parts, and four times as long for twice as many."""
    path = tmp_path / "recipe.toml"
    path.write_text("a." * 500_000 + "a = 1")
    for read in (load_recipe, lambda path: load_board(str(path))):
        assert judged(read, path).refused == 1


def test_lines_without_end(tmp_path: Path) -> None:
    """A pattern that looks for the end of each pin's statement would look through all others."""
    for name in ("arty-a7-35t.toml", "arty-a7-35t.xdc"):
        (tmp_path / name).write_bytes((boards_folder() / name).read_bytes())
    with (tmp_path / "arty-a7-35t.xdc").open("a") as file:
        file.write("# " + "PACKAGE_PIN a " * 60_000)
    assert judged(lambda _: load_board(str(tmp_path / "arty-a7-35t.toml")), tmp_path / "arty-a7-35t.xdc").refused == 1


def test_classes_without_end(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((2_000_000, 1), np.uint8), y=np.arange(2_000_000))
    assert judged(load_dataset, tmp_path / "own.npz").refused == 1


def test_images_without_end(tmp_path: Path) -> None:
    head = b"\0\0\x08\x01" + struct.pack(">I", PACKED)
    assert judged(lambda path: read_checked(path, ""), zeros(tmp_path / "images.gz", PACKED, head)).refused == 1


def test_packs_without_end(tmp_path: Path) -> None:
    """Before what is looked for comes a header of a gigabyte."""
    info = tarfile.TarInfo("other")
    info.size, info.type = PACKED, tarfile.XHDTYPE
    (tmp_path / "mnist").mkdir()
    path = zeros(tmp_path / "mnist" / MNIST_PACK, PACKED, info.tobuf(tarfile.PAX_FORMAT))
    assert path.stat().st_size < 2**21
    assert judged(_pack, path).refused == 1
