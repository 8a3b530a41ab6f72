"""Frames and payloads on the serial line, as docs/reference/host-uart.md states them: bytes in, bytes out, no port."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from math import prod

import numpy as np

from mintaka.artifact import limits
from mintaka.host.errors import HostError
from mintaka.host.words import pack_beats

VERSION = 1
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
REPLY = 0x80
HEADER = struct.Struct("<BBI")  # kind, tag, length of the payload
INPUT_KINDS = ("spikes", "direct", "counts", "signed")  # the last one: direct, of two's complement
ORDERS = ("chw", "hwc")
IDENTITY = struct.Struct("<BBBBBBHIIIIIIII32s")
MAX_PAYLOAD = 2**26
POSSIBLE = {
    "bits": limits.INPUT_BITS,
    "logit_bytes": limits.Range(1, 8),
    "clock_hz": limits.Range(1, 2**32 - 1),
    "time_steps": limits.TIME_STEPS,
    "classes": limits.ELEMENTS,
    "layers": limits.NODES,
    "elements": limits.ELEMENTS,
    "beats": limits.ELEMENTS,
}
CRC_START, CRC_BYTES = 0xFFFF, 2
ANSWER = struct.Struct("<III")  # class, steps, cycles; then the SOPs per layer, then the logits


class Kind(IntEnum):
    """What a frame wants. A reply carries it with the bit REPLY."""

    IDENTIFY = 1
    RUN = 2
    ERROR = 0x7F  # of replies only


class Fault(IntEnum):
    """Why the board refused a frame."""

    CRC = 1
    LENGTH = 2
    KIND = 3
    BUSY = 4


@dataclass(frozen=True)
class Frame:
    """kind : of a reply with the bit REPLY. tag : any number below 256, which the reply repeats."""

    kind: int
    tag: int
    payload: bytes = b""

    def encoded(self) -> bytes:
        """As it goes over the line."""
        body = HEADER.pack(self.kind, self.tag, len(self.payload)) + self.payload
        body += crc_hqx(body, CRC_START).to_bytes(CRC_BYTES, "big")
        for byte in (ESCAPE, FLAG):  # the escape first, as the other brings new ones
            body = body.replace(bytes([byte]), bytes([ESCAPE, byte ^ FLIP]))
        return bytes([FLAG]) + body


class FrameDecoder:
    """Finds the whole frames in what comes over the line, in pieces of any size."""

    def __init__(self, most: int = MAX_PAYLOAD) -> None:
        self.most = most  # bytes of a payload; frames that claim more are passed over at once
        self._body: bytearray | None = None  # of the frame that has begun, without the escapes
        self._escaped = False

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that end in `piece`; damaged ones are passed over."""
        for byte in piece:
            if byte == FLAG:
                self._body, self._escaped = bytearray(), False
            elif self._body is None:
                continue
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._body.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
                yield from self._ended(self._body)

    def _ended(self, body: bytearray) -> Iterator[Frame]:
        if len(body) < HEADER.size:
            return
        kind, tag, length = HEADER.unpack_from(body)
        if length > self.most:
            self._body = None
            return
        if len(body) < HEADER.size + length + CRC_BYTES:
            return
        self._body = None
        if crc_hqx(bytes(body), CRC_START) == 0:
            yield Frame(kind, tag, bytes(body[HEADER.size : -CRC_BYTES]))


@dataclass(frozen=True)
class Identity:
    """What a board says of itself.

    early_exit : samples may stop before their last step. layers : those that count their SOPs.
    shape : of the network's input. elements, bits : of one beat of the input stream; beats : per frame, of which a
    direct input has one per sample and others have `time_steps`. artifact_hash : "sha256:" and 64 hex digits.
    """

    early_exit: bool
    input_kind: str
    order: str
    bits: int
    logit_bytes: int
    layers: int
    clock_hz: int
    time_steps: int
    classes: int
    shape: tuple[int, ...]
    elements: int
    beats: int
    artifact_hash: str

    @property
    def static(self) -> bool:
        return self.input_kind in ("direct", "signed")

    @property
    def sample_bytes(self) -> int:
        """Of the payload of RUN."""
        return self.beats * (1 if self.static else self.time_steps) * self.beat_bytes

    @property
    def beat_bytes(self) -> int:
        return -(-self.elements * self.bits // 8)

    @property
    def answer_bytes(self) -> int:
        """Of the payload of RUN's reply."""
        return ANSWER.size + 4 * self.layers + self.logit_bytes * self.classes


@dataclass(frozen=True)
class Answer:
    """What a board computed for one sample. sops : per layer. cycles : from the first beat in to the last logit out."""

    winner: int
    steps: int
    cycles: int
    sops: tuple[int, ...]
    logits: tuple[int, ...]


def read_identity(payload: bytes) -> Identity:
    """Raises HostError where it is of another version of the protocol, or no board could be so."""
    if payload[:1] != bytes([VERSION]):
        said = f"version {payload[0]}" if payload else "no version"
        raise HostError(f"it speaks {said} of the protocol, and version {VERSION} is known here")
    if len(payload) != IDENTITY.size:
        raise HostError(f"its identity must have {IDENTITY.size} bytes, got {len(payload)}")
    _, exits, kind, order, bits, logit_bytes, layers, clock, steps, classes, *sizes, elements, beats, digest = (
        IDENTITY.unpack(payload)
    )
    if kind >= len(INPUT_KINDS) or order >= len(ORDERS):
        raise HostError(f"it has an input of kind {kind} in order {order}, which are not known here")
    found = Identity(
        early_exit=bool(exits),
        input_kind=INPUT_KINDS[kind],
        order=ORDERS[order],
        bits=bits,
        logit_bytes=logit_bytes,
        layers=layers,
        clock_hz=clock,
        time_steps=steps,
        classes=classes,
        shape=tuple(size for size in sizes if size),
        elements=elements,
        beats=beats,
        artifact_hash=f"sha256:{digest.hex()}",
    )
    _check(found)
    return found


def _check(identity: Identity) -> None:
    """Numbers of no network would let a program wait for years, or divide by zero."""
    for name, limit in POSSIBLE.items():
        limit.require(getattr(identity, name), f"its {name}", HostError)
    size = prod(identity.shape)
    if len(identity.shape) not in (1, 3) or -(-size // identity.elements) != identity.beats:
        shape = "x".join(map(str, identity.shape)) or "nothing"
        raise HostError(f"an input of {shape} does not come in {identity.beats} beats of {identity.elements} elements")
    if identity.sample_bytes > MAX_PAYLOAD or identity.answer_bytes > MAX_PAYLOAD:
        raise HostError(f"its samples have {identity.sample_bytes} bytes, its answers {identity.answer_bytes}")


def sample_payloads(inputs: np.ndarray, identity: Identity) -> list[bytes]:
    """The payload of RUN for each sample of a batch that the network has been asked about (`check_inputs`)."""
    packed = pack_beats(inputs, identity.elements, identity.bits, static=identity.static, order=identity.order)
    rows = packed.astype("<u4").view(np.uint8).reshape(*packed.shape[:2], -1)[..., : identity.beat_bytes]
    return [row.tobytes() for row in rows]


def read_answer(payload: bytes, identity: Identity) -> Answer:
    """Raises HostError where it has not the length that the identity says."""
    if len(payload) != identity.answer_bytes:
        raise HostError(f"its answer must have {identity.answer_bytes} bytes, got {len(payload)}")
    winner, steps, cycles = ANSWER.unpack_from(payload)
    sops = struct.unpack_from(f"<{identity.layers}I", payload, ANSWER.size)
    size, begin = identity.logit_bytes, ANSWER.size + 4 * identity.layers
    parts = [payload[n : n + size] for n in range(begin, len(payload), size)]
    logits = tuple(int.from_bytes(part, "little", signed=True) for part in parts)
    return Answer(winner, steps, cycles, sops, logits)
