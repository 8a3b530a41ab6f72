"""When a layer core takes and gives its words; how the models work together stands in `models.py`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from mintaka_hw.estimate.models import Wire
from mintaka_hw.plan import LayerPlan
from mintaka_hw.plan.events import LIST_SLOTS
from mintaka_hw.rtl.collector import LIST_LATENCY, ROOM_LATENCY
from mintaka_hw.rtl.pipeline import PipelineTiming
from mintaka_hw.rtl.walker import WALK_LATENCY

NEVER = -(10**9)


@dataclass(frozen=True)
class EventLists:
    """What enters a layer by one edge: per list its events, its entries (non-zero chunks), and the cycles of its words.

    An event is what takes a slot. A word with m non-zero chunks occupies the collector max(1, m) cycles.
    """

    events: list[int]
    entries: list[int]
    word_cycles: list[list[int]]


@dataclass(frozen=True)
class Walk:
    """A list for one group of lanes, with early exit.

    behind : the cycle before the first in which the core is busy with it. held : cycles in which only the reader was
    waited for. runs : first and last cycle of slots that follow one another, and whether they carry events.
    """

    behind: int
    held: int
    runs: list[tuple[int, int, bool]]


class LayerModel:
    """Sequencer, collector, replay and lanes of one layer core."""

    def __init__(self, layer: LayerPlan, lists: list[EventLists], words: list[Wire], out: Wire):
        self.layer, self.words, self.out = layer, words, out
        schedule, folding = layer.schedule, layer.folding
        self.lists, self.groups = folding.lists, folding.groups_per_list  # lists per phase; groups that each is for
        self.phases, self.phases_with_events = schedule.phases, schedule.phases_with_events
        # First phase that gives words.
        self.gives_from = schedule.phases - 1 if schedule.words_after_last_step_only else len(schedule.preloads)
        self.timing = PipelineTiming.of(layer)
        self.list_edges = [schedule.edges_of(phase) for phase in range(self.phases_with_events)]
        self.events = _per_list(layer, [each.events for each in lists])
        self.entries_before = [0, *accumulate(_per_list(layer, [each.entries for each in lists]))]
        self.word_cycles: list[list[list[int]]] = [each.word_cycles for each in lists]
        self.free = 0  # first cycle in which a word can move from the collector's first register to its second
        self.moved = 0  # when the last one did
        self.turn = self.position = 0  # of the next word: whose among its list's edges, and number of that edge's words
        self.taken_lists = [0] * len(lists)  # by edge
        self.gone = 0  # lists that had to be released so far
        self.readable: list[int] = []  # per list: when the replay may have its first entry
        self.released: list[int] = []  # per list
        self.last_slot = -1  # of the replay so far
        self.stored = [NEVER] * folding.states  # last slot of each state's phase before
        self.begun = 0  # words
        self.busy: list[int] = []  # per sample: cycles occupied
        self.slots: list[int] = []  # per sample: of them, those with a slot
        self.held: list[int] = []  # per sample: of them, those in which only the reader was waited for
        self.phase_ends: list[int] = []  # last slot of each phase
        self.log: list[Walk] | None = [] if schedule.exits else None
        for wire in words:
            wire.consumer = self
        out.producer = self

    def accept(self, wire: Wire) -> None:  # noqa: ARG002
        """Collect one more word: whichever edge's turn it is."""
        turn, position, which = self.turn, self.position, len(self.readable)
        edges = self.list_edges[self._phase(which)]
        edge = edges[turn]
        taken = max(self.words[edge].offered(len(self.words[edge].takes)), self.moved)
        time = max(taken + 1, self.free)
        if turn == position == 0:
            gone = self._gone_before(which)
            while len(self.released) < gone:
                self._replay_list()
            if gone:
                time = max(time, self.released[gone - 1] + ROOM_LATENCY)
        if (turn, position, which) != (self.turn, self.position, len(self.readable)):
            return
        self.words[edge].takes.append(taken)
        self.moved = time
        cycles = self.word_cycles[edge][self.taken_lists[edge]]
        self.free = time + cycles[position]
        self.position += 1
        if self.position == len(cycles):
            self.taken_lists[edge] += 1
            self.position, self.turn = 0, turn + 1
        if self.turn == len(edges):
            self.turn = 0
            self.readable.append(self.free + LIST_LATENCY + WALK_LATENCY)

    def _gone_before(self, which: int) -> int:
        """How many lists must be released before list number `which` may begin."""
        while self.entries_before[which] - self.entries_before[self.gone] > self.layer.events.headroom:
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
        return number // self.lists % self.phases_with_events

    def _replay_list(self) -> None:
        """The next list; and behind a sample's last one its phases without lists."""
        current = len(self.released)
        while len(self.readable) <= current:
            self.accept(self.words[0])
        if current < len(self.released):
            return
        phase, number = self._phase(current), current % self.lists
        if phase == 0 and number == 0:
            for counter in (self.busy, self.slots, self.held):
                counter.append(0)
        self._walk_list(phase, number, current, self.readable[current])
        self.released.append(self.last_slot)
        if phase == self.phases_with_events - 1 and number == self.lists - 1:
            for later in range(self.phases_with_events, self.phases):
                for each in range(self.lists):
                    self._walk_list(later, each, None, NEVER)

    @property
    def issued(self) -> np.ndarray:
        """Slots that carry an event, int64 (lists,)."""
        return np.array(self.events, np.int64) * self.groups

    def _walk_list(self, phase: int, number: int, which: int | None, readable: int) -> None:
        """which : number of the list, None where the phase has none. number : its window's and section's."""
        self._groups(phase, number, which, readable)
        if number == self.lists - 1:
            self.phase_ends.append(self.last_slot)

    def _groups(self, phase: int, number: int, which: int | None, readable: int) -> None:
        """The list for one group of lanes after the other."""
        events = 0 if which is None else self.events[which]
        gives_words = phase >= self.gives_from
        for state in range(number * self.groups, (number + 1) * self.groups):
            loaded, held = max(readable, self.last_slot), self.held[-1]
            first = self._first_slot(loaded + 1, state, phase > 0, gives_words)
            self._group_ends(first + max(1, events) - 1, state, gives_words)
            self.busy[-1] += self.last_slot - loaded
            self.slots[-1] += max(1, events)
            if self.log is not None:
                self.log.append(Walk(loaded, self.held[-1] - held, [(first, self.last_slot, events > 0)]))

    def _first_slot(self, earliest: int, state: int, follows: bool, gives_word: bool) -> int:
        """When a group's first slot is issued: its state must be stored, and its word have a place."""
        first = max(earliest, self.stored[state] + self.timing.state) if follows else earliest
        if gives_word:
            depth = self.layer.output_depth
            if self.begun >= depth:
                room = self.out.taken(self.begun - depth) + 1
                self.held[-1] += max(0, room - first)
                first = max(first, room)
            self.begun += 1
        return first

    def _group_ends(self, last_slot: int, state: int, gives_word: bool) -> None:
        self.last_slot = self.stored[state] = last_slot
        if gives_word:
            self.out.offers.append(last_slot + self.timing.word)

    def finished(self, step: int) -> int:
        """With early exit: the cycle from which the core says that it has finished that step."""
        phase = len(self.layer.schedule.preloads) + step
        while len(self.phase_ends) <= phase:
            self._replay_list()
        return self.phase_ends[phase] + self.timing.word

    def counted(self, end: int) -> tuple[int, int, int, int]:
        """With early exit: busy cycles, slots with an event, slots, and held cycles of a sample that ended at `end`."""
        assert self.log is not None
        while len(self.released) < len(self.events) and self.last_slot <= end:
            self._replay_list()
        end -= self.timing.counters
        busy = events = slots = held = 0
        for walk in self.log:
            busy += max(0, min(walk.runs[-1][1], end) - walk.behind)
            held += walk.held if walk.runs[0][0] <= end else 0
            for first, last, carries in walk.runs:
                done = max(0, min(last, end) - first + 1)
                events += done if carries else 0
                slots += done
        return busy, events, slots, held


def in_order(layer: LayerPlan, parts: list[np.ndarray]) -> np.ndarray:
    """What is known of every list of each pass and then of the steps, (lists, ...), in the order of their replay."""
    schedule, lists = layer.schedule, layer.folding.lists
    frames = 1 if schedule.preloads_in_first_step else schedule.time_steps
    samples = len(parts[-1]) // (lists * (frames if schedule.step_edges else 1))
    by_sample = [part.reshape(samples, -1, lists, *part.shape[1:]) for part in parts]
    return np.concatenate(by_sample, axis=1).reshape(-1, *parts[0].shape[1:])


def _per_list(layer: LayerPlan, counts: list[list[int]]) -> list[int]:
    """Counts per edge and list as counts per list of all its edges, in the order in which lists are replayed."""
    by_edge = [np.array(each, np.int64) for each in counts]
    passes = [by_edge[number] for number in layer.schedule.preloads]
    steps = [np.sum([by_edge[n] for n in layer.schedule.step_edges], axis=0)] if layer.schedule.step_edges else []
    found: list[int] = in_order(layer, passes + steps).tolist()
    return found
