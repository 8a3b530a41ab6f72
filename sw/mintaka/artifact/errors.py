"""The one exception of the contract."""


class ArtifactError(ValueError):
    """An artifact is damaged, foreign or inconsistent; the message is one sentence for the user."""
