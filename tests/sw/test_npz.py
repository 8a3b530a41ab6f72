"""The reader of .npz files on sound files, bombs and damage: arrays or one sentence, soon and in little memory."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mintaka.data import DataError, read_npz

X = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def refused(path: Path, *names: str) -> str:
    """The sentence; it comes within 2 s and 64 MB."""
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with pytest.raises(DataError) as caught:
            read_npz(path, names or ("x",))
        assert time.monotonic() - begin < 2
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    return text.removeprefix(str(path)).lstrip(": ")


def npy(values: np.ndarray, **header: Any) -> bytes:
    """An array as .npy with fields of its header replaced."""
    buffer = io.BytesIO()
    fields = np.lib.format.header_data_from_array_1_0(values) | header
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue() + values.tobytes()


def archive(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "f4", "?", "<U3", "S2", "M8[s]", "V5"])
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_are_as_they_were_written(dtype: str, packed: bool, tmp_path: Path) -> None:
    x = np.arange(60, dtype=np.uint8).view("V1")[: 12 * np.dtype(dtype).itemsize % 60 or 60]
    x = np.zeros((3, 4), dtype) if dtype in ("<U3", "?") else np.resize(x, 12 * np.dtype(dtype).itemsize).view(dtype)
    (np.savez_compressed if packed else np.savez)(tmp_path / "a.npz", x=x, fortran=np.asfortranarray(X), none=X[:0],
                                                  one=np.int64(3), unused=X)  # fmt: skip
    found = read_npz(tmp_path / "a.npz", ("x", "fortran"), ("none", "one", "absent"))
    assert list(found) == ["x", "fortran", "none", "one"]
    assert found["x"].dtype == x.dtype
    assert found["x"].tobytes() == x.tobytes()
    assert np.array_equal(found["fortran"], X)
    assert found["none"].shape == (0, 3, 4)
    assert found["one"].shape == ()


def test_what_is_not_asked_for_is_not_unpacked(tmp_path: Path) -> None:
    """The array `bomb` would be refused, were it wanted."""
    bomb = npy(np.zeros(0, np.uint8), shape=(2**29,))
    archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, x=npy(X), bomb=bomb + bytes(2**22))
    assert np.array_equal(read_npz(tmp_path / "a.npz", ("x",))["x"], X)
    assert refused(tmp_path / "a.npz", "bomb").startswith(
        "'bomb' would unpack to 512 MiB, of a file that allows 256 MiB"
    )


def test_sparse_files_are_small(tmp_path: Path) -> None:
    """20 GB of zeros that no disk holds: as an array, and as the directory of an archive."""
    path = tmp_path / "a.npz"
    size = 20 * 10**9
    head = npy(np.zeros(0, np.uint8), shape=(size,))
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("x.npy", head)
        end = bytearray(path.read_bytes()) if file.flush() is None else bytearray()
    # The sizes of the one member, behind 2^32 as zip64 has them, and its data as a hole.
    local = end.index(b"PK\x03\x04")
    central = end.index(b"PK\x01\x02")
    extra = struct.pack("<HHQQ", 1, 16, size + len(head), size + len(head))
    entry = bytearray(end[central : end.index(b"PK\x05\x06")])
    entry[20:28] = b"\xff" * 8
    entry[30:32] = struct.pack("<H", len(extra))
    entry += extra
    first = end[local:central]
    zip64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entry), len(first) + size)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(first) + size + len(entry), 1)
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with path.open("wb") as file:
        file.write(first)
        file.seek(len(first) + size)
        file.write(bytes(entry) + zip64 + locator + tail)
    assert refused(path).startswith("'x' would unpack to 19,073 MiB, of a file that allows 256 MiB")
    with path.open("wb") as file:
        file.seek(size)
        file.write(zip64.replace(struct.pack("<QQ", len(entry), len(first) + size), struct.pack("<QQ", size, 0)))
        file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, size, 1) + tail)
    assert refused(path).startswith(f"is no intact .npz file (its directory takes {size} bytes")
    with path.open("wb") as file:
        file.truncate(size)
    assert refused(path).startswith("is no intact .npz file (")


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (npy(np.zeros(0, np.uint8), shape=(2**70,)), "'x' would unpack to "),
        (npy(np.zeros(0, np.uint8), shape=(2**70, 0)), "is no intact .npz file ("),
        (npy(np.zeros(0, np.uint8), shape=(-1,)), "is no intact .npz file (an array of shape (-1,)"),
        (npy(X, shape=(2, 3, 5)), "'x' is damaged: its header does not fit its length"),
        (npy(X, shape=(2, 3, 3)), "'x' is damaged: its header does not fit its length"),
        (npy(X, descr="|O"), "'x' holds Python objects"),
        (npy(X, descr=[("a", "|O")]), "'x' holds Python objects"),
        (npy(X, descr="<U500000000"), "'x' would unpack to "),
        (npy(X, descr="no dtype"), "is no intact .npz file ("),
        (b"text", "is no intact .npz file ("),
        (b"", "is no intact .npz file ("),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(9), "is no intact .npz file (an array of version"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "is no intact .npz file ("),
        (b"\x93NUMPY\x01\x00\xf0\x20" + b"(" * 8432, "is no intact .npz file ("),
        (b"\x93NUMPY\x01\x00\xf0\x20" + b"-" * 8432, "is no intact .npz file ("),
    ],
)  # fmt: skip
def test_headers_are_judged_before_anything_is_read(member: bytes, sentence: str, tmp_path: Path) -> None:
    assert refused(archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, x=member)).startswith(sentence)


def test_other_archives_are_named(tmp_path: Path) -> None:
    for method, name in ((zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "bzip2")):
        path = archive(tmp_path / "a.npz", method, x=npy(X))
        assert refused(path).startswith(f"'x' is packed by {name}: write it with")
    data = bytearray(archive(tmp_path / "a.npz", x=npy(X)).read_bytes())
    central = data.index(b"PK\x01\x02")
    (tmp_path / "encrypted.npz").write_bytes(data[: central + 8] + b"\x01" + data[central + 9 :])
    assert refused(tmp_path / "encrypted.npz") == "'x' is encrypted; write it without a password"
    (tmp_path / "odd.npz").write_bytes(data[: central + 10] + b"\x63" + data[central + 11 :])
    assert refused(tmp_path / "odd.npz").startswith("'x' is packed by method 99: ")
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as file:
        file.writestr("x.npy", npy(X))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("x.npy", npy(X))
    assert refused(tmp_path / "twice.npz") == "holds the array 'x' twice"
    assert refused(tmp_path) == "this is a folder, not a file"
    path = archive(tmp_path / "a.npz", **{"\x1b]0;title\x07": npy(X)})
    assert refused(path) == r"has no array 'x' (it holds '\x1b]0;title\x07')"


def test_the_limit_grows_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored as it is may be large: its bytes are there."""
    monkeypatch.setattr("mintaka.data.npz.FREE_BYTES", 1000)
    x = np.ones(10_000, np.uint8)
    np.savez(tmp_path / "a.npz", x=x)
    assert np.array_equal(read_npz(tmp_path / "a.npz", ("x",))["x"], x)
    np.savez_compressed(tmp_path / "a.npz", x=np.ones(1_000_000, np.uint8))
    assert refused(tmp_path / "a.npz").startswith("'x' would unpack to 1 MiB, of a file that allows 0 MiB")
