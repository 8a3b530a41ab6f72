"""Packing of the streams' words: element 0 in the low bits, whatever the widths."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mintaka_cosim.bench.words import pack_beats, split_fields, unpack_fields, word_count


@given(
    samples=st.integers(1, 3),
    steps=st.integers(1, 3),
    size=st.integers(1, 40),
    elements=st.integers(1, 40),
    bits=st.integers(1, 16),
    seed=st.integers(0, 2**32 - 1),
)
def test_beats_hold_the_elements_in_order(
    samples: int, steps: int, size: int, elements: int, bits: int, seed: int
) -> None:
    x = np.random.default_rng(seed).integers(0, 2**bits, (samples, steps, size)).astype(np.uint16)
    beats = pack_beats(x, elements, bits, static=False)
    per_list = -(-size // elements)
    assert beats.shape == (samples, steps * per_list, word_count(elements * bits))
    for sample in range(samples):
        for step in range(steps):
            found = []
            for beat in beats[sample, step * per_list : (step + 1) * per_list]:
                value = sum(int(word) << (32 * index) for index, word in enumerate(beat))
                assert value < 2 ** (elements * bits)
                found += [(value >> (e * bits)) & (2**bits - 1) for e in range(elements)]
            assert found[:size] == x[sample, step].tolist()
            assert not any(found[size:])


def test_static_input_makes_one_list_per_sample() -> None:
    x = np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3)
    assert pack_beats(x, 4, 4, static=True).tolist() == [[[0x3210], [0x0054]], [[0x9876], [0x00BA]]]


def test_negative_numbers_are_twos_complement() -> None:
    x = np.array([[-1, 2, -3, -4]], np.int8)
    assert pack_beats(x, 4, 3, static=True).tolist() == [[[0b100_101_010_111]]]
    wide = np.array([[-(2**15), -1]], np.int16)
    assert pack_beats(wide, 2, 16, static=True).tolist() == [[[0xFFFF8000]]]


@given(
    values=st.lists(st.lists(st.integers(-(2**40), 2**40), min_size=3, max_size=3), min_size=1, max_size=4),
    width=st.integers(1, 40),
    signed=st.booleans(),
)
def test_fields_come_back(values: list[list[int]], width: int, signed: bool) -> None:
    mask = 2**width - 1
    words, wanted = [], []
    for row in values:
        packed = sum((value & mask) << (index * width) for index, value in enumerate(row))
        words.append([(packed >> (32 * index)) & 0xFFFFFFFF for index in range(word_count(3 * width))])
        fields = [value & mask for value in row]
        if signed:
            fields = [field - 2**width if field >> (width - 1) else field for field in fields]
        assert split_fields(packed, 3, width, signed=signed) == fields
        wanted.append(fields)
    found = unpack_fields(np.array(words, np.uint32), 3, width, signed=signed)
    assert found.tolist() == wanted
