"""From a recipe and its data to the network's input: which numbers it takes, and how others become such numbers.

What is derived from data (widths of integers aside) is derived from the training split alone.
"""

from __future__ import annotations

import numpy as np

from mintaka.artifact import Encoding, Input, Quantizer
from mintaka.artifact.encoding import encoding_of
from mintaka.artifact.limits import INPUT_BITS, SIGNED_INPUT_BITS
from mintaka.data import Dataset
from mintaka.train.errors import RecipeError
from mintaka.train.keys import NetworkRecipe, Recipe

INPUT_NAME = "input"


def network_input(recipe: Recipe, dataset: Dataset) -> Input:
    """The network's input for this data; RecipeError where the data does not fit to the recipe's [network]."""
    network, shape = recipe.network, dataset.train_x.shape[1:]
    kind, steps = network.input, network.time_steps
    temporal = len(shape) in (2, 4)
    if kind == "direct" and temporal:
        raise RecipeError(f"'network.input' is 'direct', but the data has samples of shape {shape} with time steps")
    if kind == "counts" and not temporal:
        raise RecipeError(f"'network.input' is 'counts', but the data has samples of shape {shape} without steps")
    if temporal:
        if shape[0] != steps:
            raise RecipeError(f"'network.time_steps' is {steps}, but the data has {shape[0]} steps")
        shape = shape[1:]
    if network.input_bits is not None:
        return _quantized(network, network.input_bits, dataset.train_x, shape, temporal=temporal)
    for key in ("input_scale", "input_offset"):
        if getattr(network, key) is not None:
            raise RecipeError(f"'network.{key}' needs 'network.input_bits': without, numbers are taken as they are")
    return _as_they_are(network, dataset, shape, temporal=temporal)


def _as_they_are(network: NetworkRecipe, dataset: Dataset, shape: tuple[int, ...], *, temporal: bool) -> Input:
    """Of integers that the network can take."""
    kind, bits = network.input, dataset.bits
    if bits is None:
        raise RecipeError(
            f"the data holds real numbers (such as {_some_real(dataset):.6g}): give 'network.input_bits', the width to "
            "which they are quantized (for example 8)"
        )
    if dataset.signed and kind != "direct":
        raise RecipeError(
            f"the data holds negative numbers, but 'network.input' = '{kind}' takes numbers from 0: give "
            '\'network.input_bits\' and input_offset = "min", or input = "direct"'
        )
    if kind == "spikes":
        if temporal:
            if bits > 1:
                raise RecipeError("'network.input' is 'spikes', but the data holds larger numbers than 1: say 'counts'")
            return Input(INPUT_NAME, shape, kind, 1)
        if bits in INPUT_BITS:
            return Input(INPUT_NAME, shape, kind, 1, encoding=encoding_of(2**bits))
    if bits not in INPUT_BITS:
        raise RecipeError(
            f"the data holds integers of {bits} bits, but inputs have at most {INPUT_BITS.most}: give "
            "'network.input_bits', the width to which they are quantized"
        )
    return Input(INPUT_NAME, shape, kind, bits, dataset.signed)


def _some_real(dataset: Dataset) -> float:
    for x in (dataset.train_x, dataset.test_x):
        found = x[x != np.rint(x)]
        if found.size:
            return float(found[0])
    return float(dataset.train_x.flat[0])


def _quantized(network: NetworkRecipe, bits: int, x: np.ndarray, shape: tuple[int, ...], *, temporal: bool) -> Input:
    """Of numbers that are quantized to so many bits. x : the training split."""
    kind, offset = network.input, network.input_offset or "zero"
    if kind == "spikes" and temporal:
        raise RecipeError("'network.input_bits' is for numbers, but the data has spikes with steps: leave it out")
    low, high, mean = _ends(x, shape, per_channel=network.input_scale != "tensor")
    zero = {"zero": np.zeros_like(low), "min": low, "mean": mean}[offset]
    with np.errstate(over="ignore", invalid="ignore"):
        least, most = low - zero, high - zero
    if not np.isfinite([zero, least, most]).all():
        raise RecipeError(
            f"'network.input_offset' = '{offset}' cannot be computed in float64 for numbers from {low.min():.3g} to "
            f"{high.max():.3g}: divide the data by a constant"
        )
    signed = bool((least < 0).any())
    if signed and kind != "direct":
        raise RecipeError(
            f"'network.input' = '{kind}' takes numbers from 0, but with input_offset = \"{offset}\" the data goes down "
            f'to {least.min():.6g}: give input_offset = "min"'
        )
    if signed and bits not in SIGNED_INPUT_BITS:
        problem = SIGNED_INPUT_BITS.problem(bits)
        raise RecipeError(f"'network.input_bits' {problem}: the data has negative numbers")
    scale = np.maximum(most, -least) / (2 ** (bits - 1) - 1 if signed else 2**bits - 1)
    scale[scale == 0] = scale.max() or 1.0  # of constants, which are as good as any number
    scale = scale.clip(np.finfo(np.float64).tiny, np.finfo(np.float64).max)
    quantizer = Quantizer(tuple(scale.tolist()), tuple(zero.tolist()))
    if kind != "spikes":
        return Input(INPUT_NAME, shape, kind, bits, signed, Encoding("none", None, quantizer))
    code = encoding_of(2**bits)
    return Input(INPUT_NAME, shape, kind, 1, encoding=Encoding(code.code, code.levels, quantizer))


def _ends(x: np.ndarray, shape: tuple[int, ...], *, per_channel: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smallest, largest and mean number of each channel (an index of the first axis of `shape`), or of all: float64."""
    channel = x.ndim - len(shape)
    others = tuple(axis for axis in range(x.ndim) if axis != channel or not per_channel)
    with np.errstate(over="ignore", invalid="ignore"):  # of the sum
        found = x.min(others), x.max(others), x.mean(others, dtype=np.float64)
    low, high, mean = (np.atleast_1d(np.asarray(values, np.float64)) for values in found)
    return low, high, mean
