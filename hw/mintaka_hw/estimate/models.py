"""When each component takes and gives its words: max-plus recurrences, exact to the cycle.

Valid for an input that always has a beat and an output that is always ready. `available[k]` is the cycle from which
word k is offered to a component, written by the one before it; `pop(k)` is the cycle in which it takes it, and works
out whatever that depends on, always further down the chain. The models publish, per component:

- window reader: one word of a window per cycle, once the window row's last picture row is there; a row is freed with
  the last word that needs it.
- collector: a word with m non-zero chunks occupies it max(1, m) cycles; a list is readable `LIST_LATENCY` cycles after
  its last word is done.
- replay: a group takes max(1, events) slots; its state waits `state_distance` cycles for the step before; a word is
  only begun when the output queue has a place; it leaves `RESULT_LATENCY` cycles after its group's last slot.
- pool: takes a window's words as they come and gives the result with the last.
- logits: one per cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mintaka_hw.plan import LayerPlan, PoolPlan, WindowPlan

LIST_LATENCY = 2
RESULT_LATENCY = 5
NEVER = -(10**9)


@dataclass(frozen=True)
class EventLists:
    """What enters one layer: per list `events`, (lists,), and per word its non-zero `chunks`, (lists, words)."""

    events: np.ndarray
    chunks: np.ndarray


class Model:
    """A component that takes words; `available` is None where its source never lets it wait."""

    def __init__(self) -> None:
        self.available: list[int] | None = []
        self.popped: list[int] = []

    def pop(self, word: int) -> int:
        """Cycle in which word number `word` is taken."""
        while len(self.popped) <= word:
            self.popped.append(self.take(len(self.popped)))
        return self.popped[word]

    def take(self, number: int) -> int:
        """The same for the next word; `number` is how many were taken before."""
        raise NotImplementedError

    def finish(self) -> None:
        """Give everything that the words so far lead to."""

    def offered(self, number: int) -> int:
        """Cycle from which the word is offered."""
        return 0 if self.available is None else self.available[number]

    def offer(self, cycle: int) -> None:
        """Called by the component before: one more word, offered from `cycle` on."""
        assert self.available is not None
        self.available.append(cycle)


class LogitModel(Model):
    """The serializer: one logit per cycle."""

    def __init__(self, head: LayerPlan):
        super().__init__()
        self.beats = [head.lanes] * (head.groups - 1) + [head.outgoing.rest]

    def take(self, number: int) -> int:
        begin = max(self.offered(number), self.popped[-1] + 1 if self.popped else 0)
        return begin + self.beats[number % len(self.beats)] - 1


class PoolModel(Model):
    """The reducer behind a pool's window reader."""

    def __init__(self, pool: PoolPlan, consumer: Model):
        super().__init__()
        self.pixels = pool.window_buffer.outgoing.pixels
        self.consumer = consumer

    def take(self, number: int) -> int:
        if (number + 1) % self.pixels:
            return self.offered(number)
        self.consumer.offer(self.offered(number))
        return self.consumer.pop(number // self.pixels)

    def finish(self) -> None:
        assert self.available is not None
        self.pop(len(self.available) - 1)


class WindowModel(Model):
    """The window reader over a number of frames."""

    def __init__(self, window: WindowPlan, consumer: Model, *, frames: int):
        super().__init__()
        self.window, self.consumer = window, consumer
        self.row_words = window.incoming.cols * window.incoming.words_per_pixel
        self.window_rows = frames * window.shape_out[0]
        self.rows_read = 0  # window rows
        self.freed: list[int] = []  # per picture row: cycle in which it was freed
        self.given = 0  # words
        self.last_read = -1

    def take(self, number: int) -> int:
        time = max(self.offered(number), self.popped[-1] + 1 if self.popped else 0)
        row, rest = divmod(number, self.row_words)
        if rest == 0 and row >= self.window.buffer_rows:
            must_be_free = row - self.window.buffer_rows
            while len(self.freed) <= must_be_free:
                self._read_row()
            time = max(time, self.freed[must_be_free] + 1)
        return time

    def finish(self) -> None:
        while self.rows_read < self.window_rows:
            self._read_row()

    def _read_row(self) -> None:
        window = self.window
        frame, row = divmod(self.rows_read, window.shape_out[0])
        last_row = frame * window.incoming.rows + window.rows_needed(row) - 1
        gate = self.pop((last_row + 1) * self.row_words - 1) + 1
        for _ in range(window.shape_out[1] * window.outgoing.words):
            time = max(self.last_read + 1, gate)
            if self.given:
                time = max(time, self.consumer.pop(self.given - 1))
            self.consumer.offer(time + 1)
            self.given += 1
            self.last_read = time
        before = window.rows_freed(row - 1) if row else 0
        self.freed += [self.last_read] * (window.rows_freed(row) - before)
        self.rows_read += 1


class LayerModel(Model):
    """Collector, replay and lanes of one layer core."""

    def __init__(self, layer: LayerPlan, lists: EventLists, consumer: Model):
        super().__init__()
        self.layer = layer
        self.events: list[int] = lists.events.tolist()
        self.word_cycles: list[list[int]] = np.maximum(lists.chunks, 1).tolist()
        self.consumer = consumer
        self.free = 0  # first cycle in which the collector can take a word
        self.readable: list[int] = []  # per list
        self.released: list[int] = []  # per list
        self.last_slot = -1  # of the replay so far
        self.stored = [NEVER] * layer.states  # last slot of each state's step before
        self.begun = 0  # words
        self.busy: list[int] = []  # per sample

    def take(self, number: int) -> int:
        words = self.layer.lists.words
        which, position = divmod(number, words)
        time = max(self.free, self.offered(number))
        if position == 0 and which >= 2:
            self._replay(which - 2)
            time = max(time, self.released[which - 2] + 1)
        self.free = time + self.word_cycles[which][position]
        if position == words - 1:
            self.readable.append(self.free + LIST_LATENCY)
        return time

    def finish(self) -> None:
        self._replay(len(self.events) - 1)

    def _replay(self, which: int) -> None:
        """Work up to list number `which` (a static source's last list: and through all later steps)."""
        layer = self.layer
        while len(self.released) <= which:
            current = len(self.released)
            self.pop((current + 1) * layer.lists.words - 1)
            step, window = divmod(current, layer.windows)
            if not layer.source.static:
                step %= layer.time_steps
            else:
                step = 0
            if step == 0 and window == 0:
                self.busy.append(0)
            self._window(step, window, self.events[current], self.readable[current])
            self.released.append(self.last_slot)
            if layer.source.static and window == layer.windows - 1:
                for later in range(1, layer.time_steps):
                    for each in range(layer.windows):
                        self._window(later, each, 0, NEVER)

    def _window(self, step: int, window: int, events: int, readable: int) -> None:
        layer = self.layer
        gives_words = not layer.is_head or step == layer.time_steps - 1
        for state in range(window * layer.groups, (window + 1) * layer.groups):
            loaded = max(readable, self.last_slot)
            first = loaded + 1
            if step > 0:
                first = max(first, self.stored[state] + layer.state_distance)
            if gives_words:
                if self.begun >= layer.fifo_depth:
                    first = max(first, self.consumer.pop(self.begun - layer.fifo_depth) + 1)
                self.begun += 1
            self.last_slot = first + max(1, events) - 1
            self.stored[state] = self.last_slot
            self.busy[-1] += self.last_slot - loaded
            if gives_words:
                self.consumer.offer(self.last_slot + RESULT_LATENCY)
