"""What a simulation recorded, whichever bench ran it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mintaka.artifact import Trace

COUNTERS = ("sops", "events", "busy")


@dataclass
class Recording:
    """N samples in order.

    logits : int64 (N, classes).  classes : int64 (N,), `o_class` of the last logit.
    accepted, finished : int64 (N,), cycle in which the sample's first beat was accepted and its last logit taken.
    cycles : int64 (N,), the design's own `o_cycles` of the last logit.
    counters : by layer, int64 (N, 3): sops, events, busy cycles.
    total_cycles : simulated cycles. traces : by layer, as the reference's (empty without taps).
    """

    logits: np.ndarray
    classes: np.ndarray
    accepted: np.ndarray
    finished: np.ndarray
    cycles: np.ndarray
    counters: dict[str, np.ndarray]
    total_cycles: int
    traces: dict[str, Trace] = field(default_factory=dict)


def join(parts: list[Recording]) -> Recording:
    """One recording of consecutive chunks; cycles stay relative to each chunk's own reset."""
    traces = {}
    for name, first in parts[0].traces.items():
        s = None if first.s is None else np.concatenate([_array(p.traces[name].s) for p in parts])
        u = None if first.u is None else np.concatenate([_array(p.traces[name].u) for p in parts])
        traces[name] = Trace(np.concatenate([p.traces[name].k for p in parts]), s, u)
    return Recording(
        logits=np.concatenate([p.logits for p in parts]),
        classes=np.concatenate([p.classes for p in parts]),
        accepted=np.concatenate([p.accepted for p in parts]),
        finished=np.concatenate([p.finished for p in parts]),
        cycles=np.concatenate([p.cycles for p in parts]),
        counters={n: np.concatenate([p.counters[n] for p in parts]) for n in parts[0].counters},
        total_cycles=sum(p.total_cycles for p in parts),
        traces=traces,
    )


def _array(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values
