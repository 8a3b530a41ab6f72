"""What a network costs in bits, before there is hardware: the measures that a search of widths has budgets for."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mintaka.artifact import Result
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, NeuronSpec
from mintaka.snn.synapses import Summing


def memory_bits(snn: SNN, weight_bits: Mapping[str, int], membrane_bits: Mapping[str, int], time_steps: int) -> int:
    """Bits of all weights, and of what neurons keep from step to step: membranes, synaptic currents, refractory steps.

    With one step nothing is kept. (Pruned weights count: the dense weight memory holds them.)
    """
    total = 0
    for spec, layer in zip(snn.specs, snn.layers, strict=True):
        if not isinstance(spec, DenseSpec | ConvSpec):
            continue
        assert isinstance(layer, Summing)
        total += weight_bits[spec.name] * sum(edge.weight.numel() for edge in layer.edges)
        if spec.neuron is not None and time_steps > 1:
            state = membrane_bits[spec.name]
            if isinstance(spec.neuron, NeuronSpec):
                state += spec.neuron.refractory.bit_length()
                state += 0 if spec.neuron.current is None else spec.neuron.current.bits
            total += state * prod(snn.signals[spec.name].shape)
    return total


def bit_sops(result: Result, weight_bits: Mapping[str, int]) -> float:
    """Bit-SOPs per sample: each SOP times the bits of the weight that it adds."""
    return sum(float(sops.mean()) * weight_bits[name] for name, sops in result.sops.items())
