"""Early exit (SEENN-I, Li et al. 2023): a sample stops at the first step at which its class is clear enough.

SEENN-I stops where the softmax of the logits so far passes a confidence c. The softmax of K logits is at least c where
the largest is m >= ln((K - 1) c / (1 - c)) above the second, so that no exponential is needed: in the integer network
the margin of step t is an integer M_t, and a sample stops where top1 - top2 >= M_t. Here the margins are not taken from
a chosen c, but measured on training data that was held out, for a loss of accuracy that is allowed.

What it saves in hardware: the steps behind the exit, with all their cycles and SOPs; the next sample begins in the
cycle after. What it costs: a comparator and a register for the second largest logit, the logits' memory, a word per
step and layer to count operations, and the overlap of samples: the next one waits for the exit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mintaka.artifact import Network
from mintaka.artifact.reference import lead
from mintaka.compress.errors import CompressError
from mintaka.data.labels import class_problem
from mintaka.data.recall import accuracy
from mintaka.snn.fast import run_fast, steps_taken

Margins = tuple[int | None, ...]
LOSSES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


class Exit(BaseModel):
    """The table of early exit in a recipe: margins are set when the run is exported; nothing is trained.

    loss : share of the held-out samples whose class may be lost. holdout : share of the training data that is not
    trained with, but calibrates the margins. method, epochs, at : have these values only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    method: Literal["exit"]
    epochs: Annotated[int, Field(ge=0, le=0)] = 0
    at: Literal["qat"] = "qat"
    loss: Annotated[float, Field(ge=0, lt=1)] = 0.002
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1


@dataclass(frozen=True)
class ExitPoint:
    """What margins for an allowed `loss` (on the calibration data) do on other data."""

    loss: float
    margins: Margins
    accuracy: float
    mean_steps: float


def logits_by_step(network: Network, inputs: np.ndarray) -> np.ndarray:
    """The logits after each step if no sample stopped, int64 (T, N, classes); inputs as `Network.input_shape`."""
    found = []
    for steps in range(1, network.time_steps + 1):
        begun = replace(network, time_steps=steps, output=replace(network.output, margins=()))
        found.append(run_fast(begun, inputs if network.input.static else inputs[:, :steps]).logits)
    return np.stack(found)


def calibrate(network: Network, inputs: np.ndarray, labels: np.ndarray, loss: float) -> Margins:
    """Margins with which at most floor(loss * N) more of these samples are wrong than with all steps.

    Step by step, an even part of what may still be lost is spent: the margin of step t is the smallest integer such
    that no larger one loses more. None: no sample may stop at that step.

    inputs, labels : N samples that the network was not trained with, and their classes (N,).
    loss : a share, from 0 up to below 1.
    Raises CompressError where there is nothing to stop or nothing to calibrate with, where labels are no classes of the
    network, and for another loss.
    """
    _check(network, inputs, labels)
    _check_loss(loss)
    return _margins(logits_by_step(network, inputs), labels, loss)


def check_can_stop(time_steps: int) -> None:
    """Raise CompressError where there is no step to leave out."""
    if time_steps == 1:
        raise CompressError("a network of 1 time step has no step to leave out by early exit")


def _check(network: Network, inputs: np.ndarray, labels: np.ndarray) -> None:
    check_can_stop(network.time_steps)
    _check_labels(network, inputs, labels)
    if not len(labels):
        raise CompressError("there are no samples to calibrate early exit with: hold out more of the training data")


def _check_labels(network: Network, inputs: np.ndarray, labels: np.ndarray) -> None:
    if len(inputs) != len(labels):
        raise CompressError(f"each sample needs one label, but there are {len(inputs)} inputs and {len(labels)} labels")
    problem = class_problem(np.asarray(labels), network.classes)
    if problem is not None:
        raise CompressError(f"early exit cannot be judged by these labels: {problem}")


def _check_loss(loss: float) -> None:
    if not isinstance(loss, Real) or not 0 <= loss < 1:
        raise CompressError(f"the share of samples that early exit may lose must be 0 up to below 1, got {loss!r}")


def _margins(logits: np.ndarray, labels: np.ndarray, loss: float) -> Margins:
    T = len(logits)
    right = logits.argmax(2) == labels  # (T, N)
    left, active, margins = int(loss * len(labels)), np.full(len(labels), True), []
    for t in range(T - 1):
        ahead = lead(logits[t])
        lost = np.where(active, right[-1].astype(int) - right[t], 0)
        margin, spent = _smallest(ahead[active], lost[active], left // (T - 1 - t))
        margins.append(margin)
        left -= max(0, spent)
        active &= ahead < (np.inf if margin is None else margin)
    return tuple(margins) if any(m is not None for m in margins) else ()


def _smallest(ahead: np.ndarray, lost: np.ndarray, allowed: int) -> tuple[int | None, int]:
    """The smallest margin with which, as with every larger one, at most `allowed` are lost; and how many are."""
    margins, place = np.unique(-ahead, return_inverse=True)  # from the largest down
    total = np.cumsum(np.bincount(place, weights=lost, minlength=len(margins))).astype(int)
    fits = np.flatnonzero(np.cumsum(total > allowed) == 0)
    return (None, 0) if not len(fits) else (int(-margins[fits[-1]]), int(total[fits[-1]]))


def with_margins(network: Network, margins: Margins) -> Network:
    """The same network with these margins for early exit; () takes them away."""
    return replace(network, output=replace(network.output, margins=margins))


def exit_curve(
    network: Network,
    calibration: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    losses: tuple[float, ...] = LOSSES,
) -> list[ExitPoint]:
    """Accuracy against mean steps on the test data, for several allowed losses on the calibration data.

    calibration, test : inputs and labels.
    Raises CompressError as `calibrate` does, and where there is nothing to test with.
    """
    _check(network, *calibration)
    _check_labels(network, *test)
    if not len(test[1]):
        raise CompressError("there are no samples to test early exit with")
    for loss in losses:
        _check_loss(loss)
    by_step, logits = logits_by_step(network, calibration[0]), logits_by_step(network, test[0])
    points = []
    for loss in losses:
        margins = _margins(by_step, calibration[1], loss)
        steps = steps_taken(logits, margins)
        classes = logits[steps - 1, np.arange(len(steps))].argmax(1)
        points.append(ExitPoint(loss, margins, accuracy(classes, test[1]), float(steps.mean())))
    return points
