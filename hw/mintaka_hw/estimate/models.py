"""When each component takes and gives its words: max-plus recurrences, exact to the cycle.

Valid for an input that always has a beat and an output that is always ready. A `Wire` knows for each word the cycle
from which it is offered and the cycle in which it is taken; whoever asks for one that is not known yet makes the
producer or the consumer work it out. On the way it may be asked for the same again: whoever works a word out asks for
everything it depends on first, and adds it only if nobody did meanwhile. What the components publish:

- window reader: one non-zero pixel of a window per cycle (a window of zeros: one pixel), once the window row's last
  picture row is there; windows follow without a gap; a row is freed with the last pixel that needs it.
- collector: a word waits a cycle in front of it, and with m non-zero chunks occupies it max(1, m) cycles; a list can be
  walked `LIST_LATENCY` cycles after its last word is done, and `WALK_LATENCY` later be replayed. A list is begun when
  fewer than `LIST_SLOTS` are kept and a longest list has room, `ROOM_LATENCY` cycles after the release that it needs.
- replay: a group takes max(1, events) slots; its state waits `PipelineTiming.state` cycles for the phase before; a word
  is only begun when the output queue has a place; it leaves `PipelineTiming.word` cycles after its group's last slot.
- pool: takes a window's words as they come and gives the result with the last.
- join: when all its inputs have a pixel. Fork: a word leaves when its last reader has taken it. Queue: one cycle from
  in to out; a deep one two, of which the last word is read ahead. With steps at run time a sample's frame of zeros
  waits until its first input word is offered.
- logits: one per cycle, a cycle behind; of several pixels once the sample is complete. With early exit those of every
  step, and then a cycle to judge; a sample ends when its last step is judged and all layers are done with it: the cycle
  after, the components begin anew.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Protocol

from mintaka_hw.plan import LayerPlan, Link, WindowPlan

FOREVER = 10**9  # later than any cycle of a sample


class Producer(Protocol):
    """Gives words on a wire."""

    def advance(self, wire: Wire) -> None:
        """Work until there may be a word more on `wire.offers`."""


class Consumer(Protocol):
    """Takes words from a wire."""

    def accept(self, wire: Wire) -> None:
        """Work until there may be a word more on `wire.takes`."""


class Wire:
    """The words between two components; without a producer, every word is offered from the cycle `begin`."""

    def __init__(self, begin: int = 0) -> None:
        self.begin = begin
        self.producer: Producer | None = None
        self.consumer: Consumer | None = None
        self.offers: list[int] = []
        self.takes: list[int] = []

    def offered(self, word: int) -> int:
        """Cycle from which word number `word` is offered."""
        if self.producer is None:
            return self.begin
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
    """The serializer: one logit per cycle, a cycle behind. `ends`: per sample, the cycle of its last logit.

    beats : cycles of each of a sample's words.
    """

    def __init__(self, beats: list[int], words: Wire):
        self.beats = beats
        self.ends: list[int] = []
        words.consumer = self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        begin = max(wire.offered(number), wire.earliest)
        if number == len(wire.takes):
            wire.takes.append(begin + self.beats[number % len(self.beats)] - 1)
            if (number + 1) % len(self.beats) == 0:
                self.ends.append(wire.takes[-1] + 1)


class LogitOrderModel:
    """Logits of several pixels, put in order: a sample's leave one per cycle once it is complete; two banks."""

    def __init__(self, head: LayerPlan, words: Wire, out: Wire):
        self.words_per_sample, self.logits = head.folding.states, head.logits.elements
        self.words, self.out = words, out
        words.consumer, out.producer = self, self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        time = max(wire.offered(number), wire.earliest)
        sample = number // self.words_per_sample
        if sample >= 2:
            time = max(time, self.out.offered((sample - 1) * self.logits - 1))  # read a cycle before
        if number == len(wire.takes):
            wire.takes.append(time)

    def advance(self, wire: Wire) -> None:
        number = len(wire.offers)
        sample, place = divmod(number, self.logits)
        time = wire.taken(number - 1) if number else 0
        if place == 0:
            time = max(time, self.words.taken((sample + 1) * self.words_per_sample - 1) + 1)
        if number == len(wire.offers):
            wire.offers.append(time + 1)


class ExitModel:
    """Early exit, of one sample: one logit per cycle, and after those of a step a cycle in which they are judged.

    beats : cycles of each of a step's words. stop : the sample's last step. free : first cycle in which a logit can
    come, as those of the sample before have left. `judged` : the cycle in which the last step is judged.
    """

    def __init__(self, beats: list[int], stop: int, free: int, words: Wire):
        self.beats, self.stop, self.free = beats, stop, free
        self.judged = 0
        words.consumer = self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        step, place = divmod(number, len(self.beats))
        if step > self.stop:
            wire.takes.append(FOREVER)
            return
        begin = max(wire.offered(number), wire.earliest, self.free)
        if number == len(wire.takes):
            wire.takes.append(begin + self.beats[place] - 1)
            if place == len(self.beats) - 1:
                self.judged = wire.takes[-1] + 1
                self.free = self.judged + 1


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
    """A queue of `link.queue` words; with a delay, zeros in a sample's first frame, and its last frame dropped.

    begun : with steps at run time, the cycle in which a sample's first input word is offered: zeros wait for it.
    """

    def __init__(self, link: Link, time_steps: int, words: Wire, out: Wire, begun: Callable[[int], int] | None = None):
        self.deep, self.frame_words = link.is_deep, link.layout.words
        self.depth = link.queue - self.deep  # the word read ahead has a place of its own
        self.time_steps = time_steps if link.delay else 0
        self.begun = begun
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
            time = max(time, self._leaves(entry - self.depth) + 1)
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
                if self.begun is not None:
                    time = max(time, self.begun(sample))
                if number == len(wire.offers):
                    wire.offers.append(time)
                return
            entry = (sample * (self.time_steps - 1) + step - 1) * self.frame_words + word
        else:
            entry = number
        while len(self.pushes) <= entry:
            self.words.taken(len(self.words.takes))
        time = (self._leaves(entry) if self.deep else self.pushes[entry]) + 1
        if number == len(wire.offers):
            wire.offers.append(time)

    def _leaves(self, entry: int) -> int:
        """Cycle in which a place gets free: its word is taken, or read ahead once the one before is taken."""
        if not self.deep:
            return self.out.taken(self._out_word(entry))
        pushed = self.pushes[entry] + 1
        return max(pushed, self.out.taken(self._out_word(entry - 1))) if entry else pushed

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
        self.window, self.pixels, self.words, self.out = window.kept, pixels, words, out
        self.frame_words, self.kept_words = window.incoming.words, window.kept_words
        self.place_among = {word: place for place, word in enumerate(window.kept_words)}  # others are dropped
        self.row_words = self.window.incoming.cols * window.incoming.words_per_pixel
        self.freed: list[int] = []  # per picture row: cycle in which it was freed
        self.current = self.given = 0  # window at hand, and how many of its pixels were given
        self.last_read = -1
        words.consumer, out.producer = self, self

    def accept(self, wire: Wire) -> None:
        number = len(wire.takes)
        time = max(wire.offered(number), wire.earliest)
        frame, word = divmod(number, self.frame_words)
        place = self.place_among.get(word)
        row, rest = (0, None) if place is None else divmod(frame * len(self.kept_words) + place, self.row_words)
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
            before = frame * self.window.incoming.rows + self.window.rows_needed(row)  # rows
            whole, place = divmod(before * self.row_words - 1, len(self.kept_words))
            time = max(time, self.words.taken(whole * self.frame_words + self.kept_words[place]) + 2)
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
