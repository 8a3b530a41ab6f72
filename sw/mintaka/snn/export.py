"""From the trained network to the artifact: a transcription, for the forward computes with these integers already."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mintaka.artifact import (
    ArtifactError,
    Edge,
    Interval,
    IntTensor,
    Network,
    Neuron,
    Node,
    Output,
    check,
)
from mintaka.artifact.document import storage_dtype
from mintaka.snn.errors import LayerError
from mintaka.snn.layers import Head, Spiking
from mintaka.snn.network import SNN, takes_snn
from mintaka.snn.specs import EdgeSpec, JoinSpec, PoolSpec
from mintaka.snn.staircase import boundaries
from mintaka.snn.synapses import UNCHOSEN, Summing


@takes_snn
def to_artifact(snn: SNN, name: str, provenance: dict[str, Any] | None = None) -> Network:
    """The integer network as an artifact, checked.

    Raises LayerError naming the layer where the network is not quantized, has seen no data, holds a value that is not
    finite, or needs numbers beyond the contract (its accumulators and widths).
    """
    nodes = []
    for spec, reads, layer in zip(snn.specs, snn.edges, snn.layers, strict=True):
        where = f"layer '{spec.name}'"
        shapes = (snn.signals[reads[0].source].shape, snn.signals[spec.name].shape)
        if isinstance(spec, JoinSpec):
            joined = tuple(Edge(read.source, read.delay) for read in reads)
            nodes.append(Node(spec.name, "join", joined, *shapes, join=spec.kind))
        elif isinstance(spec, PoolSpec):
            nodes.append(Node(spec.name, "pool2d", (Edge(reads[0].source, 0),), *shapes, pool=spec.pool))
        else:
            assert isinstance(layer, Spiking | Head)
            _check_ready(layer, where)
            if isinstance(layer, Spiking):
                bias, neuron = _neuron(layer)
                edges = _edges(layer, reads, layer.norm.sign())
                codebook = _codebook(layer, edges)
                nodes.append(Node(spec.name, spec.op, edges, *shapes, bias=bias, neuron=neuron, codebook=codebook))
            else:
                bias, edges = _tensor(layer.folded_bias()), _edges(layer, reads, None)
                li, codebook = layer.integrator, _codebook(layer, edges)
                nodes.append(Node(spec.name, spec.op, edges, *shapes, bias=bias, integrator=li, codebook=codebook))
    output = Output(snn.specs[-1].name, snn.read)
    network = Network(name, snn.time_steps, snn.source, tuple(nodes), output, dict(provenance or {}))
    try:
        check(network)
    except ArtifactError as error:
        raise LayerError(f"the network cannot be exported: {error}") from None
    return network


def _check_ready(layer: Spiking | Head, where: str) -> None:
    if not layer.integer:
        raise LayerError(f"{where} is in full precision; only a quantized network can be exported")
    if isinstance(layer, Spiking) and layer.mask is not None:
        raise LayerError(f"{where} has masked channels, which no artifact can say: cut them off first")
    if any(edge.rule is not None for edge in layer.edges):
        raise LayerError(f"{where} is in the middle of a compression method, whose end makes its weights final")
    for key, value in layer.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise LayerError(f"{where} holds a value in '{key}' that is not finite: the training diverged")
    if int(layer.synapses.input_shift) == UNCHOSEN:
        raise LayerError(f"{where} has not seen a batch yet, so its input_shift is not chosen")
    if isinstance(layer, Spiking) and int(layer.norm.batches) == 0:
        raise LayerError(f"{where} has not seen a batch yet, so its BatchNorm has no statistics")


def _edges(layer: Summing, reads: tuple[EdgeSpec, ...], sign: Tensor | None) -> tuple[Edge, ...]:
    edges = []
    for index, (read, synapses) in enumerate(zip(reads, layer.edges, strict=True)):
        W = IntTensor(layer.integers(index, sign).numpy().astype(np.int8), synapses.quantizer.bits)
        shifts = int(synapses.input_shift), layer.shift(index)
        edges.append(Edge(read.source, read.delay, W, *shifts, conv=synapses.conv, op=read.op))
    return tuple(edges)


def _codebook(layer: Summing, edges: tuple[Edge, ...]) -> tuple[int, ...] | None:
    """Of a layer that shares its weights: the integers that they are. Entries of one integer have become one."""
    if layer.codebook is None:
        return None
    return tuple(sorted({int(w) for edge in edges if edge.weight is not None for w in np.unique(edge.weight.values)}))


def _neuron(layer: Spiking) -> tuple[IntTensor, Neuron]:
    folded = layer.norm.folded()
    spec = layer.neuron
    reset_by = _tensor(folded.reset_by) if spec.reset == "subtract" else None
    leak, stairs = spec.leak, None
    if spec.membrane_rule == "mint":
        leak, stairs = (), _tensor(boundaries(folded.gain, layer.lif.slope, layer.lif.membrane_max))
    leaks = leak, spec.membrane_bits, spec.refractory, spec.current, stairs
    return _tensor(folded.bias), Neuron(_tensor(folded.threshold), ">", spec.reset, reset_by, *leaks)


def _tensor(values: Tensor) -> IntTensor:
    """Integer-valued float64 values in the smallest width that holds them."""
    integers = values.detach().to(torch.int64).numpy()
    bits = Interval(int(integers.min()), int(integers.max())).signed_bits
    return IntTensor(integers.astype(storage_dtype(bits)), bits)
