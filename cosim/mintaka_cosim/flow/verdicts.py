"""The files of co-simulations' verdicts: one for everything that can be verified of a run, so that none takes
another's place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mintaka.artifact.whole import write_whole
from mintaka.data.recall import accuracy
from mintaka_cosim.bench import CosimResult, Stalls
from mintaka_hw.plan import Plan

if TYPE_CHECKING:
    from mintaka.data import Dataset

PATTERN = "cosim*.json"
DIGEST_DIGITS = 8


def inputs_digest(inputs: np.ndarray) -> str:
    """Of samples as the network takes them: sha256, as 64 hex digits."""
    head = f"{inputs.dtype.str} {inputs.shape}\0".encode()
    return hashlib.sha256(head + np.ascontiguousarray(inputs).tobytes()).hexdigest()


def file_name(plan: Plan, data: str, inputs: np.ndarray, *, taps: bool, stalls: Stalls, seed: int) -> str:
    """The name of a verdict's file: its mode, and a digest of what is verified: lanes, sparse layers, samples, taps and
    pauses. The same again takes the place of the earlier one, also where the artifact has changed."""
    what = [
        sorted(plan.lanes.items()),
        list(plan.sparse),
        taps,
        [*asdict(stalls).values(), seed] if stalls.any else [],
        data,
        inputs_digest(inputs),
    ]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:DIGEST_DIGITS]
    return f"cosim{'-taps' * taps}{'-stalls' * stalls.any}-{digest}.json"


def save_verdict(result: CosimResult, path: Path, dataset: Dataset, inputs: np.ndarray) -> dict[str, Any]:
    """Write what a co-simulation found, with the accuracy, to `path`; return it.

    inputs : what was simulated, made of the first of the data set's test split.
    """
    about = {"data": dataset.name, "split": "test", "inputs": f"sha256:{inputs_digest(inputs)}"}
    figures: dict[str, Any] = {**about, **result.to_json()}
    if result.recording is not None:
        figures["accuracy"] = accuracy(result.recording.classes, dataset.test_y[: len(inputs)])
    write_whole(path, (json.dumps(figures, indent=2) + "\n").encode())
    return figures
