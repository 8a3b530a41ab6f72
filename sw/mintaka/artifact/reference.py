"""The integer semantics in code: plain numpy, int64, the shortest thing that can be right.

Every other implementation (torch, the fast engine, the RTL, the Verilog) must equal this one bit for bit. It is
written for reading, independently of them. Symbols are those of `docs/semantics.md`: W, x, I, K, T, B, R, V, U, s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mintaka.artifact.checks import check_inputs
from mintaka.artifact.schema import ConvGeometry, Edge, LeakTerm, Network, Neuron, Node, Pool
from mintaka.artifact.signals import signals


@dataclass
class Trace:
    """Every value of one node, int64, shape (N, T, *shape_out): K before firing, spikes s, stored membrane U.

    For the head `k` is the running sum after each step, and `s` and `u` are None.
    """

    k: np.ndarray
    s: np.ndarray | None
    u: np.ndarray | None


@dataclass
class Result:
    """What a run gives: `logits` (N, classes) int64, `classes` (N,) int64, `sops` by node name, each (N,) int64,
    `spikes` by spiking node's name, each (N,) int64 (spikes per sample), `trace` by node name (empty unless asked)."""

    logits: np.ndarray
    classes: np.ndarray
    sops: dict[str, np.ndarray]
    spikes: dict[str, np.ndarray]
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


def current(edge: Edge, node: Node, x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """The sum over synapses of W * x of one edge: (N, *shape_out). `dense` reads its source in C order."""
    if node.op == "conv2d":
        assert edge.conv is not None
        return conv2d(x, W, edge.conv)
    return dense(x.reshape(len(x), -1), W)


def leaked(V: np.ndarray, leak: tuple[LeakTerm, ...]) -> np.ndarray:
    """The sum of the leak's terms; `>>` on int64 is the arithmetic shift (floor)."""
    U = np.zeros_like(V)
    for term in leak:
        U += term.sign * (V >> term.shift)
    return U


def fire(K: np.ndarray, neuron: Neuron) -> tuple[np.ndarray, np.ndarray]:
    """One step of LIF neurons from K (N, C, ...): the spikes and the membrane to store, both int64."""
    s = (per_channel(neuron.threshold.values, K) < K).astype(np.int64)
    after = np.zeros_like(K) if neuron.reset_by is None else K - per_channel(neuron.reset_by.values, K)
    V = np.where(s == 1, after, K)
    Qu = neuron.membrane_max
    return s, np.clip(leaked(V, neuron.leak), -Qu, Qu)


def per_channel(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """(C,) -> (1, C, 1, ...), to meet an array (N, C, ...)."""
    return values.astype(np.int64).reshape(1, -1, *[1] * (like.ndim - 2))


def run(network: Network, inputs: np.ndarray, *, trace: bool = False) -> Result:
    """Run a batch.

    inputs : uint8 (up to 8 bits) or uint16, (N, *shape) for direct input, (N, T, *shape) otherwise.

    Raises ArtifactError where `inputs` is no batch for `network`.
    """
    check_inputs(network, inputs)
    N, T = len(inputs), network.time_steps
    x_all = inputs.astype(np.int64)
    signal = signals(network)
    zeros = {n.name: np.zeros((N, *n.shape_out), np.int64) for n in network.nodes}
    membrane = {n.name: zeros[n.name] for n in network.nodes if n.neuron is not None}
    before = {network.input.name: np.zeros((N, *network.input.shape), np.int64), **zeros}
    total = zeros[network.output.node]
    sops = {n.name: np.zeros(N, np.int64) for n in network.nodes if n.op != "pool2d"}
    spikes = {name: np.zeros(N, np.int64) for name in membrane}
    steps: dict[str, list[tuple[np.ndarray, ...]]] = {n.name: [] for n in network.nodes}

    for t in range(T):
        now = {network.input.name: x_all if network.input.static else x_all[:, t]}
        for node in network.nodes:
            if node.pool is not None:
                edge = node.inputs[0]
                now[node.name] = pool2d((before if edge.delay else now)[edge.node], node.pool)
                continue
            K = np.zeros((N, *node.shape_out), np.int64)  # becomes U + I + B
            for edge in node.inputs:
                assert edge.weight is not None
                x = (before if edge.delay else now)[edge.node]
                W = edge.weight.values.astype(np.int64)
                K += (current(edge, node, x, W) >> edge.input_shift) << edge.shift
                if t == 0 or not signal[edge.node].static:
                    operations = signal[edge.node].operations(x)
                    used = current(edge, node, operations, (W != 0).astype(np.int64))
                    sops[node.name] += used.reshape(N, -1).sum(1)
            if node.bias is not None:
                K += per_channel(node.bias.values, K)
            if node.neuron is None:
                total = total + K
                if trace:
                    steps[node.name].append((total,))
                continue
            K += membrane[node.name]
            now[node.name], membrane[node.name] = fire(K, node.neuron)
            spikes[node.name] += now[node.name].reshape(N, -1).sum(1)
            if trace:
                steps[node.name].append((K, now[node.name], membrane[node.name]))
        before = now

    logits = total.reshape(N, -1)
    traces = {}
    for name, values in steps.items():
        if values:
            stacked = [np.stack(v, axis=1) for v in zip(*values, strict=True)]
            traces[name] = Trace(stacked[0], *(stacked[1:] or (None, None)))
    return Result(logits, np.argmax(logits, axis=1), sops, spikes, traces)
