"""What docs/reference/host.md says of a packet, as plain loops: for the tests of both benches."""

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
    """The bytes of the sample that a packet becomes (0 where none carries data), and what is wrong with the packet.

    Null beats are not there: the packet is that of the other beats, or one empty beat where there is no other.
    """
    size, width = form.frames * form.frame_bytes, form.width
    found, errors = bytearray(size), set()
    every = [range(at, min(at + width, len(packet))) for at in range(0, len(packet), width)]
    beats = [beat for beat in every if any(keep[at] for at in beat)] or [range(0)]
    for number, beat in enumerate(beats[: size // width]):
        last = number == len(beats) - 1
        kept = [n < len(beat) and bool(keep[beat[n]]) for n in range(width)]
        front = kept == sorted(kept, reverse=True)
        lacks = False
        for n, there in enumerate(kept):
            at = number * width + n
            if at % form.frame_bytes < form.content:
                found[at] = packet[beat[n]] if there else 0
                lacks |= not there
        if last and (number < size // width - 1 or (lacks and front)):
            errors.add("short")
        if lacks and not (last and front):
            errors.add("keep")
    if len(beats) > size // width:
        errors.add("long")
    return bytes(found), tuple(name for name in NAMES if name in errors)


def with_nulls(packet: bytes, keep: Sequence[int], width: int, places: Sequence[int]) -> tuple[bytes, list[int]]:
    """The packet with null beats in front of the beats of those numbers, each once per time it is named."""
    end = -(-len(packet) // width)
    packet = packet.ljust(end * width, b"?")
    keep = [*keep, *[0] * (end * width - len(keep))]
    made, kept = bytearray(), list[int]()
    for number in range(end + 1):
        made += b"?" * (width * places.count(number))
        kept += [0] * (width * places.count(number))
        made += packet[number * width : (number + 1) * width]
        kept += keep[number * width : (number + 1) * width]
    return bytes(made), kept
