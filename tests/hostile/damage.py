"""What happens to files: bits that flip, ends that are missing, pieces that are inserted, lost, zeroed or moved."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from random import Random

NUMBER = re.compile(rb"-?\d[\d_.]*")
NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"65536",
    b"4294967296",
    b"9" * 19,
    b"-9" * 1 + b"9" * 30,
    b"1e400",
    b"nan",
    b"inf",
    b"0.5",
)
WORDS = (b"null", b"true", b"[]", b"{}", b'""', b"\xff", b"\x00", b"\x1b]52;c;eA==\x07", "\u202e".encode(), b"\\ud800")
WORDS += (b"[" * 200, b'"', b"\n", b"\xef\xbb\xbf")
HEAD = 400  # bytes at either end, where headers and directories are


def damaged(data: bytes, rng: Random) -> bytes:
    """One to three kinds of damage, each in a place of its own; half of the places are near an end."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(DAMAGES)(data, rng)
    return data


def in_archive(data: bytes, rng: Random) -> bytes:
    """The same inside of one member of a zip archive, whose check sum is that of the damage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    chosen = rng.randrange(len(members))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, (info, content) in enumerate(members):
            attributes = info.external_attr
            archive.writestr(info, damaged(content, rng) if number == chosen else content)
            info.external_attr = attributes  # for the directory, where zipfile would write others
    return out.getvalue()


def place(data: bytes, rng: Random) -> int:
    """An index into `data`, or its length where it is empty."""
    if not data:
        return 0
    if rng.random() < 0.5:
        return rng.randrange(len(data))
    near = rng.randrange(min(HEAD, len(data)))
    return near if rng.random() < 0.6 else len(data) - 1 - near


def _bit(data: bytes, rng: Random) -> bytes:
    at = place(data, rng)
    return data[:at] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _byte(data: bytes, rng: Random) -> bytes:
    at = place(data, rng)
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def _truncated(data: bytes, rng: Random) -> bytes:
    return data[: place(data, rng)]


def _inserted(data: bytes, rng: Random) -> bytes:
    at = place(data, rng)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 16, 300))) + data[at:]


def _lost(data: bytes, rng: Random) -> bytes:
    at = place(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 300)) :]


def _run(data: bytes, rng: Random) -> bytes:
    at, length = place(data, rng), rng.choice((1, 4, 16, 300))
    length = min(length, len(data) - at)
    return data[:at] + rng.choice((b"\0", b"\0", b"\xff")) * length + data[at + length :]


def _moved(data: bytes, rng: Random) -> bytes:
    """A piece that is there twice, or in the place of another."""
    at, to, length = place(data, rng), place(data, rng), rng.choice((1, 8, 40, 300))
    return data[:to] + data[at : at + length] + data[to + rng.choice((0, length)) :]


def _integer(data: bytes, rng: Random) -> bytes:
    """A number of binary headers."""
    at, size = place(data, rng), rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1))
    return data[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def _number(data: bytes, rng: Random) -> bytes:
    """A number in text becomes another one."""
    found = list(NUMBER.finditer(data[: 2**16]))
    if not found:
        return _byte(data, rng)
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(NUMBERS) + data[chosen.end() :]


def _word(data: bytes, rng: Random) -> bytes:
    """A value in text becomes another kind of value."""
    found = list(re.finditer(rb'"[^"]*"|[\w.]+', data[: 2**16]))
    if not found:
        return _inserted(data, rng)
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice((*WORDS, rng.choice(found)[0])) + data[chosen.end() :]


DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _bit,
    _byte,
    _truncated,
    _inserted,
    _lost,
    _run,
    _moved,
    _integer,
    _number,
    _word,
)
