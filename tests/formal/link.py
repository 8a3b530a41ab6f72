"""What lies between cores: nothing is lost, repeated or put out of order by a fork or a queue."""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Assert, Module, Mux, Signal, Value
from formal.kit import Followed, Inside, mutated, offers, past, property_module, takes, transfer
from formal.prove import Proof

from mintaka_hw.plan.link import DEEP_QUEUE
from mintaka_hw.rtl.link import Fork, Queue

BITS = 3  # of a word: no component looks at what is in one


def fork_gives_each_word_once(kind: Any, readers: int) -> Module:
    """Every reader takes every word exactly once before it leaves the input."""
    m = property_module()
    inside = Inside(m, fork := kind(BITS, readers))
    offers(m, fork.i, "i")
    got = Signal(readers)  # who has taken the word at hand
    gets = Signal(readers)
    for n in range(readers):
        port = getattr(fork, f"o{n}")
        takes(m, port, f"o{n}")
        m.d.comb += [
            gets[n].eq(transfer(port)),
            Assert(~port.valid | (fork.i.valid & (port.payload == fork.i.payload) & ~got[n])),
            Assert(port.valid | ~fork.i.valid | got[n]),
        ]
    m.d.sync += got.eq(Mux(transfer(fork.i), 0, got | gets))
    m.d.comb += [
        Assert(~transfer(fork.i) | (got | gets).all()),
        Assert(fork.i.ready | ~fork.i.valid | ~(got | gets).all()),
        Assert(inside.value("taken") == got),
    ]
    return m


def queue_is_fifo(kind: Any, depth: int) -> Module:
    """Words leave as they came, each once; one that is inside is offered, and one that fits is taken."""
    m = property_module()
    inside = Inside(m, queue := kind(BITS, depth))
    offers(m, queue.i, "i")
    takes(m, queue.o, "o")
    word = Followed(m, transfer(queue.i), queue.i.payload, transfer(queue.o), depth)
    stays = past(m, word.level > transfer(queue.o), "word_stays")
    m.d.comb += [
        Assert(~(word.due & queue.o.valid) | (queue.o.payload == word.value)),
        Assert(queue.o.valid | (word.level == 0) | (~stays if depth >= DEEP_QUEUE else 0)),
        Assert(queue.i.ready | (word.level >= depth - (depth >= DEEP_QUEUE))),
    ]
    _stored(m, inside, word, depth)
    return m


def delayed_queue_is_a_step_late(kind: Any, depth: int, frame_words: int, time_steps: int) -> Module:
    """Of every sample first a frame of zeros, then its frames but the last, each word once and in order."""
    m = property_module()
    inside = Inside(m, queue := kind(BITS, depth, frame_words=frame_words, time_steps=time_steps))
    offers(m, queue.i, "i")
    takes(m, queue.o, "o")
    words = frame_words * time_steps
    came, left = (Signal(range(words), name=name) for name in ("words_came", "words_left"))  # of the sample
    for count, port in ((came, queue.i), (left, queue.o)):
        with m.If(transfer(port)):
            m.d.sync += count.eq(Mux(count == words - 1, 0, count + 1))
    zeros, dropped = left < frame_words, came >= words - frame_words
    word = Followed(m, transfer(queue.i) & ~dropped, queue.i.payload, transfer(queue.o) & ~zeros, depth)
    m.d.comb += [
        Assert(~zeros | (queue.o.valid & (queue.o.payload == 0))),
        Assert(zeros | ~(word.due & queue.o.valid) | (queue.o.payload == word.value)),
        Assert(queue.o.valid | (word.level == 0)),
        Assert(queue.i.ready | (word.level >= depth)),
    ]
    for count, name in ((came, "incoming"), (left, "outgoing")):
        place = inside.value(f"{name}_step") * frame_words + inside.value(f"{name}_word")
        m.d.comb += [Assert(count == place), Assert(count < words), Assert(inside.value(f"{name}_word") < frame_words)]
    _stored(m, inside, word, depth)
    return m


def _stored(m: Module, inside: Inside, word: Followed, depth: int) -> None:
    """For the induction: where in the queue's memory the followed word is."""
    produce, consume = inside.value("produce", "fifo"), inside.value("consume", "fifo")
    buffered = depth >= DEEP_QUEUE
    size = depth - buffered
    in_memory: Value = word.level
    ahead: Value = word.ahead
    if buffered:  # the oldest word is in the register behind the memory
        held = inside.value("r_rdy", "fifo")
        in_memory, ahead = word.level - held, word.ahead - held
        m.d.comb += [
            Assert(inside.value("inner_level", "fifo") == in_memory),
            Assert(~(word.due & held) | (inside.value("r_data", "fifo") == word.value)),
        ]
    else:
        m.d.comb += Assert(inside.value("level", "fifo") == word.level)
    end = Signal(range(2 * size + 2), name="end")
    place = Signal(range(2 * size + 2), name="place")
    m.d.comb += [
        end.eq(consume + in_memory),
        place.eq(consume + ahead),
        Assert(consume < size),
        Assert(in_memory <= size),
        Assert(produce == Mux(end >= size, end - size, end)),
    ]
    stored = inside.stored(Mux(place >= size, place - size, place), "fifo", "storage")
    in_register = word.due & held if buffered else 0
    m.d.comb += Assert(~word.active | in_register | (stored == word.value))


OVERRUN = mutated(Queue, "self.i.ready.eq(fifo.w_rdy)", "self.i.ready.eq(1)")
IMPATIENT = mutated(Queue, "fifo.r_en.eq(self.o.ready)", "fifo.r_en.eq(1)")
PROOFS = [
    Proof(
        f"fork-{readers}",
        f"a fork gives every word to each of its {readers} readers once",
        partial(fork_gives_each_word_once, readers=readers),
        Fork,
        {
            "a reader is forgotten when another waits": mutated(Fork, "0, taken | takes)", "0, takes)"),
            "a word leaves when the first reader has it": mutated(
                Fork, "(taken | takes).all()", "(taken | takes).any()"
            ),
        },
        depth=2,
        fault_depth=6,
    )
    for readers in (2, 3)
]
PROOFS += [
    Proof(
        f"queue-{depth}",
        f"a queue of {depth} words neither loses, repeats nor reorders any",
        partial(queue_is_fifo, depth=depth),
        Queue,
        {"a word leaves untaken": IMPATIENT} | ({"a full one takes more": OVERRUN} if depth < DEEP_QUEUE else {}),
        depth=2,
        fault_depth=7,
        memories=depth >= DEEP_QUEUE,
    )
    for depth in (1, 2, 3, DEEP_QUEUE)
]
PROOFS += [
    Proof(
        f"delayed-queue-{depth}-{frame_words}-{time_steps}",
        f"a delayed queue of {depth} words gives frames of {frame_words} a step late, {time_steps} steps per sample",
        partial(delayed_queue_is_a_step_late, depth=depth, frame_words=frame_words, time_steps=time_steps),
        Queue,
        {
            "a full one takes more": OVERRUN,
            "zeros take words with them": mutated(Queue, "[fifo.r_en.eq(0), self.o.valid", "[self.o.valid"),
            "the last frame is not dropped": mutated(Queue, "with m.If(dropped):", "with m.If(dropped & zeros):"),
        },
        depth=2,
        fault_depth=2 * depth + 4,
    )
    for depth, frame_words, time_steps in ((4, 2, 3), (3, 1, 2))
]
