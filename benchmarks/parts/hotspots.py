"""Where the time of Mintaka's own training step and inference goes, by torch's profiler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiler

from benchmarks.parts.networks import Shape, adam, batches, encoded, images, trained, training_step, untrained
from benchmarks.parts.store import Store, Values, sources, version
from mintaka.snn import run_fast

SOURCES = ("sw/mintaka/snn", "sw/mintaka/artifact", "benchmarks/parts")
REST = "everything else"
# Of each part the profiler's events, each with all that it calls. Products are counted where they happen.
TRAINING = {
    "matrix products": ("aten::mm", "aten::addmm"),
    "LIF steps, forward": ("_NeuronSpikes",),
    "LIF steps, backward": ("_NeuronSpikesBackward",),
    "weights onto the grid, both ways": ("_Grid", "_GridBackward", "_ScaledGradient", "_ScaledGradientBackward"),
    "BatchNorm statistics and folding, both ways": ("_Statistics", "_StatisticsBackward", "_Fold", "_FoldBackward"),
    "optimizer": ("Optimizer.step#Adam.step", "Optimizer.zero_grad#Adam.zero_grad"),
}
INFERENCE = {
    "matrix products": ("aten::mm", "aten::addmm"),
    "LIF steps, element by element": tuple(
        f"aten::{name}" for name in ("add", "add_", "sub", "gt", "mul", "addcmul", "floor", "floor_", "clamp_")
    ),
    "sums and matrix-vector products (counting operations)": ("aten::addmv_", "aten::sum"),
    "conversions and copies": ("aten::copy_",),
}


WARM_UP, REPEATS = 5, 20


def measure(store: Store, data: str, batch: int, samples: int, training: int, root: Path | None) -> None:
    """Both kinds of input, one thread."""
    for kind in ("direct", "rate"):
        key = {"kind": kind, "data": data, "batch": batch, "samples": samples, "sources": sources(*SOURCES)}
        key |= {"torch": version("torch"), "training": training}
        work = partial(_shares_of, Shape(kind), data, batch, samples, training, root)
        store.point("profile", kind, key, work)


def _shares_of(shape: Shape, data: str, batch: int, samples: int, training: int, root: Path | None) -> Values:
    found = images(data, root, max(samples, batch))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        snn = untrained(shape).train()
        optimizer = adam(snn)
        x, y = next(iter(batches(shape, found, batch, 1)))
        network, inputs = trained(shape, found, batch, training), encoded(shape, found.x)
        return {
            "train": shares(lambda: training_step(snn, optimizer, x, y), TRAINING),
            "infer": shares(lambda: run_fast(network, inputs), INFERENCE),
        }
    finally:
        torch.set_num_threads(threads)


def shares(work: Callable[[], object], parts: dict[str, tuple[str, ...]]) -> dict[str, float]:
    """The share of the processor's time by part; what is in none of them comes last."""
    for _ in range(WARM_UP):
        work()
    with profiler(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(REPEATS):
            work()
    events = {event.key: event for event in seen.key_averages()}
    total = sum(event.self_cpu_time_total for event in events.values())
    found = {
        part: sum(events[name].cpu_time_total for name in names if name in events) / total
        for part, names in parts.items()
    }
    return {**found, REST: 1 - sum(found.values())}
