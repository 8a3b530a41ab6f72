"""The fast integer engine: the reference's results, bit for bit, in torch and for whole test sets.

All steps of a node are one matrix product. Only nodes on a cycle of delayed edges are run step by step, together;
a delayed edge outside a cycle merely moves its source by one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn.grad import conv2d_input

from mintaka.artifact import Edge, Network, Node, Result, Signal, Trace, check_inputs, network_bounds, signals
from mintaka.snn.exact import EXACT64, conv2d, dense, dtype_for, per_channel, pool2d, shift_right
from mintaka.snn.lif import LIF, scan

CHUNK_ELEMENTS = 2**25  # of the largest tensor of one chunk: bounds the memory


def run_fast(network: Network, inputs: np.ndarray, *, trace: bool = False, batch: int = 512) -> Result:
    """Run a batch; the same `Result` as `mintaka.artifact.run`, bit for bit.

    inputs : unsigned integers, (N, *shape) for direct input, (N, T, *shape) otherwise.
    batch : samples that are run at once (fewer where a layer is large); it changes no number.

    Raises ArtifactError where `inputs` is no batch for `network`.
    """
    check_inputs(network, inputs)
    largest = network.time_steps * max(prod(network.input.shape), *(node.size_out for node in network.nodes))
    size = max(1, min(batch, CHUNK_ELEMENTS // largest))
    with torch.no_grad():
        engine = _Engine(network, trace)
        return _joined([engine.run(inputs[i : i + size]) for i in range(0, len(inputs), size)])


def _joined(parts: list[Result]) -> Result:
    """The results of consecutive chunks as one."""
    first = parts[0]
    traces = {}
    for name in first.trace:
        columns = zip(*((p.trace[name].k, p.trace[name].s, p.trace[name].u) for p in parts), strict=True)
        traces[name] = Trace(*(None if v[0] is None else np.concatenate(v) for v in columns))  # type: ignore[arg-type]
    return Result(
        np.concatenate([p.logits for p in parts]),
        np.concatenate([p.classes for p in parts]),
        {name: np.concatenate([p.sops[name] for p in parts]) for name in first.sops},
        {name: np.concatenate([p.spikes[name] for p in parts]) for name in first.spikes},
        traces,
    )


def groups_in_order(network: Network) -> list[list[Node]]:
    """Nodes that lie on a common cycle of edges (delayed or not) together; each group after all it reads."""
    index = {node.name: i for i, node in enumerate(network.nodes)}
    above = [{i} | {index[e.node] for e in node.inputs if e.node in index} for i, node in enumerate(network.nodes)]
    for middle in range(len(above)):  # Warshall's transitive closure
        for reached in above:
            if middle in reached:
                reached |= above[middle]
    groups: dict[tuple[int, int], list[Node]] = {}
    for i, node in enumerate(network.nodes):
        cycle = [j for j in above[i] if i in above[j]]
        # With itself, a group has strictly more nodes above it than any group it reads.
        groups.setdefault((len(above[i]), min(cycle, default=i)), []).append(node)
    return [groups[key] for key in sorted(groups)]


@dataclass(frozen=True)
class _Synapses:
    """One edge made ready: its weight in an exact dtype, and the synapses behind each source element."""

    edge: Edge
    op: str
    weight: Tensor
    fanout: Tensor  # float64, flat: existing synapses that each source element crosses
    source: Signal

    @classmethod
    def of(cls, edge: Edge, node: Node, source: Signal, magnitude: int) -> _Synapses:
        assert edge.weight is not None
        W = torch.from_numpy(np.ascontiguousarray(edge.weight.values)).to(dtype_for(magnitude))
        exists = (W != 0).double()
        if edge.conv is None:
            fanout = exists.sum(0)
        else:
            ones = torch.ones(1, *node.shape_out, dtype=torch.float64)
            g = edge.conv
            shape = (1, *source.shape)
            stride, padding, groups = g.stride, g.padding, g.groups
            fanout = conv2d_input(shape, exists, ones, stride, padding, groups=groups)  # type: ignore[no-untyped-call]
        return cls(edge, node.op, W, fanout.flatten(), source)

    def current(self, x: Tensor) -> Tensor:
        """x (M, *source) -> this edge's part of I, (M, *shape_out)."""
        x = x.to(self.weight.dtype)
        conv = self.edge.conv
        total = dense(x, self.weight) if conv is None else conv2d(x, self.weight, conv)
        return shift_right(total, self.edge.input_shift)

    def sops(self, operations: Tensor) -> np.ndarray:
        """operations (M, *source): additions per crossed synapse -> (M,) int64."""
        flat, most = operations.flatten(1), int(self.fanout.sum()) * self.source.max_value
        dtype = torch.int64 if most >= EXACT64 else dtype_for(most)
        return _integers(flat.to(dtype) @ self.fanout.to(dtype))


@dataclass(frozen=True)
class _Stage:
    """One node made ready to run."""

    node: Node
    synapses: tuple[_Synapses, ...]
    dtype: torch.dtype
    threshold: Tensor | None
    bias: Tensor | None
    reset_by: Tensor | None
    lif: LIF | None


def _stage(node: Node, network: Network, found: dict[str, Signal], sums: tuple[int, ...]) -> _Stage:
    if node.pool is not None:
        return _Stage(node, (), dtype_for(found[node.name].max_value), None, None, None, None)
    synapses = tuple(_Synapses.of(e, node, found[e.node], m) for e, m in zip(node.inputs, sums, strict=True))
    magnitude = sum(((m >> e.input_shift) + 1) << e.shift for e, m in zip(node.inputs, sums, strict=True))
    if node.bias is not None:
        magnitude += int(np.abs(node.bias.values.astype(np.int64)).max())
    bias = None if node.bias is None else torch.from_numpy(node.bias.values.astype(np.float64))
    if node.neuron is None:
        dtype = dtype_for(magnitude * network.time_steps)
        return _Stage(node, synapses, dtype, None, None if bias is None else bias.to(dtype), None, None)
    neuron = node.neuron
    magnitude += neuron.membrane_max
    reset_by = None
    if neuron.reset_by is not None:
        magnitude += int(np.abs(neuron.reset_by.values.astype(np.int64)).max())
        reset_by = torch.from_numpy(neuron.reset_by.values.astype(np.float64))
    magnitude *= max(1, len(neuron.leak))
    dtype = dtype_for(magnitude)
    # A threshold beyond every possible K may be large: held to the range, it compares the same and stays exact.
    threshold = torch.from_numpy(neuron.threshold.values.astype(np.float64)).clamp(-magnitude - 1, magnitude + 1)
    lif = LIF(neuron.leak, neuron.membrane_max, neuron.reset)
    bias = None if bias is None else bias.to(dtype)
    reset_by = None if reset_by is None else reset_by.to(dtype)
    return _Stage(node, synapses, dtype, threshold.to(dtype), bias, reset_by, lif)


def _integers(x: Tensor) -> np.ndarray:
    return np.asarray(x.to(torch.int64).numpy())


def _before(x: Tensor) -> Tensor:
    """x (T, N, ...) as seen through a delayed edge: zero at the first step."""
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


class _Engine:
    """A network made ready; `run` takes one chunk."""

    def __init__(self, network: Network, trace: bool):
        self.network, self.trace = network, trace
        found, bounds = signals(network), network_bounds(network)
        self.static = network.input.static
        self.stages: dict[str, _Stage] = {}
        for node in network.nodes:
            sums = () if node.pool is not None else tuple(i.magnitude for i in bounds[node.name].sums)
            self.stages[node.name] = _stage(node, network, found, sums)
        self.groups = groups_in_order(network)

    def run(self, inputs: np.ndarray) -> Result:
        """inputs (N, *shape) or (N, T, *shape), checked."""
        self.samples = len(inputs)
        source = self.network.input.name
        operations = np.bitwise_count(inputs)
        if not self.static:
            inputs, operations = inputs.swapaxes(0, 1), operations.swapaxes(0, 1)
        # Values by source, (T, N, *shape), or (N, *shape) for a direct input.
        self.values = {source: torch.from_numpy(inputs.astype(np.float32))}
        self.k: dict[str, Tensor] = {}
        self.u: dict[str, Tensor] = {}
        for group in self.groups:
            names = {node.name for node in group}
            if any(edge.node in names for node in group for edge in node.inputs):
                self._run_cycle([self.stages[node.name] for node in group], names)
            else:
                self._run_all_steps(self.stages[group[0].name])
        return self._result(torch.from_numpy(operations.astype(np.float32)))

    def _read(self, edge: Edge) -> Tensor:
        x = self.values[edge.node]
        return _before(x) if edge.delay else x

    def _is_static(self, edge: Edge) -> bool:
        return self.static and edge.node == self.network.input.name

    def _current(self, stage: _Stage, edges: tuple[_Synapses, ...]) -> tuple[Tensor, bool]:
        """I of these edges over all steps, and whether it is static (then without the axis of steps)."""
        static = all(self._is_static(s.edge) for s in edges)
        steps = () if static else (self.network.time_steps,)
        total = torch.zeros(*steps, self.samples, *stage.node.shape_out, dtype=stage.dtype)
        for synapses in edges:
            x = self._read(synapses.edge)
            if self._is_static(synapses.edge):
                part = synapses.current(x)
            else:
                part = synapses.current(x.flatten(0, 1)).reshape(total.shape)
            total += part.to(stage.dtype) * 2**synapses.edge.shift
        return total, static

    def _run_all_steps(self, stage: _Stage) -> None:
        node, T = stage.node, self.network.time_steps
        if node.pool is not None:
            x = self._read(node.inputs[0]).to(stage.dtype)
            self.values[node.name] = pool2d(x.flatten(0, 1), node.pool).reshape(*x.shape[:2], *node.shape_out)
            return
        current, static = self._current(stage, stage.synapses)
        if stage.lif is None:
            if stage.bias is not None:
                current += per_channel(stage.bias, current if static else current[0])
            if static:
                current = current.expand(T, *current.shape)
            self.k[node.name] = current.cumsum(0)
            return
        assert stage.threshold is not None
        steps = T if static else None
        done = scan(current, steps, stage.lif, stage.threshold, stage.bias, stage.reset_by, membranes=self.trace)
        self.values[node.name] = done.s
        if self.trace:
            assert done.u is not None
            self.k[node.name], self.u[node.name] = done.k, done.u

    def _run_cycle(self, stages: list[_Stage], names: set[str]) -> None:
        """Nodes that feed back to each other: step by step, the currents from outside computed before."""
        outside, inside = {}, {}
        for stage in stages:
            edges = tuple(s for s in stage.synapses if s.edge.node not in names)
            outside[stage.node.name] = self._current(stage, edges)
            inside[stage.node.name] = [s for s in stage.synapses if s.edge.node in names]
        before = {s.node.name: torch.zeros(self.samples, *s.node.shape_out, dtype=s.dtype) for s in stages}
        membrane = dict(before)
        steps: dict[str, list[tuple[Tensor, ...]]] = {s.node.name: [] for s in stages}
        for t in range(self.network.time_steps):
            now: dict[str, Tensor] = {}
            for stage in stages:
                name = stage.node.name
                if stage.node.pool is not None:
                    now[name] = pool2d(now[stage.node.inputs[0].node].to(stage.dtype), stage.node.pool)
                    steps[name].append((now[name],))
                    continue
                current, static = outside[name]
                K = membrane[name] + (current if static else current[t])
                for synapses in inside[name]:
                    x = (before if synapses.edge.delay else now)[synapses.edge.node]
                    K += synapses.current(x).to(stage.dtype) * 2**synapses.edge.shift
                if stage.bias is not None:
                    K += per_channel(stage.bias, K)
                assert stage.lif is not None
                assert stage.threshold is not None
                R = None if stage.reset_by is None else per_channel(stage.reset_by, K)
                now[name], membrane[name] = stage.lif.step(K, per_channel(stage.threshold, K), R)
                steps[name].append((now[name], K, membrane[name]) if self.trace else (now[name],))
            before = now
        for name, values in steps.items():
            stacked = [torch.stack(v) for v in zip(*values, strict=True)]
            self.values[name] = stacked[0]
            if len(stacked) == 3:
                self.k[name], self.u[name] = stacked[1:]

    def _result(self, operations: Tensor) -> Result:
        network = self.network
        sops, spikes, traces = {}, {}, {}
        # Every value that is read counts as that many operations, but for the input's bits.
        values, self.values = self.values, {**self.values, network.input.name: operations}
        for name, stage in self.stages.items():
            if stage.node.pool is None:
                total = np.zeros(self.samples, np.int64)
                for synapses in stage.synapses:
                    x = self._read(synapses.edge)
                    if self._is_static(synapses.edge):
                        total += synapses.sops(x)
                    else:
                        total += synapses.sops(x.flatten(0, 1)).reshape(x.shape[:2]).sum(0)
                sops[name] = total
            if stage.lif is not None:
                s = values[name]
                spikes[name] = _integers(s.sum(dim=[0, *range(2, s.ndim)], dtype=torch.float64))
            if self.trace and stage.node.pool is None:
                k = _by_sample(self.k[name])
                s_u = () if stage.lif is None else (_by_sample(values[name]), _by_sample(self.u[name]))
                traces[name] = Trace(k, *(s_u or (None, None)))
        logits = _integers(self.k[network.output.node][-1]).reshape(self.samples, -1)
        return Result(logits, np.argmax(logits, axis=1), sops, spikes, traces)


def _by_sample(x: Tensor) -> np.ndarray:
    """(T, N, ...) -> (N, T, ...), int64."""
    return np.ascontiguousarray(_integers(x).swapaxes(0, 1))
