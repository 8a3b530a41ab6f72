"""The figures of one trained run: accuracies in software, everything else from its Verilog with taps."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mintaka.artifact import encode, load
from mintaka.artifact.compare import Counts
from mintaka.data import Dataset
from mintaka.data.recall import accuracy
from mintaka_cosim import flow
from mintaka_cosim.flow import Check, Evaluation, Verification
from mintaka_cosim.flow.kept import keep, kept_for
from mintaka_hw.plan import Plan
from mintaka_hw.verilog import Design, generate

STREAM_SAMPLES = 100  # per stream from reset: the taps of more would not fit into memory for the largest networks
PREDICTED_SAMPLES = 100  # the cycle model takes 0.05 to 0.3 s per sample of a convolutional network
FORMAT = 2
STREAMS = Check("every spike, membrane and sum", taps=True, fast=True, stream=STREAM_SAMPLES, predict=PREDICTED_SAMPLES)

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


def measure(folder: Path, name: str, dataset: Dataset, *, samples: int, jobs: int, say: Say) -> RunFigures:
    """Figures of the artifact in `folder`; taken from its results.json where the same Verilog was measured before.

    samples : of the test split through the Verilog (all of it where it has fewer). jobs : simulations at a time.
    Raises ArtifactError, PlanError, DataError; CosimError where the simulation cannot be built or hangs.
    """
    network = load(folder / "network.safetensors")
    plan = flow.plan(network)
    samples = min(samples, len(dataset.test_x))
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        work = Path(temporary)
        design = generate(plan, work / "verilog", taps=True)
        key = _key(design, dataset, samples)
        store = folder / "results.json"
        found = stored(store, key)
        if found is not None:
            say(f"{name}: as measured before ({store.name})")
            return found
        say(f"{name}: the integer engine on {len(dataset.test_x):,} samples")
        evaluation = flow.evaluate(network, dataset.test_x, dataset.test_y)
        say(f"{name}: {samples:,} samples through the Verilog, every spike, membrane and sum compared")
        inputs = encode(network, dataset.test_x[:samples])
        verification = flow.verify(plan, inputs, (STREAMS,), designs=[design], processes=jobs)
    figures = _figures(name, plan, dataset, evaluation, verification)
    keep(store, key, figures.to_json(), name="figures")
    return figures


def _key(design: Design, dataset: Dataset, samples: int) -> str:
    """Hash of what the figures follow from."""
    digest = hashlib.sha256(f"{FORMAT} {samples} {dataset.name} {len(dataset.test_x)}".encode())
    for path in sorted(design.verilog.parent.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stored(store: Path, key: str) -> RunFigures | None:
    """What was measured for that key; None where there is nothing, or something else than figures."""
    values = kept_for(store, key, name="figures")
    try:
        return None if values is None else RunFigures.from_json(values)
    except ValueError:
        return None


def _figures(name: str, plan: Plan, dataset: Dataset, evaluation: Evaluation, verification: Verification) -> RunFigures:
    """From what was found; the C++ bench records everything, whatever differs."""
    ((_, found),) = verification.results
    recording = found.recording
    assert recording is not None
    N = found.requested
    layers = [
        LayerFigures(
            name=layer.name,
            op=layer.node.op,
            lanes=layer.folding.lanes,
            channels=layer.folding.channels,
            spikes=int(found.spikes[layer.name].sum()) / N if layer.datapath.fires else None,
            sops=float(found.sops[layer.name].mean()),
            busy=float(found.busy[layer.name].mean()),
            utilisation=found.utilisation[layer.name],
        )
        for layer in plan.layers
    ]
    network = plan.network
    stated = network.provenance.get("float_accuracy")
    return RunFigures(
        name=name,
        dataset=dataset.name,
        artifact_hash=plan.artifact_hash,
        time_steps=network.time_steps,
        weight_bits=tuple(sorted({e.weight.bits for n in network.nodes for e in n.inputs if e.weight is not None})),
        membrane_bits=tuple(sorted({n.neuron.membrane_bits for n in network.nodes if n.neuron is not None})),
        test_samples=evaluation.samples,
        float_accuracy=stated if isinstance(stated, float) else None,
        integer_accuracy=evaluation.accuracy,
        samples=N,
        integer_accuracy_there=accuracy(evaluation.answers[:N], dataset.test_y[:N]),
        hardware_accuracy=accuracy(recording.classes, dataset.test_y[:N]),
        spikes=sum(layer.spikes or 0.0 for layer in layers),
        sops=sum(layer.sops for layer in layers),
        interval_cycles=found.interval_cycles,
        latency_cycles=found.first_latency_cycles,
        layers=tuple(layers),
        compared=found.counts,
        differences=found.differences,
        first_difference=None if found.first_difference is None else str(found.first_difference),
        predicted=0 if found.predicted is None else len(found.predicted),
        cycles_differ=found.cycles_differ,
    )
