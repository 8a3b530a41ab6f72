"""The event collector: turns bitmap words into a list of non-zero chunks, one list ahead of the replay."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import EdgePlan, LayerPlan
from mintaka_hw.rtl.sequencer import word_layout


def entry_layout(layer: LayerPlan) -> data.StructLayout:
    """An entry of the event list: a chunk's `bits`, the number of its first `element`, and its `edge`."""
    return data.StructLayout({"element": layer.element_address_bits, "bits": layer.chunk_bits, "edge": layer.edge_bits})


def of_edge(edge: Value, choices: list[Value]) -> Value:
    """The choice for that edge."""
    return Array(choices)[edge] if len(choices) > 1 else choices[0]


class Collector(wiring.Component):
    """Collects the events of one list (a window's) while another is replayed.

    A list entry is a chunk of the word with at least one bit set, and the number of its first element. Chunks of zeros
    cost nothing: a word with m non-zero chunks occupies the collector max(1, m) cycles. Two banks alternate: a list is
    collected into one while the other is replayed, as often as there are groups.

    Attributes
    ----------
    i : In(stream of word_layout)
    address : In(2 * bank size)
        Entry wanted by the replay, {bank, index}; `entry` follows one cycle later.
    entry : Out(entry_layout)
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
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(layer))),
                "address": In(index + 1),
                "entry": Out(entry_layout(layer)),
                "full": Out(2),
                "empty": Out(2),
                "final": Out(data.ArrayLayout(index, 2)),
                "release": In(2),
            }
        )

    def describe(self) -> dict[str, Any]:
        layer = self.layer
        return {"layer": layer.name, "entries per list": layer.list_depth, "chunk bits": layer.chunk_bits}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        layer = self.layer
        m = Module()
        index_bits = layer.list_address_bits
        most_chunks = max(edge.word_chunks for edge in layer.edges)

        memory = Memory(shape=entry_layout(layer), depth=2 * 2**index_bits, init=[])
        m.submodules.events = memory
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [read.addr.eq(self.address), self.entry.eq(read.data)]

        # ---- the word at hand: its bits and which of its chunks are still to be written
        word = Signal(word_layout(layer), reset_less=True)
        flags = Signal(most_chunks)
        valid = Signal()
        bank = Signal()
        index = Signal(index_bits + 1)
        occupied = Signal(2)
        readable = Signal(2)

        rest = Signal(most_chunks)
        m.d.comb += rest.eq(flags & (flags - 1)[:most_chunks])
        finished = Signal()
        m.d.comb += finished.eq(valid & (rest == 0))
        closes = Signal()
        m.d.comb += closes.eq(finished & word.last)

        # ---- accept: the first word of a list waits for its bank
        target = Signal()
        m.d.comb += target.eq(bank ^ closes)
        free = ~self.i.payload.first | ~occupied.bit_select(target, 1)
        m.d.comb += self.i.ready.eq((~valid | finished) & free)
        accept = self.i.valid & self.i.ready
        incoming = self.i.payload
        nonzero = [Cat(chunk.any() for chunk in chunks_of(edge, incoming.bits)) for edge in layer.edges]
        with m.If(accept):
            m.d.sync += [word.eq(incoming), flags.eq(of_edge(incoming.edge, nonzero))]
        with m.Elif(valid):
            m.d.sync += flags.eq(rest)
        m.d.sync += valid.eq(accept | (valid & ~finished))

        # ---- write one non-zero chunk per cycle
        lowest = flags & ~rest
        picked = [self._picked(edge, word.bits, lowest) for edge in layer.edges]
        m.d.comb += [
            write.data.element.eq(word.element + of_edge(word.edge, [offset for offset, _ in picked])),
            write.data.bits.eq(of_edge(word.edge, [chunk for _, chunk in picked])),
            write.data.edge.eq(word.edge),
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

    def _picked(self, edge: EdgePlan, bits: Value, lowest: Value) -> tuple[Value, Value]:
        """Of the chunk that `lowest` (one-hot) points at: its first element within the word, and its bits."""
        chunks = chunks_of(edge, bits)
        offsets = [Mux(lowest[n], n * edge.chunk_elements, 0) for n in range(len(chunks))]
        return reduce(or_, offsets), reduce(or_, (Mux(lowest[n], chunk, 0) for n, chunk in enumerate(chunks)))


def chunks_of(edge: EdgePlan, bits: Value) -> list[Value]:
    """A word's chunks, the first in the low bits."""
    return [
        bits[at : min(at + edge.chunk_bits, edge.lists.word_bits)]
        for at in range(0, edge.lists.word_bits, edge.chunk_bits)
    ]
