"""What a co-simulation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mintaka.artifact.compare import Counts, Difference
from mintaka_cosim.bench.job import Stalls
from mintaka_cosim.bench.recording import COUNTERS, Recording


@dataclass
class CosimResult:
    """All figures are *simulated*: they come from the Verilog in Verilator.

    requested : samples asked for.  counts : values compared and found equal.
    differences : values found different; the bench with taps stops at the first.
    chunks : first sample of each consecutive stream from reset (streams run side by side in processes).
    predicted : int64 (M,), the cycle model's `o_cycles` of the first M samples (of all, unless fewer were asked for),
        or None where streams were stalled and it does not apply.
    resets : resets in mid-sample after which everything was still equal.
    """

    network: str
    artifact_hash: str
    requested: int
    taps: bool
    stalls: Stalls
    seed: int
    lanes: dict[str, int]
    sparse: tuple[str, ...]
    memory_bits: int
    early_exit: bool
    counts: Counts
    differences: int
    first_difference: Difference | None
    resets: int
    chunks: tuple[int, ...]
    recording: Recording | None
    predicted: np.ndarray | None
    seconds: float = 0.0
    build_seconds: float = 0.0

    @property
    def bit_exact(self) -> bool:
        """Everything asked for was compared, and nothing differs."""
        return self.differences == 0 and self.counts.samples == self.requested > 0 and self.recording is not None

    @property
    def cycles_as_predicted(self) -> bool | None:
        """Whether every sample left in exactly the predicted cycle; None where no prediction applies."""
        return None if self.predicted is None or self.recording is None else self.cycles_differ == 0

    @property
    def cycles_differ(self) -> int:
        """Of the samples with a prediction, how many left in another cycle."""
        if self.predicted is None:
            return 0
        return int((self.predicted != self._recorded.cycles[: len(self.predicted)]).sum())

    @property
    def verified(self) -> bool:
        """Bit-exact, and in the predicted cycles where they are defined."""
        return self.bit_exact and self.cycles_as_predicted is not False

    @property
    def latency_cycles(self) -> np.ndarray:
        """int64 (N,): from a sample's first accepted beat to its last logit, the queue of a full stream included."""
        found = self._recorded
        return found.finished - found.accepted

    @property
    def first_latency_cycles(self) -> int:
        """Of the first sample after reset: the latency without a queue."""
        return int(self._recorded.finished[0])

    @property
    def interval_cycles(self) -> float:
        """Mean distance of consecutive samples' last logits (throughput)."""
        found = self._recorded.finished
        ends = [*self.chunks[1:], len(found)]
        parts = [np.diff(found[begin:end]) for begin, end in zip(self.chunks, ends, strict=True)]
        gaps = np.concatenate(parts)
        return float(gaps.mean()) if len(gaps) else float(found[0] + 1)

    @property
    def sops(self) -> dict[str, np.ndarray]:
        """By layer, int64 (N,): the hardware's count of synaptic operations."""
        return self._counter("sops")

    @property
    def events(self) -> dict[str, np.ndarray]:
        """By layer, int64 (N,): cycles in which the lanes added the weights of an event."""
        return self._counter("events")

    @property
    def busy(self) -> dict[str, np.ndarray]:
        """By layer, int64 (N,): cycles in which the layer was occupied."""
        return self._counter("busy")

    @property
    def spikes(self) -> dict[str, np.ndarray]:
        """By layer, int64 (N,): as the taps of the fast bench showed them; empty otherwise."""
        return self._recorded.spikes

    @property
    def sops_per_sample(self) -> float:
        return float(sum(values.mean() for values in self.sops.values()))

    @property
    def utilisation(self) -> dict[str, float]:
        """By layer: the part of its occupied cycles in which it added an event's weights."""
        busy = self.busy
        return {name: float(events.sum() / max(1, busy[name].sum())) for name, events in self.events.items()}

    @property
    def occupancy(self) -> dict[str, float]:
        """By layer: the part of all simulated cycles in which it added an event's weights."""
        total = max(1, self._recorded.total_cycles)
        return {name: float(events.sum() / total) for name, events in self.events.items()}

    @property
    def sentence(self) -> str:
        """The verdict."""
        c = self.counts
        if self.bit_exact:
            seen = f"{c.samples:,} samples, {c.logits:,} logits"
            if self.taps:
                seen = f"{c.samples:,} samples, {c.spikes:,} spikes, {c.membranes:,} membrane values"
                seen += f", {c.currents:,} synaptic currents" if c.currents else ""
            return f"bit-exact: {seen} compared, 0 differ"
        if self.first_difference is not None:
            return f"not bit-exact: {self.first_difference} (seed {self.seed})"
        return f"not bit-exact: {c.samples} of {self.requested} samples were compared (seed {self.seed})"

    def to_json(self) -> dict[str, Any]:
        """The figures without the per-sample arrays, as JSON values."""
        first = self.first_difference
        text: dict[str, Any] = {
            "network": self.network,
            "artifact_hash": self.artifact_hash,
            "verdict": self.sentence,
            "bit_exact": self.bit_exact,
            "cycles_as_predicted": self.cycles_as_predicted,
            "requested": self.requested,
            "compared": asdict(self.counts),
            "differences": self.differences,
            "first_difference": None if first is None else {**asdict(first), "sentence": str(first)},
            "resets": self.resets,
            "early_exit": self.early_exit,
            "taps": self.taps,
            "stalls": asdict(self.stalls),
            "seed": self.seed,
            "lanes": self.lanes,
            "sparse": list(self.sparse),
            "memory_bits": self.memory_bits,
            "seconds": round(self.seconds, 3),
            "build_seconds": round(self.build_seconds, 3),
        }
        if self.recording is not None:
            text |= {
                "total_cycles": self.recording.total_cycles,
                "interval_cycles": self.interval_cycles,
                "latency_cycles": self.first_latency_cycles,
                "queued_latency_cycles": float(self.latency_cycles.mean()),
                "sops_per_sample": self.sops_per_sample,
                "steps_per_sample": float(self.recording.steps.mean()),
                "layers": {
                    name: {
                        "sops_per_sample": float(self.sops[name].mean()),
                        "events_per_sample": float(self.events[name].mean()),
                        "busy_per_sample": float(self.busy[name].mean()),
                        "utilisation": self.utilisation[name],
                        "occupancy": self.occupancy[name],
                    }
                    for name in self.sops
                },
            }
        return text

    @property
    def _recorded(self) -> Recording:
        if self.recording is None:
            raise ValueError("the simulation stopped at a difference, so it has no figures")
        return self.recording

    def _counter(self, name: str) -> dict[str, np.ndarray]:
        column = COUNTERS.index(name)
        return {layer: rows[:, column] for layer, rows in self._recorded.counters.items()}
