"""The exact cycle model of the accelerator: what each component publishes, chained by max-plus recurrences.

Valid for an input that always has a beat and an output that is always ready; the simulation must then agree to the
cycle. Per layer: a word with m non-zero chunks occupies the collector max(1, m) cycles; a list is readable
`LIST_LATENCY` cycles after its last word is done; a group takes max(1, events) slots; its word leaves
`RESULT_LATENCY` cycles after its last slot; a group's next step waits `state_distance` cycles for its state; and a
word is only begun when the output queue has a place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka.artifact import Result, run
from mintaka_hw.plan import LayerPlan, Plan

LIST_LATENCY = 2
RESULT_LATENCY = 5


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


@dataclass(frozen=True)
class EventLists:
    """What enters one layer: per list (sample-major) `events`; per word its non-zero `chunks` (lists, words)."""

    events: np.ndarray
    chunks: np.ndarray


def event_lists(layer: LayerPlan, x: np.ndarray) -> EventLists:
    """x: unsigned integers (lists, size_in)."""
    size = layer.words * layer.word_elements
    padded = np.zeros((len(x), size), np.int64)
    padded[:, : layer.size_in] = x
    words = padded.reshape(len(x), layer.words, layer.word_elements)
    chunk = layer.chunk_elements
    fill = -layer.word_elements % chunk
    chunks = np.pad(words, ((0, 0), (0, 0), (0, fill))).reshape(len(x), layer.words, -1, chunk)
    return EventLists(np.bitwise_count(x).sum(1), chunks.any(3).sum(2))


class LogitModel:
    """The serializer: one logit per cycle."""

    def __init__(self, head: LayerPlan):
        rest = head.size_out - (head.groups - 1) * head.lanes
        self.beats = [head.lanes] * (head.groups - 1) + [rest]
        self.available: list[int] = []
        self.popped: list[int] = []

    def pop(self, word: int) -> int:
        """Cycle in which word number `word` leaves the head's queue."""
        while len(self.popped) <= word:
            number = len(self.popped)
            begin = max(self.available[number], self.popped[-1] + 1 if self.popped else 0)
            self.popped.append(begin + self.beats[number % len(self.beats)] - 1)
        return self.popped[word]


class LayerModel:
    """One layer core; `available` is filled by the layer before, or None where the source never lets it wait."""

    def __init__(self, layer: LayerPlan, lists: EventLists, consumer: LayerModel | LogitModel, *, first: bool):
        self.layer = layer
        self.events: list[int] = lists.events.tolist()
        self.slots_of_word: list[list[int]] = np.maximum(lists.chunks, 1).tolist()
        self.consumer = consumer
        self.available: list[int] | None = None if first else []
        self.popped: list[int] = []  # cycle in which each word was accepted
        self.free = 0  # first cycle in which the collector can take a word
        self.readable: list[int] = []  # per list
        self.released: list[int] = []  # per list
        self.last_slot = -1  # of the replay so far
        self.stored = [-(10**9)] * layer.groups  # last slot of each group's step before
        self.begun = 0  # words
        self.busy: list[int] = []  # per sample

    def pop(self, word: int) -> int:
        """Cycle in which word number `word` is accepted."""
        while len(self.popped) <= word:
            self.collect()
        return self.popped[word]

    def collect(self) -> None:
        """Take one more word."""
        number, words = len(self.popped), self.layer.words
        which, position = divmod(number, words)
        time = self.free
        if position == 0 and which >= 2:
            self.replay(which - 2)
            time = max(time, self.released[which - 2] + 1)
        if self.available is not None:
            time = max(time, self.available[number])
        self.popped.append(time)
        self.free = time + self.slots_of_word[which][position]
        if position == words - 1:
            self.readable.append(self.free + LIST_LATENCY)

    def replay(self, which: int) -> None:
        """Work through list number `which` (for a static source, through all steps of its sample)."""
        layer = self.layer
        while len(self.released) <= which:
            current = len(self.released)
            self.pop((current + 1) * layer.words - 1)
            if layer.source.static:
                self.busy.append(0)
                self._step(0, self.events[current], self.readable[current])
                self.released.append(self.last_slot)
                for step in range(1, layer.time_steps):
                    self._step(step, 0, -1)
            else:
                step = current % layer.time_steps
                if step == 0:
                    self.busy.append(0)
                self._step(step, self.events[current], self.readable[current])
                self.released.append(self.last_slot)

    def _step(self, step: int, events: int, readable: int) -> None:
        layer = self.layer
        gives_words = not layer.is_head or step == layer.time_steps - 1
        for group in range(layer.groups):
            loaded = max(readable, self.last_slot)
            first = loaded + 1
            if step > 0:
                first = max(first, self.stored[group] + layer.state_distance)
            if gives_words:
                if self.begun >= layer.fifo_depth:
                    first = max(first, self.consumer.pop(self.begun - layer.fifo_depth) + 1)
                self.begun += 1
            self.last_slot = first + max(1, events) - 1
            self.stored[group] = self.last_slot
            self.busy[-1] += self.last_slot - loaded
            if gives_words:
                assert self.consumer.available is not None
                self.consumer.available.append(self.last_slot + RESULT_LATENCY)


def predict_cycles(plan: Plan, inputs: np.ndarray, result: Result | None = None) -> CyclePrediction:
    """The cycles of `inputs` streamed back to back.

    inputs : as the network wants them (`Network.input_shape`).
    result : a run of `inputs` with its trace, where one is at hand; else the reference is run.
    """
    network = plan.network
    if result is None:
        result = run(network, inputs, trace=True)
    N, T = len(inputs), network.time_steps
    x = np.asarray(inputs).reshape(N if network.input.static else N * T, -1)
    lists = []
    for layer in plan.layers:
        lists.append(event_lists(layer, x))
        s = None if layer.is_head else result.trace[layer.name].s
        if s is not None:
            x = s.reshape(N * T, -1)

    logits = LogitModel(plan.layers[-1])
    models: list[LayerModel] = []
    consumer: LayerModel | LogitModel = logits
    for index in range(len(plan.layers) - 1, -1, -1):
        consumer = LayerModel(plan.layers[index], lists[index], consumer, first=index == 0)
        models.insert(0, consumer)
    for model in models:
        model.replay(len(model.events) - 1)
    words = plan.layers[-1].groups
    ends = np.array([logits.pop((n + 1) * words - 1) for n in range(N)], np.int64)
    busy = {model.layer.name: np.array(model.busy, np.int64) for model in models}
    events = {
        model.layer.name: np.array(model.events, np.int64).reshape(N, -1).sum(1) * model.layer.groups
        for model in models
    }
    return CyclePrediction(ends, busy, events)
