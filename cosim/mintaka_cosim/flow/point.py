"""All figures of one network and its hardware, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

from mintaka.artifact import Network
from mintaka.artifact.checks import require_network
from mintaka.data.recall import ClassResult
from mintaka_cosim.flow.errors import FlowError
from mintaka_cosim.flow.evaluation import Evaluation
from mintaka_cosim.flow.hardware import Prediction, Synthesis
from mintaka_cosim.flow.verification import Verification
from mintaka_cosim.summary import summarize
from mintaka_hw.plan import Plan


@dataclass(frozen=True)
class DesignPoint:
    """One point of the design space. What was not found out is None; no figure is a guess for another one.

    *Exact*, of the artifact and the plan:

    artifact : content hash. weight_bits, membrane_state_bits : of all weights (codebooks included) and all stored
        state, before any folding; none is stored for a single time step. weights, synapses : how many there are, and
        are not 0. lanes : by layer. memory_bits : of all memories of the hardware.

    *Measured* in software, on labelled samples:

    accuracy : share of the samples. classes : recall by class. mean_steps, spikes, sops : per sample. clipped : share
        of the stored membranes.

    *Estimated* by the cycle model: estimated_cycles, per sample.

    *Simulated*, the generated Verilog in Verilator:

    cycles : per sample, back to back. latency_cycles : of the first sample. hardware_sops : per sample, by the
        hardware's counters. simulated_samples : how many. verified : every value compared equals the reference, and
        the cycles the model's, of those samples that have a prediction: the first `predict` of a check, all of them
        where it says nothing, none under stalls.

    *Synthesized* by Yosys: resources, by unit, of `family`. *Placed and routed* by nextpnr: fmax_mhz.
    """

    name: str
    artifact: str
    time_steps: int
    weight_bits: int
    membrane_state_bits: int
    weights: int
    synapses: int
    samples: int | None = None
    accuracy: float | None = None
    classes: tuple[ClassResult, ...] = ()
    mean_steps: float | None = None
    spikes: float | None = None
    sops: float | None = None
    clipped: float | None = None
    lanes: dict[str, int] = field(default_factory=dict)
    sparse: tuple[str, ...] = ()
    memory_bits: int | None = None
    estimated_cycles: float | None = None
    cycles: float | None = None
    latency_cycles: int | None = None
    hardware_sops: float | None = None
    simulated_samples: int | None = None
    verified: bool | None = None
    family: str | None = None
    resources: dict[str, float] = field(default_factory=dict)
    fmax_mhz: float | None = None


def design_point(
    network: Network,
    *,
    evaluation: Evaluation | None = None,
    plan: Plan | None = None,
    prediction: Prediction | None = None,
    verification: Verification | None = None,
    synthesis: Synthesis | None = None,
) -> DesignPoint:
    """The figures of a network, as far as there are any. Raises FlowError where `network` is none."""
    require_network(network, FlowError)
    summary = summarize(network)
    measured = verification.figures if verification is not None else None
    placed = synthesis.timed if synthesis is not None else None
    return DesignPoint(
        name=network.name,
        artifact=summary.hash,
        time_steps=network.time_steps,
        weight_bits=summary.weight_memory_bits,
        membrane_state_bits=summary.membrane_memory_bits if network.time_steps > 1 else 0,
        weights=sum(layer.weights for layer in summary.layers),
        synapses=sum(layer.nonzero_weights for layer in summary.layers),
        samples=None if evaluation is None else evaluation.samples,
        accuracy=None if evaluation is None else evaluation.accuracy,
        classes=() if evaluation is None else evaluation.classes,
        mean_steps=None if evaluation is None else evaluation.mean_steps,
        spikes=None if evaluation is None else evaluation.spikes_per_sample,
        sops=None if evaluation is None else evaluation.sops_per_sample,
        clipped=None if evaluation is None else evaluation.clipped,
        lanes={} if plan is None else dict(plan.lanes),
        sparse=() if plan is None else tuple(plan.sparse),
        memory_bits=None if plan is None else plan.memory_bits,
        estimated_cycles=None if prediction is None else prediction.cycles_per_sample,
        cycles=None if measured is None else measured.interval_cycles,
        latency_cycles=None if measured is None else measured.first_latency_cycles,
        hardware_sops=None if measured is None else measured.sops_per_sample,
        simulated_samples=None if measured is None else measured.counts.samples,
        verified=None if verification is None else verification.verified,
        family=None if synthesis is None else synthesis.family,
        resources={} if synthesis is None else dict(synthesis.resources),
        fmax_mhz=None if placed is None else placed.fmax_mhz,
    )
