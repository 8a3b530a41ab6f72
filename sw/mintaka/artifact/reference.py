"""The integer semantics in code: plain numpy, int64, the shortest thing that can be right.

Every other implementation (torch, the fast engine, the RTL, the Verilog) must equal this one bit for bit. It is
written for reading, independently of them. Symbols are those of
`docs/reference/semantics.md`: W, x, I, K, T, B, R, V, U, s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mintaka.artifact.checks import check_inputs
from mintaka.artifact.schema import ConvGeometry, Edge, LeakTerm, Network, Neuron, Node, Pool
from mintaka.artifact.signals import signals


@dataclass
class Trace:
    """Every value of one node, int64, shape (N, T, *shape_out): K before firing, spikes s, stored membrane U, stored
    synaptic current J; None where the node has no such thing.

    For a head that accumulates `k` is the running sum after each step.
    """

    k: np.ndarray
    s: np.ndarray | None
    u: np.ndarray | None
    j: np.ndarray | None = None


@dataclass
class Result:
    """What a run gives.

    logits : int64 (N, classes), after the last step that a sample took. classes : int64 (N,).
    sops : by name of a node that sums, int64 (N,), of the steps taken.
    spikes : by spiking node's name, int64 (N,), of the steps taken.
    steps : int64 (N,), how many steps each sample took: all of them unless margins let it stop before.
    trace : by node name (empty unless asked), of all steps as if no sample had stopped.
    """

    logits: np.ndarray
    classes: np.ndarray
    sops: dict[str, np.ndarray]
    spikes: dict[str, np.ndarray]
    steps: np.ndarray
    trace: dict[str, Trace] = field(default_factory=dict)

    @property
    def total_sops(self) -> np.ndarray:
        """(N,) int64: synaptic operations of the whole network per sample."""
        return np.sum(list(self.sops.values()), axis=0)


def dense(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """x (N, N_in), W (N_out, N_in) -> (N, N_out)."""
    return x @ W.T


def conv2d(x: np.ndarray, W: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """x (N, C, H, W), W (C_out, C / groups, kh, kw) -> (N, C_out, H_out, W_out), as cross-correlation."""
    (sv, sh), (pv, ph), groups = geometry.stride, geometry.padding, geometry.groups
    kh, kw = W.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (pv, pv), (ph, ph)))
    rows, cols = (x.shape[2] - kh) // sv + 1, (x.shape[3] - kw) // sh + 1
    out = np.zeros((x.shape[0], W.shape[0], rows, cols), np.int64)
    for x_group, W_group, out_group in zip(
        np.split(x, groups, axis=1), np.split(W, groups), np.split(out, groups, axis=1), strict=True
    ):
        for i in range(kh):
            for j in range(kw):
                patch = x_group[:, :, i : i + sv * rows : sv, j : j + sh * cols : sh]
                out_group += np.einsum("nchw,oc->nohw", patch, W_group[:, :, i, j])
    return out


def pool2d(x: np.ndarray, pool: Pool) -> np.ndarray:
    """x (N, C, H, W) -> (N, C, H_out, W_out): OR (maximum) or sum over windows."""
    (kh, kw), (sv, sh) = pool.kernel, pool.stride
    rows, cols = (x.shape[2] - kh) // sv + 1, (x.shape[3] - kw) // sh + 1
    windows = [x[:, :, i : i + sv * rows : sv, j : j + sh * cols : sh] for i in range(kh) for j in range(kw)]
    return np.max(windows, axis=0) if pool.kind == "max" else np.sum(windows, axis=0)


def join(x: list[np.ndarray], kind: str) -> np.ndarray:
    """x: the inputs, each (N, ...) -> (N, ...)."""
    if kind == "iand":
        return (1 - x[0]) * x[1]
    if kind == "add":
        return np.sum(x, axis=0)
    return np.max(x, axis=0) if kind == "or" else np.min(x, axis=0)


def current(edge: Edge, node: Node, x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """The sum over synapses of W * x of one edge: (N, *shape_out). `dense` reads its source in C order."""
    op = node.edge_op(edge)
    if op == "identity":
        return per_channel(W, x) * x
    if op == "conv2d":
        assert edge.conv is not None
        return conv2d(x, W, edge.conv)
    return dense(x.reshape(len(x), -1), W)


def leaked(V: np.ndarray, leak: tuple[LeakTerm, ...]) -> np.ndarray:
    """The sum of the leak's terms; `>>` on int64 is the arithmetic shift (floor)."""
    U = np.zeros_like(V)
    for term in leak:
        U += term.sign * (V >> term.shift)
    return U


def stored(value: np.ndarray, most: int) -> np.ndarray:
    """Clipped to [-most, most]."""
    return np.clip(value, -most, most)


def reached(V: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """How many of its channel's boundaries (C, 2 Qu) each V (N, C, ...) has reached."""
    return np.sum([per_channel(column, V) <= V for column in boundaries.T], axis=0)


def fire(K: np.ndarray, neuron: Neuron, silent: np.ndarray | bool = False) -> tuple[np.ndarray, np.ndarray]:
    """From K (N, C, ...) the spikes and the membrane to store, both int64; where `silent`, no spike."""
    s = np.where(silent, 0, per_channel(neuron.threshold.values, K) < K).astype(np.int64)
    after = np.zeros_like(K) if neuron.reset_by is None else K - per_channel(neuron.reset_by.values, K)
    V = np.where(s == 1, after, K)
    if neuron.boundaries is not None:
        return s, reached(V, neuron.boundaries.values) - neuron.membrane_max
    return s, stored(leaked(V, neuron.leak), neuron.membrane_max)


@dataclass
class State:
    """What a node's neurons keep from step to step, each (N, *shape_out): U, J (CUBA only), steps still refractory."""

    u: np.ndarray
    j: np.ndarray
    silent: np.ndarray


def spiking_step(summed: np.ndarray, B: np.ndarray, neuron: Neuron, state: State) -> tuple[np.ndarray, np.ndarray]:
    """One step of LIF or CUBA-LIF neurons from I (`summed`) and B: K and the spikes. `state` is brought up to date."""
    if neuron.current is not None:
        summed = leaked(state.j, neuron.current.leak) + summed  # J, exact
        state.j = stored(summed, neuron.current.max)
    silent = state.silent > 0
    K = np.where(silent, state.u, state.u + summed + B)
    s, state.u = fire(K, neuron, silent)
    state.silent = np.where(s == 1, neuron.refractory, np.maximum(state.silent - 1, 0))
    return K, s


def per_channel(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """(C,) -> (1, C, 1, ...), to meet an array (N, C, ...)."""
    return values.astype(np.int64).reshape(1, -1, *[1] * (like.ndim - 2))


def lead(logits: np.ndarray) -> np.ndarray:
    """How far the largest logit is above the second largest: (N, classes) -> (N,); equal ones are 0 apart."""
    ordered = np.sort(logits, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def run(network: Network, inputs: np.ndarray, *, trace: bool = False) -> Result:
    """Run a batch.

    inputs : of the dtype `network.input.dtype`, (N, *shape) for direct input, (N, T, *shape) otherwise: what
        `mintaka.artifact.encode` makes of samples.

    Raises ArtifactError where `inputs` is no batch for `network`.
    """
    check_inputs(network, inputs)
    N, T = len(inputs), network.time_steps
    x_all = inputs.astype(np.int64)
    signal = signals(network)
    zeros = {n.name: np.zeros((N, *n.shape_out), np.int64) for n in network.nodes}
    states = {name: State(zero, zero, zero) for name, zero in zeros.items()}
    before = {network.input.name: np.zeros((N, *network.input.shape), np.int64), **zeros}
    logits = head = zeros[network.output.node]
    active, taken = np.full(N, True), np.zeros(N, np.int64)  # has not stopped; steps so far
    sops = {n.name: np.zeros(N, np.int64) for n in network.nodes if n.has_synapses}
    spikes = {n.name: np.zeros(N, np.int64) for n in network.nodes if n.neuron is not None}
    steps: dict[str, list[Trace]] = {n.name: [] for n in network.nodes if n.has_synapses}

    for t in range(T):
        now = {network.input.name: x_all if network.input.static else x_all[:, t]}
        for node in network.nodes:
            x = [(before if edge.delay else now)[edge.node] for edge in node.inputs]
            if node.pool is not None:
                now[node.name] = pool2d(x[0], node.pool)
                continue
            if node.join is not None:
                now[node.name] = join(x, node.join)
                continue
            summed = np.zeros((N, *node.shape_out), np.int64)  # becomes I
            for edge, values in zip(node.inputs, x, strict=True):
                assert edge.weight is not None
                W = edge.weight.values.astype(np.int64)
                summed += (current(edge, node, values, W) >> edge.input_shift) << edge.shift
                if t == 0 or not signal[edge.node].static:
                    operations = signal[edge.node].operations(values)
                    used = current(edge, node, operations, (W != 0).astype(np.int64))
                    sops[node.name] += active * used.reshape(N, -1).sum(1)
            B = np.zeros_like(summed) if node.bias is None else per_channel(node.bias.values, summed)
            state = states[node.name]
            s = u = j = None
            if node.neuron is not None:
                K, s = spiking_step(summed, B, node.neuron, state)
                now[node.name], u, j = s, state.u, None if node.neuron.current is None else state.j
                spikes[node.name] += active * s.reshape(N, -1).sum(1)
            elif node.integrator is not None:
                K = state.u + summed + B
                state.u = u = stored(leaked(K, node.integrator.leak), node.integrator.membrane_max)
            else:
                K = head + summed + B
            if node.name == network.output.node:
                head = K if s is None else head + s
            if trace:
                steps[node.name].append(Trace(K, s, u, j))
        before = now
        logits = np.where(active.reshape(-1, *[1] * (head.ndim - 1)), head, logits)
        taken += active
        margin = None if t >= len(network.output.margins) else network.output.margins[t]
        if margin is not None:
            active = active & (lead(logits.reshape(N, -1)) < margin)

    traces = {name: _stacked(found) for name, found in steps.items() if found}
    logits = logits.reshape(N, -1)
    return Result(logits, np.argmax(logits, axis=1), sops, spikes, taken, traces)


def node_frames(network: Network, inputs: np.ndarray, result: Result) -> dict[str, np.ndarray]:
    """What the input and every node but a head without spikes gives: int64 (N * T, *shape), step by step within each
    sample; a direct input (N, *shape).

    inputs : integers as `run` takes them. result : of `run(network, inputs, trace=True)`: it holds the spikes, from
        which pools and joins are worked out, step by step as joins may form loops.
    """
    N, T = len(inputs), network.time_steps
    before = {node.name: np.zeros((N, *node.shape_out), np.int64) for node in network.nodes}
    before[network.input.name] = np.zeros((N, *network.input.shape), np.int64)
    steps: list[dict[str, np.ndarray]] = []
    for t in range(T):
        now = {network.input.name: inputs if network.input.static else inputs[:, t]}
        for node in network.nodes:
            x = [(before if edge.delay else now)[edge.node] for edge in node.inputs if not node.has_synapses]
            if node.pool is not None:
                now[node.name] = pool2d(x[0], node.pool)
            elif node.join is not None:
                now[node.name] = join(x, node.join)
            else:
                s = result.trace[node.name].s
                if s is not None:
                    now[node.name] = s[:, t]
        steps.append(now)
        before = {**before, **now}
    frames = {n: np.stack([s[n] for s in steps], axis=1).reshape(N * T, *steps[0][n].shape[1:]) for n in steps[0]}
    if network.input.static:
        frames[network.input.name] = inputs
    return frames


def _stacked(steps: list[Trace]) -> Trace:
    """The traces of single steps as one, the steps behind the samples."""

    def stack(key: str) -> np.ndarray | None:
        values = [getattr(step, key) for step in steps]
        return None if values[0] is None else np.stack(values, axis=1)

    k = stack("k")
    assert k is not None
    return Trace(k, stack("s"), stack("u"), stack("j"))
