"""The margins of early exit as one word: what a design that takes them at run time is given."""

from __future__ import annotations

from collections.abc import Sequence


def packed_margins(margins: Sequence[int | None], logit_width: int) -> int:
    """`logit_width` + 1 bits for each, the first one's lowest: the margin, and above it a bit that says never.

    A margin that no two logits can be apart is a never.
    """
    word = 0
    for step, margin in enumerate(margins):
        field = 1 << logit_width if margin is None else min(margin, 1 << logit_width)
        word |= field << step * (logit_width + 1)
    return word
