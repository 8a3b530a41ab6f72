"""How numbers become a network's input: by hand, by a second implementation, and for each sample alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import files
from contract.samples import tensor, wired
from contract.stranger import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EVERYTHING, networks, numbers_for

from mintaka.artifact import (
    ArtifactError,
    Edge,
    Encoding,
    Input,
    Interval,
    Network,
    Node,
    Quantizer,
    check_inputs,
    clipped,
    encode,
    network_bounds,
    run,
    save,
    signals,
)
from mintaka.artifact.encoding import encoded
from mintaka.artifact.signals import bit_pattern


def network(kind: str = "direct", bits: int = 4, shape: tuple[int, ...] = (2,), **more: Any) -> Network:
    """A head of one class on this input, three steps."""
    head = Node("head", "dense", (Edge("x", 0, tensor(np.ones((1, int(np.prod(shape))), int))),), shape, (1,))
    return wired(head, steps=3, shape=shape, kind=kind, bits=bits, **more)


def refused(of: Network, x: Any, **options: Any) -> str:
    with pytest.raises(ArtifactError) as caught:
        encode(of, x, **options)
    return str(caught.value)


SIGNED = network(signed=True)
REAL = network(signed=True, encoding=Encoding("none", None, Quantizer((0.5,), (0.0,))))
WARM = network("spikes", 1, encoding=Encoding("thermometer", 16))


@pytest.mark.parametrize(
    ("of", "x", "expected"),
    [
        (network(), [[0, 15]], [[0, 15]]),
        (SIGNED, [[-8, 7]], [[-8, 7]]),
        (REAL, [[-4.0, 3.4]], [[-8, 7]]),
        (REAL, [[0.25, 0.75]], [[0, 2]]),
        (REAL, [[-0.25, -0.75]], [[0, -2]]),
        (REAL, [[-1e308, 1e308]], [[-8, 7]]),
        (WARM, [[4, 12]], [[[1, 1], [0, 1], [0, 1]]]),
        (WARM, [[3, 0]], [[[0, 0], [0, 0], [0, 0]]]),
        (WARM, [[[0, 1], [1, 0], [1, 1]]], [[[0, 1], [1, 0], [1, 1]]]),
        (network("spikes", 1, encoding=Encoding("repeat")), [[0, 1]], [[[0, 1]] * 3]),
        (network("counts", 2), [[[0, 1], [3, 2], [0, 0]]], [[[0, 1], [3, 2], [0, 0]]]),
    ],
)
def test_by_hand(of: Network, x: Any, expected: Any) -> None:
    """In every dtype that holds the numbers, little and big endian, in lists and in arrays that are not in order."""
    found = encode(of, x)
    assert found.tolist() == expected
    check_inputs(of, found)
    dtypes = ("u1", "i1", "i2", ">i2", "u8", "i8", "f2", "f4", ">f4", "f8", "longdouble")
    for dtype in map(np.dtype, dtypes):
        with np.errstate(invalid="ignore", over="ignore"):
            same = np.array(x).astype(dtype)
        if np.array_equal(same.astype(float), np.array(x, float)):
            assert encode(of, same).tobytes() == encode(of, np.asfortranarray(same)).tobytes() == found.tobytes()
    assert encode(of, np.array(x) > 0).tolist() == encode(of, (np.array(x) > 0).astype(int)).tolist()


def test_scales_and_offsets_by_channel() -> None:
    """The first axis, also of a picture and with steps ahead of it."""
    quantizer = Quantizer((1.0, 0.1), (0.0, 5.0))
    picture = np.array([[[[1.0, 2.0]], [[5.1, 5.2]]]])
    direct = Input("x", (2, 1, 2), "direct", 4, encoding=Encoding("none", None, quantizer))
    assert encoded(direct, 3, picture).tolist() == [[[[1, 2]], [[1, 2]]]]
    counts = Input("x", (2, 1, 2), "counts", 4, encoding=Encoding("none", None, quantizer))
    assert encoded(counts, 2, np.stack([picture, picture + 1], 1)).tolist() == [
        [[[[1, 2]], [[1, 2]]], [[[2, 3]], [[11, 12]]]]
    ]


def test_clipped_counts_what_saturates() -> None:
    x = [[-4.2, -4.3], [3.74, 3.8], [0.0, 100.0]]
    assert encode(REAL, x).tolist() == [[-8, -8], [7, 7], [0, 7]]
    assert clipped(REAL, x) == 3
    assert clipped(SIGNED, [[1, 2]]) == clipped(WARM, [[3, 4]]) == 0
    warm = network("spikes", 1, encoding=Encoding("thermometer", 4, Quantizer((0.5,), (0.0,))))
    assert encode(warm, [[-1.0, 2.0]]).sum(1).tolist() == [[0, 3]]
    assert clipped(warm, [[-1.0, 2.0]]) == 2
    assert clipped(warm, [[[1, 0], [0, 1], [1, 1]]]) == 0  # spikes already


@pytest.mark.parametrize(
    ("of", "x", "reason"),
    [
        (network(), [[0, 1], [3, 16]], "sample 1 holds 16, but the network takes integers from 0 to 15"),
        (network(), [[0, -1]], "sample 0 holds -1, but the network takes integers from 0 to 15"),
        (SIGNED, [[0, -9]], "sample 0 holds -9, but the network takes integers from -8 to 7"),
        (SIGNED, np.array([[0, 2**64 - 1]], np.uint64), "sample 0 holds 18446744073709551615, but the network takes"),
        (network(), [[0.5, 1]], "sample 0 holds 0.5, but the network takes integers from 0 to 15, and its artifact"),
        (network(), [[np.nan, 1]], "sample 0 holds nan; numbers must be finite"),
        (REAL, [[0, 0], [0, -np.inf]], "sample 1 holds -inf; numbers must be finite"),
        (REAL, [[0, 1, 2]], "the samples must have the shape (N, 2), got (1, 3)"),
        (network("counts", 2), [[0, 1]], "the samples must have the shape (N, 3, 2), got (1, 2)"),
        (WARM, [[[0, 1]]], "the samples must have the shape (N, 3, 2) or (N, 2), got (1, 1, 2)"),
        (WARM, [[16, 0]], "sample 0 holds 16, but the network takes integers from 0 to 15"),
        (WARM, [[[2, 0]] * 3], "sample 0 holds 2, but the network takes integers from 0 to 1"),
        (WARM, 7, "the samples must have the shape (N, 3, 2) or (N, 2), got ()"),
        (network(), np.zeros((0, 2), int), "there is no sample"),
        (network(), [["1", "2"]], "the samples have the dtype <U1; they must be numbers"),
        (network(), [[1, 2], [3]], "the samples are no array: they differ in shape"),
        (network(), [[1j, 2]], "the samples have the dtype complex128; they must be numbers"),
    ],
)
def test_what_is_refused(of: Network, x: Any, reason: str) -> None:
    assert refused(of, x).startswith(reason)


def test_numbers_for_spikes_without_an_encoding() -> None:
    """They are refused, as nobody knows their width; or it is given."""
    old = network("spikes", 1)
    assert refused(old, [[1, 2]]) == (
        "the network takes spikes of 3 steps, and its artifact does not say how numbers become spikes: export it "
        "again, or state their levels: --input-levels 16 (in Python levels=16) for numbers from 0 to 15"
    )
    assert encode(old, [[4, 12]], levels=16).tolist() == encode(WARM, [[4, 12]]).tolist()
    assert encode(old, [[0, 1]], levels=2).tolist() == [[[0, 1]] * 3]
    assert refused(old, [[4, 16]], levels=16) == "sample 0 holds 16, but the network takes integers from 0 to 15"
    for levels in (1, 65537):
        assert refused(old, [[0, 0]], levels=levels) == f"levels must be 2 to 65,536, got {levels:,}"
    for levels, got in ((16.5, "16.5"), ("x", "'x'")):
        assert refused(old, [[0, 0]], levels=levels) == f"levels must be an integer, 2 to 65,536, got {got}"
    assert refused("a/path", [[0, 0]]) == (  # type: ignore[arg-type]
        "the network must be a Network, as mintaka.artifact.load(path) gives it, got 'a/path'"
    )
    assert refused(network(), [[0, 0]], levels=16) == "levels are for an input of spikes, but this one is direct"
    assert "leave the levels out" in refused(WARM, [[0, 0]], levels=16)


@settings(max_examples=150)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_a_sample_hangs_on_no_other(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, seed: int) -> None:
    """Any subset in any order, some samples twice, in batches of any size, has the inputs that each has alone: those
    that the page says."""
    drawn = data.draw(networks(features=EVERYTHING, max_hidden=0))
    numbers = numbers_for(drawn, 3, seed)
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save(drawn, path)
    simulator = Simulator(*files.pull_apart(path))
    alone = [encode(drawn, numbers[n : n + 1]) for n in range(3)]
    for n, each in enumerate(alone):
        assert each[0].tolist() == simulator.encode(numbers[n].tolist()).tolist()
    order = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=5))
    together = encode(drawn, numbers[order])
    assert together.dtype == drawn.input.dtype
    assert together.tobytes() == np.concatenate([alone[n] for n in order]).tobytes()
    result = run(drawn, together)
    assert result.logits.tolist() == [run(drawn, alone[n]).logits[0].tolist() for n in order]


# ---------------------------------------------------------------- signed numbers


def test_signed_sums_operations_and_bounds_by_hand() -> None:
    """W = (5, -2), x of 3 bits: -4 = 100b costs 1, 3 = 011b 2, -1 = 111b 3, 0 nothing."""
    head = Node("head", "dense", (Edge("x", 0, tensor([[5, -2]]), input_shift=1),), (2,), (1,))
    of = wired(head, steps=2, shape=(2,), kind="direct", bits=3, signed=True)
    found = run(of, np.array([[-4, 3], [-1, -1], [0, 0], [3, -4]], np.int8))
    assert found.logits.tolist() == [[2 * (-26 >> 1)], [2 * (-3 >> 1)], [0], [2 * (23 >> 1)]]
    assert found.sops["head"].tolist() == [3, 6, 0, 3]
    assert network_bounds(of)["head"].sums == (Interval(5 * -4 - 2 * 3, 5 * 3 - 2 * -4),)
    signal = signals(of)["x"]
    assert (signal.min_value, signal.max_value, signal.bits, signal.magnitude, signal.most_operations) == (
        -4,
        3,
        3,
        4,
        3,
    )


@pytest.mark.parametrize("bits", [2, 7, 8, 9, 16])
def test_bit_patterns_are_those_of_twos_complement(bits: int) -> None:
    x = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
    dtype = np.int8 if bits <= 8 else np.int16
    for given_ in (x, x.astype(dtype)):
        assert bit_pattern(given_, bits).tolist() == [int(v) % 2**bits for v in x]
    signal = signals(network(bits=bits, signed=True))["x"]
    assert signal.operations(x).tolist() == [(int(v) % 2**bits).bit_count() for v in x]


def test_signed_inputs_are_checked() -> None:
    check_inputs(SIGNED, np.array([[-8, 7]], np.int8))
    for x, reason in (
        (np.array([[0, 1]], np.uint8), "the input must be int8, as signed direct of 4 bits are, got uint8"),
        (np.array([[0, -9]], np.int8), "the input holds -9; 4 signed bits are -8 to 7"),
        (np.array([[0, 8]], np.int8), "the input holds 8; 4 signed bits are -8 to 7"),
    ):
        with pytest.raises(ArtifactError) as caught:
            check_inputs(SIGNED, x)
        assert str(caught.value) == reason
