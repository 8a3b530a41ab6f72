"""The exact cycles of a batch: the models of the components, fed with what really enters each stage."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Result, run
from mintaka.artifact.reference import node_frames
from mintaka.artifact.signals import bit_pattern
from mintaka_hw.estimate.layer import LayerModel
from mintaka_hw.estimate.lists import event_lists, parts_of, windows_of
from mintaka_hw.estimate.models import (
    ExitModel,
    ForkModel,
    JoinModel,
    LogitModel,
    LogitOrderModel,
    PoolModel,
    QueueModel,
    WindowModel,
    Wire,
)
from mintaka_hw.estimate.sparse import SparseLayerModel, walks
from mintaka_hw.plan import JoinPlan, Plan, PoolPlan, WindowPlan

# The models ask one another, so that a chain of cores makes a chain of calls; all in Python, none needs the C stack.
CALLS_PER_LINK = 50


@dataclass(frozen=True)
class CyclePrediction:
    """All int64 of shape (N,), one entry per sample, in the order of the inputs streamed back to back.

    result : cycle of the last logit's beat, counted from the first accepted input beat (the port `o_cycles`).
    busy, events : per layer, cycles occupied and slots that carry an event (the ports `L_busy` and `L_events`).
    slots : per layer, one per event and group, and one per group for an empty list: what the lanes need at least.
    held : per layer, those of the busy cycles in which only its reader was waited for.
    """

    result: np.ndarray
    busy: dict[str, np.ndarray]
    events: dict[str, np.ndarray]
    slots: dict[str, np.ndarray]
    held: dict[str, np.ndarray]

    @property
    def interval(self) -> float:
        """Cycles per sample at full throughput: the mean distance of results, or the latency of a single one."""
        if len(self.result) == 1:
            return float(self.result[0]) + 1
        return float(self.result[-1] - self.result[0]) / (len(self.result) - 1)

    def utilisation(self, name: str) -> float:
        """Part of the layer's occupied cycles in which its lanes added an event's weights."""
        return float(self.events[name].sum() / max(1, self.busy[name].sum()))


def predict_cycles(plan: Plan, inputs: np.ndarray, result: Result | None = None) -> CyclePrediction:
    """The cycles of `inputs` streamed back to back, input always valid and output always ready.

    inputs : as the network wants them (`Network.input_shape`).
    result : a run of `inputs` with its trace, where one is at hand; else the reference is run.
    """
    network = plan.network
    if result is None:
        result = run(network, inputs, trace=True)
    N = len(inputs)
    values = np.asarray(inputs).astype(np.int64)
    if network.input.signed:  # a number is the bits that travel
        values = bit_pattern(values, network.input.bits).astype(np.int64)
    frames = node_frames(plan.network, values, result)
    if plan.exits:
        return _with_exits(plan, frames, result.steps)
    outs, layers = _components(plan, frames, Wire())
    beats, wire = _logits(plan, outs[plan.head.name])
    logits = LogitModel(beats, wire)
    wire.taken(N * len(beats) - 1)
    ends = np.array(logits.ends, np.int64)
    events = {}
    for name, model in layers.items():
        model.finish()
        events[name] = model.issued.reshape(N, -1).sum(1)

    def of_all(field: str) -> dict[str, np.ndarray]:
        return {name: np.array(getattr(model, field), np.int64) for name, model in layers.items()}

    return CyclePrediction(ends, of_all("busy"), events, of_all("slots"), of_all("held"))


def _with_exits(plan: Plan, frames: dict[str, np.ndarray], steps: np.ndarray) -> CyclePrediction:
    """Sample by sample, as each begins in components that know nothing of the one before."""
    network, head = plan.network, plan.head
    T, K = network.time_steps, network.classes
    words = plan.input.words * (1 if network.input.static else T)
    begin = missing = free = 0  # of a sample: its first cycle, words of the one before to be dropped, its logits leave
    ends: list[int] = []
    counts: dict[str, list[tuple[int, int, int, int]]] = {layer.name: [] for layer in plan.layers}
    for sample, taken in enumerate(steps.tolist()):
        own = {name: x[sample * (len(x) // len(steps)) :][: len(x) // len(steps)] for name, x in frames.items()}
        source = Wire(missing)
        outs, layers = _components(plan, own, source)
        beats, wire = _logits(plan, outs[head.name])
        model = ExitModel(beats, taken - 1, free, wire)
        wire.taken(taken * len(beats) - 1)
        end = max(model.judged, *(layer.finished(taken - 1) for layer in layers.values()))
        for name, layer in layers.items():
            counts[name].append(layer.counted(end))
        number = 0
        while number < words and source.taken(number) <= end:
            number += 1
        ends.append(begin + end + K)
        begin, missing, free = begin + end + 1, words - number, K
    rows = {name: np.array(each, np.int64).reshape(-1, 4) for name, each in counts.items()}
    busy, events, slots, held = ({name: row[:, n] for name, row in rows.items()} for n in range(4))
    return CyclePrediction(np.array(ends, np.int64), busy, events, slots, held)


def _components(
    plan: Plan, frames: dict[str, np.ndarray], source: Wire
) -> tuple[dict[str, Wire], dict[str, LayerModel]]:
    """The models of all stages, fed with the frames of some samples: the wire out of each, and those of the layers.

    source : the input's words.
    """
    network, T = plan.network, plan.network.time_steps
    sys.setrecursionlimit(max(sys.getrecursionlimit(), CALLS_PER_LINK * (len(plan.stages) + len(plan.links))))
    outs = {network.input.name: source, **{stage.name: Wire() for stage in plan.stages}}
    ins = _links(plan, outs)
    layers: dict[str, LayerModel] = {}
    for stage in plan.stages:
        x = [delayed(frames[edge.node], T) if edge.delay else frames[edge.node] for edge in stage.node.inputs]
        if isinstance(stage, PoolPlan):
            pixels, words = _window(stage.window_buffer, x[0], ins[stage.name, 0])
            PoolModel(pixels, words, outs[stage.name])
        elif isinstance(stage, JoinPlan):
            windows = stage.window_buffers
            readers = [_window(window, x[port], ins[stage.name, port])[1] for port, window in enumerate(windows)]
            JoinModel(readers, outs[stage.name])
        else:
            wires = [ins[stage.name, port] for port in range(len(stage.edges))]
            for port, edge in enumerate(stage.edges):
                if edge.window_buffer is not None:
                    wires[port] = _window(edge.window_buffer, x[port], wires[port])[1]
            lists = [event_lists(edge, frame) for edge, frame in zip(stage.edges, x, strict=True)]
            if stage.weights.sparse is None:
                layers[stage.name] = LayerModel(stage, lists, wires, outs[stage.name])
            else:
                layers[stage.name] = SparseLayerModel(stage, lists, *walks(stage, x), wires, outs[stage.name])
    return outs, layers


def _logits(plan: Plan, words: Wire) -> tuple[list[int], Wire]:
    """What logits are taken from: the cycles of each word of a sample (with early exit of a step), and the words."""
    head = plan.head
    if head.folding.windows == 1:
        return [head.logits.word_elements] * (head.logits.words - 1) + [head.logits.rest], words
    ordered = Wire()
    LogitOrderModel(head, words, ordered)
    return [1] * head.logits.elements, ordered


def delayed(x: np.ndarray, time_steps: int) -> np.ndarray:
    """Frames (N * T, ...) one step later: zeros at each sample's first step."""
    samples = x.reshape(-1, time_steps, *x.shape[1:])
    late = np.concatenate([np.zeros_like(samples[:, :1]), samples[:, :-1]], axis=1)
    return late.reshape(x.shape)


def _links(plan: Plan, outs: dict[str, Wire]) -> dict[tuple[str, int], Wire]:
    """The wire into each port of each stage, behind its source's fork and its own queue."""
    words = plan.input.words * (1 if plan.network.input.static else plan.network.time_steps)
    source = outs[plan.network.input.name]

    def begun(sample: int) -> int:
        return source.taken(sample * words - 1) + 1 if sample else source.begin

    found = {}
    for name, out in outs.items():
        links = [link for link in plan.links if link.source == name]
        wires = [Wire() for _ in links] if len(links) > 1 else [out] * len(links)
        if len(links) > 1:
            ForkModel(out, wires)
        for link, wire in zip(links, wires, strict=True):
            reader = wire
            if link.queue:
                reader = Wire()
                QueueModel(link, plan.network.time_steps, wire, reader, begun if plan.run_time else None)
            found[link.target, link.port] = reader
    return found


def _window(window: WindowPlan, x: np.ndarray, words: Wire) -> tuple[list[int], Wire]:
    """A window reader behind `words`, which carry the frames x: how many pixels it gives per window, and its wire."""
    nonzero = windows_of(window, [np.asarray(part.any(axis=1)) for part in parts_of(window, x)])
    pixels = np.maximum(nonzero.sum(1), 1).tolist() if window.has_flags else [1] * len(nonzero)
    out = Wire()
    WindowModel(window, pixels, words, out)
    return pixels, out
