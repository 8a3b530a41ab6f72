"""The networks and the data that the benchmark measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.parts.store import ROOT
from mintaka.artifact import Input, Network, load
from mintaka.compress import share_weights
from mintaka.data import load_dataset
from mintaka.snn import SNN, DenseSpec, NeuronSpec, Spec, parse_leak, to_artifact
from mintaka.train import load_recipe
from mintaka.train.loop import build

INPUTS, CLASSES = 784, 10
PIXEL_BITS = 8
LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Shape:
    """784-`hidden`-10 with `steps` time steps, `bits` of weights and membranes; `places`: of those in codebooks."""

    kind: str  # "rate": spikes, each step other ones; "direct": pixels of 8 bits, the same at every step
    hidden: int = 128
    steps: int = 8
    bits: int = 4
    places: int | None = None


@dataclass(frozen=True)
class Images:
    """x uint8 (N, 784), y int64 (N,); `about` says what they are."""

    x: np.ndarray
    y: np.ndarray
    about: str


def images(data: str, root: Path | None, count: int) -> Images:
    """The first training images of MNIST, or ("made") random ones with as many pixels set.

    Raises DataError where MNIST is not there.
    """
    if data == "made":
        rng = np.random.default_rng(0)
        x = (rng.integers(0, 256, (count, INPUTS)) * (rng.random((count, INPUTS)) < 0.2)).astype(np.uint8)
        return Images(x, rng.integers(0, CLASSES, count), "random pixels")
    found = load_dataset(data, root)
    x = np.array(found.train_x[:count].reshape(-1, INPUTS))
    return Images(x, found.train_y[:count].astype(np.int64), found.name.upper())


def encoded(shape: Shape, x: np.ndarray, seed: int = 0) -> np.ndarray:
    """As the network wants them, uint8: (N, 784), or spikes (N, T, 784) with the pixels as probabilities."""
    if shape.kind == "direct":
        return x
    rng = np.random.default_rng(seed)
    return (rng.random((len(x), shape.steps, INPUTS), np.float32) * 255 < x[:, None]).astype(np.uint8)


def dense_lanes(hidden: int) -> dict[str, int]:
    """Lanes of 784-128-10: the head's are few, but enough to keep pace with the hidden layer's."""
    return {"hidden": hidden, "output": max(1, hidden // 32)}


def untrained(shape: Shape) -> SNN:
    """The quantized network before its first batch."""
    source = Input("input", (INPUTS,), *(("spikes", 1) if shape.kind == "rate" else ("direct", PIXEL_BITS)))
    neuron = NeuronSpec(shape.bits, parse_leak("V>>1"), "zero")
    specs: list[Spec] = [
        DenseSpec("hidden", shape.hidden, shape.bits, neuron),
        DenseSpec("output", CLASSES, shape.bits, None),
    ]
    snn = SNN(source, shape.steps, specs, seed=1)
    snn.quantize()
    return snn


def training_step(snn: SNN, optimizer: torch.optim.Adam, x: Tensor, y: Tensor) -> None:
    """One update, as the recipes' training does it."""
    loss = F.cross_entropy(snn.scores(snn(x)), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def adam(module: torch.nn.Module) -> torch.optim.Adam:
    """The optimizer of the recipes' training."""
    return torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, fused=True)


def batches(shape: Shape, given: Images, batch: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`count` batches in float32, from the beginning again where the images run out."""
    whole = len(given.x) // batch
    for index in range(count):
        part = slice(index % whole * batch, (index % whole + 1) * batch)
        yield torch.from_numpy(encoded(shape, given.x[part], index)).float(), torch.from_numpy(given.y[part])


def trained(shape: Shape, given: Images, batch: int, steps: int) -> Network:
    """The artifact after some steps of quantization-aware training: weights and rates as a network has them."""
    snn = untrained(shape).train()
    optimizer = adam(snn)
    for x, y in batches(shape, given, batch, max(1, steps)):
        training_step(snn, optimizer, x, y)
    if shape.places is not None:
        share_weights(snn, shape.places)
    return to_artifact(snn.eval(), f"784-{shape.hidden}-10")


def convolutional(path: Path, root: Path | None) -> tuple[Network, np.ndarray, str]:
    """The conv net, test images for it, and what it is: a trained artifact, or the untrained net of its recipe."""
    recipe = load_recipe(ROOT / "recipes" / "mnist-conv.toml")
    dataset = load_dataset(recipe.dataset, root)
    if path.is_file():
        network = load(path)
        return network, dataset.test_x, f"`{network.name}`, trained"
    snn = build(recipe, dataset).train()
    snn.quantize()
    snn(torch.from_numpy(dataset.train_x[:256].astype(np.float32)))
    about = f"`{recipe.name}`, not trained (normalised on one batch)"
    return to_artifact(snn.eval(), recipe.name), dataset.test_x, about
