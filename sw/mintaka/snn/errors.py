"""The one exception of network building and export."""


class LayerError(ValueError):
    """A layer cannot be built or exported; the message is one sentence for the user and names the layer."""
