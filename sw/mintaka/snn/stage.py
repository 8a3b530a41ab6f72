"""One node of a network made ready for the fast integer engine: its tensors in a dtype that holds every sum exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.grad import conv2d_input

from mintaka.artifact import Edge, Network, Node, Signal
from mintaka.snn.cell import Cell
from mintaka.snn.exact import EXACT64, conv2d, dense, dtype_for, per_channel, pool2d, shift_right
from mintaka.snn.gather import Gather
from mintaka.snn.lif import LIF
from mintaka.snn.packed import Packed, pack
from mintaka.snn.staircase import Staircase


def to_int64(x: Tensor) -> np.ndarray:
    """Integers in a float tensor as an int64 array."""
    return np.asarray(x.to(torch.int64).numpy())


@dataclass(frozen=True)
class Synapses:
    """One edge made ready: its weight in an exact dtype, and the synapses behind each source element."""

    edge: Edge
    op: str
    weight: Tensor
    packed: Packed | None  # the same weights, where several sums fit into one product
    gather: Gather | None  # the same weights, where they can be added spike by spike
    fanout: Tensor  # float64, flat: existing synapses that each source element crosses
    source: Signal

    @classmethod
    def of(cls, edge: Edge, node: Node, source: Signal, magnitude: int) -> Synapses:
        assert edge.weight is not None
        W = torch.from_numpy(np.ascontiguousarray(edge.weight.values)).to(dtype_for(magnitude))
        exists = (W != 0).double()
        op = node.edge_op(edge)
        if op == "identity":
            fanout = exists.reshape(-1, *[1] * (len(source.shape) - 1)).expand(source.shape)
        elif edge.conv is None:
            fanout = exists.sum(0)
        else:
            ones = torch.ones(1, *node.shape_out, dtype=torch.float64)
            g = edge.conv
            shape = (1, *source.shape)
            stride, padding, groups = g.stride, g.padding, g.groups
            fanout = conv2d_input(shape, exists, ones, stride, padding, groups=groups)  # type: ignore[no-untyped-call]
        packed = pack(W, magnitude) if op == "dense" else None
        gather = Gather.of(edge.weight.values, magnitude) if op == "dense" and source.magnitude == 1 else None
        return cls(edge, op, W, packed, gather, fanout.flatten(), source)

    def current(self, x: Tensor) -> Tensor:
        """x (M, *source) -> this edge's part of I, (M, *shape_out)."""
        x = x.to(self.weight.dtype)
        conv = self.edge.conv
        if self.packed is not None:
            total = self.packed.product(x)
        elif self.op == "identity":
            total = x * per_channel(self.weight, x)
        else:
            total = dense(x, self.weight) if conv is None else conv2d(x, self.weight, conv)
        return shift_right(total, self.edge.input_shift)

    def each_step(self, x: Tensor) -> Tensor:
        """x (T, N, *source) -> (T, N, *shape_out); samples first in memory, as inputs come, are worked on in place."""
        rows = x if x.is_contiguous() else x.transpose(0, 1)
        part = self.current(rows.flatten(0, 1))
        part = part.reshape(*rows.shape[:2], *part.shape[1:])
        return part if x.is_contiguous() else part.transpose(0, 1)

    def sops(self, operations: Tensor, most: int) -> np.ndarray:
        """operations (M, *source): additions per crossed synapse, up to `most` of each -> (M,) int64."""
        flat, most = operations.flatten(1), int(self.fanout.sum()) * most
        dtype = torch.int64 if most >= EXACT64 else dtype_for(most)
        return to_int64(flat.to(dtype) @ self.fanout.to(dtype))


@dataclass(frozen=True)
class Stage:
    """One node made ready to run. `cell` is None for pools, joins, and a head that accumulates (which has `bias`)."""

    node: Node
    synapses: tuple[Synapses, ...]
    dtype: torch.dtype
    bias: Tensor | None = None
    cell: Cell | None = None

    def merged(self, x: list[Tensor]) -> Tensor:
        """x: the inputs of a pool or a join, each (M, *source) -> (M, *shape_out)."""
        x = [values.to(self.dtype) for values in x]
        if self.node.pool is not None:
            return pool2d(x[0], self.node.pool)
        if self.node.join == "iand":
            return (1 - x[0]) * x[1]
        together = torch.stack(x)
        if self.node.join == "add":
            return together.sum(0)
        return together.amax(0) if self.node.join == "or" else together.amin(0)


def make_stage(node: Node, network: Network, found: dict[str, Signal], sums: tuple[int, ...]) -> Stage:
    """found : every signal by name. sums : magnitude of each edge's exact sum (empty for pools and joins).

    Raises OverflowError where a sum can pass 2^53.
    """
    if not node.has_synapses:
        return Stage(node, (), dtype_for(found[node.name].max_value))
    state = node.neuron or node.integrator
    times = network.time_steps if state is None else 1  # a head that accumulates sums the steps first
    synapses = tuple(Synapses.of(e, node, found[e.node], m * times) for e, m in zip(node.inputs, sums, strict=True))
    magnitude = sum(((m >> e.input_shift) + 1) << e.shift for e, m in zip(node.inputs, sums, strict=True))
    if node.bias is not None:
        magnitude += int(np.abs(node.bias.values.astype(np.int64)).max())
    bias = None if node.bias is None else torch.from_numpy(node.bias.values.astype(np.float64))
    neuron = node.neuron
    if state is None:
        dtype = dtype_for(magnitude * network.time_steps)
        return Stage(node, synapses, dtype, None if bias is None else bias.to(dtype))
    magnitude += state.membrane_max
    threshold = reset_by = None
    if neuron is not None:
        if neuron.current is not None:
            magnitude += neuron.current.max * max(1, len(neuron.current.leak))
        if neuron.reset_by is not None:
            magnitude += int(np.abs(neuron.reset_by.values.astype(np.int64)).max())
            reset_by = torch.from_numpy(neuron.reset_by.values.astype(np.float64))
    magnitude *= max(1, len(state.leak))
    dtype = dtype_for(magnitude)
    if neuron is not None:
        # A threshold beyond every possible K may be large: held to the range, it compares the same and stays exact.
        threshold = torch.from_numpy(neuron.threshold.values.astype(np.float64)).clamp(-magnitude - 1, magnitude + 1)
    bias, threshold, reset_by = (None if v is None else v.to(dtype) for v in (bias, threshold, reset_by))
    stairs = None
    if neuron is not None and neuron.boundaries is not None:
        steps = torch.from_numpy(neuron.boundaries.values.astype(np.float64)).clamp(-magnitude - 1, magnitude + 1)
        stairs = Staircase(steps.to(dtype))
    lif = LIF(state.leak, state.membrane_max, "zero" if neuron is None else neuron.reset, stairs=stairs)
    refractory, current = (0, None) if neuron is None else (neuron.refractory, neuron.current)
    return Stage(node, synapses, dtype, None, Cell(lif, threshold, bias, reset_by, refractory, current))
