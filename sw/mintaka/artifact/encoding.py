"""How the numbers that a user has become a network's input: the only place where they do.

Every sample is encoded by what the artifact says and by nothing else: not by the samples beside it, nor by the dtype
in which its numbers come. `docs/semantics.md` ("The input") defines it, in IEEE float64 and integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.schema import Encoding, Input, Network, Quantizer, Shape

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
    return encoded(network.input, network.time_steps, x, levels)


def clipped(network: Network, x: Any) -> int:
    """How many of the numbers in `x`, as `encode` takes them, saturate in the artifact's quantizer."""
    source = network.input
    if source.encoding is None or source.encoding.quantizer is None:
        return 0
    found, code = _samples(source, network.time_steps, x, source.encoding)
    if code is None or code.quantizer is None:
        return 0
    q, (low, high) = quantized(code.quantizer, found, source.shape), _range(source, code)
    return int(((q < low) | (q > high)).sum())


def encoded(source: Input, time_steps: int, x: Any, levels: int | None = None) -> np.ndarray:
    """What `encode` does, for an input that need not belong to an artifact yet."""
    encoding = source.encoding
    if levels is not None:
        encoding = _of_levels(source, levels)
    found, code = _samples(source, time_steps, x, encoding)
    if code is None:
        return _integers(found, source.low, source.high).astype(source.dtype)
    low, high = _range(source, code)
    if code.quantizer is None:
        q = _integers(found, low, high)
    else:
        q = quantized(code.quantizer, found, source.shape).clip(low, high)
    if code.code == "none":
        return q.astype(source.dtype)
    if code.code == "repeat":
        return np.repeat(q[:, None].astype(source.dtype), time_steps, axis=1)
    assert code.levels is not None
    return thermometer(q, code.levels, time_steps)


def encoding_of(levels: int) -> Encoding:
    """How integers from 0 to `levels` - 1 become spikes: by the thermometer, of two levels repeated."""
    return Encoding("repeat") if levels == 2 else Encoding("thermometer", levels)


def quantized(quantizer: Quantizer, x: np.ndarray, shape: Shape) -> np.ndarray:
    """rint((x - offset) / scale) before it saturates, float64 (..., *shape), for x (..., *shape)."""
    per_index = (-1, *[1] * (len(shape) - 1))
    offset, scale = (np.array(v, np.float64).reshape(per_index) for v in (quantizer.offset, quantizer.scale))
    with np.errstate(over="ignore"):  # beyond the largest float64 is beyond every range, too
        return np.rint((x.astype(np.float64) - offset) / scale)


def thermometer(x: np.ndarray, levels: int, time_steps: int) -> np.ndarray:
    """Spikes of integers from 0 to `levels` - 1: x (N, ...) -> (N, T, ...) of 0 and 1, uint8.

    A number spikes in the step t = 0..T-1 where `x * (T + 1) >= (t + 1) * levels`: the larger, the more steps, always
    from the first one on.
    """
    least = [-(-(t + 1) * levels // (time_steps + 1)) for t in range(time_steps)]  # that spike in step t
    return np.stack([x >= bound for bound in least], axis=1).astype(np.uint8)


def _of_levels(source: Input, levels: int) -> Encoding:
    if source.kind != "spikes":
        raise ArtifactError(f"levels are for an input of spikes, but this one is {source.kind}")
    if source.encoding is not None:
        raise ArtifactError("the artifact says itself how numbers become its input: leave the levels out")
    if not 2 <= levels <= 2**16:
        raise ArtifactError(f"numbers have 2 to {2**16} levels, not {levels}")
    return encoding_of(levels)


def _range(source: Input, encoding: Encoding) -> tuple[int, int]:
    """Least and largest of the integers that are encoded."""
    if encoding.code == "thermometer":
        assert encoding.levels is not None
        return 0, encoding.levels - 1
    return source.low, source.high


def _samples(source: Input, time_steps: int, x: Any, encoding: Encoding | None) -> tuple[np.ndarray, Encoding | None]:
    """x as an array of one sample or more that are numbers, and the encoding that they need: None for spikes that have
    their steps."""
    try:
        x = np.asarray(x)
    except ValueError:
        raise ArtifactError("the samples are no array: they differ in shape") from None
    if x.dtype.kind not in "biuf":
        raise ArtifactError(f"the samples have the dtype {x.dtype}; they must be numbers")
    if len(source.shape) == x.ndim == 3 and (1, *x.shape[1:]) == source.shape:
        x = x[:, None]
    own = source.shape if source.static else (time_steps, *source.shape)
    makes_spikes = encoding is not None and encoding.code != "none"
    if x.ndim and x.shape[1:] == source.shape and source.kind == "spikes":
        if not makes_spikes:
            raise ArtifactError(
                f"the network takes spikes of {time_steps} steps, and its artifact does not say how numbers become "
                f"spikes: {ADVICE}"
            )
    elif not x.ndim or x.shape[1:] != own:
        possible = f"{['N', *own]}" + f" or {['N', *source.shape]}" * makes_spikes
        raise ArtifactError(f"the samples have the shape {list(x.shape)}, but the network takes {possible}")
    elif makes_spikes:
        encoding = None
    if not len(x):
        raise ArtifactError("there is no sample")
    if x.dtype.kind == "b":
        x = x.astype(np.uint8)
    if x.dtype.kind == "f":
        _check_finite(x)
    return x, encoding


def _check_finite(x: np.ndarray) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        where = tuple(int(n) for n in np.argwhere(bad)[0])
        raise ArtifactError(f"sample {where[0]} holds {x[where]}; numbers must be finite")


def _integers(x: np.ndarray, low: int, high: int) -> np.ndarray:
    """x, which must hold integers from `low` to `high`."""
    wanted = f"the network takes integers from {low} to {high}"
    if x.dtype.kind == "f" and (x != np.rint(x)).any():
        where = tuple(int(n) for n in np.argwhere(x != np.rint(x))[0])
        raise ArtifactError(f"sample {where[0]} holds {x[where]}, but {wanted}, and its artifact quantizes nothing")
    least, most = x.min(), x.max()
    if least < low or most > high:
        bad = most if most > high else least
        where = tuple(int(n) for n in np.argwhere(x == bad)[0])
        raise ArtifactError(f"sample {where[0]} holds {bad}, but {wanted}")
    return x
