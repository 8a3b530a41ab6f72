"""A board on a serial port that holds one network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from mintaka.artifact import Network, Result, check_inputs, content_hash
from mintaka.host.errors import HostError
from mintaka.host.protocol import (
    HEADER,
    IDENTITY,
    REPLY,
    Answer,
    Fault,
    Frame,
    FrameDecoder,
    Kind,
    read_answer,
    read_identity,
    sample_payloads,
)

BAUD = 115200
TRIES = 4
TIMEOUT_SECONDS = 1.0
BITS_PER_BYTE = 10  # on the line
LONGEST_READ_SECONDS = 0.05
T = TypeVar("T")


@dataclass(frozen=True)
class BoardResult:
    """What a board computed for a batch.

    result : as every backend has it; a board counts no spikes.
    cycles : int64 (N,), from the first beat into the accelerator to its last logit. retries : requests sent again.
    """

    result: Result
    cycles: np.ndarray
    retries: int


class Board:
    """An open serial port with a Mintaka board behind it. Use it as a context manager, or `close` it.

    port : "/dev/ttyUSB0", "COM3" and the like. baud : the one that the bitstream was built for.
    timeout : seconds to wait for a reply, beside the time that the bytes take on the line.
    tries : how often a request is sent at most.
    identity : what the board says of itself.
    Raises HostError where the port cannot be opened, or nothing that answers as a board does is there, and
    ModuleNotFoundError without pyserial.
    """

    def __init__(self, port: str, *, baud: int = BAUD, timeout: float = TIMEOUT_SECONDS, tries: int = TRIES):
        import serial  # here, as benches take what packs samples from this package, and need no serial ports

        self.port, self.baud, self.timeout, self.tries = port, baud, timeout, tries
        self.retries = 0
        self._tag = 0
        self._decoder = FrameDecoder()
        try:
            self._line = serial.Serial(port, baud)
            self._line.reset_input_buffer()
        except (OSError, ValueError) as error:  # pyserial's own error is an OSError
            raise HostError(f"the port {port} cannot be opened: {_reason(error)}") from None
        try:
            self.identity = self._ask(Kind.IDENTIFY, b"", IDENTITY.size, read_identity)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._line.close()

    def check(self, network: Network) -> None:
        """Raises HostError where the board holds another network."""
        wanted = content_hash(network)
        if self.identity.artifact_hash != wanted:
            raise HostError(
                f"the board on {self.port} holds another network ({self.identity.artifact_hash:.23}...) than"
                f" the artifact '{network.name}' ({wanted:.23}...): build and load the bitstream of this artifact"
            )
        # What is waited for follows from what the board says, so it must be what this network has.
        found, source = self.identity, network.input
        pairs = {
            "time steps": (found.time_steps, network.time_steps),
            "classes": (found.classes, network.classes),
            "layers": (found.layers, sum(node.has_synapses for node in network.nodes)),
            "bits per element": (found.bits, source.bits),
            "shape": (found.shape, source.shape),
            "kind of input": (found.input_kind, "signed" if source.signed else source.kind),
        }
        for what, (said, right) in pairs.items():
            if said != right:
                raise HostError(
                    f"the board on {self.port} names this network, but its {what}: {said} instead of {right}"
                )

    def run(
        self, network: Network, inputs: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> BoardResult:
        """Run a batch, sample by sample.

        inputs : as `Network.input_shape` wants them. progress : called with (samples done, samples).
        Raises ArtifactError for bad inputs; HostError where the board holds another network, does not answer in any of
        its tries, or is gone.
        """
        check_inputs(network, inputs)
        self.check(network)
        before = self.retries
        answers: list[Answer] = []
        for payload in sample_payloads(inputs, self.identity):
            answers.append(
                self._ask(Kind.RUN, payload, self.identity.answer_bytes, lambda got: read_answer(got, self.identity))
            )
            if progress is not None:
                progress(len(answers), len(inputs))
        layers = [node.name for node in network.nodes if node.has_synapses]
        sops = np.array([answer.sops for answer in answers], np.int64)
        result = Result(
            logits=np.array([answer.logits for answer in answers], np.int64),
            classes=np.array([answer.winner for answer in answers], np.int64),
            sops={name: sops[:, n] for n, name in enumerate(layers)},
            spikes={},
            steps=np.array([answer.steps for answer in answers], np.int64),
        )
        cycles = np.array([answer.cycles for answer in answers], np.int64)
        return BoardResult(result, cycles, self.retries - before)

    def _ask(self, kind: Kind, payload: bytes, reply_bytes: int, read: Callable[[bytes], T]) -> T:
        """Send a request until its reply comes, and read that."""
        request_bytes = len(Frame(kind, 0, payload).encoded())
        self._decoder.most = max(reply_bytes, IDENTITY.size)
        on_line = BITS_PER_BYTE * (request_bytes + 2 * (HEADER.size + reply_bytes + 3)) / self.baud
        refused: Frame | None = None
        for attempt in range(self.tries):
            self.retries += attempt > 0
            self._tag = (self._tag + 1) % 256
            try:
                reply = self._exchange(Frame(kind, self._tag, payload), on_line + self.timeout)
            except OSError as error:
                raise HostError(f"the connection on {self.port} broke: {_reason(error)}") from None
            if reply is None:
                continue
            if reply.kind == kind | REPLY:
                try:
                    return read(reply.payload)
                except HostError as error:
                    raise HostError(f"what is on {self.port} is no board that this program knows: {error}") from None
            refused = reply
            if reply.payload == bytes([Fault.BUSY]):
                time.sleep(self.timeout)
        tries = f"in {self.tries} tries of {on_line + self.timeout:.1f} s"
        if refused is not None:
            raise HostError(f"the board on {self.port} refuses what it is sent, {tries}: {_fault(refused)}")
        raise HostError(
            f"nothing answers on {self.port} at {self.baud} baud, {tries}: is the bitstream loaded, is this its port,"
            " and was it built for this baud rate?"
        )

    def _exchange(self, frame: Frame, seconds: float) -> Frame | None:
        """The reply to `frame`, or None where none comes in time. Replies to earlier requests are passed over."""
        self._line.write_timeout = seconds
        self._line.write(frame.encoded())
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._line.timeout = min(left, LONGEST_READ_SECONDS)
            piece = self._line.read(max(1, self._line.in_waiting))
            for reply in self._decoder.feed(piece):
                # A damaged request may have lost its tag: whatever the board refuses was this one.
                if reply.kind == Kind.ERROR | REPLY or (reply.tag == frame.tag and reply.kind == frame.kind | REPLY):
                    return reply
        return None


def _fault(reply: Frame) -> str:
    said = {
        Fault.CRC: "it comes in damaged",
        Fault.LENGTH: "it has not the length that the network's samples have",
        Fault.KIND: "the board does not know this request",
        Fault.BUSY: "the board is still busy",
    }
    number = reply.payload[0] if reply.payload else 0
    return said[Fault(number)] if number in set(Fault) else f"fault {number}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error).lower() or type(error).__name__
