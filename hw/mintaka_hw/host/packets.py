"""How samples and results lie in AXI4-Stream packets: bytes, words and beats."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd

from mintaka_hw.plan import Plan

BYTE = 8
RESULT_BYTES = 4  # of a beat of a result
MAX_BEAT_BYTES = 128  # the widest that DMA engines take
TRAILER_BEATS = 3  # behind the logits: class, steps and errors, cycles
STEPS_BITS = 16  # of the second of them; above it the errors
ABORTED_BIT = 31
ERRORS = {
    "short": "TLAST came early; missing bytes were taken as 0",
    "long": "TLAST came late; what was too much was dropped",
    "keep": "TKEEP left out a byte that carries data; it was taken as 0",
}


@dataclass(frozen=True)
class PacketLayout:
    """One sample's packet, and its result's.

    A sample has `frames` frames: one per time step, or one in all (`static`). A frame has `frame_words` words of
    `word_bits` bits. In a packet each word takes `word_bytes` bytes, the first in the lowest byte; words follow one
    another without a gap, and every frame begins in a beat of its own.
    """

    word_bits: int
    frame_words: int
    frames: int
    static: bool
    classes: int
    logit_bits: int

    @property
    def word_bytes(self) -> int:
        return ceil(self.word_bits / BYTE)

    @property
    def beat_bytes(self) -> int:
        """Of TDATA: 4, or as many as carry a word per beat."""
        return min(MAX_BEAT_BYTES, max(4, 1 << (self.word_bytes - 1).bit_length()))

    @property
    def frame_beats(self) -> int:
        return ceil(self.frame_words * self.word_bytes / self.beat_bytes)

    @property
    def frame_bytes(self) -> int:
        """Of a frame in a packet, with what fills its last beat up."""
        return self.frame_beats * self.beat_bytes

    @property
    def rest_bytes(self) -> int:
        """Bytes that carry data in a frame's last beat."""
        return self.frame_words * self.word_bytes - (self.frame_beats - 1) * self.beat_bytes

    @property
    def granule_bytes(self) -> int:
        """Beats and words both are multiples of it."""
        return gcd(self.beat_bytes, self.word_bytes)

    @property
    def logit_beats(self) -> int:
        return ceil(self.logit_bits / (RESULT_BYTES * BYTE))

    @property
    def result_beats(self) -> int:
        return self.classes * self.logit_beats + TRAILER_BEATS

    @property
    def result_bytes(self) -> int:
        return self.result_beats * RESULT_BYTES


def packet_layout(plan: Plan) -> PacketLayout:
    """Of a plan's input and output."""
    words, static = plan.input, plan.network.input.static
    return PacketLayout(
        word_bits=words.word_bits,
        frame_words=words.words,
        frames=1 if static else plan.network.time_steps,
        static=static,
        classes=plan.network.classes,
        logit_bits=plan.logit_width,
    )
