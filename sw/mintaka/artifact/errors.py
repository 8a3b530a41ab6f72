"""The one exception of the contract."""

MAX_SENTENCE = 600


class ArtifactError(ValueError):
    """An artifact is damaged, foreign or inconsistent; the message is one sentence for the user.

    What a file says is quoted in the message, so it is made printable and kept to one line here, once for all.
    """

    def __init__(self, sentence: str):
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence[: 2 * MAX_SENTENCE])
        super().__init__(line if len(line) <= MAX_SENTENCE else line[: MAX_SENTENCE - 3] + "...")
