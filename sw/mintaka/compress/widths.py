"""A network with other widths: bits of weights, bits of membranes, time steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mintaka.artifact import Integrator
from mintaka.compress.errors import CompressError
from mintaka.snn.layers import Spiking
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, NeuronSpec, Spec
from mintaka.snn.synapses import UNCHOSEN, Summing


def weight_widths(snn: SNN) -> dict[str, int]:
    """Bits of the weights of every layer that has some."""
    return {spec.name: spec.weight_bits for spec in snn.specs if isinstance(spec, DenseSpec | ConvSpec)}


def membrane_widths(snn: SNN) -> dict[str, int]:
    """Bits of the membranes of every layer that stores some: spiking layers, a head that is read by its membrane."""
    layers = [spec for spec in snn.specs if isinstance(spec, DenseSpec | ConvSpec)]
    return {spec.name: spec.neuron.membrane_bits for spec in layers if spec.neuron is not None}


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
        if not 1 <= wanted <= 8:
            raise CompressError(f"layer '{name}': weights of {wanted} bits are impossible; 1 to 8 are possible")
    for name, wanted in membranes.items():
        if not 2 <= wanted <= 16:
            raise CompressError(f"layer '{name}': membranes of {wanted} bits are impossible; 2 to 16 are possible")
    changed = {name for name, old in weight_widths(snn).items() if old != bits[name]}
    changed |= {name for name, old in membrane_widths(snn).items() if old != membranes[name]}
    for spec, layer in zip(snn.specs, snn.layers, strict=True):
        if isinstance(layer, Summing) and spec.name in changed:
            _check_free(spec.name, layer, bits[spec.name])
    specs = [_resized(spec, bits, membranes) for spec in snn.specs]
    new = SNN(snn.source, snn.time_steps if time_steps is None else time_steps, specs)
    new.load_state_dict(snn.state_dict())
    new.set_integer(snn.integer)
    new.train(snn.training)
    if snn.integer:
        for spec, layer in zip(new.specs, new.layers, strict=True):
            if isinstance(layer, Summing) and spec.name in changed:
                restart(layer, spec)
    return new


def restart(layer: Summing, spec: Spec) -> None:
    """Take steps and alignments from the weights, and the statistics from the next batch."""
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


def _check_free(name: str, layer: Summing, bits: int) -> None:
    if layer.codebook is not None:
        raise CompressError(f"layer '{name}' shares its weights: change widths before it does")
    if bits == 1 and any(edge.mask is not None for edge in layer.edges):
        raise CompressError(f"layer '{name}' has weights that are 0, which 1 bit cannot say: give it 2 bits or more")


def _resized(spec: Spec, bits: Mapping[str, int], membranes: Mapping[str, int]) -> Spec:
    if not isinstance(spec, DenseSpec | ConvSpec):
        return spec
    neuron: NeuronSpec | Integrator | None = spec.neuron
    if neuron is not None:
        neuron = replace(neuron, membrane_bits=membranes[spec.name])
    return replace(spec, weight_bits=bits[spec.name], neuron=neuron)
