"""The figures of one trained run: accuracies in software, everything else from its Verilog with taps."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from mintaka.artifact import Network, content_hash, encode, load, run
from mintaka.artifact.compare import Compared, Counts, compare
from mintaka.artifact.strict_json import read_object
from mintaka.artifact.whole import write_whole
from mintaka.data import Dataset
from mintaka.snn.fast import run_fast
from mintaka_cosim.bench import native
from mintaka_cosim.bench.build import Build
from mintaka_cosim.bench.cosim import is_long
from mintaka_cosim.bench.job import NO_STALLS
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import COUNTERS, Recording, join
from mintaka_cosim.bench.words import pack_beats
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import Plan, make_plan
from mintaka_hw.verilog import Design, generate

STREAM_SAMPLES = 100  # per stream from reset: the taps of more would not fit into memory for the largest networks
PREDICTED_SAMPLES = 100  # the cycle model takes 0.05 to 0.3 s per sample of a convolutional network
FORMAT = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class LayerFigures:
    """Of one layer, per sample, simulated. utilisation : slots with an event over occupied cycles."""

    name: str
    op: str
    lanes: int
    channels: int
    spikes: float | None
    sops: float
    busy: float
    utilisation: float


@dataclass(frozen=True)
class RunFigures:
    """Of one run. Accuracies are shares; counts are per sample.

    float_accuracy, integer_accuracy : over the whole test split, `test_samples`. hardware_accuracy : over the
        `samples` simulated ones, on which the integer engine has `integer_accuracy_there`.
    compared : values of the Verilog found equal to the reference's; differences : found different.
    predicted : samples at the begin of the streams whose cycles were predicted; cycles_differ : of these, others came.
    """

    name: str
    dataset: str
    artifact_hash: str
    time_steps: int
    weight_bits: tuple[int, ...]
    membrane_bits: tuple[int, ...]
    test_samples: int
    float_accuracy: float | None
    integer_accuracy: float
    samples: int
    integer_accuracy_there: float
    hardware_accuracy: float
    spikes: float
    sops: float
    interval_cycles: float
    latency_cycles: int
    layers: tuple[LayerFigures, ...]
    compared: Counts
    differences: int
    first_difference: str | None
    predicted: int
    cycles_differ: int

    @property
    def verified(self) -> bool:
        return self.differences == self.cycles_differ == 0 and self.compared.samples == self.samples > 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> RunFigures:
        """Raises ValueError where the values are others."""
        return TypeAdapter(RunFigures).validate_python(values)


@dataclass(frozen=True)
class _Part:
    """One stream. `spikes`: by layer."""

    recording: Recording
    compared: Compared
    spikes: dict[str, int]
    predicted: int
    cycles_differ: int


def measure(folder: Path, name: str, dataset: Dataset, *, samples: int, jobs: int, say: Say) -> RunFigures:
    """Figures of the artifact in `folder`; taken from its results.json where the same Verilog was measured before.

    samples : of the test split through the Verilog (all of it where it has fewer). jobs : simulations at a time.
    Raises ArtifactError, PlanError, DataError; CosimError where the simulation cannot be built or hangs.
    """
    network = load(folder / "network.safetensors")
    plan = make_plan(network)
    samples = min(samples, len(dataset.test_x))
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        work = Path(temporary)
        design = generate(plan, work / "verilog", taps=True)
        key = _key(design, dataset, samples)
        store = folder / "results.json"
        found = _stored(store, key)
        if found is not None:
            say(f"{name}: as measured before ({store.name})")
            return found
        say(f"{name}: the integer engine on {len(dataset.test_x):,} samples")
        classes = _classes(network, dataset)
        say(f"{name}: {samples:,} samples through the Verilog, every spike, membrane and sum compared")
        parts = _simulate(plan, design, encode(network, dataset.test_x[:samples]), work, jobs)
    figures = _figures(name, plan, dataset, classes, parts)
    text = json.dumps({"key": key, "figures": figures.to_json()}, indent=2) + "\n"
    write_whole(store, text.encode())
    return figures


def _key(design: Design, dataset: Dataset, samples: int) -> str:
    """Hash of what the figures follow from."""
    digest = hashlib.sha256(f"{FORMAT} {samples} {dataset.name} {len(dataset.test_x)}".encode())
    for path in sorted(design.verilog.parent.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stored(store: Path, key: str) -> RunFigures | None:
    try:
        stored = read_object(store)
        return RunFigures.from_json(stored["figures"]) if stored["key"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def _classes(network: Network, dataset: Dataset) -> np.ndarray:
    """The integer engine's, of the whole test split."""
    edges = [*range(0, len(dataset.test_x), 500), len(dataset.test_x)]
    batches = (dataset.test_x[begin:end] for begin, end in pairwise(edges))
    return np.concatenate([run_fast(network, encode(network, x)).classes for x in batches])


def _simulate(plan: Plan, design: Design, inputs: np.ndarray, work: Path, jobs: int) -> list[_Part]:
    built = native.build(design.verilog, layout_of(design.info), optimize=is_long(plan, inputs))
    processes = Processes()
    edges = [*range(0, len(inputs), STREAM_SAMPLES), len(inputs)]

    def stream(place: tuple[int, int]) -> _Part:
        folder = work / f"stream_{place[0]}"
        folder.mkdir()
        predicted = max(0, min(PREDICTED_SAMPLES, place[1]) - place[0])
        part = _stream(plan, design, built, inputs[slice(*place)], place[0], predicted, folder, processes)
        for path in folder.iterdir():
            path.unlink()
        return part

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(stream, place) for place in pairwise(edges)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            processes.stop()
            raise


def _stream(
    plan: Plan,
    design: Design,
    built: Build,
    inputs: np.ndarray,
    first: int,
    predicted: int,
    folder: Path,
    processes: Processes,
) -> _Part:
    layout = layout_of(design.info)
    beats = pack_beats(inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
    found = native.run(built, layout, beats, NO_STALLS, 0, folder, processes)
    expected = run(plan.network, inputs, trace=True)
    same = compare(found.result, expected, plan.head.name, traces=True, first=first)
    spikes = {name: int(counts.sum()) for name, counts in found.result.spikes.items()}
    late = 0
    if predicted:
        # What comes later cannot make an earlier sample later: a shorter stream has the same cycles.
        few = predict_cycles(plan, inputs[:predicted]).result
        late = int((few != found.cycles[:predicted]).sum())
    found.traces = {}
    return _Part(found, same, spikes, predicted, late)


def _figures(name: str, plan: Plan, dataset: Dataset, classes: np.ndarray, parts: list[_Part]) -> RunFigures:
    found = join([part.recording for part in parts])
    N = len(found.classes)
    right = classes == dataset.test_y
    gaps = np.concatenate([np.diff(part.recording.finished) for part in parts])
    layers = []
    for layer in plan.layers:
        counters = dict(zip(COUNTERS, found.counters[layer.name].T, strict=True))
        spikes = None if not layer.fires else sum(part.spikes[layer.name] for part in parts) / N
        layers.append(
            LayerFigures(
                name=layer.name,
                op=layer.node.op,
                lanes=layer.lanes,
                channels=layer.channels,
                spikes=spikes,
                sops=float(counters["sops"].mean()),
                busy=float(counters["busy"].mean()),
                utilisation=float(counters["events"].sum() / max(1, counters["busy"].sum())),
            )
        )
    network = plan.network
    firsts = [part.compared.first for part in parts if part.compared.first is not None]
    stated = network.provenance.get("float_accuracy")
    return RunFigures(
        name=name,
        dataset=dataset.name,
        artifact_hash=content_hash(network),
        time_steps=network.time_steps,
        weight_bits=tuple(sorted({e.weight.bits for n in network.nodes for e in n.inputs if e.weight is not None})),
        membrane_bits=tuple(sorted({n.neuron.membrane_bits for n in network.nodes if n.neuron is not None})),
        test_samples=len(dataset.test_x),
        float_accuracy=stated if isinstance(stated, float) else None,
        integer_accuracy=float(right.mean()),
        samples=N,
        integer_accuracy_there=float(right[:N].mean()),
        hardware_accuracy=float((found.classes == dataset.test_y[:N]).mean()),
        spikes=sum(layer.spikes or 0.0 for layer in layers),
        sops=sum(layer.sops for layer in layers),
        interval_cycles=float(gaps.mean()) if len(gaps) else float(found.finished[0] + 1),
        latency_cycles=int(parts[0].recording.finished[0]),
        layers=tuple(layers),
        compared=sum((part.compared.counts for part in parts), Counts()),
        differences=sum(part.compared.differences for part in parts),
        first_difference=str(firsts[0]) if firsts else None,
        predicted=sum(part.predicted for part in parts),
        cycles_differ=sum(part.cycles_differ for part in parts),
    )
