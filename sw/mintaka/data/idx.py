"""The IDX format of MNIST and its kin."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from math import prod
from pathlib import Path

import numpy as np

from mintaka.artifact.bounded import read_bounded
from mintaka.data.errors import DataError

UNSIGNED_BYTES = 0x08
MAX_RANK = 4
MAX_BYTES = 2**27  # the largest known file has 47 MB


def read_checked(path: Path, sha256: str) -> bytes:
    """The content of a file, unpacked where it ends in .gz.

    Raises DataError where it cannot be read or its (uncompressed) sha256 is another.
    """
    try:
        data = _unpacked(path) if path.suffix == ".gz" else read_bounded(path, MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it and fetch the data set again") from None
    if data is None:
        raise DataError(f"{path} has more than {MAX_BYTES:,} bytes, unpacked: delete it and fetch again")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{path} has the sha256 {found[:12]}..., not {sha256[:12]}...: delete it and fetch again")
    return data


def _unpacked(path: Path) -> bytes | None:
    with gzip.open(path) as file:
        data = file.read(MAX_BYTES + 1)
    return data if len(data) <= MAX_BYTES else None


def parse(data: bytes) -> np.ndarray:
    """An IDX file of unsigned bytes as a uint8 array. Raises DataError where it is none."""
    rank = data[3] if len(data) > 3 else 0
    begin = 4 + 4 * rank
    if len(data) < begin or data[:3] != bytes([0, 0, UNSIGNED_BYTES]) or not 1 <= rank <= MAX_RANK:
        raise DataError("this is no IDX file of unsigned bytes")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, begin, 4))
    if prod(shape) != len(data) - begin:
        raise DataError(f"this IDX file holds {len(data) - begin} bytes, not those of {shape}")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)
