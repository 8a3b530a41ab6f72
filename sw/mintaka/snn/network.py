"""A spiking network, built from a plain list of layer specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from math import log2
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from mintaka.artifact import Input, Integrator, Signal
from mintaka.artifact.limits import TIME_STEPS
from mintaka.artifact.numbers import batch_shape
from mintaka.errors import is_integer, quoted
from mintaka.snn.errors import LayerError
from mintaka.snn.exact import slope
from mintaka.snn.graph import edges_of, flow, kernel_of
from mintaka.snn.join import Joining
from mintaka.snn.layers import Head, Pooling, Recorder, Spiking
from mintaka.snn.norm import Norm
from mintaka.snn.specs import (
    ConvSpec,
    DenseSpec,
    EdgeSpec,
    JoinSpec,
    NeuronSpec,
    PoolSpec,
    Spec,
    read_of,
)
from mintaka.snn.synapses import Summing, Synapses

LEAST_SHIFT_TARGET = 8
COUNT_SCALE = 10.0  # of a head that counts: neurons that fire at every step and never are told apart with certainty
RECURRENT_SPREAD = 0.3  # a recurrence starts weak: no BatchNorm holds it, and it drives itself


@dataclass
class ForwardRecord:
    """One forward of a batch, for penalties on it: what the layers did, by name, and in training the batch itself.

    emitted : spikes and counts (T, N, ...), of a head that does not spike its sums (N, ...).
    membranes : K / T of spiking layers, see `Spiking.watched`; None where nobody asks for them.
    inputs, labels, logits : what the network was given (augmented, ready for a teacher of the same input), the classes
        (N,), and what came out (N, classes), as `SNN.forward` has them; empty outside of training.
    """

    emitted: dict[str, Tensor] = field(default_factory=dict)
    membranes: dict[str, Tensor] | None = None
    inputs: Tensor = field(default_factory=lambda: torch.empty(0))
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


class SNN(nn.Module):
    """The network in training. It starts in full precision; `quantize` turns it into the integer network.

    Raises LayerError where the specs do not fit to each other.
    """

    def __init__(self, source: Input, time_steps: int, specs: list[Spec], seed: int = 0) -> None:
        super().__init__()
        if not isinstance(source, Input):
            raise LayerError(f"the source of a network must be an Input of mintaka.artifact, got {source!r:.60}")
        if not is_integer(time_steps) or time_steps not in TIME_STEPS:
            raise LayerError(f"time_steps {TIME_STEPS.problem(time_steps)}")
        if not isinstance(specs, list | tuple):
            raise LayerError(f"the layers of a network must be a list of specs, got {quoted(specs)}")
        for spec in specs:
            if not isinstance(spec, Spec):
                raise LayerError(f"a layer must be a DenseSpec, ConvSpec, PoolSpec or JoinSpec, got {quoted(spec)}")
        self.source, self.time_steps, self.specs = source, time_steps, list(specs)
        emitted = flow(source, self.specs)
        self.signals = dict(zip([source.name, *(spec.name for spec in self.specs)], emitted, strict=True))
        self.edges = [edges_of(source, self.specs, index) for index in range(len(self.specs))]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.ModuleList(
                _layer(spec, edges, self.signals) for spec, edges in zip(self.specs, self.edges, strict=True)
            )

    @property
    def head(self) -> Head | Spiking:
        head = self.layers[-1]
        assert isinstance(head, Head | Spiking)
        return head

    @property
    def read(self) -> str:
        """How the logits are read: "accumulate", "count" or "membrane"."""
        spec = self.specs[-1]
        assert isinstance(spec, DenseSpec | ConvSpec)
        return read_of(spec)

    @property
    def recurrent(self) -> bool:
        """A layer reads its own spikes of the step before."""
        return any(isinstance(layer, Spiking) and layer.own is not None for layer in self.layers)

    @property
    def integer(self) -> bool:
        """Whether the forward is the integer network."""
        return self.head.integer

    def quantize(self) -> None:
        """From here on the forward is the integer network: steps start from the weights, statistics anew."""
        for module in self.modules():
            if isinstance(module, Summing):
                module.start()
            elif isinstance(module, Norm):
                module.restart()
        self.set_integer(True)

    def set_integer(self, integer: bool) -> None:
        """Switch between the integer and the full-precision forward, and nothing else."""
        for module in self.modules():
            if isinstance(module, Synapses | Norm | Summing):
                module.integer = integer

    def freeze_norms(self, frozen: bool = True) -> None:
        """Use (and keep) the running statistics in training, too: the forward is then the one of the export."""
        for module in self.modules():
            if isinstance(module, Norm):
                module.frozen = frozen

    def forward(self, x: Tensor, record: Recorder | None = None, seen: ForwardRecord | None = None) -> Tensor:
        """x : (N, *shape) for direct input, (N, T, *shape) otherwise; integers in float32.

        seen : takes what the layers do, with gradients.

        Returns the head's sums over the T steps, its numbers of spikes, or its last K, (N, classes): integer-valued
        logits once quantized.
        Raises LayerError where x is no such batch.
        """
        self._check_batch(x)
        values = {self.source.name: x if self.source.static else x.transpose(0, 1)}
        for spec, edges, layer in zip(self.specs, self.edges, self.layers, strict=True):
            if isinstance(layer, Pooling):
                x = layer(values[edges[0].source])
            elif isinstance(layer, Joining):
                x = layer([_seen(values, edge) for edge in edges])
            else:
                xs = [_seen(values, edge) for edge in edges]
                if seen is not None and seen.membranes is not None and isinstance(layer, Spiking):
                    x, seen.membranes[spec.name] = layer.watched(xs, self.time_steps)
                else:
                    x = layer(xs, self.time_steps, record)
            values[spec.name] = x
        if seen is not None:
            seen.emitted.update((spec.name, values[spec.name]) for spec in self.specs)
        return (x.sum(0) if self.read == "count" else x).flatten(1)

    def _check_batch(self, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise LayerError(f"the batch must be a torch tensor, got {type(x).__name__}")
        shape = (*(() if self.source.static else (self.time_steps,)), *self.source.shape)
        if tuple(x.shape[1:]) != shape or x.ndim != len(shape) + 1:
            raise LayerError(f"the batch must have the shape {batch_shape(shape)}, got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise LayerError(f"the batch must hold integers in float32, got {x.dtype}")

    def scores(self, logits: Tensor) -> Tensor:
        """Logits in the units of the loss: the mean over the steps, times the head's step or, of spikes, a constant.

        Of a membrane it is the mean that its leak weights: divided by the sum of the weights' magnitudes.
        """
        logits, head, steps = logits.to(torch.float32), self.head, self.time_steps
        if isinstance(head, Spiking):
            return logits * (COUNT_SCALE / steps)
        if head.integrator is None:
            return logits * (head.unit() / steps)
        kept = abs(slope(head.integrator.leak))
        return logits * (head.unit() / sum(kept**t for t in range(steps)))


P = ParamSpec("P")
R = TypeVar("R")


def takes_snn(function: Callable[P, R]) -> Callable[P, R]:
    """Of a public function with an argument `snn`: refuse another module, and a network whose layers were replaced.

    The function then raises LayerError before it does anything.
    """
    place = list(signature(function).parameters).index("snn")

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        _check_network(kwargs["snn"] if "snn" in kwargs else args[place])
        return function(*args, **kwargs)

    return checked


def _check_network(snn: object) -> None:
    if not isinstance(snn, SNN):
        kind = type(snn).__name__
        raise LayerError(f"a network of mintaka.snn (SNN) is needed, got {kind}: give its layers as specs")
    for spec, layer in zip(snn.specs, snn.layers, strict=False):
        kinds = {PoolSpec: (Pooling,), JoinSpec: (Joining,)}.get(type(spec), (Spiking, Head))
        if not isinstance(layer, kinds):
            raise LayerError(f"layer '{spec.name}' is a {type(layer).__name__}, which is no layer of mintaka.snn")
    if len(snn.specs) != len(snn.layers):
        raise LayerError(f"the network has {len(snn.layers)} layers, but specs of {len(snn.specs)}")


def _seen(values: dict[str, Tensor], edge: EdgeSpec) -> Tensor:
    """What travels on an edge, (T, N, ...); nothing yet on a recurrence, whose layer is only being computed."""
    if edge.source not in values:
        return torch.empty(0)
    x = values[edge.source]
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]]) if edge.delay else x


def _layer(spec: Spec, edges: tuple[EdgeSpec, ...], signals: dict[str, Signal]) -> nn.Module:
    if isinstance(spec, PoolSpec):
        return Pooling(spec.pool)
    if isinstance(spec, JoinSpec):
        return Joining(spec.kind, [edge.source == spec.name for edge in edges])
    sources = [signals[edge.source] for edge in edges]
    largest = sources[0].magnitude
    synapses = [
        _synapses(spec, edge, source, 1.0 if index == 0 else 2.0 ** round(log2(largest / source.magnitude)))
        for index, (edge, source) in enumerate(zip(edges, sources, strict=True))
    ]
    shifts = [edge.shift for edge in edges]
    neuron = spec.neuron
    if not isinstance(neuron, NeuronSpec):
        return Head(synapses, shifts, neuron)
    own = next((index for index, edge in enumerate(edges) if edge.source == spec.name), None)
    return Spiking(synapses, neuron, shifts, own)


def shift_target(neuron: NeuronSpec | Integrator | None) -> float:
    """The spread that a direct input's currents are brought near to: the stored membrane's range."""
    return float(LEAST_SHIFT_TARGET if neuron is None else max(LEAST_SHIFT_TARGET, 2**neuron.membrane_bits))


def _synapses(spec: DenseSpec | ConvSpec, edge: EdgeSpec, source: Signal, scale: float) -> Synapses:
    spread = RECURRENT_SPREAD if edge.source == spec.name else 1.0
    target = shift_target(spec.neuron)
    if edge.op == "identity":
        one = (source.shape[0],)
        return Synapses(one, source, spec.weight_bits, None, None, target, scale, spread, spec.weight_scale)
    if isinstance(spec, DenseSpec):
        shape, conv = (spec.units, source.size), None
        shift, how = spec.input_shift, spec.weight_scale
        return Synapses(shape, source, spec.weight_bits, conv, shift, target, scale, spread, how)
    kernel, conv = kernel_of(spec, edge)
    shape4 = (spec.channels, source.shape[0] // conv.groups, *kernel)
    shift, how = spec.input_shift, spec.weight_scale
    return Synapses(shape4, source, spec.weight_bits, conv, shift, target, scale, spread, how)
