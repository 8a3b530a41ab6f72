"""A network and its accelerator as one picture: what `mintaka show --graph` writes."""

from mintaka_cosim.picture.draw import draw
from mintaka_cosim.picture.facts import Facts, gather

__all__ = ["Facts", "draw", "gather"]
