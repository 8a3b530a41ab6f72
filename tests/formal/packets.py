"""The packet parts of the AXI host: samples stay whole whatever packets come, no byte is lost, results are framed."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Module, Mux, Signal, Value
from formal.kit import Inside, free, mutated, offers, past, property_module, rules, takes, transfer
from formal.prove import Proof

from mintaka_hw.host.packet_reader import PacketReader
from mintaka_hw.host.packet_writer import PacketWriter, State
from mintaka_hw.host.packets import ABORTED_BIT, BYTE, STEPS_BITS, PacketLayout
from mintaka_hw.host.unpacker import Unpacker

# Words of three bytes in beats of four: a frame is two beats, its last one has two bytes.
LAYOUT = PacketLayout(word_bits=24, frame_words=2, frames=2, static=False, classes=3, logit_bits=5)


def takes_until(m: Module, stream: Any, name: str, abort: Value) -> None:
    """As `takes`; in a cycle of `abort` what was offered is withdrawn."""
    free(m, stream.ready, f"{name}_ready")
    m.d.comb += Assert(rules(m, stream, name, abort) | abort)


def samples_stay_whole(kind: Any) -> Module:
    """Any packets, aborted at any time: samples have exactly their beats, with the packet's bytes or 0 in them.

    What of a packet is too much never reaches the next sample, and no error is told exactly of a packet in order, with
    null beats anywhere in it. So whatever came before, a packet in order is passed as it is.
    """
    m = property_module()
    inside = Inside(m, reader := kind(LAYOUT))
    beats, beat_bytes = LAYOUT.frame_beats, LAYOUT.beat_bytes
    abort = free(m, reader.abort, "abort")
    may_begin = free(m, reader.open, "open")
    offers(m, reader.i, "i")
    takes_until(m, reader.o, "o", abort)
    # It may not close while a sample's first beat waits, but to abort.
    waits = past(m, reader.o.valid & ~reader.o.ready & ~abort, "waited")
    m.d.comb += Assume(~waits | may_begin)

    number = Signal(range(beats * LAYOUT.frames), name="beat_of_sample")
    frames = Signal(range(LAYOUT.frames + 1), name="frames")
    m.d.comb += [frames.eq(AnyConst(len(frames))), Assume((frames != 0) & (frames <= LAYOUT.frames))]
    m.d.comb += reader.frames.eq(frames)
    last_beat = number == Mux(frames == 1, beats - 1, 2 * beats - 1)
    frame_ends = (number % beats) == beats - 1
    over, rest, wrong = (Signal(name=name) for name in ("packet_over", "packet_rest", "packet_wrong"))
    begun, whole = Signal(name="packet_begun"), Signal(name="sample_whole")  # whole: the packet may still be too long
    needed = Mux(frame_ends, (1 << LAYOUT.rest_bytes) - 1, (1 << beat_bytes) - 1)
    beat = reader.i.payload
    null = beat.keep == 0
    nothing = null & ~beat.last
    given, comes = transfer(reader.o), transfer(reader.i) & ~nothing
    in_order = comes & ((beat.keep & needed) == needed) & (~beat.last | last_beat)
    now_wrong = wrong | ~in_order
    ends = last_beat & (over | beat.last)
    follows = whole & reader.i.valid & ~nothing & ~abort
    with m.If(given):
        m.d.sync += [
            number.eq(Mux(last_beat, 0, number + 1)),
            wrong.eq(~ends & now_wrong),
            over.eq(~last_beat & (over | beat.last)),
            whole.eq(last_beat & ~over & ~beat.last),
        ]
    with m.If(comes):
        m.d.sync += [begun.eq(~beat.last), rest.eq(rest & ~beat.last)]
    with m.If(follows):
        m.d.sync += [whole.eq(0), wrong.eq(0), rest.eq(~null)]
    with m.If(abort):  # no beat passes in this cycle
        m.d.sync += [number.eq(0), wrong.eq(0), over.eq(0), whole.eq(0)]
        m.d.sync += [rest.eq(begun & ~rest), begun.eq(begun & ~rest)]  # two aborts: the next beat begins a packet
        m.d.comb += Assert(~transfer(reader.i) & ~given)
    used = Mux(over, 0, needed & beat.keep)
    data = Cat(Mux(used[n], beat.data.word_select(n, BYTE), 0) for n in range(beat_bytes))
    m.d.comb += [
        Assert(~given | (comes ^ over)),
        Assert(~comes | (given ^ rest ^ whole)),
        Assert(~given | ((reader.o.payload.data == data) & (reader.o.payload.end == frame_ends))),
        Assert(reader.begins == (given & (number == 0))),
        Assert(reader.ends == ((given & ends) | follows)),
        Assert(~reader.ends | ((reader.errors == 0) == Mux(whole, ~wrong & null, ~now_wrong))),
        # It never stops for ever: the rest and null beats are taken at once, and a sample that has begun goes on.
        Assert(abort | ~rest | reader.i.ready),
        Assert(abort | ~nothing | reader.i.ready),
        Assert(abort | ~whole | ~null | reader.i.ready),
        Assert(abort | rest | whole | (number == 0) | (reader.o.valid == (over | (reader.i.valid & ~nothing)))),
        # Inside.
        Assert(reader.drops == rest),
        Assert(inside.value("pads") == over),
        Assert(inside.value("closing") == whole),
        Assert(inside.value("beat") + beats * inside.value("frame") == number),
        Assert(inside.value("beat") < beats),
        Assert(((inside.value("noted") != 0) | inside.value("partial")) == wrong),
        Assert(reader.inside == ((number != 0) | whole)),
        Assert((number < beats) | (frames == 2)),
        Assert((number != 0) | (~over & (whole | ~wrong))),
        Assert(~over | (wrong & ~inside.value("partial"))),
        Assert((~rest & ~whole) | (number == 0)),
        Assert(~rest | ~whole),
        Assert(begun == (rest | whole | ((number != 0) & ~over))),
    ]
    return m


def no_byte_is_lost(kind: Any) -> Module:
    """Words are the bytes of the beats, in order; of a frame's last beat those that it has. One byte is followed."""
    m = property_module()
    inside = Inside(m, unpacker := kind(LAYOUT))
    offers(m, unpacker.i, "i")
    takes(m, unpacker.o, "o")
    store, count = inside.value("store"), inside.value("count")
    places, word_bytes = len(store) // BYTE, LAYOUT.word_bytes
    beat = unpacker.i.payload
    # What the reader promises: behind a frame are zeros.
    m.d.comb += Assume(~beat.end | (beat.data >> (LAYOUT.rest_bytes * BYTE) == 0))
    come = Mux(transfer(unpacker.i), Mux(beat.end, LAYOUT.rest_bytes, LAYOUT.beat_bytes), 0)
    leave = Mux(transfer(unpacker.o), word_bytes, 0)
    level, ahead = Signal(range(places + 1), name="level"), Signal(range(places + 1), name="ahead")
    active, value = Signal(name="followed"), Signal(BYTE, name="followed_value")
    pick, which = Signal(name="pick"), Signal(range(LAYOUT.beat_bytes), name="byte_of_beat")
    m.d.comb += [pick.eq(AnySeq(1)), which.eq(AnyConst(len(which)))]
    m.d.sync += level.eq(level + come - leave)
    leaves = active & transfer(unpacker.o) & (ahead < word_bytes)
    with m.If(~active), m.If(pick & (which < come)):
        m.d.sync += [active.eq(1), value.eq(beat.data.word_select(which, BYTE)), ahead.eq(level - leave + which)]
    with m.Else():
        m.d.sync += [active.eq(active & ~leaves), ahead.eq(ahead - leave)]
    m.d.comb += [
        Assert(~leaves | (unpacker.o.payload.word_select(ahead[:2], BYTE) == value)),
        Assert(unpacker.o.valid == (level >= word_bytes)),
        Assert(unpacker.i.ready | (level - leave >= word_bytes)),
        Assert(level <= places),
        Assert(level == count),
        Assert(store >> (level * BYTE) == 0),
        Assert(~active | ((ahead < level) & (store.word_select(ahead, BYTE) == value))),
    ]
    return m


def results_are_framed(kind: Any) -> Module:
    """The beats of a result in their order and no others, its last one marked; aborted ones end with one that says so.

    `done` comes once for each result that was not aborted.
    """
    m = property_module()
    inside = Inside(m, writer := kind(LAYOUT))
    abort = free(m, writer.abort, "abort")
    offers(m, writer.i, "i", excused=abort)
    offers(m, writer.errors, "errors", excused=abort)
    takes_until(m, writer.o, "o", abort)
    classes, bits = LAYOUT.classes, len(writer.o.payload.data)
    number = Signal(range(classes + 3), name="beat_of_result")
    cut, void = Signal(name="cut"), Signal(name="void")  # the abort's beat is next; a whole packet that counts no more
    kept = {name: Signal(len(Value.cast(writer.i.payload[name])), name=f"kept_{name}") for name in
            ("winner", "steps", "cycles")}  # fmt: skip
    logit, given, payload = number < classes, transfer(writer.o), writer.o.payload
    m.d.comb += Assume(~writer.i.valid | (writer.i.payload.last == (number == classes - 1)))
    with m.If(given & ~cut):
        m.d.sync += number.eq(Mux(number == classes + 2, 0, number + 1))
        with m.If(number == classes - 1):
            m.d.sync += [kept[name].eq(writer.i.payload[name]) for name in kept]
        with m.If(number == classes + 2):
            m.d.sync += void.eq(0)
    with m.If(given & cut):
        m.d.sync += cut.eq(0)
    with m.If(abort):
        with m.If(cut):
            m.d.sync += cut.eq(~given)
        with m.Elif(number == classes + 2):  # only the cycles are left: it ends as it is
            m.d.sync += void.eq(~given)
        with m.Else():
            # Where its first beat had not left, nothing needs to end.
            m.d.sync += [number.eq(0), cut.eq((number != 0) | given)]
    errors = writer.errors.payload << STEPS_BITS
    signed_logit = Signal(bits, name="signed_logit")
    m.d.comb += signed_logit.eq(writer.i.payload.logit)
    trailer = Array([kept["winner"], kept["steps"] | errors, kept["cycles"]])[(number - classes)[:2]]
    expected = Mux(cut, 1 << ABORTED_BIT, Mux(logit, signed_logit, trailer))
    m.d.comb += [
        Assert(~given | (payload.data == expected[:bits])),
        Assert(~given | (payload.last == (cut | (number == classes + 2)))),
        Assert(transfer(writer.i) == (given & logit & ~cut)),
        Assert(transfer(writer.errors) == (given & (number == classes + 1) & ~cut)),
        Assert(writer.done == (given & (number == classes + 2) & ~cut & ~void & ~abort)),
        Assert(~cut | writer.o.valid),
        Assert(abort | cut | logit | (number == classes + 1) | writer.o.valid),
        # Inside.
        Assert(~cut | (number == 0)),
        Assert(~void | (number == classes + 2)),
        Assert(number < classes + 3),
        Assert(
            inside.value("state")
            == Mux(cut, State.ABORTED, Mux(logit, State.LOGITS, (number - classes + State.CLASS)[:3]))
        ),
        Assert(inside.value("begun") == (cut | (number != 0))),
        Assert(inside.value("forgotten") == void),
        Assert(inside.value("part") == 0),
        *(Assert(logit | (inside.value(name) == value)) for name, value in kept.items()),
    ]
    return m


PROOFS = [
    Proof(
        "packet-reader",
        "whatever packets come, null beats among them, samples have all their beats, and a packet in order passes as it"
        " is, without an error",
        samples_stay_whole,
        PacketReader,
        {
            "the rest of a long packet goes on": mutated(PacketReader, "self.drops.eq(~null)", "self.drops.eq(0)"),
            "a null beat is a beat of zeros": mutated(PacketReader, "skips.eq(null & ~last)", "skips.eq(0)"),
            "a null beat does not end a packet": mutated(
                PacketReader, "closes.eq(closing & self.i.valid & ~skips", "closes.eq(closing & self.i.valid & ~null"
            ),
            "a short packet is not filled up": mutated(PacketReader, "~sample_ends & (pads | last)", "0"),
            "an early end is not told": mutated(
                PacketReader, "last & (~sample_ends | (lacks & front))", "lacks & front"
            ),
            "what an abort leaves of a packet passes": mutated(
                PacketReader, "self.drops.eq(self.inside & ~pads)", "self.drops.eq(self.drops)"
            ),
            "bytes that are left out pass": mutated(PacketReader, "needed & keep", "needed"),
        },
        depth=2,
        fault_depth=10,
    ),
    Proof(
        "unpacker",
        "the words of a frame are its bytes in order; none is lost, repeated or made up",
        no_byte_is_lost,
        Unpacker,
        {
            "what fills the last beat up passes": mutated(
                Unpacker, "Mux(self.i.payload.end, rest, per_beat)", "per_beat"
            ),
            "a beat is taken early": mutated(Unpacker, "stays < per_word", "stays <= per_word"),
        },
        depth=2,
        fault_depth=8,
    ),
    Proof(
        "packet-writer",
        "a result's beats leave in order, each once, its last one marked; an aborted one ends with a beat that says so",
        results_are_framed,
        PacketWriter,
        {
            "an aborted packet has no end": mutated(
                PacketWriter, "m.d.sync += state.eq(State.ABORTED)", "m.d.sync += state.eq(State.LOGITS)"
            ),
            "a result that was aborted counts": mutated(PacketWriter, "leaves & ~forgotten & ~self.abort", "leaves"),
            "logits are not sign-extended": mutated(
                PacketWriter, "logit.eq(self.i.payload.logit)", "logit.eq(self.i.payload.logit.as_unsigned())"
            ),
        },
        depth=2,
        fault_depth=10,
    ),
]
