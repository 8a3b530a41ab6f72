"""What the Python API refuses at its door: fields, batches and modules of other kinds, and networks without end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import mintaka.compress as compress
from mintaka.artifact import ConvGeometry, Input, LeakTerm, Pool, SynapticCurrent
from mintaka.compress import METHODS, Target, Task, apply
from mintaka.snn import (
    SNN,
    ConvSpec,
    DenseSpec,
    EdgeSpec,
    JoinSpec,
    LayerError,
    NeuronSpec,
    PoolSpec,
    parse_leak,
    to_artifact,
)

HALF = parse_leak("V>>1")
NEURON = NeuronSpec(4, HALF, "zero")
GEOMETRY = ConvGeometry((1, 1), (0, 0), 1)
SPIKES = Input("input", (12,), "spikes", 1)
PICTURE = Input("input", (2, 8, 8), "direct", 4)


def network(source: Input = SPIKES, steps: int = 3) -> SNN:
    return SNN(source, steps, [DenseSpec("hidden", 9, 4, NEURON), DenseSpec("out", 4, 4, None)])


FIELDS: list[tuple[Callable[[], object], str]] = [
    (lambda: NeuronSpec(4, 0.9, "zero"), "NeuronSpec: leak must be terms as parse_leak('V>>1') gives them, got 0.9"),
    (lambda: NeuronSpec(4, "V>>1", "zero"), "NeuronSpec: leak must be terms"),
    (lambda: NeuronSpec(4, (0.5,), "zero"), "NeuronSpec: leak must be terms"),
    (lambda: NeuronSpec(4.5, HALF, "zero"), "NeuronSpec: membrane_bits must be an integer, got 4.5"),
    (lambda: NeuronSpec(True, HALF, "zero"), "NeuronSpec: membrane_bits must be an integer, got True"),
    (lambda: NeuronSpec(4, HALF, 0), "NeuronSpec: reset must be a text, got 0"),
    (lambda: NeuronSpec(4, HALF, "zero", None), "NeuronSpec: refractory must be an integer, got None"),
    (lambda: NeuronSpec(4, HALF, "zero", 0, 4), "NeuronSpec: current must be a SynapticCurrent or None, got 4"),
    (lambda: DenseSpec("a", "9", 4, NEURON), "DenseSpec: units must be an integer, got '9'"),
    (lambda: DenseSpec("a", 9, 4, nn.ReLU()), "DenseSpec: neuron must be a NeuronSpec, an Integrator or None"),
    (lambda: DenseSpec("a", 9, 4, NEURON, edges=["input"]), "DenseSpec: edges must be a tuple of EdgeSpec, or None"),
    (lambda: DenseSpec("a", 9, 4, NEURON, edges=("input",)), "DenseSpec: edges must be a tuple of EdgeSpec, or None"),
    (lambda: DenseSpec(3, 9, 4, NEURON), "DenseSpec: name must be a text, got 3"),
    (lambda: ConvSpec("a", 9, 3, GEOMETRY, 4, NEURON), "ConvSpec: kernel must be a pair of integers, (vertical, horiz"),
    (lambda: ConvSpec("a", 9, (3, 3.0), GEOMETRY, 4, NEURON), "ConvSpec: kernel must be a pair of integers"),
    (lambda: ConvSpec("a", 9, (3, 3), None, 4, NEURON), "ConvSpec: geometry must be a ConvGeometry, got None"),
    (lambda: PoolSpec("a", (2, 2)), "PoolSpec: pool must be a Pool, got (2, 2)"),
    (lambda: JoinSpec("a", "or", ("b", "c")), "JoinSpec: edges must be a tuple of EdgeSpec, got ('b', 'c')"),
    (lambda: EdgeSpec("a", 0.5), "EdgeSpec: delay must be an integer, got 0.5"),
    (lambda: EdgeSpec("a", kernel=3), "EdgeSpec: kernel must be a pair"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "sentence"), FIELDS, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_fields_of_other_kinds(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(LayerError, match=re.escape(sentence)):
        make()


def test_integers_of_numpy_are_integers() -> None:
    neuron = NeuronSpec(np.int64(4), (LeakTerm(1, 1),), "zero", current=SynapticCurrent(HALF, 4))
    SNN(SPIKES, np.int32(3), [DenseSpec("hidden", np.uint8(9), np.int8(4), neuron), DenseSpec("out", 4, 4, None)])


def conv(geometry: ConvGeometry = GEOMETRY, channels: int = 3, kernel: tuple[int, int] = (3, 3)) -> list[Any]:
    return [ConvSpec("conv", channels, kernel, geometry, 4, NEURON), DenseSpec("out", 4, 4, None)]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SNN("input", 3, conv()), "the source of a network must be an Input of mintaka.artifact, got 'input'"),
        (lambda: SNN(SPIKES, 4, [nn.Linear(2, 3)]), "a layer must be a DenseSpec, ConvSpec, PoolSpec or JoinSpec"),
        (lambda: SNN(SPIKES, 4, None), "the layers of a network must be a list of specs, got None"),
        (lambda: network()(np.zeros((3, 12))), "the batch must be a torch tensor, got ndarray"),
        (lambda: SNN(PICTURE, 0, conv()), "time_steps must be 1 to 1,024, got 0"),
        (lambda: SNN(PICTURE, 10**9, conv()), "time_steps must be 1 to 1,024, got 1,000,000,000"),
        (lambda: SNN(PICTURE, 2.0, conv()), "time_steps must be an integer, 1 to 1,024, got 2.0"),
        (lambda: SNN(PICTURE, 3, conv(ConvGeometry((0, 1), (0, 0), 1))), "stride and groups must be integers from 1"),
        (lambda: SNN(PICTURE, 3, conv(ConvGeometry((1, 1), (0, 0), 0))), "stride and groups must be integers from 1"),
        (lambda: SNN(PICTURE, 3, conv(ConvGeometry((1, 1.5), (0, 0), 1))), "stride and groups must be integers from 1"),
        (
            lambda: SNN(
                Input("input", (2, 8, 8), "spikes", 1), 3,
                [PoolSpec("p", Pool("max", (2, 0), (2, 2))), DenseSpec("out", 4, 4, None)],
            ),
            "layer 'p': kernel and stride of a pool must be integers from 1, got (2, 0)",
        ),
        (
            lambda: SNN(
                Input("input", (2, 8, 8), "spikes", 1), 3,
                [PoolSpec("p", Pool("mean", (2, 2), (2, 2))), DenseSpec("out", 4, 4, None)],
            ),
            "layer 'p': the pool's kind must be one of max, sum, got 'mean'",
        ),
        (
            lambda: SNN(SPIKES, 3, [DenseSpec("hidden", 10**11, 4, NEURON), DenseSpec("out", 4, 4, None)]),
            "layer 'hidden': the number of elements must be 1 to 4,194,304, got 100,000,000,000",
        ),
        (
            lambda: SNN(SPIKES, 3, [DenseSpec("l0", 10**5, 4, NEURON), DenseSpec("l1", 10**5, 4, NEURON)]),
            "layer 'l1' has 10,000,000,000 weights; an artifact holds at most 268,435,456",
        ),
        (
            lambda: SNN(Input("input", (2, 2000, 2000), "spikes", 1), 3, conv(channels=1, kernel=(64, 64))),
            "layer 'conv': the number of connections per time step up to here must be 0 to 4,294,967,296, got 30,736,",
        ),
    ],
)  # fmt: skip
def test_networks_that_cannot_be(make: Callable[[], object], sentence: str) -> None:
    """Before a tensor of that size exists."""
    with pytest.raises(LayerError, match=re.escape(sentence)):
        make()


@pytest.mark.parametrize(
    ("shape", "source"),
    [
        ((5, 3, 11), SPIKES), ((5, 2, 12), SPIKES), ((5, 12), SPIKES), ((3, 12), SPIKES), ((), SPIKES),
        ((5, 3, 2, 8, 8), PICTURE), ((5, 2, 8, 7), PICTURE), ((5, 128), PICTURE),
    ],
)  # fmt: skip
def test_batches_of_other_shapes(shape: tuple[int, ...], source: Input) -> None:
    snn = network(source)
    sample = ((3,) if source is SPIKES else ()) + source.shape
    wanted = f"(N, {', '.join(map(str, sample))})"
    with pytest.raises(LayerError, match=re.escape(f"the batch must have the shape {wanted}, got {shape}")):
        snn(torch.zeros(shape))


def test_batches_of_integers() -> None:
    with pytest.raises(LayerError, match=r"the batch must hold integers in float32, got torch\.int64"):
        network()(torch.zeros((5, 3, 12), dtype=torch.int64))


FOREIGN = nn.Sequential(nn.Linear(12, 4))
TARGET = Target(0.5)
CALLS: dict[str, Callable[[Any], object]] = {
    "to_artifact": lambda snn: to_artifact(snn, "name"),
    "apply": lambda snn: apply(
        METHODS["slim"].model_validate({"method": "slim", "remove": 0.5, "epochs": 1, "sparse_epochs": 1}),
        snn,
        Task(lambda _: iter(()), 0),
    ),
    "binarize": compress.binarize,
    "choose": lambda snn: compress.choose(snn, {}, TARGET),
    "cut_channels": lambda snn: compress.cut_channels(snn, {}),
    "families": compress.families,
    "mask_channels": lambda snn: compress.mask_channels(snn=snn, keep={}),
    "prune_inactive": lambda snn: compress.prune_inactive(snn, TARGET, []),
    "prune_random": lambda snn: compress.prune_random(snn, TARGET, 1),
    "search_widths": lambda snn: compress.search_widths(snn, None, None, None),  # type: ignore[arg-type]
    "share_weights": lambda snn: compress.share_weights(snn, 2),
    "slim": lambda snn: compress.slim(snn, TARGET),
    "small": lambda snn: compress.small(snn, {}, 1),
    "with_steps": lambda snn: compress.with_steps(snn, 1),
    "with_widths": lambda snn: compress.with_widths(snn, {}),
    "zero_share": compress.zero_share,
}


def test_every_function_that_takes_a_network_is_here() -> None:
    """Those of the package `compress`, by their first parameter."""
    from inspect import isfunction, signature

    found = {name for name in compress.__all__ if isfunction(getattr(compress, name))}
    takes = {name for name in found if "snn" in signature(getattr(compress, name)).parameters}
    assert takes == CALLS.keys() - {"to_artifact"}


@pytest.mark.parametrize("name", CALLS)
def test_foreign_modules(name: str) -> None:
    for foreign, kind in ((FOREIGN, "Sequential"), (None, "NoneType"), (SNN, "type")):
        with pytest.raises(LayerError, match=rf"a network of mintaka\.snn \(SNN\) is needed, got {kind}: give its"):
            CALLS[name](foreign)
    mixed = network()
    mixed.layers[0] = nn.ReLU()
    with pytest.raises(LayerError, match=r"layer 'hidden' is a ReLU, which is no layer of mintaka\.snn"):
        CALLS[name](mixed)
    longer = network()
    longer.layers.append(nn.ReLU())
    with pytest.raises(LayerError, match="the network has 3 layers, but specs of 2"):
        CALLS[name](longer)
