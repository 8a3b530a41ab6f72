"""The network that crosses from software to hardware, as plain dataclasses.

Everything is explicit: a field that changes a number has no default. `docs/reference/artifact.md` describes the
same thing as a file; `checks.py` says which values are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

FORMAT_VERSION = (1, 4)
INPUT_KINDS = ("spikes", "direct", "counts")
CODES = ("none", "thermometer", "repeat")
OPS = ("dense", "conv2d", "pool2d", "join")
EDGE_OPS = ("identity",)
POOL_KINDS = ("max", "sum")
JOIN_KINDS = ("or", "and", "iand", "add")
RESETS = ("zero", "subtract")
READS = ("accumulate", "count", "membrane")

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class IntTensor:
    """Integers of a declared width.

    `values` is an integer array; `bits` the declared two's complement width (for weights: Q = 2^(bits-1) - 1 bounds
    the magnitude, and 1 bit means -1 or +1).
    """

    values: np.ndarray
    bits: int


@dataclass(frozen=True)
class Quantizer:
    """Real numbers as integers: q = clip(rint((x - offset) / scale), low, high), in float64, halves to even.

    Both are (1,), one number for all elements, or (shape[0],), one for each index of the input's first axis.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class Encoding:
    """How the numbers that a user has become the input.

    code : "none" (the numbers are the input), "thermometer" (numbers from 0 to `levels` - 1 spike in the more steps,
        the larger they are) or "repeat" (0 and 1, at every step).
    levels : of the thermometer, else None.
    quantizer : makes integers of real numbers ahead of the code; None where the numbers are integers.
    """

    code: str
    levels: int | None = None
    quantizer: Quantizer | None = None


@dataclass(frozen=True)
class Input:
    """What enters: `shape` is (N,) or (C, H, W).

    `kind`: "spikes" (0 or 1 per element and step), "direct" (one `bits`-bit number per element, the same at every
    step) or "counts" (one unsigned `bits`-bit number per element and step).

    signed : direct only: the numbers are two's complement; else they are unsigned.
    encoding : None where the user's numbers are the input as they are.
    """

    name: str
    shape: Shape
    kind: str
    bits: int
    signed: bool = False
    encoding: Encoding | None = None

    @property
    def static(self) -> bool:
        """True where every step sees the same values."""
        return self.kind == "direct"

    @property
    def low(self) -> int:
        """The least possible value."""
        return -int(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest possible value."""
        return int(2 ** (self.bits - 1 if self.signed else self.bits)) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of a batch: uint8 up to 8 bits and uint16 above; int8 and int16 where the numbers are signed."""
        narrow, wide = (np.int8, np.int16) if self.signed else (np.uint8, np.uint16)
        return np.dtype(narrow if self.bits <= 8 else wide)


@dataclass(frozen=True)
class ConvGeometry:
    """Stride and zero padding as (vertical, horizontal); the kernel's size is the weight's."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int


@dataclass(frozen=True, eq=False)
class Edge:
    """One input of a node.

    node : name of the source (the input's name or a node's).
    delay : 0 for this step's value, 1 for the step before (zero at the first step).
    weight : (N_out, N_in) for dense, (C_out, C_in / groups, kh, kw) for conv2d, (C_out,) for identity, None for pool2d
        and join.
    input_shift : right shift (floor) of this edge's exact sum; non-zero only behind a direct input.
    shift : left shift of this edge's current before it joins the sum (aligns two scales).
    conv : geometry of a conv2d edge, else None.
    op : None for the node's own op, or "identity": each element of the source reaches the element of the node in the
        same place, times its channel's weight.
    """

    node: str
    delay: int
    weight: IntTensor | None = None
    input_shift: int = 0
    shift: int = 0
    conv: ConvGeometry | None = None
    op: str | None = None


@dataclass(frozen=True)
class LeakTerm:
    """`sign * (V >> shift)`; a leak is the sum of its terms, each floored on its own."""

    sign: int
    shift: int


@dataclass(frozen=True)
class SynapticCurrent:
    """The second state of a CUBA-LIF neuron: J = leak(stored J) + I is exact; it is stored in [-Qj, Qj]."""

    leak: tuple[LeakTerm, ...]
    bits: int

    @property
    def max(self) -> int:
        """Qj: the stored synaptic current lies in [-Qj, Qj]."""
        return int(2 ** (self.bits - 1) - 1)


@dataclass(frozen=True, eq=False)
class Neuron:
    """LIF: fires where K > threshold; all tensors are per output channel, shape (C_out,) or (N_out,).

    `reset` is "zero" or "subtract" (then `reset_by` holds R). An empty `leak` keeps nothing: U is always 0.

    refractory : steps of silence after a spike, in which the membrane takes in nothing.
    current : the synaptic current of a CUBA-LIF neuron, None for LIF.
    boundaries : (C_out, 2 Qu), ascending: U is -Qu plus the number of boundaries that V has reached, instead of
        clip(leak(V)), and `leak` is empty. None where the leak says what is kept.
    """

    threshold: IntTensor
    fire: str
    reset: str
    reset_by: IntTensor | None
    leak: tuple[LeakTerm, ...]
    membrane_bits: int
    refractory: int = 0
    current: SynapticCurrent | None = None
    boundaries: IntTensor | None = None

    @property
    def kind(self) -> str:
        """ "lif" or "cuba"."""
        return "lif" if self.current is None else "cuba"

    @property
    def membrane_max(self) -> int:
        """Qu: the stored membrane lies in [-Qu, Qu]."""
        return int(2 ** (self.membrane_bits - 1) - 1)


@dataclass(frozen=True)
class Integrator:
    """The leaky integrator of a head that is read by "membrane": it never fires. In the file a neuron of kind "li"."""

    leak: tuple[LeakTerm, ...]
    membrane_bits: int

    @property
    def membrane_max(self) -> int:
        """Qu: the stored membrane lies in [-Qu, Qu]."""
        return int(2 ** (self.membrane_bits - 1) - 1)


@dataclass(frozen=True)
class Pool:
    """`max` is an OR of spikes, `sum` counts them; no padding, incomplete windows are dropped."""

    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Node:
    """One layer. `neuron` is what spikes: None for pools, joins, and a head that is not read by its spikes.

    bias : B, per output channel, added at every step; None where there is none.
    integrator : only of a head that is read by "membrane".
    join : for the op "join", its kind: "or", "and", "iand" ((not first) and second), or "add" (of counts).
    codebook : distinct integers, ascending, that hold every weight of every edge: hardware stores their places instead
        of the weights. It changes no number. None where the weights are stored themselves.
    """

    name: str
    op: str
    inputs: tuple[Edge, ...]
    shape_in: Shape
    shape_out: Shape
    bias: IntTensor | None = None
    neuron: Neuron | None = None
    pool: Pool | None = None
    integrator: Integrator | None = None
    join: str | None = None
    codebook: tuple[int, ...] | None = None

    @property
    def has_synapses(self) -> bool:
        """True where the node sums a current; False for pools and joins."""
        return self.pool is None and self.join is None

    @property
    def place_bits(self) -> int | None:
        """Bits of a weight's place in the codebook; None where there is none."""
        return None if self.codebook is None else max(1, (len(self.codebook) - 1).bit_length())

    def edge_op(self, edge: Edge) -> str:
        """ "dense", "conv2d" or "identity"."""
        return edge.op or self.op

    @property
    def size_in(self) -> int:
        return int(np.prod(self.shape_in))

    @property
    def size_out(self) -> int:
        return int(np.prod(self.shape_out))

    @property
    def channels(self) -> int:
        """Output channels: the length of every per-channel tensor."""
        return self.shape_out[0]


@dataclass(frozen=True)
class Output:
    """The head: the class is the lowest index of the largest logit.

    read : where logits come from. "accumulate": the sum of I + B over the steps. "count": the head's spikes over the
        steps. "membrane": K of the last step, of a head with an `Integrator`.
    margins : early exit (SEENN-I, Li et al.): after step t a sample stops where the largest logit so far is at least
        `margins[t]` above the second largest; None: never at that step. One entry per step but the last, or none.
    """

    node: str
    read: str = "accumulate"
    decide: str = "argmax"
    ties: str = "lowest"
    margins: tuple[int | None, ...] = ()


@dataclass(frozen=True, eq=False)
class TestVectors:
    """A few inputs with what must come out: `inputs` as `Network.input` wants them, `logits` (N, classes) int64."""

    inputs: np.ndarray
    logits: np.ndarray

    __test__ = False  # not a pytest class


@dataclass(frozen=True, eq=False)
class Network:
    """A whole integer network: `nodes` in topological order (delayed edges may point forward)."""

    name: str
    time_steps: int
    input: Input
    nodes: tuple[Node, ...]
    output: Output
    provenance: dict[str, Any] = field(default_factory=dict)
    vectors: TestVectors | None = None

    def node(self, name: str) -> Node:
        """The node of that name; KeyError where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def head(self) -> Node:
        return self.node(self.output.node)

    @property
    def classes(self) -> int:
        return self.head.size_out

    def input_shape(self, samples: int) -> Shape:
        """Shape of a batch of inputs: (N, *shape) for direct input, else (N, T, *shape)."""
        steps = () if self.input.static else (self.time_steps,)
        return (samples, *steps, *self.input.shape)
