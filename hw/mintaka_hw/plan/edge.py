"""One edge of a layer core: how its source's words become events, and which weights they meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from mintaka.artifact import ConvGeometry, Edge, IntTensor, Node, Signal
from mintaka_hw.plan.stream import StreamLayout
from mintaka_hw.plan.window import WindowPlan

CHUNK_ELEMENTS = 8


@dataclass(frozen=True, eq=False)
class EdgePlan:
    """An edge into `node`.

    incoming : the stream that it reads. source : what that stream carries.
    offset : number of the edge's first element among all elements of the layer's event lists.
    """

    node: Node
    edge: Edge
    incoming: StreamLayout
    source: Signal
    offset: int

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
    def weight(self) -> IntTensor:
        assert self.edge.weight is not None
        return self.edge.weight

    @property
    def lists(self) -> StreamLayout:
        """What the collector sees per list: the whole source, or the kernel's pixels of one window."""
        if self.kernel is None:
            return self.incoming
        kh, kw = self.kernel
        return StreamLayout(kh, kw, self.incoming.channels, self.incoming.channels, self.incoming.element_bits)

    @property
    def window_buffer(self) -> WindowPlan | None:
        """The rows that a convolution's windows are read from."""
        if self.kernel is None:
            return None
        stride, padding = ((1, 1), (0, 0)) if self.conv is None else (self.conv.stride, self.conv.padding)
        return WindowPlan(self.incoming, self.kernel, stride, padding, self.node.shape_out[1:])

    @property
    def fan_in(self) -> int:
        """Elements per list, and rows of weights per group."""
        return self.lists.elements

    # ---- the event list

    @property
    def element_bits(self) -> int:
        return self.lists.element_bits

    @property
    def chunk_elements(self) -> int:
        """Source elements in one entry of the event list: up to 8 spikes, or one multi-bit number."""
        return 1 if self.element_bits > 1 else min(CHUNK_ELEMENTS, self.lists.word_elements)

    @property
    def chunk_bits(self) -> int:
        return self.chunk_elements * self.element_bits

    @property
    def word_chunks(self) -> int:
        return ceil(self.lists.word_elements / self.chunk_elements)

    @property
    def list_depth(self) -> int:
        """Most entries that the edge can add to a list."""
        whole = (self.lists.words_per_pixel - 1) * self.word_chunks
        return self.lists.pixels * (whole + ceil(self.lists.rest / self.chunk_elements))

    @property
    def counts_units(self) -> bool:
        """True where a multi-bit element stands for that many spikes (a sum pool's), each an operation of its own."""
        return self.source.units == "spikes"

    # ---- weights

    @cached_property
    def weight_rows(self) -> np.ndarray:
        """Weights in the order of the lists' elements, int64 (channels, fan_in); 0 where groups leave no synapse."""
        W = self.weight.values.astype(np.int64)
        if self.is_identity:
            return np.diag(W)
        if self.conv is None:
            pixels = self.incoming.pixels
            return W.reshape(len(W), -1, pixels).transpose(0, 2, 1).reshape(len(W), -1)
        groups = self.conv.groups
        full = np.zeros((len(W), self.incoming.channels, *W.shape[2:]), np.int64)
        out_size, in_size = len(W) // groups, W.shape[1]
        for group in range(groups):
            mine = slice(group * out_size, (group + 1) * out_size)
            full[mine, group * in_size : (group + 1) * in_size] = W[mine]
        return full.transpose(0, 2, 3, 1).reshape(len(W), -1)
