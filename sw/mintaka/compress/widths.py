"""A network with other widths: bits of weights, bits of membranes, time steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import replace

from mintaka.artifact import Integrator
from mintaka.artifact.limits import MEMBRANE_BITS, TIME_STEPS, WEIGHT_BITS
from mintaka.compress.errors import CompressError
from mintaka.snn.layers import Head, Spiking
from mintaka.snn.network import SNN, shift_target, takes_snn
from mintaka.snn.specs import ConvSpec, DenseSpec, NeuronSpec, Spec
from mintaka.snn.synapses import UNCHOSEN, Summing


def weight_widths(snn: SNN) -> dict[str, int]:
    """Bits of the weights of every layer that has some."""
    return {spec.name: spec.weight_bits for spec in snn.specs if isinstance(spec, DenseSpec | ConvSpec)}


def membrane_widths(snn: SNN) -> dict[str, int]:
    """Bits of the membranes of every layer that stores some: spiking layers, a head that is read by its membrane."""
    layers = [spec for spec in snn.specs if isinstance(spec, DenseSpec | ConvSpec)]
    return {spec.name: spec.neuron.membrane_bits for spec in layers if spec.neuron is not None}


@takes_snn
def with_widths(
    snn: SNN,
    weight_bits: Mapping[str, int] | None = None,
    membrane_bits: Mapping[str, int] | None = None,
    time_steps: int | None = None,
) -> SNN:
    """The same network with these widths (what is not named stays) and as many steps.

    A quantized layer that changes takes a new step from its weights, and its BatchNorm new statistics from the next
    batch: train on, or show it some batches.

    Raises CompressError naming the layer where it cannot have such a width.
    """
    bits = weight_widths(snn) | _known(snn, weight_bits or {}, weight_widths(snn), "weights")
    membranes = membrane_widths(snn) | _known(snn, membrane_bits or {}, membrane_widths(snn), "membranes")
    for name, wanted in bits.items():
        WEIGHT_BITS.require(wanted, f"layer '{name}': weight_bits", CompressError)
    for name, wanted in membranes.items():
        MEMBRANE_BITS.require(wanted, f"layer '{name}': membrane_bits", CompressError)
    if time_steps is not None:
        TIME_STEPS.require(time_steps, "time_steps", CompressError)
    changed = {name for name, old in weight_widths(snn).items() if old != bits[name]}
    changed |= {name for name, old in membrane_widths(snn).items() if old != membranes[name]}
    check_free(snn, {name: bits[name] for name in changed})
    new = deepcopy(snn)
    set_widths(new, bits, membranes, snn.time_steps if time_steps is None else time_steps)
    if snn.integer:
        restart(new, changed)
    return new


def set_widths(snn: SNN, weight_bits: Mapping[str, int], membrane_bits: Mapping[str, int], time_steps: int) -> None:
    """Give a network these widths in place, all layers named; its weights and statistics stay as they are."""
    snn.specs = [_resized(spec, weight_bits, membrane_bits) for spec in snn.specs]
    snn.time_steps = time_steps
    for spec, layer in zip(snn.specs, snn.layers, strict=True):
        if not isinstance(spec, DenseSpec | ConvSpec):
            continue
        assert isinstance(layer, Spiking | Head)
        for edge in layer.edges:
            edge.quantizer.bits, edge.shift_target = spec.weight_bits, shift_target(spec.neuron)
        if isinstance(layer, Spiking):
            assert isinstance(spec.neuron, NeuronSpec)
            layer.neuron = spec.neuron
        elif isinstance(spec.neuron, Integrator):
            layer.integrator = spec.neuron


def restart(snn: SNN, layers: Collection[str]) -> None:
    """Quantize these layers anew: steps and alignments from the weights, statistics from the next batch."""
    for spec, layer in zip(snn.specs, snn.layers, strict=True):
        if not isinstance(layer, Summing) or spec.name not in layers:
            continue
        assert isinstance(spec, DenseSpec | ConvSpec)
        layer.start()
        for edge in layer.edges:
            if edge.source.static and spec.input_shift is None:
                edge.input_shift.fill_(UNCHOSEN)
        if isinstance(layer, Spiking):
            layer.norm.restart()


def _known(snn: SNN, wanted: Mapping[str, int], there: Mapping[str, int], what: str) -> dict[str, int]:
    for name in wanted:
        if name not in there:
            reason = "it has none" if name in snn.signals and name != snn.source.name else "there is no such layer"
            raise CompressError(f"layer '{name}' cannot get other {what}: {reason}; there are {', '.join(there)}")
    return dict(wanted)


def check_free(snn: SNN, weight_bits: Mapping[str, int]) -> None:
    """Raise CompressError where one of these layers shares its weights, or has zeros that 1 bit cannot say."""
    for spec, layer in zip(snn.specs, snn.layers, strict=True):
        if not isinstance(layer, Summing) or spec.name not in weight_bits:
            continue
        if layer.codebook is not None:
            raise CompressError(f"layer '{spec.name}' shares its weights: change widths before it does")
        if weight_bits[spec.name] == 1 and any(edge.mask is not None for edge in layer.edges):
            raise CompressError(
                f"layer '{spec.name}' has weights that are 0, which 1 bit cannot say: give it 2 bits or more"
            )


def _resized(spec: Spec, bits: Mapping[str, int], membranes: Mapping[str, int]) -> Spec:
    if not isinstance(spec, DenseSpec | ConvSpec):
        return spec
    neuron: NeuronSpec | Integrator | None = spec.neuron
    if neuron is not None:
        neuron = replace(neuron, membrane_bits=membranes[spec.name])
    return replace(spec, weight_bits=bits[spec.name], neuron=neuron)
