"""How the numbers that a user has become a network's input: the only way by which they do.

Every sample is encoded by what the artifact says and by nothing else: not by the samples beside it, nor by the dtype
in which its numbers come. `docs/reference/semantics.md` ("The input") defines it, in IEEE float64 and integers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mintaka.artifact.checks import require_network
from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.limits import LEVELS
from mintaka.artifact.numbers import NumbersError, beyond, input_of_numbers
from mintaka.artifact.schema import Encoding, Input, Network

ADVICE = "export it again, or state their levels: --input-levels 16 (in Python levels=16) for numbers from 0 to 15"


def encode(network: Network, x: Any, *, levels: int | None = None) -> np.ndarray:
    """The samples `x` as a batch of `network.input.dtype`, shape `network.input_shape(N)`, for every runner.

    x : numbers of any real dtype, (N, *shape); for an input that changes with the step (N, T, *shape). Where numbers
        become spikes, x may also be the spikes themselves, with their steps. Pictures of one channel, (1, H, W), may
        come without it, (N, H, W).
    levels : for spikes of an artifact that does not say how numbers become spikes: they are 0 to levels - 1.

    Numbers beyond the range of a quantizer saturate (`clipped` counts them). Raises ArtifactError where x has another
    shape, holds what is no number, or without a quantizer a number that is no integer or beyond the input's range.
    """
    require_network(network)
    return encoded(network.input, network.time_steps, x, levels)


def clipped(network: Network, x: Any) -> int:
    """How many of the numbers in `x`, as `encode` takes them, saturate in the artifact's quantizer."""
    require_network(network)
    encoding = network.input.encoding
    if encoding is None or encoding.quantizer is None:
        return 0
    try:
        return beyond(input_form(network.input, network.time_steps), x)
    except NumbersError as error:
        raise ArtifactError(str(error)) from None


def encoded(source: Input, time_steps: int, x: Any, levels: int | None = None) -> np.ndarray:
    """What `encode` does, for an input that need not belong to an artifact yet."""
    if levels is not None:
        source = _with_levels(source, levels)
    try:
        return input_of_numbers(input_form(source, time_steps), x).astype(source.dtype)
    except NumbersError as error:
        raise ArtifactError(str(error)) from None


def input_form(source: Input, time_steps: int) -> dict[str, Any]:
    """An input as `mintaka.artifact.numbers` wants it."""
    encoding = source.encoding
    quantizer = None if encoding is None else encoding.quantizer
    refusal = None
    if source.kind == "spikes" and (encoding is None or encoding.code == "none"):
        takes = f"the network takes spikes of {time_steps} steps"
        refusal = f"{takes}, and its artifact does not say how numbers become spikes: {ADVICE}"
    return {
        "shape": list(source.shape),
        "steps": None if source.static else time_steps,
        "low": source.low,
        "high": source.high,
        "code": None if encoding is None else encoding.code,
        "levels": None if encoding is None else encoding.levels,
        "scale": None if quantizer is None else list(quantizer.scale),
        "offset": None if quantizer is None else list(quantizer.offset),
        "refusal": refusal,
    }


def encoding_of(levels: int) -> Encoding:
    """How integers from 0 to `levels` - 1 become spikes: by the thermometer, of two levels repeated."""
    return Encoding("repeat") if levels == 2 else Encoding("thermometer", levels)


def _with_levels(source: Input, levels: int) -> Input:
    if source.kind != "spikes":
        raise ArtifactError(f"levels are for an input of spikes, but this one is {source.kind}")
    if source.encoding is not None:
        raise ArtifactError("the artifact says itself how numbers become its input: leave the levels out")
    LEVELS.require(levels, "levels", ArtifactError)
    return replace(source, encoding=encoding_of(levels))
