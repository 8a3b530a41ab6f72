"""The one exception of compression."""


class CompressError(ValueError):
    """A method cannot do what it is asked to; the message is one sentence for the user and names layer and value."""
