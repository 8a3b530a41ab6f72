"""The small designs that the tests of this folder share, so that each is generated and built once."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import dense_network, graph_network, neuron_network, picture_network, with_codebook
from strategies import with_zeros

from mintaka.artifact import LeakTerm, Network, content_hash
from mintaka_cosim.bench import NO_STALLS, Stalls, native
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import Recording
from mintaka_cosim.bench.words import pack_beats
from mintaka_cosim.cli import app
from mintaka_hw.plan import Plan
from mintaka_hw.verilog import generate


@dataclass(frozen=True)
class Case:
    """A network, its lanes (padded groups wanted) and how likely an input bit is set."""

    network: Network
    lanes: dict[str, int]
    density: float

    def inputs(self, samples: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        source = self.network.input
        planes = rng.random((*self.network.input_shape(samples), source.bits)) < self.density
        patterns = (planes << np.arange(source.bits)).sum(-1)
        return (patterns - 2**source.bits * (patterns > source.high)).astype(source.dtype)


DIRECT = Case(
    dense_network((20, 13, 6), kind="direct", bits=3, time_steps=3, input_shift=1, threshold=3, seed=1),
    {"hidden1": 4, "head": 6},
    0.4,
)
SPIKES = Case(
    dense_network(
        (11, 9, 7, 3),
        time_steps=4,
        weight_bits=2,
        membrane_bits=5,
        leak=(LeakTerm(1, 0), LeakTerm(-1, 2)),
        reset="subtract",
        threshold=1,
        seed=2,
    ),
    {"hidden1": 4, "hidden2": 7, "head": 2},
    0.5,
)
COUNTS = Case(
    dense_network((9, 8, 4), kind="counts", bits=2, time_steps=2, weight_bits=1, membrane_bits=3, threshold=0, seed=3),
    {"hidden1": 3, "head": 1},
    0.5,
)
PICTURES = Case(picture_network(seed=4), {"conv1": 4, "conv2": 3, "head": 2}, 0.3)
GRAPH = Case(graph_network(seed=5), {"conv1": 3, "conv2": 2, "loop": 4, "late": 2, "head": 3}, 0.2)
NEURONS = Case(neuron_network(signed=True, seed=6), {"conv1": 3, "conv2": 4, "head": 2}, 0.5)
MEMBRANE = Case(neuron_network(read="membrane", time_steps=1, seed=7), {"conv1": 2, "conv2": 3, "head": 1}, 0.4)
CODED = Case(
    with_codebook(dense_network((20, 13, 6), weight_bits=8, threshold=40, membrane_bits=8, seed=8), (-77, -9, 30, 101)),
    {"hidden1": 5, "head": 4},
    0.4,
)
PRUNED = (  # with sparse weight memories: several edges, spikes and numbers of several bits, words of several chunks
    Case(with_zeros(GRAPH.network, 0.8, 1), GRAPH.lanes, 0.2),
    Case(with_zeros(DIRECT.network, 0.8, 2), DIRECT.lanes, 0.4),
    Case(with_zeros(dense_network((70, 50, 6), threshold=3, seed=9), 0.9, 3), {"hidden1": 40, "head": 3}, 0.2),
)
CASES = {
    "direct": DIRECT,
    "spikes": SPIKES,
    "counts": COUNTS,
    "pictures": PICTURES,
    "graph": GRAPH,
    "neurons": NEURONS,
    "membrane": MEMBRANE,
    "coded": CODED,
}


def through_verilog(plan: Plan, inputs: np.ndarray, *runs: tuple[Stalls, int]) -> list[Recording]:
    """Taps, logits, counters and cycles of the Verilated design in the fast bench, for each pair of stalls and seed."""
    with tempfile.TemporaryDirectory() as name:
        design = generate(plan, Path(name), taps=True)
        layout = layout_of(design.info)
        built = native.build(design.verilog, layout, optimize=False)
        beats = pack_beats(inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
        return [
            native.run(built, layout, beats, stalls, seed, Path(name), Processes())
            for stalls, seed in runs or ((NO_STALLS, 0),)
        ]


@dataclass
class Called:
    """What a command did."""

    status: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Called:
    """Run the command line in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mintaka", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            app()
    code = stop.value.code
    captured = capsys.readouterr()
    return Called(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)


def verdict_json(network: Network, **values: Any) -> dict[str, Any]:
    """What a co-simulation that went well writes, with taps; `values` beside it or instead."""
    return {
        "artifact_hash": content_hash(network),
        "verdict": "bit-exact: 40 samples, 40 logits compared, 0 differ",
        "bit_exact": True,
        "cycles_as_predicted": True,
        "compared": {"samples": 40, "spikes": 1560, "membranes": 1560, "sums": 2280, "logits": 240},
        "differences": 0,
        "resets": 4,
        "taps": True,
        "stalls": {"input_percent": 0, "output_percent": 0, "longest_cycles": 1},
        "seed": 0,
        "accuracy": 0.92,
        "interval_cycles": 51.5,
        "latency_cycles": 80,
        "sops_per_sample": 120.0,
        **values,
    }


SMALL_RECIPE = """
name = "tiny digits"
dataset = "digits"
seed = 3
[network]
time_steps = 2
input = "direct"
weight_bits = 4
membrane_bits = 4
leak = "V>>1"
reset = "zero"
[train]
float_epochs = 2
epochs = 3
[[layers]]
name = "hidden"
op = "dense"
units = 12
[[layers]]
name = "output"
op = "dense"
units = 10
"""
