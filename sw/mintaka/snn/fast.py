"""The fast integer engine: the reference's results, bit for bit, in torch and for whole test sets.

All steps of a node are one matrix product. Only nodes on a cycle of delayed edges are run step by step, together;
a delayed edge outside a cycle merely moves its source by one step.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

from mintaka.artifact import Edge, Network, Node, Result, Trace, check_inputs, network_bounds, signals
from mintaka.snn import gather, lif, scan
from mintaka.snn.cell import CellState, scan_cell
from mintaka.snn.exact import dtype_for, per_channel, shift_left
from mintaka.snn.stage import Stage, Synapses, make_stage, to_int64

CHUNK_ELEMENTS = 2**25  # of the largest tensor of one chunk: bounds the memory


def run_fast(network: Network, inputs: np.ndarray, *, trace: bool = False, batch: int = 1024) -> Result:
    """Run a batch; the same `Result` as `mintaka.artifact.run`, bit for bit.

    inputs : as `mintaka.artifact.run` wants them.
    batch : samples that are run at once (fewer where a layer is large); it changes no number.

    Raises ArtifactError where `inputs` is no batch for `network`.
    """
    check_inputs(network, inputs)
    largest = network.time_steps * max(prod(network.input.shape), *(node.size_out for node in network.nodes))
    size = max(1, min(batch, CHUNK_ELEMENTS // largest))
    with torch.inference_mode():
        engine = _Engine(network, trace, len(inputs))
        return _joined([engine.run(inputs[i : i + size]) for i in range(0, len(inputs), size)])


def _joined(parts: list[Result]) -> Result:
    """The results of consecutive chunks as one."""
    first = parts[0]
    traces = {}
    for name in first.trace:
        columns = ([getattr(part.trace[name], key) for part in parts] for key in ("k", "s", "u", "j"))
        traces[name] = Trace(*(None if v[0] is None else np.concatenate(v) for v in columns))  # type: ignore[arg-type]
    return Result(
        np.concatenate([p.logits for p in parts]),
        np.concatenate([p.classes for p in parts]),
        {name: np.concatenate([p.sops[name] for p in parts]) for name in first.sops},
        {name: np.concatenate([p.spikes[name] for p in parts]) for name in first.spikes},
        np.concatenate([p.steps for p in parts]),
        traces,
    )


def steps_taken(logits: np.ndarray, margins: tuple[int | None, ...]) -> np.ndarray:
    """Steps that each sample takes, int64 (N,), from the logits after each step, (T, N, classes)."""
    steps = np.full(logits.shape[1], len(logits))
    for t in reversed(range(len(margins))):
        margin = margins[t]
        if margin is not None:
            best = np.partition(logits[t], -2, axis=1)
            steps[best[:, -1] - best[:, -2] >= margin] = t + 1
    return steps


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


def _before(x: Tensor) -> Tensor:
    """x (T, N, ...) as seen through a delayed edge: zero at the first step."""
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


class _Engine:
    """A network made ready; `run` takes one chunk."""

    def __init__(self, network: Network, trace: bool, all_samples: int):
        self.network, self.trace = network, trace
        self.rows = all_samples * network.time_steps
        self.found, bounds = signals(network), network_bounds(network)
        self.static = network.input.static
        self.exits = bool(network.output.margins)
        self.stages: dict[str, Stage] = {}
        for node in network.nodes:
            sums = tuple(i.magnitude for i in bounds[node.name].sums) if node.has_synapses else ()
            self.stages[node.name] = make_stage(node, network, self.found, sums)
        self.groups = groups_in_order(network)

    def run(self, inputs: np.ndarray) -> Result:
        """inputs (N, *shape) or (N, T, *shape), checked."""
        self.samples = len(inputs)
        self.inputs = inputs
        # Values by source, (T, N, *shape), or (N, *shape) for a direct input (those of the input once they are read).
        self.values: dict[str, Tensor] = {}
        self.totals: dict[tuple[str, int, bool], Tensor] = {}
        # SOPs (N, T) of edges that were gathered, by the id of their Synapses.
        self.counted: dict[int, np.ndarray] = {}
        self.active: Tensor | None = None  # where a sample has not stopped, (T, N); None: nothing stops early
        self.k: dict[str, Tensor] = {}
        self.u: dict[str, Tensor] = {}
        self.j: dict[str, Tensor] = {}
        for group in self.groups:
            names = {node.name for node in group}
            if any(edge.node in names for node in group for edge in node.inputs):
                self._run_cycle([self.stages[node.name] for node in group], names)
            else:
                self._run_all_steps(self.stages[group[0].name])
        return self._result()

    def _by_step(self, x: np.ndarray) -> Tensor:
        """An input or its operations in float32, steps first; the memory stays as it is."""
        values = torch.from_numpy(x.astype(np.float32))
        return values if self.static else values.transpose(0, 1)

    def _value(self, name: str) -> Tensor:
        if name not in self.values:
            self.values[name] = self._by_step(self.inputs)
        return self.values[name]

    def _operations(self, name: str) -> Tensor:
        """What the values count as: additions per synapse."""
        source = self.network.input
        if name != source.name or source.bits == 1:
            return self._value(name)
        return self._by_step(self.found[name].operations(self.inputs))

    def _gathered(self, synapses: Synapses) -> Tensor | None:
        """The current of a dense edge from an input of spikes, (T, N, *shape_out), without touching its zeros."""
        edge, sparse = synapses.edge, synapses.gather
        from_input = edge.node == self.network.input.name and self.network.input.kind == "spikes"
        if not from_input or edge.delay or sparse is None or self.rows * synapses.weight.numel() < gather.LEAST_WORK:
            return None
        found = sparse.product(self.inputs.reshape(-1, synapses.source.size))
        if found is None:
            return None
        current, sops = found
        self.counted[id(synapses)] = sops.reshape(self.samples, -1)
        return current.reshape(self.samples, -1, len(synapses.weight)).transpose(0, 1)

    def _total(self, edge: Edge, operations: bool) -> Tensor:
        """What an edge carries, summed over the steps (of a direct input once): values, or operations. (N, *source).

        The steps are those that a sample took, once that is known.
        """
        key = (edge.node, edge.delay, operations)
        if key not in self.totals:
            x = self._operations(edge.node) if operations else self._value(edge.node)
            if not self._is_static(edge):
                if self.active is not None:
                    seen = self.active[edge.delay :]
                    x = x[: len(seen)] * seen.reshape(*seen.shape, *[1] * (x.ndim - 2)).to(x.dtype)
                    x = x.sum(0, dtype=dtype_for(self._most(edge)))
                else:
                    x = (x[:-1] if edge.delay else x).sum(0, dtype=dtype_for(self._most(edge)))
            self.totals[key] = x
        return self.totals[key]

    def _most(self, edge: Edge) -> int:
        """The largest total of an edge, of values or operations."""
        return self.found[edge.node].magnitude * (1 if self._is_static(edge) else self.network.time_steps)

    def _read(self, edge: Edge) -> Tensor:
        x = self._value(edge.node)
        return _before(x) if edge.delay else x

    def _is_static(self, edge: Edge) -> bool:
        return self.static and edge.node == self.network.input.name

    def _current(self, stage: Stage, edges: tuple[Synapses, ...]) -> tuple[Tensor, bool]:
        """I of these edges over all steps, and whether it is static (then without the axis of steps)."""
        static = all(self._is_static(s.edge) for s in edges)
        steps = () if static else (self.network.time_steps,)
        total: Tensor | None = None
        for synapses in edges:
            part = self._gathered(synapses)
            if part is None:
                x = self._read(synapses.edge)
                part = synapses.current(x) if self._is_static(synapses.edge) else synapses.each_step(x)
            part = shift_left(part.to(stage.dtype), synapses.edge.shift)
            total = part if total is None else total + part
        if total is None:
            total = torch.zeros((), dtype=stage.dtype)
        return total.expand(*steps, self.samples, *stage.node.shape_out), static

    def _accumulated(self, stage: Stage) -> Tensor:
        """The sum of a head without neurons over all steps, at once: the sum of W * x is W * (the sum of x)."""
        T = self.network.time_steps
        total = torch.zeros(self.samples, *stage.node.shape_out, dtype=stage.dtype)
        for synapses in stage.synapses:
            part = synapses.current(self._total(synapses.edge, False)).to(stage.dtype)
            times = T if self._is_static(synapses.edge) else 1
            total += part * (times * 2**synapses.edge.shift)
        return total if stage.bias is None else total.add_(per_channel(stage.bias, total), alpha=T)

    def _run_all_steps(self, stage: Stage) -> None:
        node, cell, T = stage.node, stage.cell, self.network.time_steps
        if not node.has_synapses:
            x = [self._read(edge) for edge in node.inputs]
            merged = stage.merged([values.flatten(0, 1) for values in x])
            self.values[node.name] = merged.reshape(*x[0].shape[:2], *node.shape_out)
            return
        if cell is None and not self.trace and not self.exits:
            self.k[node.name] = self._accumulated(stage)[None]
            return
        current, static = self._current(stage, stage.synapses)
        if cell is None:
            if stage.bias is not None:
                current = current + per_channel(stage.bias, current if static else current[0])
            if static:
                current = current.expand(T, *current.shape)
            self.k[node.name] = current.cumsum(0)
            return
        if cell.plain:
            assert cell.threshold is not None
            steps = T if static else None
            if self._scanned(stage, current, steps):
                return
            plain = (current, steps, cell.lif, cell.threshold, cell.bias, cell.reset_by)
            done = lif.scan(*plain, membranes=self.trace, log=self.trace)
            self.values[node.name] = done.s
            if self.trace:
                assert done.u is not None
                self.k[node.name], self.u[node.name] = done.k, done.u
            return
        stepped = scan_cell(current, T if static else None, cell).scan
        self.values[node.name], self.k[node.name] = stepped.s, stepped.k
        assert stepped.u is not None
        self.u[node.name] = stepped.u
        if stepped.j is not None:
            self.j[node.name] = stepped.j

    def _scanned(self, stage: Stage, current: Tensor, steps: int | None) -> bool:
        """Whether the compiled loop has run these neurons: where it is worth it, and nobody wants K and U."""
        node, cell = stage.node, stage.cell
        if self.trace or cell is None or cell.lif.stairs is not None or self.rows * node.size_out < scan.LEAST_WORK:
            return False
        readers = [(n, e) for n in self.network.nodes for e in n.inputs if e.node == node.name]
        spikes = self.exits or any(
            e.delay or self.stages[n.name].cell is not None or not n.has_synapses for n, e in readers
        )
        found = scan.compiled_scan(current, steps, cell, spikes=spikes)
        if found is None:
            return False
        fired, total = found
        if self.exits:  # which steps count is not known yet
            assert fired is not None
            self.values[node.name] = fired
            return True
        self.totals[node.name, 0, False] = self.totals[node.name, 0, True] = total  # a spike is an operation
        if fired is not None:
            self.values[node.name] = fired
        return True

    def _keep(self, node: Node, log: list[tuple[Tensor, ...]]) -> None:
        """log: of every step the values and, of a node with neurons, K, U and J."""
        stacked = [torch.stack(values) for values in zip(*log, strict=True)]
        self.values[node.name] = stacked[0]
        if len(stacked) == 4:
            self.k[node.name], self.u[node.name], self.j[node.name] = stacked[1:]

    def _run_cycle(self, stages: list[Stage], names: set[str]) -> None:
        """Nodes that feed back to each other: step by step, the currents from outside computed before."""
        outside, inside = {}, {}
        for stage in stages:
            if stage.node.has_synapses:
                edges = tuple(s for s in stage.synapses if s.edge.node not in names)
                outside[stage.node.name] = self._current(stage, edges)
                inside[stage.node.name] = [s for s in stage.synapses if s.edge.node in names]
        # What pools and joins read from outside.
        ready = {
            (edge.node, edge.delay): self._read(edge)
            for stage in stages
            for edge in stage.node.inputs
            if not stage.node.has_synapses and edge.node not in names
        }
        before = {s.node.name: torch.zeros(self.samples, *s.node.shape_out, dtype=s.dtype) for s in stages}
        states = {name: CellState.start(zero) for name, zero in before.items()}
        logs: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in before}
        for t in range(self.network.time_steps):
            now: dict[str, Tensor] = {}

            def value(edge: Edge, now: dict[str, Tensor] = now, before: dict[str, Tensor] = before) -> Tensor:
                return (before if edge.delay else now)[edge.node]

            for stage in stages:
                name = stage.node.name
                if stage.cell is None:
                    edges_in = stage.node.inputs
                    now[name] = stage.merged(
                        [value(e) if e.node in names else ready[e.node, e.delay][t] for e in edges_in]
                    )
                    logs[name].append((now[name],))
                    continue
                current, static = outside[name]
                total = current if static else current[t]
                for synapses in inside[name]:
                    part = synapses.current(value(synapses.edge)).to(stage.dtype)
                    total = total + shift_left(part, synapses.edge.shift)
                state = states[name]
                K, now[name] = stage.cell.step(total, state)
                logs[name].append((now[name], K, state.u, state.j) if self.trace else (now[name],))
            before = now
        for stage in stages:
            self._keep(stage.node, logs[stage.node.name])

    def _result(self) -> Result:
        network, values = self.network, self.values
        sops, spikes, traces = {}, {}, {}
        logits, steps = self._logits()
        if self.exits:
            self.active = torch.from_numpy(np.arange(network.time_steps)[:, None] < steps)
        for name, stage in self.stages.items():
            if stage.node.has_synapses:
                total = np.zeros(self.samples, np.int64)
                for synapses in stage.synapses:
                    known = self.counted.get(id(synapses))
                    if known is not None:
                        known = (known * (np.arange(known.shape[1]) < steps[:, None])).sum(1)
                    else:
                        known = synapses.sops(self._total(synapses.edge, True), self._most(synapses.edge))
                    total += known
                sops[name] = total
            neuron = stage.node.neuron
            if neuron is not None:
                s = self._total(Edge(name, 0), False)
                spikes[name] = to_int64(s.flatten(1).sum(1, dtype=torch.float64))
            if self.trace and stage.node.has_synapses:
                s_u_j = (
                    None if neuron is None else _by_sample(values[name]),
                    None if stage.cell is None else _by_sample(self.u[name]),
                    None if neuron is None or neuron.current is None else _by_sample(self.j[name]),
                )
                traces[name] = Trace(_by_sample(self.k[name]), *s_u_j)
        return Result(logits, np.argmax(logits, axis=1), sops, spikes, steps, traces)

    def _logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The logits of each sample's last step, (N, classes), and how many steps it took."""
        output, T = self.network.output, self.network.time_steps
        if not self.exits:
            last = self._total(Edge(output.node, 0), False) if output.read == "count" else self.k[output.node][-1]
            return to_int64(last).reshape(self.samples, -1), np.full(self.samples, T)
        by_step = self.values[output.node].cumsum(0) if output.read == "count" else self.k[output.node]
        logits = to_int64(by_step).reshape(T, self.samples, -1)
        steps = steps_taken(logits, output.margins)
        return logits[steps - 1, np.arange(self.samples)], steps


def _by_sample(x: Tensor) -> np.ndarray:
    """(T, N, ...) -> (N, T, ...), int64."""
    return np.ascontiguousarray(to_int64(x).swapaxes(0, 1))
