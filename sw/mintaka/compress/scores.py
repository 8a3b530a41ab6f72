"""What a channel is worth: measures of the network as it is, per spiking layer (C,), float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mintaka.compress.errors import CompressError
from mintaka.snn.layers import Spiking
from mintaka.snn.network import SNN, ForwardRecord

EMPTY = "the data set is empty"
Samples = Iterable[tuple[Tensor, Tensor]]
"""Batches of (input, classes)."""


def spiking_layers(snn: SNN) -> dict[str, Spiking]:
    """By name, the head apart."""
    pairs = zip(snn.specs[:-1], list(snn.layers)[:-1], strict=True)
    return {spec.name: layer for spec, layer in pairs if isinstance(layer, Spiking)}


@contextmanager
def evaluating(snn: SNN) -> Iterator[None]:
    """In eval mode, afterwards in the mode of before."""
    before = snn.training
    snn.eval()
    try:
        yield
    finally:
        snn.train(before)


def gamma_scores(snn: SNN) -> dict[str, Tensor]:
    """|gamma| times the spread of the spike that gamma and beta promise.

    The neuron sees gamma z + beta against a threshold of 1, with z of mean 0 and variance 1 (the BatchNorm's output).
    Were z normal, one step would spike with p = Phi((beta - 1) / |gamma|), so its spike has the standard deviation
    sqrt(p (1 - p)). Where gamma is near 0, the channel is constant, silent or firing by its beta alone; where beta is
    far below the threshold, a large gamma changes nothing: both score low.
    """
    found = {}
    for name, layer in spiking_layers(snn).items():
        gamma, beta = layer.norm.gamma.detach().double().abs(), layer.norm.beta.detach().double()
        p = torch.special.ndtr((beta - 1) / gamma.clamp(min=1e-12))
        found[name] = gamma * 2 * torch.sqrt(p * (1 - p))
    return found


def random_scores(snn: SNN, seed: int) -> dict[str, Tensor]:
    """Uniform numbers: the control that every score has to beat."""
    rng = np.random.default_rng(seed)
    layers = spiking_layers(snn).items()
    return {name: torch.from_numpy(rng.random(len(layer.norm.gamma))) for name, layer in layers}


def firing_rates(snn: SNN, batches: Samples, *, head: bool = False) -> dict[str, Tensor]:
    """Spikes per neuron and step, averaged over samples, steps and positions: exact counts, divided once.

    head : of the head, too, where it counts its spikes.

    Raises CompressError where there is no sample.
    """
    names = [*spiking_layers(snn), *([snn.specs[-1].name] if head and isinstance(snn.head, Spiking) else [])]
    counts: dict[str, Tensor] = {name: torch.zeros(()) for name in names}
    chances = dict.fromkeys(counts, 0)
    with evaluating(snn), torch.no_grad():
        for x, _ in batches:
            seen = ForwardRecord()
            snn(x, seen=seen)
            for name in counts:
                s = seen.emitted[name]
                counts[name] = counts[name] + s.sum([0, 1, *range(3, s.ndim)], dtype=torch.float64)
                chances[name] += s.numel() // s.shape[2]
    if not all(chances.values()):
        raise CompressError(f"there are no samples to measure firing rates on: {EMPTY}")
    return {name: count / chances[name] for name, count in counts.items()}


class _Returning(torch.autograd.Function):
    """Spikes of masked channels are 0, but their gradients flow as if they were not."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG004
        return s * mask.reshape(-1, *[1] * (s.ndim - 3))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grads[0], None


def _returning(s: Tensor, mask: Tensor) -> Tensor:
    out: Tensor = _Returning.apply(s, mask)  # type: ignore[no-untyped-call]
    return out


def regrowth_scores(snn: SNN, batches: Samples) -> dict[str, Tensor]:
    """|dL/dgamma| of the network as it is masked, for masked channels as if only their spikes were held back.

    (In a layer that reads itself, masked channels reach the others through the recurrence here.)

    Raises CompressError where there is no sample.
    """
    layers = spiking_layers(snn)
    total = {name: torch.zeros(len(layer.norm.gamma), dtype=torch.float64) for name, layer in layers.items()}
    masks = {name: layer.mask for name, layer in layers.items()}
    hooks = []
    for layer in layers.values():
        if layer.mask is not None:
            mask = layer.mask
            hooks.append(layer.register_forward_hook(lambda _, __, s, mask=mask: _returning(s, mask)))
            layer.mask = None
    gammas, number = [layer.norm.gamma for layer in layers.values()], 0
    try:
        with evaluating(snn):
            for x, y in batches:
                number += len(x)
                loss = F.cross_entropy(snn.scores(snn(x)), y, reduction="sum")
                for name, grad in zip(layers, torch.autograd.grad(loss, gammas), strict=True):
                    total[name] += grad.double()
    finally:
        for hook in hooks:
            hook.remove()
        for name, layer in layers.items():
            layer.mask = masks[name]
    if not number:
        raise CompressError(f"there are no samples to measure gradients on: {EMPTY}")
    return {name: value.abs() for name, value in total.items()}


def pca_widths(snn: SNN, batches: Samples, variance: float) -> dict[str, int]:
    """How many principal components of each spiking layer's membranes hold this share of their variance.

    A sample of the analysis is the K of all channels, averaged over the steps, at one position of one picture.

    Raises CompressError where there is no sample.
    """
    names = list(spiking_layers(snn))
    sums = {name: torch.zeros(()) for name in names}
    squares, number = dict(sums), dict.fromkeys(names, 0)
    summing = [spec.name for spec, layer in zip(snn.specs, snn.layers, strict=True) if hasattr(layer, "synapses")]
    with evaluating(snn), torch.no_grad():
        for x, _ in batches:
            record: list[Any] = []
            snn(x, record)
            for name, scan in zip(summing, record, strict=True):
                if name in sums:
                    K = scan.k.double().mean(0).flatten(2) if scan.k.ndim > 3 else scan.k.double().mean(0)[..., None]
                    K = K.transpose(1, 2).flatten(0, 1)
                    sums[name] = sums[name] + K.sum(0)
                    squares[name] = squares[name] + K.T @ K
                    number[name] += len(K)
    if not all(number.values()):
        raise CompressError(f"there are no samples to find principal components of: {EMPTY}")
    widths = {}
    for name in names:
        mean = sums[name] / number[name]
        spectrum = torch.linalg.eigvalsh(squares[name] / number[name] - torch.outer(mean, mean)).clamp(min=0).flip(0)
        whole = float(spectrum.sum())
        held = spectrum.cumsum(0) / whole if whole > 0 else torch.ones(1)
        widths[name] = 1 + int((held < variance).sum())
    return {name: min(width, len(sums[name])) for name, width in widths.items()}
