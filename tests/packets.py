"""What docs/host.md says of a packet, as plain loops: for the tests of both benches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMES = ("short", "long", "keep")


@dataclass(frozen=True)
class Frames:
    """A sample is `frames` frames of `frame_bytes` bytes, the first `content` of which carry data; `width` per beat."""

    frames: int
    frame_bytes: int
    content: int
    width: int


def taken(form: Frames, packet: bytes, keep: Sequence[int]) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of the sample that a packet becomes (0 where none carries data), and what is wrong with the packet."""
    size, width = form.frames * form.frame_bytes, form.width
    found, errors = bytearray(size), set()
    beats = [range(at, min(at + width, len(packet))) for at in range(0, len(packet), width)]
    for number, beat in enumerate(beats[: size // width]):
        last = number == len(beats) - 1
        kept = [at in beat and bool(keep[at]) for at in range(number * width, (number + 1) * width)]
        front = kept == sorted(kept, reverse=True)
        lacks = False
        for at, there in enumerate(kept, number * width):
            if at % form.frame_bytes < form.content:
                found[at] = packet[at] if there else 0
                lacks |= not there
        if last and (number < size // width - 1 or (lacks and front)):
            errors.add("short")
        if lacks and not (last and front):
            errors.add("keep")
    if len(beats) > size // width:
        errors.add("long")
    return bytes(found), tuple(name for name in NAMES if name in errors)
