"""`mintaka.host` against boards made of Python: what comes back is read, and every failure is one sentence."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from handmade import dense_network
from hypothesis import given
from hypothesis import strategies as st

from mintaka.artifact import ArtifactError, content_hash, run
from mintaka.host import Board, HostError
from mintaka.host.protocol import (
    ANSWER,
    ESCAPE,
    FLAG,
    HEADER,
    IDENTITY,
    REPLY,
    Fault,
    Frame,
    FrameDecoder,
    Kind,
    read_identity,
)

BYTE = st.one_of(st.integers(0, 255), st.sampled_from([FLAG, ESCAPE, 0, 1]))
BYTES = st.lists(BYTE, max_size=30).map(bytes)
NETWORK = dense_network((6, 5, 3), kind="direct", bits=3, time_steps=2, seed=3)
INPUTS = np.random.default_rng(1).integers(0, 8, (4, 6)).astype(np.uint8)
EXPECTED = run(NETWORK, INPUTS)
WHO = IDENTITY.pack(1, 0, 1, 0, 3, 2, 2, 1_000_000, 2, 3, 6, 0, 0, 4, 2, bytes.fromhex(content_hash(NETWORK)[7:]))
Answers = Callable[[Frame], bytes]


@contextmanager
def board(answers: Answers) -> Iterator[str]:
    """A port behind which `answers` gives the bytes that follow each frame."""
    near, far = os.openpty()
    tty.setraw(far)
    stop, decoder = os.pipe(), FrameDecoder()

    def serve() -> None:
        import select

        while True:
            ready, _, _ = select.select([near, stop[0]], [], [])
            if stop[0] in ready:
                return
            for frame in decoder.feed(os.read(near, 4096)):
                os.write(near, answers(frame))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(far)
    finally:
        os.write(stop[1], b"x")
        thread.join()
        for file in (near, far, *stop):
            os.close(file)


def reply(frame: Frame, payload: bytes) -> bytes:
    return Frame(frame.kind | REPLY, frame.tag, payload).encoded()


def right(frame: Frame) -> bytes:
    """The answers of a board that works."""
    if frame.kind == Kind.IDENTIFY:
        return reply(frame, WHO)
    planes = np.unpackbits(np.frombuffer(frame.payload, np.uint8), bitorder="little").reshape(2, 16)[:, :12]
    x = (planes.reshape(8, 3) << np.arange(3)).sum(1)[:6].astype(np.uint8)
    n = int(np.flatnonzero((x == INPUTS).all(1))[0])
    sops = [int(values[n]).to_bytes(4, "little") for values in EXPECTED.sops.values()]
    logits = [int(value).to_bytes(2, "little", signed=True) for value in EXPECTED.logits[n]]
    return reply(frame, ANSWER.pack(int(EXPECTED.classes[n]), 2, 100 + n) + b"".join(sops + logits))


@given(payload=BYTES, cut=st.integers(0, 60), noise=BYTES)
def test_frames_are_found_in_pieces_and_behind_noise(payload: bytes, cut: int, noise: bytes) -> None:
    frame = Frame(Kind.RUN, 5, payload)
    line = noise + frame.encoded()
    assert frame.encoded().count(FLAG) == 1
    decoder = FrameDecoder()
    assert [*decoder.feed(line[:cut]), *decoder.feed(line[cut:])][-1] == frame
    damaged = bytearray(frame.encoded())
    damaged[-1] ^= 1 if damaged[-1] ^ 1 not in (FLAG, ESCAPE) else 2
    assert list(FrameDecoder().feed(bytes(damaged))) == []


def test_results_come_back_as_from_every_backend() -> None:
    seen: list[tuple[int, int]] = []
    with board(right) as port, Board(port) as found:
        assert found.identity.shape == (6,)
        assert found.identity.artifact_hash == content_hash(NETWORK)
        result = found.run(NETWORK, INPUTS, lambda done, total: seen.append((done, total)))
        with pytest.raises(ArtifactError, match=r"the input must have the shape \(N, 6\), got \(4, 5\)"):
            found.run(NETWORK, INPUTS[:, :5])
    assert np.array_equal(result.result.logits, EXPECTED.logits)
    assert np.array_equal(result.result.classes, EXPECTED.classes)
    assert np.array_equal(result.result.steps, EXPECTED.steps)
    assert {n: v.tolist() for n, v in result.result.sops.items()} == {n: v.tolist() for n, v in EXPECTED.sops.items()}
    assert result.cycles.tolist() == [100, 101, 102, 103]
    assert result.retries == 0
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_is_lost_damaged_or_refused_is_asked_again() -> None:
    asked = 0

    def answers(frame: Frame) -> bytes:
        nonlocal asked
        asked += frame.kind == Kind.RUN
        if frame.kind == Kind.RUN and asked % 4 == 1:
            return b"\x00" + right(frame)[:-3]
        if frame.kind == Kind.RUN and asked % 4 == 2:
            return Frame(Kind.ERROR | REPLY, 200, bytes([Fault.CRC])).encoded()
        if frame.kind == Kind.RUN and asked % 4 == 3:  # to another request, as if it came late
            return right(replace(frame, tag=frame.tag ^ 1)) + right(frame)
        return right(frame)

    with board(answers) as port, Board(port, timeout=0.1) as found:
        result = found.run(NETWORK, INPUTS)
    assert np.array_equal(result.result.logits, EXPECTED.logits)
    assert result.retries == asked - 4 > 0


def test_every_failure_is_one_sentence() -> None:
    def identified_as(payload: bytes) -> Answers:
        return lambda frame: reply(frame, payload) if frame.kind == Kind.IDENTIFY else right(frame)

    def refuses(frame: Frame) -> bytes:
        return Frame(Kind.ERROR | REPLY, frame.tag, bytes([Fault.LENGTH])).encoded()

    def short(frame: Frame) -> bytes:
        return right(frame) if frame.kind == Kind.IDENTIFY else reply(frame, b"abc")

    other = WHO[:-1] + bytes([WHO[-1] ^ 1])
    cases: list[tuple[Answers, str]] = [
        (lambda _: b"", "nothing answers on .* at 115200 baud, in 2 tries of 0.1 s: is the bitstream loaded"),
        (refuses, "the board on .* refuses what it is sent, in 2 tries of 0.1 s: it has not the length"),
        (identified_as(b"\x02"), "no board that this program knows: it speaks version 2 of the protocol"),
        (identified_as(WHO[:-1]), f"its identity must have {len(WHO)} bytes, got {len(WHO) - 1}"),
        (identified_as(WHO[:2] + b"\x09" + WHO[3:]), "it has an input of kind 9"),
        (identified_as(other), "holds another network .* than the artifact 'handmade' .*: build and load"),
        (short, "its answer must have 26 bytes, got 3"),
    ]
    for answers, sentence in cases:
        with (
            board(answers) as port,
            pytest.raises(HostError, match=sentence) as error,
            Board(port, timeout=0.05, tries=2) as found,
        ):
            found.run(NETWORK, INPUTS)
        assert "\n" not in str(error.value)
    with pytest.raises(HostError, match="the port /dev/none cannot be opened: no such file or directory"):
        Board("/dev/none")


def packed(**changes: int) -> bytes:
    """The identity with other numbers in it."""
    names = ("version", "exits", "kind", "order", "bits", "logit_bytes", "layers", "clock", "steps", "classes")
    values = dict(zip((*names, "c", "h", "w", "elements", "beats", "digest"), IDENTITY.unpack(WHO), strict=True))
    return IDENTITY.pack(*(values | changes).values())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classes": 2**32 - 1}, "its classes must be 1 to 4,194,304, got 4,294,967,295"),
        ({"classes": 2**20}, "names this network, but its classes: 1048576 instead of 3"),
        ({"classes": 2}, "its classes: 2 instead of 3"),
        ({"layers": 0}, "its layers must be 1 to 1,024, got 0"),
        ({"layers": 3}, "its layers: 3 instead of 2"),
        ({"steps": 0}, "its time_steps must be 1 to 1,024, got 0"),
        ({"steps": 3}, "its time steps: 3 instead of 2"),
        ({"clock": 0}, "its clock_hz must be 1 to 4,294,967,295, got 0"),
        ({"logit_bytes": 0}, "its logit_bytes must be 1 to 8, got 0"),
        ({"logit_bytes": 9}, "its logit_bytes must be 1 to 8, got 9"),
        ({"bits": 0}, "its bits must be 1 to 16, got 0"),
        ({"bits": 4}, "its bits per element: 4 instead of 3"),
        ({"elements": 0}, "its elements must be 1 to 4,194,304, got 0"),
        ({"beats": 2**32 - 1}, "its beats must be 1 to 4,194,304, got 4,294,967,295"),
        ({"beats": 3}, "an input of 6 does not come in 3 beats of 4 elements"),
        ({"c": 0}, "an input of nothing does not come in 2 beats"),
        ({"c": 8}, "its shape: (8,) instead of (6,)"),
        ({"kind": 0}, "its kind of input: spikes instead of direct"),
    ],
    ids=str,
)
def test_what_a_board_claims_is_bounded_before_it_is_waited_for(changes: dict[str, int], sentence: str) -> None:
    """Then it is silent: no program waits for that."""

    def answers(frame: Frame) -> bytes:
        return reply(frame, packed(**changes)) if frame.kind == Kind.IDENTIFY else b""

    begin = time.monotonic()
    with (
        board(answers) as port,
        pytest.raises(HostError, match=re.escape(sentence)),
        Board(port, timeout=0.05, tries=2) as found,
    ):
        found.run(NETWORK, INPUTS)
    assert time.monotonic() - begin < 5


def test_an_identity_of_zeros_is_no_board() -> None:
    silence = bytes([1]) + bytes(IDENTITY.size - 1)
    with (
        board(lambda frame: reply(frame, silence)) as port,
        pytest.raises(HostError, match="no board that this program knows: its bits must be 1 to 16, got 0"),
    ):
        Board(port, timeout=0.05, tries=2)


@given(st.binary(min_size=IDENTITY.size - 1, max_size=IDENTITY.size - 1))
def test_identities_are_read_or_refused(rest: bytes) -> None:
    with contextlib.suppress(HostError):
        found = read_identity(bytes([1]) + rest)
        assert found.answer_bytes < 2**27
        assert found.sample_bytes < 2**27


def test_frames_without_end_are_passed_over() -> None:
    """A board that claims 4 GB in a frame holds nothing up: the next frame is read."""
    long = bytes([FLAG]) + HEADER.pack(Kind.RUN | REPLY, 1, 2**32 - 1)
    frame = Frame(Kind.RUN, 5, b"abc")
    assert list(FrameDecoder().feed(long + bytes(1000) + frame.encoded())) == [frame]
    assert list(FrameDecoder(most=2).feed(frame.encoded())) == []
    assert list(FrameDecoder(most=3).feed(frame.encoded())) == [frame]


def test_a_board_that_is_gone_is_said_so() -> None:
    with board(right) as port:
        found = Board(port, timeout=0.05, tries=2)
    with found, pytest.raises(HostError, match=r"the connection on .* broke|nothing answers"):
        found.run(NETWORK, INPUTS)
