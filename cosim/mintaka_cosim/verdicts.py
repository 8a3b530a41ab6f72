"""The files of co-simulations' verdicts: one for everything that can be verified of a run, so that none takes
another's place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np

from mintaka_cosim.bench import Stalls
from mintaka_hw.plan import Plan

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
