"""The numbers of the protocol on the serial line (docs/reference/host-uart.md), and what a design says of itself."""

from __future__ import annotations

from enum import IntEnum
from math import ceil

from mintaka_hw.plan import Plan

VERSION = 1
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
REPLY = 0x80  # set in the kind of a reply
HEADER_BYTES = 6  # kind, tag, four bytes of length
INPUT_KINDS = ("spikes", "direct", "counts", "signed")  # the last one: direct, of two's complement
ORDERS = ("chw", "hwc")


class Kind(IntEnum):
    """What a frame wants. Replies carry it with the bit REPLY."""

    IDENTIFY = 1
    RUN = 2
    ERROR = 0x7F  # of replies only


class Fault(IntEnum):
    """Why a frame was refused."""

    CRC = 1
    LENGTH = 2
    KIND = 3
    BUSY = 4


def beats_per_sample(plan: Plan) -> int:
    return plan.input.words * (1 if plan.network.input.static else plan.network.time_steps)


def beat_bytes(plan: Plan) -> int:
    """A beat of the input stream, in whole bytes."""
    return ceil(plan.input.word_bits / 8)


def logit_bytes(plan: Plan) -> int:
    return ceil(plan.logit_width / 8)


def identity(plan: Plan, clock_hz: int) -> bytes:
    """What the design answers to IDENTIFY."""
    source = plan.network.input
    shape = (*source.shape, 0, 0)[:3]
    numbers = [
        (VERSION, 1),
        (int(plan.exits), 1),
        (INPUT_KINDS.index("signed" if source.signed else source.kind), 1),
        (ORDERS.index(plan.input_order), 1),
        (source.bits, 1),
        (logit_bytes(plan), 1),
        (len(plan.layers), 2),
        (clock_hz, 4),
        (plan.network.time_steps, 4),
        (plan.network.classes, 4),
        *((size, 4) for size in shape),
        (plan.input.word_elements, 4),
        (plan.input.words, 4),
    ]
    digest = bytes.fromhex(plan.artifact_hash.removeprefix("sha256:"))
    return b"".join(value.to_bytes(size, "little") for value, size in numbers) + digest
