"""The contract: one file that says all about an integer spiking network, and the reference that runs it."""

from mintaka.artifact.bounds import Interval, NodeBounds, logit_bounds, network_bounds
from mintaka.artifact.checks import check, check_inputs, connections
from mintaka.artifact.encoding import clipped, encode
from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.file import content_hash, load, save
from mintaka.artifact.reference import Result, Trace, run
from mintaka.artifact.schema import (
    ConvGeometry,
    Edge,
    Encoding,
    Input,
    Integrator,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    Pool,
    Quantizer,
    SynapticCurrent,
    TestVectors,
)
from mintaka.artifact.signals import Signal, signals

__all__ = [
    "ArtifactError",
    "ConvGeometry",
    "Edge",
    "Encoding",
    "Input",
    "IntTensor",
    "Integrator",
    "Interval",
    "LeakTerm",
    "Network",
    "Neuron",
    "Node",
    "NodeBounds",
    "Output",
    "Pool",
    "Quantizer",
    "Result",
    "Signal",
    "SynapticCurrent",
    "TestVectors",
    "Trace",
    "check",
    "check_inputs",
    "clipped",
    "connections",
    "content_hash",
    "encode",
    "load",
    "logit_bounds",
    "network_bounds",
    "run",
    "save",
    "signals",
]
