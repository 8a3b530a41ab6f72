"""How a signal travels: pixel by pixel, the channels of a pixel in words of so many elements."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np


@dataclass(frozen=True)
class StreamLayout:
    """A frame of `rows` x `cols` pixels with `channels` elements of `element_bits` bits each.

    Pixels go row by row; a pixel's channels come in `words_per_pixel` words of `word_elements`, the last one perhaps
    only partly used. A flat signal is one pixel whose channels are its elements.
    """

    rows: int
    cols: int
    channels: int
    word_elements: int
    element_bits: int

    @property
    def pixels(self) -> int:
        return self.rows * self.cols

    @property
    def words_per_pixel(self) -> int:
        return ceil(self.channels / self.word_elements)

    @property
    def words(self) -> int:
        """Words per frame."""
        return self.pixels * self.words_per_pixel

    @property
    def word_bits(self) -> int:
        return self.word_elements * self.element_bits

    @property
    def elements(self) -> int:
        return self.pixels * self.channels

    @property
    def rest(self) -> int:
        """Elements in the last word of a pixel."""
        return self.channels - (self.words_per_pixel - 1) * self.word_elements

    def flat(self, x: np.ndarray) -> np.ndarray:
        """Frames (M, C, H, W) or (M, N) in the order of the stream, (M, elements): channels innermost.

        A picture that travels as one pixel stays in C order.
        """
        return (x if self.pixels == 1 else np.moveaxis(x, 1, -1)).reshape(len(x), -1)

    def split(self, x: np.ndarray) -> np.ndarray:
        """Elements in stream order (M, elements) as words (M, words, word_elements), zero where nothing is."""
        pixels = x.reshape(len(x), self.pixels, self.channels)
        padding = self.words_per_pixel * self.word_elements - self.channels
        padded = np.pad(pixels, ((0, 0), (0, 0), (0, padding)))
        return padded.reshape(len(x), self.words, self.word_elements)
