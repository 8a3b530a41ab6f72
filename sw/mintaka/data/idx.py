"""The IDX format of MNIST and its kin."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

from mintaka.data.errors import DataError

UNSIGNED_BYTES = 0x08


def read_checked(path: Path, sha256: str) -> bytes:
    """The content of a file, unpacked where it ends in .gz.

    Raises DataError where it cannot be read or its (uncompressed) sha256 is another.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it and fetch the data set again") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{path} has the sha256 {found[:12]}..., not {sha256[:12]}...: delete it and fetch again")
    return data


def parse(data: bytes) -> np.ndarray:
    """An IDX file of unsigned bytes as a uint8 array; ValueError where it is none."""
    if len(data) < 4 or data[0] or data[1] or data[2] != UNSIGNED_BYTES:
        raise ValueError("no IDX file of unsigned bytes")
    rank = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
