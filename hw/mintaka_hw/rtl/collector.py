"""The event collector: turns bitmap words into a list of non-zero chunks, one list ahead of the replay."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import LayerPlan


class Collector(wiring.Component):
    """Collects the events of one list (a time step; for a direct input a sample) while another is replayed.

    A list entry is a chunk of the word with at least one bit set, and the index of its first element. Chunks of zeros
    cost nothing: a word with m non-zero chunks occupies the collector max(1, m) cycles. Two banks alternate: a list is
    collected into one while the other is replayed, as often as there are groups.

    Attributes
    ----------
    i : In(stream of word_bits)
        Bitmap words, element e in bits [e * element_bits +: element_bits]. Bits beyond the source's end are ignored.
    address : In(2 * bank size)
        Entry wanted by the replay, {bank, index}; `entry` follows one cycle later.
    entry : Out(struct: element, bits)
    full : Out(2)
        Per bank: the list is complete and readable.
    empty : Out(2)
        Per bank: it holds no event.
    final : Out(2 x index)
        Per bank: index of the last entry.
    release : In(2)
        Per bank: one cycle, the replay is done with the list.
    """

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        index = layer.list_address_bits
        self.entry_layout = data.StructLayout({"element": layer.element_address_bits, "bits": layer.chunk_bits})
        super().__init__(
            {
                "i": In(stream.Signature(layer.lists.word_bits)),
                "address": In(index + 1),
                "entry": Out(self.entry_layout),
                "full": Out(2),
                "empty": Out(2),
                "final": Out(data.ArrayLayout(index, 2)),
                "release": In(2),
            }
        )

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layer, lists = self.layer, self.layer.lists
        m = Module()
        index_bits, chunks = layer.list_address_bits, layer.word_chunks

        memory = Memory(shape=self.entry_layout, depth=2 * 2**index_bits, init=[])
        m.submodules.events = memory
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [read.addr.eq(self.address), self.entry.eq(read.data)]

        # ---- the word at hand: its bits and which of its chunks are still to be written
        word = Signal(lists.word_bits, reset_less=True)
        flags = Signal(chunks)
        base = Signal(layer.element_address_bits + 1)
        valid = Signal()
        last_word = Signal()
        bank = Signal()
        index = Signal(index_bits + 1)
        occupied = Signal(2)
        readable = Signal(2)

        rest = Signal(chunks)
        m.d.comb += rest.eq(flags & (flags - 1)[:chunks])
        finished = Signal()
        m.d.comb += finished.eq(valid & (rest == 0))
        closes = Signal()
        m.d.comb += closes.eq(finished & last_word)

        # ---- accept: the first word of a list waits for its bank
        position = Signal(range(lists.words)) if lists.words > 1 else Const(0, 1)
        target = Signal()
        m.d.comb += target.eq(bank ^ closes)
        free = (position != 0) | ~occupied.bit_select(target, 1)
        m.d.comb += self.i.ready.eq((~valid | finished) & free)
        accept = self.i.valid & self.i.ready
        step = self._step(m, accept)
        is_last = position == lists.words - 1
        incoming = self._inside(self.i.payload, is_last)
        with m.If(accept):
            m.d.sync += [
                word.eq(incoming),
                flags.eq(Cat(chunk.any() for chunk in self._chunks(incoming))),
                last_word.eq(is_last),
                base.eq(Mux(position == 0, 0, base + step)),
            ]
            if lists.words > 1:
                m.d.sync += position.eq(Mux(is_last, 0, position + 1))
        with m.Elif(valid):
            m.d.sync += flags.eq(rest)
        m.d.sync += valid.eq(accept | (valid & ~finished))

        # ---- write one non-zero chunk per cycle
        lowest = flags & ~rest
        chosen = Value.cast(0)
        offset = Value.cast(0)
        for number, chunk in enumerate(self._chunks(word)):
            here = lowest[number]
            chosen = chosen | Mux(here, chunk, 0)
            offset = offset | Mux(here, number * layer.chunk_elements, 0)
        m.d.comb += [
            write.data.element.eq(base + offset),
            write.data.bits.eq(chosen),
            write.addr.eq(Cat(index[:index_bits], bank)),
            write.en.eq(valid & (flags != 0)),
        ]
        with m.If(closes):
            m.d.sync += [index.eq(0), bank.eq(~bank)]
            total = index + (flags != 0)
            m.d.sync += [
                Array(self.final)[bank].eq((total - 1)[:index_bits]),
                self.empty.bit_select(bank, 1).eq(total == 0),
            ]
        with m.Elif(write.en):
            m.d.sync += index.eq(index + 1)

        # ---- a closed list becomes readable one cycle later, when its last entry can be read
        opened = Signal(2)
        m.d.comb += opened.eq(closes << bank)
        m.d.sync += [occupied.eq((occupied | opened) & ~self.release), readable.eq(occupied & ~self.release)]
        m.d.comb += self.full.eq(readable)
        return m

    def _chunks(self, word: Value) -> list[Value]:
        size = self.layer.chunk_bits
        return [word[start : start + size] for start in range(0, self.layer.lists.word_bits, size)]

    def _step(self, m: Module, accept: Value) -> Value:
        """Elements in the word before the one that is accepted: the last of a pixel may be shorter."""
        lists = self.layer.lists
        if lists.rest == lists.word_elements or lists.pixels == 1:
            return Const(lists.word_elements)
        number, before = Signal(range(max(2, lists.words_per_pixel))), Signal()
        pixel_ends = number == lists.words_per_pixel - 1
        with m.If(accept):
            m.d.sync += [number.eq(Mux(pixel_ends, 0, number + 1)), before.eq(pixel_ends)]
        return Mux(before, lists.rest, lists.word_elements)

    def _inside(self, word: Value, is_last: Value) -> Value:
        """The word without the bits that lie beyond a flat source's last element, whatever the sender put there."""
        lists = self.layer.lists
        if lists.rest == lists.word_elements or lists.pixels > 1:
            return word
        mask = (1 << (lists.rest * lists.element_bits)) - 1
        return Mux(is_last, word & mask, word)
