"""When each component takes and gives its words: max-plus recurrences, exact to the cycle.

Valid for an input that always has a beat and an output that is always ready. A `Wire` knows for each word the cycle
from which it is offered and the cycle in which it is taken; whoever asks for one that is not known yet makes the
producer or the consumer work it out. On the way it may be asked for the same again: whoever works a word out asks for
everything it depends on first, and adds it only if nobody did meanwhile. What the components publish:

- window reader: one non-zero pixel of a window per cycle (a window of zeros: one pixel), once the window row's last
  picture row is there; windows follow without a gap; a row is freed with the last pixel that needs it.
- collector: a word with m non-zero chunks occupies it max(1, m) cycles; a list is readable `LIST_LATENCY` cycles after
  its last word is done. A list is begun when fewer than `LIST_SLOTS` are kept and a longest list has room.
- replay: a group takes max(1, events) slots; its state waits `state_distance` cycles for the phase before; a word is
  only begun when the output queue has a place; it leaves `OUTPUT_LATENCY` cycles after its group's result, which is
  there `pipeline` cycles after its last slot.
- pool: takes a window's words as they come and gives the result with the last.
- join: when all its inputs have a pixel. Fork: a word leaves when its last reader has taken it. Queue: one cycle from
  in to out.
- logits: one per cycle; of several pixels once the sample is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np

from mintaka_hw.plan import LayerPlan, Link, StreamLayout, WindowPlan
from mintaka_hw.plan.layer import LIST_SLOTS

LIST_LATENCY = 2
OUTPUT_LATENCY = 1
NEVER = -(10**9)


class Producer(Protocol):
    """Gives words on a wire."""

    def advance(self, wire: Wire) -> None:
        """Work until there may be a word more on `wire.offers`."""


class Consumer(Protocol):
    """Takes words from a wire."""

    def accept(self, wire: Wire) -> None:
        """Work until there may be a word more on `wire.takes`."""


class Wire:
    """The words between two components; without a producer, every word is offered from the start."""

    def __init__(self) -> None:
        self.producer: Producer | None = None
        self.consumer: Consumer | None = None
        self.offers: list[int] = []
        self.takes: list[int] = []

    def offered(self, word: int) -> int:
        """Cycle from which word number `word` is offered."""
        if self.producer is None:
            return 0
        while len(self.offers) <= word:
            self.producer.advance(self)
        return self.offers[word]

    def taken(self, word: int) -> int:
        """Cycle in which word number `word` is taken."""
        assert self.consumer is not None
        while len(self.takes) <= word:
            self.consumer.accept(self)
        return self.takes[word]

    @property
    def earliest(self) -> int:
        """First cycle in which the next word can be taken, if only one per cycle is."""
        return self.takes[-1] + 1 if self.takes else 0


class LogitModel:
    """The serializer: one logit per cycle. `ends`: per sample, the cycle of its last logit."""

    def __init__(self, logits: StreamLayout, words: Wire):
        self.beats = [logits.word_elements] * (logits.words - 1) + [logits.rest]
        self.ends: list[int] = []
        words.consumer = self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        begin = max(wire.offered(number), wire.earliest)
        if number == len(wire.takes):
            wire.takes.append(begin + self.beats[number % len(self.beats)] - 1)
            if (number + 1) % len(self.beats) == 0:
                self.ends.append(wire.takes[-1])


class LogitOrderModel:
    """Logits of several pixels, put in order: a sample's leave one per cycle once it is complete; two banks."""

    def __init__(self, head: LayerPlan, words: Wire):
        self.words_per_sample, self.logits = head.states, head.logits.elements
        self.ends: list[int] = []
        words.consumer = self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        time = max(wire.offered(number), wire.earliest)
        if number < len(wire.takes):
            return
        sample, place = divmod(number, self.words_per_sample)
        if sample >= 2:
            time = max(time, self.ends[sample - 2])  # its last logit was read a cycle before it left
        wire.takes.append(time)
        if place == self.words_per_sample - 1:
            begin = max(time + 1, self.ends[-1] if self.ends else 0)
            self.ends.append(begin + self.logits)


class ForkModel:
    """Offers a word to all its readers at once and takes it when the last one has."""

    def __init__(self, words: Wire, readers: list[Wire]):
        self.words, self.readers = words, readers
        words.consumer = self
        for reader in readers:
            reader.producer = self

    def advance(self, wire: Wire) -> None:
        number = len(wire.offers)
        if number > len(self.words.takes):
            self.words.taken(number - 1)
        time = max(self.words.offered(number), self.words.earliest)
        if number == len(wire.offers):
            for reader in self.readers:
                reader.offers.append(time)

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        times = []
        for reader in self.readers:
            reader.offered(number)
            times.append(reader.taken(number))
        if number == len(wire.takes):
            wire.takes.append(max(times))


class QueueModel:
    """A queue of `link.queue` words; with a delay, zeros in a sample's first frame, and its last frame dropped."""

    def __init__(self, link: Link, time_steps: int, words: Wire, out: Wire):
        self.depth, self.frame_words = link.queue, link.layout.words
        self.time_steps = time_steps if link.delay else 0
        self.words, self.out = words, out
        self.pushes: list[int] = []
        words.consumer, out.producer = self, self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        time = max(wire.offered(number), wire.earliest)
        if number < len(wire.takes):
            return
        if self.time_steps and number // self.frame_words % self.time_steps == self.time_steps - 1:
            wire.takes.append(time)
            return
        entry = len(self.pushes)
        if entry >= self.depth:
            time = max(time, self.out.taken(self._out_word(entry - self.depth)) + 1)
        if number == len(wire.takes):
            wire.takes.append(time)
            self.pushes.append(time)

    def advance(self, wire: Wire) -> None:
        number = len(wire.offers)
        if self.time_steps:
            frame, word = divmod(number, self.frame_words)
            sample, step = divmod(frame, self.time_steps)
            if step == 0:
                time = wire.taken(number - 1) + 1 if number else 0
                if number == len(wire.offers):
                    wire.offers.append(time)
                return
            entry = (sample * (self.time_steps - 1) + step - 1) * self.frame_words + word
        else:
            entry = number
        while len(self.pushes) <= entry:
            self.words.taken(len(self.words.takes))
        if number == len(wire.offers):
            wire.offers.append(self.pushes[entry] + 1)

    def _out_word(self, entry: int) -> int:
        """Number on the outgoing wire of what was pushed as number `entry`."""
        if not self.time_steps:
            return entry
        frame, word = divmod(entry, self.frame_words)
        sample, step = divmod(frame, self.time_steps - 1)
        return (sample * self.time_steps + step + 1) * self.frame_words + word


class WindowModel:
    """The window reader. pixels : per window and section what it gives, max(1, non-zero pixels)."""

    def __init__(self, window: WindowPlan, pixels: list[int], words: Wire, out: Wire):
        self.window, self.pixels, self.words, self.out = window, pixels, words, out
        self.row_words = window.incoming.cols * window.incoming.words_per_pixel
        self.freed: list[int] = []  # per picture row: cycle in which it was freed
        self.current = self.given = 0  # window at hand, and how many of its pixels were given
        self.last_read = -1
        words.consumer, out.producer = self, self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        time = max(wire.offered(number), wire.earliest)
        row, rest = divmod(number, self.row_words)
        if rest == 0 and row >= self.window.buffer_rows:
            while len(self.freed) <= row - self.window.buffer_rows:
                self.advance(self.out)
            time = max(time, self.freed[row - self.window.buffer_rows] + 1)
        if number == len(wire.takes):
            wire.takes.append(time)

    def advance(self, wire: Wire) -> None:
        number = len(wire.offers)
        time = wire.taken(number - 1) if number else 0
        rows, cols = self.window.shape_out
        window, section = divmod(self.current, self.window.sections)
        frame, place = divmod(window, rows * cols)
        row, column = divmod(place, cols)
        if self.given == 0:  # else its rows are there
            last_row = frame * self.window.incoming.rows + self.window.rows_needed(row) - 1
            time = max(time, self.words.taken((last_row + 1) * self.row_words - 1) + 2)
        if number < len(wire.offers):
            return
        time = max(time, self.last_read + 1)
        self.last_read = time
        wire.offers.append(time + 1)
        self.given += 1
        if self.given == self.pixels[self.current]:
            self.current, self.given = self.current + 1, 0
            if column == cols - 1 and section == self.window.sections - 1:
                before = self.window.rows_freed(row - 1) if row else 0
                self.freed += [time] * (self.window.rows_freed(row) - before)


class PoolModel:
    """The reducer behind a pool's window reader. pixels : per window what the reader gives."""

    def __init__(self, pixels: list[int], words: Wire, out: Wire):
        self.last = [end - 1 for end in accumulate(pixels)]  # per window: number of its last pixel
        self.window = 0  # of the next pixel
        self.words, self.out = words, out
        words.consumer, out.producer = self, self

    def accept(self, wire: Wire) -> None:
        number, is_last = len(wire.takes), len(wire.takes) == self.last[self.window]
        time = wire.offered(number)
        if is_last:
            self.out.offered(self.window)
            time = self.out.taken(self.window)
        if number == len(wire.takes):
            wire.takes.append(time)
            self.window += is_last

    def advance(self, wire: Wire) -> None:
        number = len(wire.offers)
        last = self.last[number]
        if last:
            self.words.taken(last - 1)
        time = self.words.offered(last)
        if number == len(wire.offers):
            wire.offers.append(time)


class JoinModel:
    """Takes a pixel of every input when all have one and the reader takes the result."""

    def __init__(self, inputs: list[Wire], out: Wire):
        self.inputs, self.out = inputs, out
        out.producer = self
        for words in inputs:
            words.consumer = self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        self.out.offered(number)
        time = self.out.taken(number)
        if number == len(wire.takes):
            for words in self.inputs:
                words.takes.append(time)

    def advance(self, wire: Wire) -> None:
        number = len(wire.offers)
        times = []
        for words in self.inputs:
            times.append(words.offered(number))
        if number == len(wire.offers):
            wire.offers.append(max(times))


@dataclass(frozen=True)
class EventLists:
    """What enters a layer by one edge: per list its events, its entries (non-zero chunks), and the cycles of its words.

    An event is what takes a slot. A word with m non-zero chunks occupies the collector max(1, m) cycles.
    """

    events: list[int]
    entries: list[int]
    word_cycles: list[list[int]]


class LayerModel:
    """Sequencer, collector, replay and lanes of one layer core."""

    def __init__(self, layer: LayerPlan, lists: list[EventLists], words: list[Wire], out: Wire):
        self.layer, self.words, self.out = layer, words, out
        phases = layer.phases
        self.lists, self.groups = layer.lists, layer.list_groups  # lists per phase, groups that a list is replayed for
        self.phases, self.listed = phases.number, phases.listed
        self.gives_from = phases.number - 1 if layer.is_head else len(phases.passes)  # first phase that gives words
        self.distance, self.latency = layer.state_distance, layer.pipeline + OUTPUT_LATENCY
        self.list_edges = [phases.edges_of(phase) for phase in range(self.listed)]
        self.events = _per_list(layer, [each.events for each in lists])
        self.entries_before = [0, *accumulate(_per_list(layer, [each.entries for each in lists]))]
        self.word_cycles: list[list[list[int]]] = [each.word_cycles for each in lists]
        self.free = 0  # first cycle in which the collector can take a word
        self.turn = self.position = 0  # of the next word: whose among its list's edges, and number of that edge's words
        self.taken_lists = [0] * len(lists)  # by edge
        self.gone = 0  # lists that had to be released so far
        self.readable: list[int] = []  # per list
        self.released: list[int] = []  # per list
        self.last_slot = -1  # of the replay so far
        self.stored = [NEVER] * layer.states  # last slot of each state's phase before
        self.begun = 0  # words
        self.busy: list[int] = []  # per sample
        for wire in words:
            wire.consumer = self
        out.producer = self

    def accept(self, wire: Wire) -> None:  # noqa: ARG002
        """Collect one more word: whichever edge's turn it is."""
        turn, position, which = self.turn, self.position, len(self.readable)
        edges = self.list_edges[self._phase(which)]
        edge = edges[turn]
        time = self.words[edge].offered(len(self.words[edge].takes))
        if turn == position == 0:
            gone = self._gone_before(which)
            while len(self.released) < gone:
                self._replay_list()
            if gone:
                time = max(time, self.released[gone - 1] + 1)
        if (turn, position, which) != (self.turn, self.position, len(self.readable)):
            return
        time = max(time, self.free)
        self.words[edge].takes.append(time)
        cycles = self.word_cycles[edge][self.taken_lists[edge]]
        self.free = time + cycles[position]
        self.position += 1
        if self.position == len(cycles):
            self.taken_lists[edge] += 1
            self.position, self.turn = 0, turn + 1
        if self.turn == len(edges):
            self.turn = 0
            self.readable.append(self.free + LIST_LATENCY)

    def _gone_before(self, which: int) -> int:
        """How many lists must be released before list number `which` may begin."""
        while self.entries_before[which] - self.entries_before[self.gone] > self.layer.list_room:
            self.gone += 1
        self.gone = max(self.gone, which - LIST_SLOTS + 1)
        return self.gone

    def advance(self, wire: Wire) -> None:  # noqa: ARG002
        self._replay_list()

    def finish(self) -> None:
        """Replay everything."""
        while len(self.released) < len(self.events):
            self._replay_list()

    def _phase(self, number: int) -> int:
        """The phase of that list."""
        return number // self.lists % self.listed

    def _replay_list(self) -> None:
        """The next list; and behind a sample's last one its phases without lists."""
        current = len(self.released)
        while len(self.readable) <= current:
            self.accept(self.words[0])
        if current < len(self.released):
            return
        phase, number = self._phase(current), current % self.lists
        if phase == 0 and number == 0:
            self.busy.append(0)
        self._list(phase, number, self.events[current], self.readable[current])
        self.released.append(self.last_slot)
        if phase == self.listed - 1 and number == self.lists - 1:
            for later in range(self.listed, self.phases):
                for each in range(self.lists):
                    self._list(later, each, 0, NEVER)

    def _list(self, phase: int, number: int, events: int, readable: int) -> None:
        gives_words, depth = phase >= self.gives_from, self.layer.fifo_depth
        for state in range(number * self.groups, (number + 1) * self.groups):
            loaded = max(readable, self.last_slot)
            first = loaded + 1
            if phase > 0:
                first = max(first, self.stored[state] + self.distance)
            if gives_words:
                if self.begun >= depth:
                    first = max(first, self.out.taken(self.begun - depth) + 1)
                self.begun += 1
            self.last_slot = first + max(1, events) - 1
            self.stored[state] = self.last_slot
            self.busy[-1] += self.last_slot - loaded
            if gives_words:
                self.out.offers.append(self.last_slot + self.latency)


def _per_list(layer: LayerPlan, counts: list[list[int]]) -> list[int]:
    """Counts per edge and list as counts per list of all its edges, in the order in which lists are replayed."""
    frames = 1 if layer.edges[0].source.static else layer.time_steps
    samples = len(counts[0]) // (layer.lists * frames)
    by_edge = [np.array(each, np.int64).reshape(samples, -1, layer.lists) for each in counts]
    phases = layer.phases
    passes = [by_edge[number] for number in phases.passes]
    steps = [np.sum([by_edge[number] for number in phases.step_edges], axis=0)] if phases.step_edges else []
    found: list[int] = np.concatenate([*passes, *steps], axis=1).ravel().tolist()
    return found
