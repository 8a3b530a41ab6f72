"""Weight sharing (ST-Quant: Chowdhury et al. 2021): a layer's weights take the few values that k-means finds.

    w = c[place],   place = the nearest of k = 2^bits centroids,   then c learns by the summed gradients of its members:
    dL/dc_j = sum over the weights with place j of dL/dw

The places stay as they are; the centroids are integers of the layer's weight grid in every forward (straight-through).

What it saves in hardware: the weight memory holds `bits` bits per weight instead of `weight_bits`, and the lanes add
values of up to 8 bits all the same. What it costs: the codebook, as a table of gates in every lane (k entries), and
accumulators for wider weights.

It comes last: a method that changes single weights finds none to change in a layer that shares them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import AfterValidator, Field
from sklearn.cluster import KMeans

from mintaka.artifact.limits import CODEBOOK_BITS
from mintaka.compress.errors import CompressError
from mintaka.compress.method import Method
from mintaka.snn.codebook import Codebook
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.layers import Spiking
from mintaka.snn.network import SNN, takes_snn
from mintaka.snn.synapses import UNCHOSEN, Summing

RESTARTS = 4


def check_sharing(snn: SNN, bits: int | Mapping[str, int]) -> dict[str, int]:
    """Bits of a place by layer, as they are asked for. It needs no training, so it can be asked before.

    Raises CompressError naming the layer where there is none of that name, it shares its weights already, or such a
    codebook is too large for its width or too small for weights beside its zeros.
    """
    layers = sharing_layers(snn)
    asked = dict.fromkeys(layers, bits) if isinstance(bits, int) else dict(bits)
    for name, number in asked.items():
        if name not in layers:
            raise CompressError(
                f"there is no layer '{name}' whose weights could be shared; there are {', '.join(layers)}"
            )
        if layers[name].codebook is not None:
            raise CompressError(f"layer '{name}' shares its weights already")
        width = layers[name].synapses.quantizer.bits
        if number < 1:
            raise CompressError(f"layer '{name}': the bits of a codebook must be at least 1, got {number}")
        if number >= width:
            values = 2 if width == 1 else 2**width - 1
            what = f"weights of {width} {'bit' if width == 1 else 'bits'} have {values} values"
            advice = "give it wider weights" + (f", or a codebook of at most {width - 1} bits" if width > 1 else "")
            raise CompressError(f"layer '{name}': {what}, so a codebook of {number} bits saves nothing: {advice}")
        if number == 1 and any(edge.mask is not None for edge in layers[name].edges):
            wider = " of weights of 3 bits or more" if width == 2 else ""
            raise CompressError(
                f"layer '{name}' has weights that are 0, so a codebook of 1 bit leaves the others one value: give it a "
                f"codebook of 2 bits or more{wider}"
            )
    return asked


def check_unshared(snn: SNN, layers: Collection[str] | None = None) -> None:
    """Raise CompressError where one of these layers (None: of all) shares its weights, for methods that change single
    weights or begin with fresh ones."""
    for name, layer in sharing_layers(snn).items():
        if layer.codebook is not None and (layers is None or name in layers):
            raise CompressError(f"layer '{name}' shares its weights: put this method before 'share'")


def sharing_layers(snn: SNN) -> dict[str, Summing]:
    """All layers with weights, by name."""
    pairs = zip(snn.specs, snn.layers, strict=True)
    return {spec.name: layer for spec, layer in pairs if isinstance(layer, Summing)}


@takes_snn
def share_weights(snn: SNN, bits: int | Mapping[str, int], seed: int = 0) -> SNN:
    """Share the weights of a quantized network in place, and return it; train on to fine-tune the centroids.

    bits : of a place (at most 2^bits integers per layer), for all layers or by name (others keep what they have).
        Weights that are exactly 0 (pruned) stay so, in an entry of their own.
    seed : of k-means.

    Raises CompressError as `check_sharing`, and where a layer is in full precision or its edges are not aligned yet.
    """
    asked, layers = check_sharing(snn, bits), sharing_layers(snn)
    for name in asked:
        if not layers[name].integer:
            raise CompressError(f"layer '{name}' is in full precision; quantize the network before it shares weights")
        if layers[name].aligned and int(layers[name].shifts[0]) == UNCHOSEN:
            raise CompressError(f"layer '{name}' has not seen a batch since it was quantized: train before sharing")
    for name, number in asked.items():
        layers[name].codebook = codebook_of(layers[name], 2**number, seed)
    return snn


def check_values(snn: SNN) -> None:
    """Raise CompressError where all values of a codebook are 0: nothing would come through that layer."""
    for name, layer in sharing_layers(snn).items():
        code = layer.code()
        if code is not None and not code.any():
            raise CompressError(
                f"layer '{name}': all values of its codebook would be 0; give it more bits there, or wider weights"
            )


def codebook_of(layer: Summing, most: int, seed: int) -> Codebook:
    """At most `most` entries for the weights that `layer` would export now; all its edges count alike."""
    quantizer = layer.synapses.quantizer
    with torch.no_grad():
        unit = quantizer.step(layer.synapses.weight)
        flips = layer.norm.sign() if isinstance(layer, Spiking) else None
        weights = []
        for index, edge in enumerate(layer.edges):
            step = layer.step(index)
            weights.append(edge.on_grid(None if index == layer.own else flips, unit if step is None else step))
    values = np.concatenate([W.double().numpy().ravel() for W in weights])
    zero = values == 0
    pruned = bool(zero.any())
    centres, nearest = cluster(values[~zero], most - pruned, seed)
    places = np.zeros(values.size, np.int64)  # entry 0 is the one that stays 0
    places[~zero] = nearest + pruned
    centroids = torch.from_numpy(np.concatenate([np.zeros(int(pruned)), centres])).float() * unit
    trained = torch.arange(len(centroids)) >= int(pruned)
    ends = np.cumsum([W.numel() for W in weights])[:-1]
    shaped = [torch.from_numpy(p).reshape(W.shape) for p, W in zip(np.split(places, ends), weights, strict=True)]
    return Codebook(centroids, trained, shaped)


def cluster(values: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means in one dimension: at most `most` centres, ascending, and of each value (n,) the nearest one's index."""
    distinct = np.unique(values)
    if len(distinct) <= most:
        return distinct, np.searchsorted(distinct, values)
    means = KMeans(n_clusters=most, n_init=RESTARTS, random_state=seed).fit(values.reshape(-1, 1))
    centres = np.unique(means.cluster_centers_.ravel())
    return centres, np.searchsorted((centres[1:] + centres[:-1]) / 2, values)


class Share(Method):
    """`share_weights` behind the quantized network's training, then `epochs` of training for the centroids.

    bits : of a place. layers : those that share; all where it is not given.
    """

    method: Literal["share"]
    at: Literal["qat"] = "qat"
    bits: Annotated[int, AfterValidator(CODEBOOK_BITS.check)]
    layers: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None

    @property
    def asked(self) -> int | dict[str, int]:
        return self.bits if self.layers is None else dict.fromkeys(self.layers, self.bits)

    def phases(self) -> list[Phase]:
        return [Phase("share", self.epochs, _Sharing(self))]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        check_sharing(snn, self.asked)

    def predict_structure(self, snn: SNN) -> SNN:
        """With codebooks, though nobody knows yet what they will hold."""
        new = deepcopy(snn)
        for name in check_sharing(new, self.asked):
            layer = sharing_layers(new)[name]
            nothing = torch.zeros(1)
            layer.codebook = Codebook(nothing, nothing == 0, [torch.zeros_like(edge.weight) for edge in layer.edges])
        return new


@dataclass(frozen=True)
class _Sharing(PhaseHooks):
    method: Share

    def begin(self, snn: SNN, task: Task) -> SNN:
        share_weights(snn, self.method.asked, task.seed)
        check_values(snn)
        return snn
