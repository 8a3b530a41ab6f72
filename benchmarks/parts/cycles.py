"""Cycles and lane utilisation per layer, from the exact cycle model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.parts.networks import INPUTS, Shape, convolutional, dense_lanes, images, trained
from benchmarks.parts.store import Store, Values, sources
from mintaka.artifact import Network, content_hash
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import Lanes, Plan, make_plan

MODEL = ("hw/mintaka_hw/estimate", "hw/mintaka_hw/plan", "sw/mintaka/artifact")
RATE = 0.1


def measure(store: Store, lanes: list[int], samples: int, conv: Path | None, root: Path | None, training: int) -> None:
    """784-128-10 (T = 8) with spikes at a rate of 10 %, and the conv net where it is given."""
    network, x = spikes_at_tenth(samples, training)
    for count in lanes:
        _point(store, f"dense-{count:04d}", network, dense_lanes(count), x, "784-128-10, T = 8, spikes at 10 %")
    if conv is not None:
        network, test_x, about = convolutional(conv, root)
        _point(store, "conv", network, "auto", test_x[: max(1, samples // 4)], f"conv net {about}, MNIST test images")


def spikes_at_tenth(samples: int, training: int) -> tuple[Network, np.ndarray]:
    """784-128-10 (T = 8) after so many batches, and spikes (N, T, 784) at a rate of 10 %."""
    shape = Shape("rate")
    rng = np.random.default_rng(0)
    x = (rng.random((samples, shape.steps, INPUTS)) < RATE).astype(np.uint8)
    return trained(shape, images("made", None, 2048), 128, training), x


def _point(store: Store, name: str, network: Network, lanes: Lanes, x: np.ndarray, about: str) -> None:
    plan = make_plan(network, lanes)
    key = {"artifact": content_hash(network), "lanes": plan.lanes, "samples": len(x), "model": sources(*MODEL)}
    store.point("cycles", name, key, lambda: _measured(plan, x, about))


def _measured(plan: Plan, x: np.ndarray, about: str) -> Values:
    found, T = predict_cycles(plan, x), plan.network.time_steps
    layers = [
        {
            "name": layer.name,
            "lanes": layer.folding.lanes,
            "groups": layer.folding.groups,
            "windows": layer.folding.windows,
            **{what: float(getattr(found, what)[layer.name].mean()) for what in ("events", "slots", "busy", "held")},
        }
        for layer in plan.layers
    ]
    return {"about": about, "steps": T, "samples": len(x), "interval": found.interval, "layers": layers}
