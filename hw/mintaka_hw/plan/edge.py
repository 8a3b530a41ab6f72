"""One edge of a layer core: how its source's words become events, and which weights they meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, gcd

import numpy as np

from mintaka.artifact import ConvGeometry, Edge, IntTensor, Node, Signal
from mintaka_hw.plan.sparse import BLOCK_ELEMENTS, Blocks
from mintaka_hw.plan.stream import StreamLayout
from mintaka_hw.plan.window import WindowPlan

CHUNK_ELEMENTS = 8


@dataclass(frozen=True, eq=False)
class EdgePlan:
    """An edge into `node`.

    incoming : the stream that it reads. source : what that stream carries.
    offset : number of the edge's first row among the rows of weights of a group.
    lanes : the layer's. sections : its lists per window.
    blocks : where the weight memory is sparse, how elements are numbered; else each by its row of weights.

    A grouped convolution lets the neurons of a conv group see the channels of that group only (an identity edge: one
    channel each). What the lanes of one fold see are the `mask_bits` conv groups that the fold reaches into, side by
    side: an element of the list stands for one channel of each of them, and its bits say which lanes it reaches. So
    the weights of all of them are added in one slot, and no zero is stored for what lies in other conv groups.
    """

    node: Node
    edge: Edge
    incoming: StreamLayout
    source: Signal
    offset: int
    lanes: int
    sections: int
    blocks: Blocks | None = None

    @property
    def conv(self) -> ConvGeometry | None:
        return self.edge.conv

    @property
    def is_identity(self) -> bool:
        return self.edge.op == "identity"

    @property
    def kernel(self) -> tuple[int, int] | None:
        """Height and width of the window; 1x1 for an identity edge of a picture; None where all is one window."""
        if self.conv is not None:
            kh, kw = self.weight.values.shape[2:]
            return kh, kw
        return (1, 1) if self.is_identity and len(self.node.shape_out) == 3 else None

    @property
    def is_spread(self) -> bool:
        """True where every element of the one window goes to a neuron of its own: a flat identity edge.

        It has one row of weights per group of lanes; an event reaches one lane of one group, whatever its slot.
        """
        return self.is_identity and self.kernel is None

    @property
    def conv_groups(self) -> int:
        """1 where every neuron sees all channels of a pixel, and for what is one window."""
        if self.kernel is None:
            return 1
        return self.node.channels if self.conv is None else self.conv.groups

    def reach(self, group: int) -> range:
        """The conv groups of the neurons in that group of lanes."""
        size = self.node.channels // self.conv_groups
        last = min((group + 1) * self.lanes, self.node.channels) - 1
        return range(group * self.lanes // size, last // size + 1)

    @property
    def mask_bits(self) -> int:
        """Conv groups that a group of lanes reaches into at most: bits that each bit of an element has."""
        return max(len(self.reach(group)) for group in range(ceil(self.node.channels / self.lanes)))

    def mask_bit(self, group: int, lane: int) -> int | None:
        """Which of its element's mask bits tells a lane of its event; None for a lane without a neuron."""
        channel = group * self.lanes + lane
        if channel >= self.node.channels:
            return None
        return channel * self.conv_groups // self.node.channels - self.reach(group).start

    @property
    def weight(self) -> IntTensor:
        assert self.edge.weight is not None
        return self.edge.weight

    @property
    def lists(self) -> StreamLayout:
        """What the collector sees per list: the whole source, or the kernel's pixels of one window."""
        if self.kernel is None:
            return self.incoming
        channels = self.incoming.channels // self.conv_groups
        return StreamLayout(*self.kernel, channels, channels, self.mask_bits * self.element_bits)

    @property
    def window_buffer(self) -> WindowPlan | None:
        """The rows that a convolution's windows are read from."""
        if self.kernel is None:
            return None
        stride, padding = ((1, 1), (0, 0)) if self.conv is None else (self.conv.stride, self.conv.padding)
        return WindowPlan(
            self.incoming, self.kernel, stride, padding, self.node.shape_out[1:], self.sections, self._parts
        )

    @property
    def _parts(self) -> tuple[tuple[int | None, ...], ...]:
        """Per section the channels that its lanes see: of each conv group the first, then of each the second, ..."""
        if self.conv_groups == 1:
            return ()
        size = self.incoming.channels // self.conv_groups
        groups_per_section = ceil(self.node.channels / self.lanes) // self.sections
        parts = []
        for section in range(self.sections):
            reach = self.reach(section * groups_per_section)
            places = [[*reach, *[None] * (self.mask_bits - len(reach))]] * size
            parts.append(tuple(None if g is None else g * size + i for i, gs in enumerate(places) for g in gs))
        return tuple(parts)

    @property
    def fan_in(self) -> int:
        """Rows of weights per group: one per element of a list."""
        return 1 if self.is_spread else self.lists.elements

    def number(self, element: int) -> int:
        """The number in the event list of a list's element, which is the first of a chunk.

        That is its row of weights, its neuron where the edge is spread, or its place among the blocks.
        """
        if self.blocks is None:
            return element if self.is_spread else self.offset + element
        first = self.blocks.first << self.blocks.place_bits
        return first + (element if self.element_bits > 1 else self._chunk(element) << self.blocks.place_bits)

    @property
    def chunk_numbers(self) -> int:
        """How far numbers go on from one chunk of a word to the next."""
        if self.blocks is None or self.element_bits > 1:
            return self.chunk_elements
        return 1 << self.blocks.place_bits

    @property
    def steps(self) -> tuple[int, int]:
        """How far they go on from a word to the next, and from the last word of a pixel."""
        if self.blocks is None:
            return self.lists.word_elements, self.lists.rest
        return self.word_chunks * self.chunk_numbers, ceil(self.lists.rest / self.chunk_elements) * self.chunk_numbers

    def _chunk(self, element: int) -> int:
        """Which of a list's chunks begins with that element."""
        pixel, within = divmod(element, self.lists.channels)
        word, rest = divmod(within, self.lists.word_elements)
        return pixel * self.pixel_chunks + word * self.word_chunks + rest // self.chunk_elements

    @cached_property
    def places(self) -> np.ndarray:
        """Which of a list's elements is at each place of each block, int64 (blocks, places); -1 for none."""
        if self.element_bits > 1:
            size, blocks = BLOCK_ELEMENTS, ceil(self.lists.elements / BLOCK_ELEMENTS)
            firsts, ends = np.arange(blocks) * size, np.full(blocks, self.lists.elements)
        else:
            size, lists = self.chunk_elements, self.lists
            word_ends = [min((n + 1) * lists.word_elements, lists.channels) for n in range(lists.words_per_pixel)]
            chunks = [
                (first, end)
                for n, end in enumerate(word_ends)
                for first in range(n * lists.word_elements, end, self.chunk_elements)
            ]
            pixels = np.arange(lists.pixels)[:, None, None] * lists.channels
            firsts, ends = (pixels + np.array(chunks)).reshape(-1, 2).T
        places = firsts[:, None] + np.arange(size)
        return np.where(places < ends[:, None], places, -1)[:, : self.lists.elements]

    # ---- the event list

    @property
    def element_bits(self) -> int:
        """Of the source."""
        return self.incoming.element_bits

    @property
    def sign_plane(self) -> int | None:
        """The bit-plane that is subtracted: the highest of a signed source, else none."""
        return self.element_bits - 1 if self.source.signed else None

    @property
    def chunk_elements(self) -> int:
        """Elements in one entry of the event list: some spikes, or one multi-bit number or masked element."""
        most = CHUNK_ELEMENTS if self.blocks is None else BLOCK_ELEMENTS
        return 1 if self.lists.element_bits > 1 else min(most, self.lists.word_elements)

    @property
    def chunk_fields(self) -> int:
        """Slots that an entry can cause: a field is a spike, or a bit-plane of a number, as `mask_bits` bits."""
        return self.chunk_elements * self.element_bits

    @property
    def chunk_bits(self) -> int:
        return self.chunk_fields * self.mask_bits

    @property
    def word_chunks(self) -> int:
        return ceil(self.lists.word_elements / self.chunk_elements)

    @property
    def pixel_chunks(self) -> int:
        whole = (self.lists.words_per_pixel - 1) * self.word_chunks
        return whole + ceil(self.lists.rest / self.chunk_elements)

    @property
    def list_depth(self) -> int:
        """Most entries that the edge can add to a list."""
        return self.lists.pixels * self.pixel_chunks

    @property
    def counts_units(self) -> bool:
        """True where a multi-bit element stands for that many spikes (a sum pool's), each an operation of its own."""
        return self.source.units == "spikes"

    # ---- weights

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Weights in the order of the lists' elements, int64 (channels, fan_in)."""
        W = self.weight.values.astype(np.int64)
        if self.is_identity:
            return W.reshape(-1, 1)
        if self.conv is None:
            pixels = self.incoming.pixels
            return W.reshape(len(W), -1, pixels).transpose(0, 2, 1).reshape(len(W), -1)
        return W.transpose(0, 2, 3, 1).reshape(len(W), -1)


def sections_of(node: Node, lanes: int) -> int:
    """Lists per window: one where every group of lanes replays the same events, up to one per group of lanes.

    Groups of lanes within the same conv group of every grouped edge share a list.
    """
    groups = ceil(node.channels / lanes)
    shared = groups
    for edge in node.inputs:
        conv_groups = node.channels if edge.op == "identity" else 1 if edge.conv is None else edge.conv.groups
        if conv_groups > 1 and len(node.shape_out) == 3:
            size = node.channels // conv_groups
            shared = gcd(shared, size // lanes if size % lanes == 0 else 1)
    return groups // shared
