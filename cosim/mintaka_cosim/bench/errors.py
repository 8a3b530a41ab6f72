"""What a simulation can say to its user."""


class CosimError(RuntimeError):
    """A simulation could not be built or did not run as it must; the message is one sentence."""
