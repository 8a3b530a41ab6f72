"""The one reader of .npz files: the arrays that are asked for, and no others, after their headers were judged.

A file may come from anybody. So nothing is unpacked before its declared size was compared with the limit and with the
size of the file, no pickle is ever loaded, and whatever is wrong with the file is said in one sentence.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
import zipfile
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from mintaka.artifact.bounded import no_file
from mintaka.data.errors import DataError

# An array may unpack to so many bytes, and to so many times the file's bytes on the disk more: far more than arrays of
# samples shrink by, far less than a bomb grows by. A sparse file takes hardly any disk.
FREE_BYTES = 2**28
MAX_GROWTH = 20
PIECE = 2**20  # read at once; so much the names of some ten thousand members may take
ZIP = b"PK"
TABLES = (".csv", ".tsv", ".txt")
METHODS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}


def read_npz(path: Path | str, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of these names, by name; those of `optional` only where the file has them.

    Other members are not looked at. Raises DataError where the file is missing, of another kind or damaged, lacks a
    required array, or has one whose name is almost that of an optional array; where an array holds Python objects,
    unpacks to more than FREE_BYTES + MAX_GROWTH * the file's size, or is damaged. MemoryError and PermissionError pass.
    """
    path = Path(path)
    problem = no_file(path)
    if problem is not None:
        raise DataError(f"{path}: {problem}")
    try:
        with path.open("rb") as raw:
            _check_kind(path, raw.read(len(npy.MAGIC_PREFIX)), required)
            room = FREE_BYTES + MAX_GROWTH * _disk_bytes(raw)
            with zipfile.ZipFile(Bounded(raw)) as archive:
                members = _members(path, archive)
                for name in required:
                    if name not in members:
                        found = ", ".join(repr(each) for each in members) or "nothing"
                        raise DataError(f"{path} has no array '{name}' (it holds {found:.200})")
                _check_names(path, members, required, optional)
                names = [*required, *(name for name in optional if name in members)]
                return {name: _read(path, name, archive, members[name], room) for name in names}
    except (DataError, MemoryError, PermissionError):
        raise
    except Exception as error:  # damage shows itself in every way that zipfile, zlib and numpy have
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{path} is no intact .npz file ({said[0]:.100})") from None


def _check_kind(path: Path, head: bytes, required: Sequence[str]) -> None:
    """Raise DataError where the file is of another kind, with how to make an .npz of it. head : its first bytes."""
    if head == npy.MAGIC_PREFIX:
        raise DataError(f"{path} is an .npy file, a single array; an .npz with {_listed(required)} is needed")
    if head.startswith(ZIP) or path.suffix.lower() == ".npz":
        return
    arrays = ", ".join(f"{name}={name}" for name in required)
    if path.suffix.lower() not in TABLES:
        raise DataError(f"{path} is no .npz file: write {_plain(required)} with numpy.savez('my.npz', {arrays})")
    columns = {"x": "t[:, :-1]", "y": "t[:, -1].astype(int)"} if "y" in required else {"x": "t"}
    made = ", ".join(f"{name}={columns.get(name, name)}" for name in required)
    raise DataError(
        f"{path} is a table in text: write it as an .npz, for example by numpy: "
        f"t = np.loadtxt(file, delimiter=',', skiprows=1); np.savez('my.npz', {made})"
    )


def _check_names(path: Path, members: Collection[str], required: Sequence[str], optional: Sequence[str]) -> None:
    """Raise DataError where an optional array seems to be there under a wrong name: it would be ignored in silence."""
    others = [name for name in members if name not in {*required, *optional}]
    for name in optional:
        if name in members:
            continue
        near = [other for other in others if _parts(other) == _parts(name)] or get_close_matches(name, others, 1, 0.8)
        if near:
            raise DataError(f"{path}: an array '{near[0]:.60}' is not read: call it '{name}', or leave it out")


def check_entries(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise DataError where an array is a single value, without samples."""
    single = [name for name, values in arrays.items() if not values.ndim]
    if single:
        raise DataError(f"{path}: '{single[0]}' is a single value; it must have an entry per sample")


def _parts(name: str) -> list[str]:
    """Equal for x_test, X_test and test_x."""
    return sorted(name.casefold().split("_"))


class Bounded(io.RawIOBase):
    """A file that is read in pieces of a limited size: zipfile would read a directory of gigabytes at once."""

    def __init__(self, raw: IO[bytes]):
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        if size > PIECE:
            raise ValueError(f"its directory takes {size} bytes; at most {PIECE} are possible")
        return self._raw.read(PIECE if size < 0 else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def seekable(self) -> bool:
        return True


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays of the archive by name, without the ending."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in found:
            raise DataError(f"{path} holds the array '{name:.60}' twice")
        found[name] = info
    return found


def _disk_bytes(raw: IO[bytes]) -> int:
    """What the file takes: of a sparse one less than its length."""
    status = os.fstat(raw.fileno())
    return min(status.st_size, 512 * getattr(status, "st_blocks", status.st_size))


def _read(path: Path, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: int) -> np.ndarray:
    where = f"{path}: '{name}'"
    if info.flag_bits & 1:
        raise DataError(f"{where} is encrypted; write it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = METHODS.get(info.compress_type, f"method {info.compress_type}")
        raise DataError(f"{where} is packed by {method}: write it with numpy.savez or numpy.savez_compressed")
    with archive.open(info) as member:
        shape, fortran, dtype = _header(member)
        if dtype.hasobject:
            if name.startswith("x"):
                cause = (
                    "which numpy makes of samples that differ in length and of mixed values: give all of them the same"
                )
                raise DataError(f"{where} holds Python objects, {cause} shape and numbers, as by {name}.astype(float)")
            raise DataError(
                f"{where} holds Python objects, not numbers or texts: write {name}.astype(str), for example"
            )
        size = prod(shape) * dtype.itemsize
        if size > room:
            raise DataError(
                f"{where} would unpack to {size / 2**20:,.0f} MiB, of a file that allows {room / 2**20:,.0f} MiB: write"
                " fewer samples, a smaller dtype, or without compression (numpy.savez)"
            )
        if member.tell() + size != info.file_size:
            raise DataError(f"{where} is damaged: its header does not fit its length")
        values = np.empty(prod(shape), dtype)
        _fill(values, member)
    if dtype.kind == "U" and _code_points(values).max(initial=0) > sys.maxunicode:
        raise DataError(f"{where} is damaged: it holds what are no characters")
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(member)
    if version != (1, 0):  # others have longer headers, which only dtypes with hundreds of fields need
        raise ValueError(f"an array of version {version[0]}.{version[1]}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about what a damaged header looks like
            shape, fortran, dtype = npy.read_array_header_1_0(member)
    except MemoryError:  # of the parser, on brackets within brackets
        raise ValueError("an array with a damaged header") from None
    if any(extent < 0 for extent in shape):
        raise ValueError(f"an array of shape {shape!s:.40}")
    return shape, fortran, dtype


def _fill(values: np.ndarray, member: IO[bytes]) -> None:
    """All of the member's bytes; zipfile compares the checksum at their end."""
    room = values.view(np.uint8) if values.nbytes else np.zeros(0, np.uint8)
    done = 0
    while done < len(room):
        piece = member.read(min(PIECE, len(room) - done))
        if not piece:
            raise EOFError("it ends too early")
        room[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    member.read(1)


def _code_points(values: np.ndarray) -> np.ndarray:
    """Of an array of text. numpy makes no text of those that are none, and says so in a SystemError."""
    number = np.dtype(np.uint32).newbyteorder(values.dtype.byteorder)
    return values.view(number) if values.nbytes else np.zeros(0, number)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _plain(names: Sequence[str]) -> str:
    return " and ".join(names)
