"""From the numbers that a user has to a network's input, with numpy alone.

The generated drivers hold this text, too (`mintaka_hw.host.render`), so that it uses nothing of the project. An input
is a dictionary here: `shape`, `steps` (None where it is the same at every step), `low` and `high` of its elements,
`code` ("none", "thermometer" or "repeat"; None where there is no encoding), `levels`, `scale`, `offset`, and `refusal`:
what is said where numbers come for spikes and no code is known, else None.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class NumbersError(ValueError):
    """Samples do not fit to the input; the message is one sentence."""


def input_of_numbers(form: dict[str, Any], x: Any) -> np.ndarray:
    """Samples (N, ...) of any real dtype as the input's integers, (N, *shape) or (N, steps, *shape).

    Raises NumbersError.
    """
    samples, code = taken(form, x)
    if form["scale"] is None or code is None:
        q = integers(samples, *ends(form, code))
    else:
        q = quantized(form, samples).clip(*ends(form, code))
    if code == "thermometer":
        return thermometer(q, form["levels"], form["steps"])
    return np.repeat(q[:, None], form["steps"], axis=1) if code == "repeat" else q


def beyond(form: dict[str, Any], x: Any) -> int:
    """How many of the samples' numbers saturate in the quantizer. Raises NumbersError."""
    samples, code = taken(form, x)
    if form["scale"] is None or code is None:
        return 0
    q, (low, high) = quantized(form, samples), ends(form, code)
    return int(((q < low) | (q > high)).sum())


def taken(form: dict[str, Any], x: Any) -> tuple[np.ndarray, str | None]:
    """x as an array of one sample or more that are finite numbers, and the code that they need: None for spikes that
    have their steps, and where there is no encoding."""
    try:
        x = np.asarray(x)
    except ValueError:
        raise NumbersError("the samples are no array: they differ in shape") from None
    if x.dtype.kind not in "biuf":
        raise NumbersError(f"the samples have the dtype {x.dtype}; they must be numbers")
    code, shape = form["code"], list(form["shape"])
    if len(shape) == x.ndim == 3 and [1, *x.shape[1:]] == shape:  # pictures of one channel, without it
        x = x[:, None]
    own = shape if form["steps"] is None else [form["steps"], *shape]
    of_numbers = code in ("thermometer", "repeat")
    found = list(x.shape[1:]) if x.ndim else None
    if found == own:
        code = None if of_numbers else code
    elif found == shape and form["refusal"] is not None:
        raise NumbersError(form["refusal"])
    elif not (of_numbers and found == shape):
        possible = batch_shape(own) + f" or {batch_shape(shape)}" * of_numbers
        raise NumbersError(f"the samples must have the shape {possible}, got {x.shape}")
    if not len(x):
        raise NumbersError("there is no sample")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        where = tuple(int(n) for n in np.argwhere(~np.isfinite(x))[0])
        raise NumbersError(f"sample {where[0]} holds {x[where]}; numbers must be finite")
    return (x.astype(np.uint8) if x.dtype.kind == "b" else x), code


def batch_shape(shape: tuple[int, ...] | list[int]) -> str:
    """The shape of a batch of such samples, for people: "(N, 6)"."""
    return f"(N, {', '.join(map(str, shape))})"


def ends(form: dict[str, Any], code: str | None) -> tuple[int, int]:
    """Least and largest of the integers that are encoded."""
    return (0, form["levels"] - 1) if code == "thermometer" else (form["low"], form["high"])


def integers(x: np.ndarray, low: int, high: int) -> np.ndarray:
    """x, which must hold integers from `low` to `high`."""
    wanted = f"the network takes integers from {low} to {high}"
    if x.dtype.kind == "f" and (x != np.rint(x)).any():
        where = tuple(int(n) for n in np.argwhere(x != np.rint(x))[0])
        raise NumbersError(f"sample {where[0]} holds {x[where]}, but {wanted}, and its artifact quantizes nothing")
    least, most = x.min(), x.max()
    if least < low or most > high:
        bad = most if most > high else least
        where = tuple(int(n) for n in np.argwhere(x == bad)[0])
        raise NumbersError(f"sample {where[0]} holds {bad}, but {wanted}")
    return x


def quantized(form: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """rint((x - offset) / scale) before it saturates, in float64, for x (..., *shape)."""
    per_index = (-1, *[1] * (len(form["shape"]) - 1))
    offset, scale = (np.array(form[name], np.float64).reshape(per_index) for name in ("offset", "scale"))
    with np.errstate(over="ignore"):  # what is beyond the largest float64 is beyond every range, too
        return np.rint((x.astype(np.float64) - offset) / scale)


def thermometer(x: np.ndarray, levels: int, steps: int) -> np.ndarray:
    """Spikes of integers from 0 to `levels` - 1: x (N, ...) -> (N, steps, ...) of 0 and 1.

    A number spikes in the step t = 0, 1, ... where `x * (steps + 1) >= (t + 1) * levels`: the larger, the more steps,
    always from the first one on.
    """
    least = [-(-(t + 1) * levels // (steps + 1)) for t in range(steps)]  # that spike in step t
    return np.stack([x >= bound for bound in least], axis=1)
