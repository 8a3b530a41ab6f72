"""The one exception of the data sets."""


class DataError(ValueError):
    """A data set cannot be had or is not what it should be; the message is one sentence for the user."""
