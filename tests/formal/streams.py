"""Streams keep the handshake: what is offered stays, unchanged, until it is taken; `valid` never waits for `ready`.

Of the components that reorder or number what they pass also that it is right. Forks and queues are in `link.py`, layer
cores in `layer.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In
from formal.kit import Inside, free, mutated, offers, property_module, sequencer_of, takes, transfer
from formal.prove import NoPath, Proof

from mintaka.artifact import Edge, Input, IntTensor, LeakTerm, Network, Neuron, Node, Output, Pool
from mintaka_hw.plan import Folding, LayerPlan, StreamLayout, make_plan
from mintaka_hw.plan.join import JoinPlan
from mintaka_hw.plan.pool import PoolPlan
from mintaka_hw.plan.window import WindowPlan
from mintaka_hw.rtl.exit import EarlyExit, SampleGate
from mintaka_hw.rtl.join import JoinCore
from mintaka_hw.rtl.link import Fork, Queue
from mintaka_hw.rtl.logits import LogitOrder, LogitSerializer
from mintaka_hw.rtl.pool import PoolCore
from mintaka_hw.rtl.sequencer import Sequencer
from mintaka_hw.rtl.skip import Skip
from mintaka_hw.rtl.steps import StepsGate
from mintaka_hw.rtl.windows import WindowReader


def streams_of(component: Any, *, incoming: bool) -> list[str]:
    """Names of its streams in that direction."""
    return [
        name
        for name, member in component.signature.members.items()
        if member.is_signature and isinstance(member.signature, stream.Signature) and (member.flow is In) == incoming
    ]


def surrounded(m: Module, component: Any, excused: Value | None = None) -> None:
    """Anything on all ports: streams in keep the rules, and of streams out it is asserted that they do."""
    for name, member in component.signature.members.items():
        if member.is_signature:
            around = offers if name in streams_of(component, incoming=True) else takes
            around(m, getattr(component, name), name, excused)
        elif member.flow is In:
            free(m, Value.cast(getattr(component, name)), name)


def keeps_the_rules(kind: Any) -> Module:
    """Nothing but the handshake of all its streams."""
    m = property_module()
    Inside(m, component := kind())
    surrounded(m, component)
    return m


def sequencer_takes_turns(kind: Any, layer: LayerPlan) -> Module:
    """Words leave as they come, of each edge as many as it has in a list; marks say where lists begin and end."""
    m = property_module()
    inside = Inside(m, sequencer := sequencer_of(kind, layer))
    surrounded(m, sequencer)
    counts = [edge.lists.words for edge in layer.edges]
    at = Signal(range(sum(counts)), name="word_of_list")
    with m.If(transfer(sequencer.o)):
        m.d.sync += at.eq(Mux(at == sum(counts) - 1, 0, at + 1))
    numbers, elements = inside.values("number")[1:], inside.values("element")  # behind the lists' own number
    out, begin = sequencer.o.payload, 0
    for n, (edge, count) in enumerate(zip(layer.edges, counts, strict=True)):
        port, lists = getattr(sequencer, f"i{n}"), edge.lists
        mine = (at >= begin) & (at < begin + count)
        number = Mux(mine, at - begin, 0)
        m.d.comb += [
            Assert(transfer(port) == (transfer(sequencer.o) & mine)),
            Assert(~mine | ((sequencer.o.valid == port.valid) & (out.edge == n))),
            Assert(numbers[n] == number),
            Assert(elements[n] == edge.offset + number * lists.word_elements),
        ]
        for word in range(count):
            used = lists.rest if word == count - 1 else lists.word_elements
            same = out.bits[: lists.word_bits] == (port.payload & (2 ** (used * lists.element_bits) - 1))
            element = edge.offset + word * lists.word_elements
            m.d.comb += Assert((at != begin + word) | (same & (out.element == element)))
        begin += count
    m.d.comb += [
        Assert(inside.value("turn") == (at >= counts[0])),
        Assert(inside.value("begins") == ((at == 0) | (at == counts[0]))),
        Assert(at < sum(counts)),
        Assert(out.first == (at == 0)),
        Assert(out.last == (at == sum(counts) - 1)),
    ]
    return m


def gate_lets_samples_in_whole(kind: Any, words: int) -> Module:
    """Of every sample the words pass, in order, until it has ended; its rest is dropped, nothing of the next is."""
    m = property_module()
    inside = Inside(m, gate := kind(2, words))
    surrounded(m, gate, excused=gate.restart)
    number = Signal(range(words), name="word_of_sample")  # of the next word that comes in
    state = {name: Signal(name=f"sample_{name}") for name in ("is_in", "is_over")}
    comes = transfer(gate.i)
    over = state["is_over"]
    with m.If(comes):
        m.d.sync += number.eq(Mux(number == words - 1, 0, number + 1))
    last = comes & (number == words - 1)
    # The restart ends the sample whose words come, or that has come whole.
    with m.If(over & last):
        m.d.sync += over.eq(0)
    with m.Elif(~over & gate.restart):
        m.d.sync += [state["is_in"].eq(0), over.eq(~last & ((number != 0) | comes))]
    with m.Elif(~over & last):
        m.d.sync += state["is_in"].eq(1)
    m.d.comb += [
        Assert(~comes | over | (transfer(gate.o) & (gate.o.payload == gate.i.payload))),
        Assert(~transfer(gate.o) | (comes & ~over & ~state["is_in"])),
        Assert(~(comes & state["is_in"])),
        Assert(~over | gate.i.ready),
        Assert(over | state["is_in"] | (gate.i.ready == gate.o.ready)),
        Assert(~(over & state["is_in"])),
        Assert(~state["is_in"] | (number == 0)),
        Assert(number < words),
        Assert(inside.value("number") == number),
        Assert(inside.value("whole") == state["is_in"]),
        Assert(inside.value("drops") == over),
    ]
    return m


class AnyTwo:
    """Two classes, any two, and their logits: to say of a winner that it is the first of the largest.

    number, logit, passes : the class at hand, its logit, and whether it passes in this cycle.
    over : all have passed, whatever `number` is.
    """

    def __init__(self, m: Module, logits: StreamLayout, number: Signal, logit: Value, passes: Value, over: Value):
        self.number, self.logit, self.over = number, logit, over
        self.classes, self.values = [], []
        for name in ("one", "other"):
            which, value = Signal.like(number, name=name), Signal(signed(logits.element_bits), name=f"logit_of_{name}")
            m.d.comb += [which.eq(AnyConst(len(which))), Assume(which < logits.elements)]
            with m.If(passes & (number == which)):
                m.d.sync += value.eq(logit)
            self.classes.append(which)
            self.values.append(value)

    def known(self, best: Value, winner: Value, below: Value | None = None) -> Value:
        """Of those that have passed (or of the classes `below`), `winner` with the logit `best` is the first of the
        largest."""
        number = self.number if below is None else below
        found: Value = self.over | (number == 0) | (winner < number) if below is None else Const(1, 1)
        for which, value in zip(self.classes, self.values, strict=True):
            largest = ((best > value) | ((best == value) & (winner <= which))) & ((winner != which) | (best == value))
            found = found & (~((self.over if below is None else 0) | (number > which)) | largest)
        return found

    def won_by(self, winner: Value) -> Value:
        """Whether that may be the first of the largest of all, the one at hand included."""
        one, other = self.classes
        a, b = (
            Mux(self.over | (self.number != c), v, self.logit) for c, v in zip(self.classes, self.values, strict=True)
        )
        return (winner != one) | (a > b) | ((a == b) & (one <= other))


def logit_of(logits: StreamLayout, word: Value, lane: Value) -> Value:
    """The logit in that lane of a word."""
    bits, found = logits.element_bits, word[: logits.element_bits].as_signed()
    for n in range(1, logits.word_elements):
        found = Mux(lane == n, word[n * bits : (n + 1) * bits].as_signed(), found)
    return found


def serializer_gives_all_logits(kind: Any, logits: StreamLayout) -> Module:
    """Every logit once and in order; with the last one the first of the largest."""
    m = property_module()
    inside = Inside(m, serializer := kind(logits))
    surrounded(m, serializer)
    out, lanes = serializer.o.payload, logits.word_elements
    number, given = (Signal(range(logits.elements), name=name) for name in ("class_taken", "class_given"))
    valid, step = inside.value("valid"), inside.value("step")
    last, lane = number == logits.elements - 1, number % lanes
    word_ends = last | (lane == lanes - 1)
    with m.If(step):
        m.d.sync += [number.eq(Mux(last, 0, number + 1)), given.eq(number)]
    all_in = valid & (given == logits.elements - 1)
    two = AnyTwo(m, logits, number, logit_of(logits, serializer.i.payload, lane), step, all_in)
    best, winner = inside.value("best"), inside.value("winner")
    m.d.comb += [
        Assert(step == (serializer.i.valid & (~valid | serializer.o.ready))),
        Assert(transfer(serializer.i) == (step & word_ends)),
        Assert(serializer.o.valid == valid),
        *(Assert(~valid | (given != c) | (out.logit == v)) for c, v in zip(two.classes, two.values, strict=True)),
        Assert(~valid | (out.last == (given == logits.elements - 1))),
        Assert(~all_in | two.won_by(out.winner)),
        Assert(number < logits.elements),
        Assert(~valid | (number == Mux(given == logits.elements - 1, 0, given + 1))),
        Assert(inside.value("number") == number),
        Assert(inside.value("lane") == lane),
        Assert(~valid | (inside.value("given") == given)),
        Assert(two.known(best, winner, Mux(valid, given, number))),
        Assert(~valid | (given == 0) | (winner < given) | ((winner == given) & (best == out.logit))),
        Assert(valid | (number == 0) | (winner < number)),
    ]
    return m


def exit_sends_the_last_step(kind: Any, logits: StreamLayout) -> Module:
    """What leaves are the logits of the step that was judged last, each once, in order, and the first of the largest.

    That the margin decides rightly is for the co-simulation to say.
    """
    m = property_module()
    inside = Inside(m, early := kind(logits, (3, None)))
    surrounded(m, early)
    lanes = logits.word_elements
    taken, judging, sending = (inside.value(name) for name in ("takes", "judging", "sending"))
    number = Signal(range(logits.elements), name="class_at_hand")
    last, lane, over = number == logits.elements - 1, number % lanes, judging | sending
    logit = logit_of(logits, early.i.payload, lane)
    with m.If(taken | transfer(early.o)):
        m.d.sync += number.eq(Mux(last, 0, number + 1))
    two = AnyTwo(m, logits, number, logit, taken, over)
    here = two.classes[0]
    m.d.comb += [
        Assert(taken == (early.i.valid & ~over)),
        Assert(transfer(early.i) == (taken & (last | (lane == lanes - 1)))),
        Assert(~early.restart | (judging & early.finished)),
        Assert(early.o.valid == sending),
        Assert(~(judging & sending)),
        Assert(~sending | (number != here) | (early.o.payload.logit == two.values[0])),
        Assert(early.o.payload.last == last),
        Assert(~sending | two.won_by(early.o.payload.winner)),
        Assert(number < logits.elements),
        Assert(~judging | (number == 0)),
        Assert(inside.value("number") == number),
        Assert(inside.value("lane") == Mux(over, 0, lane)),
        Assert(two.known(inside.value("best"), inside.value("winner"))),
        Assert(~(over | (number > here)) | (inside.stored(here, "kept") == two.values[0].as_unsigned())),
    ]
    return m


def order_is_a_permutation(kind: Any, head: Folding, bits: int) -> Module:
    """Logit (channel, window) of a sample leaves as number channel * windows + window, each once, sample by sample."""
    m = property_module()
    inside = Inside(m, order := kind("head", head, bits))
    surrounded(m, order)
    words, logits = head.states, head.channels * head.windows
    came, left = Signal(range(words), name="words_came"), Signal(range(logits), name="logits_left")
    for count, most, port in ((came, words, order.i), (left, logits, order.o)):
        with m.If(transfer(port)):
            m.d.sync += count.eq(Mux(count == most - 1, 0, count + 1))
    # One logit of one sample, any one.
    channel, window = (
        Signal(range(head.channels), name="channel"),
        Signal(range(head.windows), name="window"),
    )
    for any_one, most in ((channel, head.channels), (window, head.windows)):
        m.d.comb += [any_one.eq(AnyConst(len(any_one))), Assume(any_one < most)]
    word = window * head.groups + channel // head.lanes
    lane = StreamLayout(1, 1, head.lanes, head.lanes, bits)
    ends = transfer(order.o) & (left == logits - 1)
    comes = transfer(order.i) & (came == word)
    samples = Signal(range(4), name="samples_ahead")  # whose logit has come, and that have not left
    following, ahead = Signal(name="following"), Signal(range(4), name="ahead")
    value, pick = Signal(signed(bits), name="value"), Signal(name="pick")
    m.d.comb += pick.eq(AnySeq(1))
    m.d.sync += samples.eq(samples + comes - ends)
    with m.If(~following & pick & comes):
        m.d.sync += [
            following.eq(1),
            value.eq(logit_of(lane, order.i.payload, channel % head.lanes)),
            ahead.eq(samples - ends),
        ]
    with m.Elif(following & ends):
        m.d.sync += [ahead.eq(ahead - 1), following.eq(ahead != 0)]
    target = channel * head.windows + window
    here = order.o.valid & following & (ahead == 0) & (left == target)
    m.d.comb += [
        Assert(~here | (order.o.payload == value.as_unsigned())),
        Assert(~order.o.valid | (left != target) | (samples != 0)),
    ]
    # For the induction: where all counters are, and what is where. A bank is free once its last logit was read.
    full, into, out, valid = (inside.value(name) for name in ("full", "into", "out", "valid"))
    at = {name: inside.value(name) for name in ("window", "channel", "lane", "group", "at")}
    reads = at["channel"] * head.windows + at["window"]  # number of the logit that is read next
    banks, last_waits = full[0] + full[1], valid & (left == logits - 1)
    place = Signal(range(4), name="place")  # of the followed sample: 0 is the bank that is read
    m.d.comb += place.eq(ahead - last_waits)
    stored = inside.stored(Mux(out ^ place[0], words, 0) + word, "logits")
    is_read = last_waits & (ahead == 0)
    m.d.comb += [
        Assert(inside.value("place") == came),
        Assert(at["channel"] == at["group"] * head.lanes + at["lane"]),
        Assert(at["at"] == at["window"] * head.groups + at["group"]),
        Assert((at["lane"] < head.lanes) & (at["channel"] < head.channels) & (at["window"] < head.windows)),
        Assert(left == Mux(valid, Mux(reads == 0, logits - 1, reads - 1), reads)),
        Assert(full.bit_select(out, 1) == (banks != 0)),
        Assert(into == out ^ banks[0]),
        Assert((reads == 0) | (banks != 0)),
        Assert((banks != 2) | (came == 0)),
        Assert(samples == banks + (came > word) + last_waits),
        Assert(~following | (ahead < samples)),
        Assert(~following | is_read | (logit_of(lane, stored, channel % head.lanes) == value)),
    ]
    return m


# ---- the components


def two_edges() -> LayerPlan:
    """Spikes of 5 sources in words of 2, and of its own 4 neurons from the step before."""
    rng = np.random.default_rng(1)
    weights = [IntTensor(rng.integers(-3, 4, (n, m)).astype(np.int8), 3) for n, m in ((4, 5), (4, 4), (2, 4))]
    neuron = Neuron(IntTensor(np.full(4, 3, np.int8), 5), ">", "zero", None, (LeakTerm(1, 1),), 4)
    edges = (Edge("input", 0, weights[0]), Edge("loop", 1, weights[1]))
    nodes = (
        Node("loop", "dense", edges, (5,), (4,), None, neuron),
        Node("head", "dense", (Edge("loop", 0, weights[2]),), (4,), (2,)),
    )
    layer = make_plan(Network("two", 3, Input("input", (5,), "spikes", 1), nodes, Output("head")), 2).layers[0]
    narrow = StreamLayout(1, 1, 5, 2, 1)
    return replace(layer, edges=(replace(layer.edges[0], incoming=narrow), layer.edges[1]))


NARROW, WIDE = StreamLayout(2, 2, 2, 1, 1), StreamLayout(2, 2, 2, 2, 1)
CLASSES = StreamLayout(1, 1, 3, 2, 4)  # three logits of 4 bits, two in a word
JOIN = Node("join", "join", (Edge("a", 0), Edge("b", 0)), (2, 2, 2), (2, 2, 2), join="or")
HEAD, LOGIT_BITS = Folding(lanes=2, channels=3, windows=2), 3
PICTURE = StreamLayout(2, 3, 2, 2, 1)
WINDOWS = WindowPlan(PICTURE, (2, 2), (1, 1), (0, 0), (1, 2))
APART = WindowPlan(StreamLayout(3, 4, 3, 2, 1), (1, 1), (2, 3), (0, 0), (2, 2))  # pixels of two words


def pool(kind: str) -> PoolPlan:
    """2x2 pixels of a picture of 2x3, of 2 channels."""
    node = Node("pool", "pool2d", (Edge("input", 0),), (2, 2, 3), (2, 1, 2), pool=Pool(kind, (2, 2), (1, 1)))
    network = Network("pool", 1, Input("input", (2, 2, 3), "spikes", 1), (node, flat_head()), Output("head"))
    return next(stage for stage in make_plan(network, 1).stages if isinstance(stage, PoolPlan))


def flat_head() -> Node:
    return Node("head", "dense", (Edge("pool", 0, IntTensor(np.ones((1, 4), np.int8), 2)),), (2, 1, 2), (1,))


COMPONENTS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "fork": (Fork, lambda kind: kind(2, 3)),
    "queue": (Queue, lambda kind: kind(2, 3)),
    "sequencer": (Sequencer, lambda kind: sequencer_of(kind, two_edges())),
    "windows": (WindowReader, lambda kind: kind(WINDOWS)),
    "windows-grouped": (WindowReader, lambda kind: kind(replace(WINDOWS, sections=2, parts=((0,), (1,))))),
    "skip": (Skip, lambda kind: kind(APART)),
    "pool-sum": (PoolCore, lambda kind: kind(pool("sum"))),
    "pool-max": (PoolCore, lambda kind: kind(pool("max"))),
    "join": (JoinCore, lambda kind: kind(JoinPlan(JOIN, (NARROW, WIDE), WIDE))),
    "serializer": (LogitSerializer, lambda kind: kind(CLASSES)),
    "order": (LogitOrder, lambda kind: kind("head", HEAD, LOGIT_BITS)),
    "exit": (EarlyExit, lambda kind: kind(CLASSES, (3, None))),
    "gate": (SampleGate, lambda kind: kind(2, 3)),
    "steps": (StepsGate, lambda kind: kind(2, 2, 3, static=False, parts=1)),
}
LAST_WAITS = "port.valid.eq(self.i.valid & ~taken[n])"
STOPS = ("step.eq(holding & (~valid | self.o.ready))", "step.eq(holding)")
WAITS: dict[str, tuple[Any, str, str]] = {  # each with a `valid` that waits for `ready`
    "fork": (Fork, LAST_WAITS, LAST_WAITS[:-1] + " & port.ready)"),
    "queue": (Queue, "self.o.valid.eq(fifo.r_rdy)", "self.o.valid.eq(fifo.r_rdy & self.o.ready)"),
    "sequencer": (Sequencer, "self.o.valid.eq(port.valid)", "self.o.valid.eq(port.valid & self.o.ready)"),
    "windows": (WindowReader, "self.o.valid.eq(valid)", "self.o.valid.eq(valid & self.o.ready)"),
    "skip": (Skip, "self.i.valid & kept)", "self.i.valid & kept & self.o.ready)"),
    "pool-sum": (PoolCore, "windows.o.valid & pixel.last)", "windows.o.valid & pixel.last & self.o.ready)"),
    "join": (JoinCore, "self.o.valid.eq(everyone)", "self.o.valid.eq(everyone & self.o.ready)"),
    "serializer": (LogitSerializer, "self.o.valid.eq(valid)", "self.o.valid.eq(valid & self.o.ready)"),
    "order": (LogitOrder, "self.o.valid.eq(valid)", "self.o.valid.eq(valid & self.o.ready)"),
    "exit": (EarlyExit, "self.o.valid.eq(sending)", "self.o.valid.eq(sending & self.o.ready)"),
    "gate": (SampleGate, "self.i.valid & ~whole & ~drops)", "self.i.valid & ~whole & ~drops & self.o.ready)"),
    "steps": (
        StepsGate,
        "self.o.valid.eq(self.i.valid & ~waits)",
        "self.o.valid.eq(self.i.valid & ~waits & self.o.ready)",
    ),
}
# What follows from their rules alone; the others have more to keep, below.
RULES: dict[str, dict[str, Any]] = {
    "windows": {"a pixel that waits is passed over": mutated(WindowReader, *STOPS)},
    "windows-grouped": {"a pixel that waits is passed over": mutated(WindowReader, *STOPS)},
    "skip": {"a word that waits is passed over": mutated(Skip, "self.o.ready | ~kept", "1")},
    "pool-sum": {"a result does not wait": mutated(PoolCore, "~pixel.last | self.o.ready", "1")},
    "pool-max": {
        "it waits, but goes on adding": mutated(PoolCore, "windows.o.valid & windows.o.ready", "windows.o.valid")
    },
    "join": {
        "a pixel does not wait": mutated(
            JoinCore, "reader.o.ready.eq(everyone & self.o.ready)", "reader.o.ready.eq(everyone)"
        )
    },
    "steps": {
        "a word that waits is withdrawn": mutated(
            StepsGate, "first & ~offered & (wanted != current)", "first & (wanted != current)"
        )
    },
    "order": {"a logit does not wait": mutated(LogitOrder, "(~valid | self.o.ready) & full", "full")},
}


def _made(name: str) -> Any:
    """From a class, which may be a broken one, to the property module around that component."""
    made = COMPONENTS[name][1]
    return lambda kind: keeps_the_rules(lambda: made(kind))


def _no_path(name: str) -> NoPath:
    kind = COMPONENTS[name][0]
    outs = ("o0", "o1", "o2") if name == "fork" else ("o",)
    return NoPath(
        f"valid-{name}",
        f"of {kind.__name__} no output's valid depends on any output's ready in the same cycle",
        _made(name),
        kind,
        {"valid waits for ready": mutated(*WAITS[name])},
        begins=tuple(f"{out}_ready" for out in outs),
        ends=tuple(f"dut.{out}__valid" for out in outs),
    )


PROOFS: list[Proof | NoPath] = [
    Proof(
        f"rules-{name}",
        f"the streams of {COMPONENTS[name][0].__name__} ({name}) keep the handshake",
        _made(name),
        COMPONENTS[name][0],
        faults,
        depth=2,
        memories=True,
        fault_depth=12,
    )
    for name, faults in RULES.items()
]
PROOFS += [
    Proof(
        "sequencer",
        "the sequencer passes the words of a list edge by edge, each once, and numbers and marks them rightly",
        partial(sequencer_takes_turns, layer=two_edges()),
        Sequencer,
        {
            "words do not wait": mutated(Sequencer, "port.ready.eq(self.o.ready)", "port.ready.eq(1)"),
            "what is behind the source's end passes": mutated(Sequencer, "Mux(is_last, word & mask, word)", "word"),
        },
        depth=2,
        fault_depth=8,
    ),
    Proof(
        "gate",
        "the sample gate passes each word of a sample once until it ends, drops its others, and holds the next sample",
        partial(gate_lets_samples_in_whole, words=3),
        SampleGate,
        {
            "a sample that ends with its last word is dropped": mutated(SampleGate, "begun & ~ends)", "begun)"),
            "the next sample comes in early": mutated(SampleGate, "(self.o.ready & ~whole)", "self.o.ready"),
        },
        depth=2,
        fault_depth=8,
    ),
    Proof(
        "serializer",
        "every logit leaves once and in order, with the last one the first of the largest",
        partial(serializer_gives_all_logits, logits=CLASSES),
        LogitSerializer,
        {
            "of equal logits the last one wins": mutated(LogitSerializer, "(logit > best)", "(logit >= best)"),
            "a word is dropped": mutated(LogitSerializer, "step & word_ends", "word_ends"),
        },
        depth=2,
        fault_depth=8,
    ),
    Proof(
        "exit",
        "a sample that stops sends the logits of its last step, each once, with the first of the largest",
        partial(exit_sends_the_last_step, logits=CLASSES),
        EarlyExit,
        {
            "of equal logits the last one wins": mutated(
                EarlyExit, "first | (logit > best)", "first | (logit >= best)"
            ),
            "logits are taken while others are sent": mutated(EarlyExit, "& ~judging & ~sending", "& ~judging"),
        },
        depth=2,
        fault_depth=14,
    ),
    Proof(
        "order",
        "of two banks each logit leaves once, by channel and window",
        partial(order_is_a_permutation, head=HEAD, bits=LOGIT_BITS),
        LogitOrder,
        {
            "a bank that is full is written": mutated(LogitOrder, "~full.bit_select(into, 1)", "1"),
            "a logit does not wait": mutated(LogitOrder, "(~valid | self.o.ready) & full", "full"),
        },
        depth=2,
        fault_depth=16,
    ),
]
PROOFS += [_no_path(name) for name in WAITS]
