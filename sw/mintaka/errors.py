"""What every error that is meant for the user has in common."""

from __future__ import annotations

MAX_SENTENCE = 1000


class MintakaError(Exception):
    """Something that the user can mend: a file, a request, a tool. The message is one sentence.

    What files and boards say is quoted in messages, so every message is made printable and kept to one line here, once
    for all: it can be sent to a terminal or a log as it is.
    """

    def __init__(self, sentence: str):
        line = printable(sentence[: 2 * MAX_SENTENCE])
        super().__init__(line if len(line) <= MAX_SENTENCE else line[: MAX_SENTENCE - 3] + "...")


def printable(text: str) -> str:
    """`text` on one line: line ends, terminal and direction codes and half characters become escapes like \\x1b."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
