"""Spiking networks in torch: quantized training layers and the fast integer engine."""

from mintaka.snn.errors import LayerError
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.snn.network import SNN
from mintaka.snn.specs import (
    ConvSpec,
    DenseSpec,
    EdgeSpec,
    JoinSpec,
    NeuronSpec,
    PoolSpec,
    Spec,
    format_leak,
    parse_leak,
    read_of,
)

__all__ = [
    "SNN",
    "ConvSpec",
    "DenseSpec",
    "EdgeSpec",
    "JoinSpec",
    "LayerError",
    "NeuronSpec",
    "PoolSpec",
    "Spec",
    "format_leak",
    "parse_leak",
    "read_of",
    "run_fast",
    "to_artifact",
]
