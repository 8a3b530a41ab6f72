"""A sequential spiking network, built from a plain list of layer specs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mintaka.artifact import Input, Signal
from mintaka.snn.layers import Head, Pooling, Recorder, Spiking, Synapses
from mintaka.snn.norm import Norm
from mintaka.snn.specs import ConvSpec, DenseSpec, PoolSpec, Spec, flow

LEAST_SHIFT_TARGET = 8


class SNN(nn.Module):
    """The network in training. It starts in full precision; `quantize` turns it into the integer network.

    Raises LayerError where the specs do not fit to each other.
    """

    def __init__(self, source: Input, time_steps: int, specs: list[Spec], seed: int = 0) -> None:
        super().__init__()
        self.source, self.time_steps, self.specs = source, time_steps, list(specs)
        self.flow = flow(source, self.specs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.ModuleList(
                _layer(spec, signal) for spec, signal in zip(self.specs, self.flow, strict=False)
            )

    @property
    def head(self) -> Head:
        head = self.layers[-1]
        assert isinstance(head, Head)
        return head

    def quantize(self) -> None:
        """From here on the forward is the integer network: steps start from the weights, statistics anew."""
        for module in self.modules():
            if isinstance(module, Synapses):
                module.quantizer.start(module.weight)
            elif isinstance(module, Norm):
                module.restart()
        self.set_integer(True)

    def set_integer(self, integer: bool) -> None:
        """Switch between the integer and the full-precision forward, and nothing else."""
        for module in self.modules():
            if isinstance(module, Synapses | Norm | Spiking | Head):
                module.integer = integer

    def freeze_norms(self, frozen: bool = True) -> None:
        """Use (and keep) the running statistics in training, too: the forward is then the one of the export."""
        for module in self.modules():
            if isinstance(module, Norm):
                module.frozen = frozen

    def forward(self, x: Tensor, record: Recorder | None = None) -> Tensor:
        """x : (N, *shape) for direct input, (N, T, *shape) otherwise; unsigned integers in float32.

        Returns the head's sums over the T steps, (N, classes): integer-valued logits once quantized.
        """
        if not self.source.static:
            x = x.transpose(0, 1)
        for layer in self.layers:
            x = layer(x) if isinstance(layer, Pooling) else layer(x, self.time_steps, record)
        return x.flatten(1)

    def scores(self, logits: Tensor) -> Tensor:
        """Logits in the units of the loss: the mean over the steps, times the head's step."""
        return logits.to(torch.float32) * (self.head.unit() / self.time_steps)


def _layer(spec: Spec, source: Signal) -> nn.Module:
    if isinstance(spec, PoolSpec):
        return Pooling(spec.pool)
    shape = (spec.units, source.size) if isinstance(spec, DenseSpec) else _kernel_shape(spec, source)
    conv = spec.geometry if isinstance(spec, ConvSpec) else None
    neuron = spec.neuron
    target = LEAST_SHIFT_TARGET if neuron is None else max(LEAST_SHIFT_TARGET, 2**neuron.membrane_bits)
    synapses = Synapses(shape, source, spec.weight_bits, conv, spec.input_shift, float(target))
    if neuron is None:
        return Head(synapses)
    return Spiking(synapses, neuron.leak, neuron.membrane_bits, neuron.reset)


def _kernel_shape(spec: ConvSpec, source: Signal) -> tuple[int, ...]:
    return (spec.channels, source.shape[0] // spec.geometry.groups, *spec.kernel)
