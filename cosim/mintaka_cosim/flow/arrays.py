"""Results of samples as arrays in a file: what `mintaka run` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mintaka.artifact import Result
from mintaka.artifact.compare import shown
from mintaka.artifact.whole import open_whole

TRACES = {"k": "k", "s": "spikes", "u": "membranes", "j": "currents"}  # names of a trace's fields


def result_arrays(result: Result) -> dict[str, np.ndarray]:
    """By name, each with N samples first: logits, classes, steps, sops, sops/LAYER, and of what was traced k/LAYER,
    spikes/LAYER, membranes/LAYER and currents/LAYER."""
    arrays = {"logits": result.logits, "classes": result.classes, "steps": result.steps, "sops": result.total_sops}
    arrays |= {f"sops/{name}": values for name, values in result.sops.items()}
    for name, trace in result.trace.items():
        arrays |= {f"{TRACES[field]}/{name}": values for field, values in shown(trace).items()}
    return arrays


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """As int64 in an .npz file, whole or not at all."""
    with open_whole(path) as file:
        np.savez_compressed(file, **{name: values.astype(np.int64) for name, values in arrays.items()})  # type: ignore[arg-type]
