"""What a simulation recorded, whichever bench ran it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from mintaka.artifact import Result, Trace
from mintaka.artifact.compare import shown, trace_of
from mintaka_hw.plan.layer import COUNTER_WIDTH

COUNTERS = ("sops", "events", "busy")


def per_sample(totals: np.ndarray) -> np.ndarray:
    """What the counters hold at the end of each sample, int64 (N, ...), as the counts of each sample."""
    return np.diff(totals, axis=0, prepend=0) % 2**COUNTER_WIDTH


@dataclass
class Recording:
    """N samples in order.

    logits : int64 (N, classes).  classes : int64 (N,), `o_class` of the last logit.
    accepted, finished : int64 (N,), cycle in which the sample's first beat was accepted and its last logit taken.
    cycles : int64 (N,), the design's own `o_cycles` of the last logit.
    counters : by layer, int64 (N, 3): sops, events, busy cycles.
    steps : int64 (N,), the steps that each sample took.
    total_cycles : simulated cycles. traces : by layer, as the reference's (empty without taps); of a sample that
        stopped early whatever steps the layer had done by then, and zeros.
    spikes : by layer, int64 (N,), where the traces that they were counted in were dropped.
    """

    logits: np.ndarray
    classes: np.ndarray
    accepted: np.ndarray
    finished: np.ndarray
    cycles: np.ndarray
    counters: dict[str, np.ndarray]
    steps: np.ndarray
    total_cycles: int
    traces: dict[str, Trace] = field(default_factory=dict)
    spikes: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def result(self) -> Result:
        """In the reference's form; spikes are counted in the traces, so without taps there are none."""
        spikes = dict(self.spikes)
        for name, trace in self.traces.items():
            if trace.s is not None:
                taken = np.arange(trace.s.shape[1]) < self.steps[:, None]
                spikes[name] = (trace.s.reshape(*taken.shape, -1).sum(2) * taken).sum(1)
        sops = {name: rows[:, COUNTERS.index("sops")] for name, rows in self.counters.items()}
        return Result(self.logits, self.classes, sops, spikes, self.steps, self.traces)

    def without_traces(self) -> Recording:
        """The same in less memory; its spikes are counted."""
        return replace(self, traces={}, spikes=self.result.spikes)


def join(parts: list[Recording]) -> Recording:
    """One recording of consecutive chunks; cycles stay relative to each chunk's own reset."""
    traces = {name: _joined([part.traces[name] for part in parts]) for name in parts[0].traces}
    return Recording(
        logits=np.concatenate([p.logits for p in parts]),
        classes=np.concatenate([p.classes for p in parts]),
        accepted=np.concatenate([p.accepted for p in parts]),
        finished=np.concatenate([p.finished for p in parts]),
        cycles=np.concatenate([p.cycles for p in parts]),
        counters={n: np.concatenate([p.counters[n] for p in parts]) for n in parts[0].counters},
        steps=np.concatenate([p.steps for p in parts]),
        total_cycles=sum(p.total_cycles for p in parts),
        traces=traces,
        spikes={name: np.concatenate([p.spikes[name] for p in parts]) for name in parts[0].spikes},
    )


def in_samples(rows: np.ndarray, ends: list[int], words: int) -> np.ndarray:
    """Rows of all samples one after the other, with the number of rows up to each sample's end: (N * words, ...).

    A sample has at most `words`; where it has less, zeros follow.
    """
    found = np.zeros((len(ends), words, *rows.shape[1:]), rows.dtype)
    for sample, (begin, end) in enumerate(pairwise([0, *ends])):
        found[sample, : end - begin] = rows[begin:end]
    return found.reshape(-1, *rows.shape[1:])


def _joined(parts: list[Trace]) -> Trace:
    return trace_of({name: np.concatenate([shown(part)[name] for part in parts]) for name in shown(parts[0])})
