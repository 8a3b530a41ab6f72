"""The exact cycles of a batch: the components' models (`models.py`), fed with what really enters each stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Result, run
from mintaka.artifact.reference import pool2d
from mintaka_hw.estimate.models import EventLists, LayerModel, LogitModel, Model, PoolModel, WindowModel
from mintaka_hw.plan import LayerPlan, Plan, PoolPlan, WindowPlan


@dataclass(frozen=True)
class CyclePrediction:
    """All int64 of shape (N,), one entry per sample, in the order of the inputs streamed back to back.

    result : cycle of the last logit's beat, counted from the first accepted input beat (the port `o_cycles`).
    busy, events : per layer, cycles occupied and slots that carry an event (the ports `L_busy` and `L_events`).
    """

    result: np.ndarray
    busy: dict[str, np.ndarray]
    events: dict[str, np.ndarray]

    @property
    def interval(self) -> float:
        """Cycles per sample at full throughput: the mean distance of results, or the latency of a single one."""
        if len(self.result) == 1:
            return float(self.result[0]) + 1
        return float(self.result[-1] - self.result[0]) / (len(self.result) - 1)

    def utilisation(self, name: str) -> float:
        """Part of the layer's occupied cycles in which its lanes added an event's weights."""
        return float(self.events[name].sum() / max(1, self.busy[name].sum()))


def event_lists(layer: LayerPlan, x: np.ndarray) -> EventLists:
    """x: frames of unsigned integers, (M, C, H, W) or (M, N)."""
    lists, chunk = layer.lists, layer.chunk_elements
    if layer.window_buffer is None:
        words = lists.split(lists.flat(x))
        return EventLists(np.bitwise_count(words).sum((1, 2)), _chunks(words, chunk))
    window = layer.window_buffer
    events = np.bitwise_count(x).sum(1)
    chunks = _chunks(np.moveaxis(x, 1, -1), chunk)
    return EventLists(_windows(window, events).sum(1), _windows(window, chunks))


def _chunks(words: np.ndarray, chunk: int) -> np.ndarray:
    """Non-zero chunks of each word: (..., elements) -> (...)."""
    padded = np.pad(words, [(0, 0)] * (words.ndim - 1) + [(0, -words.shape[-1] % chunk)])
    return padded.reshape(*words.shape[:-1], -1, chunk).any(-1).sum(-1)


def _windows(window: WindowPlan, pixels: np.ndarray) -> np.ndarray:
    """(M, H, W) -> (M * windows, kh * kw): what every window sees."""
    (pv, ph), (sv, sh) = window.padding, window.stride
    padded = np.pad(pixels, ((0, 0), (pv, pv), (ph, ph)))
    view = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=(1, 2))[:, ::sv, ::sh]
    rows, cols = window.shape_out
    return view[:, :rows, :cols].reshape(-1, window.kernel[0] * window.kernel[1])


def predict_cycles(plan: Plan, inputs: np.ndarray, result: Result | None = None) -> CyclePrediction:
    """The cycles of `inputs` streamed back to back, input always valid and output always ready.

    inputs : as the network wants them (`Network.input_shape`).
    result : a run of `inputs` with its trace, where one is at hand; else the reference is run.
    """
    network = plan.network
    if result is None:
        result = run(network, inputs, trace=True)
    N, T = len(inputs), network.time_steps
    x = np.asarray(inputs).reshape(N if network.input.static else N * T, *network.input.shape)
    frames: list[np.ndarray] = []
    for stage in plan.stages:
        frames.append(x)
        if isinstance(stage, PoolPlan):
            assert stage.node.pool is not None
            x = pool2d(x, stage.node.pool)
        elif not stage.is_head:
            s = result.trace[stage.name].s
            assert s is not None
            x = s.reshape(N * T, *stage.node.shape_out)

    models: list[Model] = [LogitModel(plan.layers[-1])]
    for stage, x in zip(reversed(plan.stages), reversed(frames), strict=True):
        if isinstance(stage, PoolPlan):
            models.insert(0, PoolModel(stage, models[0]))
            models.insert(0, WindowModel(stage.window_buffer, models[0], frames=len(x)))
        else:
            models.insert(0, LayerModel(stage, event_lists(stage, x), models[0]))
            if stage.window_buffer is not None:
                models.insert(0, WindowModel(stage.window_buffer, models[0], frames=len(x)))
    models[0].available = None
    for model in models:
        model.finish()
    words, logits = plan.layers[-1].groups, models[-1]
    ends = np.array([logits.pop((n + 1) * words - 1) for n in range(N)], np.int64)
    busy, events = {}, {}
    for model in models:
        if isinstance(model, LayerModel):
            busy[model.layer.name] = np.array(model.busy, np.int64)
            per_sample = np.array(model.events, np.int64).reshape(N, -1).sum(1)
            events[model.layer.name] = per_sample * model.layer.groups
    return CyclePrediction(ends, busy, events)
