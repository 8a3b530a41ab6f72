"""A network as a plain list: what each layer is and what it reads, before any tensor exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mintaka.artifact import ConvGeometry, Integrator, LeakTerm, Pool, SynapticCurrent
from mintaka.artifact.limits import LEAK_SHIFT, LEAK_TERMS
from mintaka.errors import is_integer
from mintaka.snn.errors import LayerError

LEAK_TERM = re.compile(r"([+-]?)(?:\(V>>(\d{1,2})\)|V>>(\d{1,2})|V)")


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(is_integer, value))


def _tuple_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(isinstance(each, kind) for each in value)


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


def _check(spec: object, **fields: tuple[Callable[[object], bool], str]) -> None:
    """Refuse what is of no use as a field: later it would fail deep inside, or be taken for something else."""
    for name, (fits, wanted) in fields.items():
        value = getattr(spec, name)
        if not fits(value):
            raise LayerError(f"{type(spec).__name__}: {name} must be {wanted}, got {value!r:.60}")


TEXT = (lambda value: isinstance(value, str), "a text")
INTEGER = (is_integer, "an integer")
MAYBE_INTEGER = (_or_none(is_integer), "an integer or None")
PAIR = (_is_pair, "a pair of integers, (vertical, horizontal)")
LEAK = (_tuple_of(LeakTerm), "terms as parse_leak('V>>1') gives them")


@dataclass(frozen=True)
class NeuronSpec:
    """LIF of one layer: stored width (2 to 16), leak terms (none: the membrane is forgotten), reset.

    refractory : steps of silence after a spike.
    current : leak and stored width of the synaptic current of CUBA-LIF; None for LIF.
    membrane_rule : how the membrane is stored: "shift" (the leak's shifts, then a clip), or "mint" (tanh and rounding,
        as released with MINT; `mintaka.snn.staircase`).
    """

    membrane_bits: int
    leak: tuple[LeakTerm, ...]
    reset: str
    refractory: int = 0
    current: SynapticCurrent | None = None
    membrane_rule: str = "shift"

    def __post_init__(self) -> None:
        current = (_or_none(lambda value: isinstance(value, SynapticCurrent)), "a SynapticCurrent or None")
        texts = dict.fromkeys(("reset", "membrane_rule"), TEXT)
        integers = dict.fromkeys(("membrane_bits", "refractory"), INTEGER)
        _check(self, leak=LEAK, current=current, **integers, **texts)


@dataclass(frozen=True)
class EdgeSpec:
    """One thing that a layer reads: the input or an earlier layer, or with delay 1 also the layer itself.

    delay : 0 for this step's spikes, 1 for those of the step before.
    op : None for the layer's own, or "identity": one weight per channel, between layers of one shape.
    kernel, geometry : of a conv2d edge, where they are not the layer's own.
    shift : left shift of this edge's integer sum; None: a power of two between the edges' scales is chosen when
        quantization starts (0 where another edge of the layer states one).
    """

    source: str
    delay: int = 0
    kernel: tuple[int, int] | None = None
    geometry: ConvGeometry | None = None
    shift: int | None = None
    op: str | None = None

    def __post_init__(self) -> None:
        geometry = (_or_none(lambda value: isinstance(value, ConvGeometry)), "a ConvGeometry or None")
        op = (_or_none(lambda value: isinstance(value, str)), "a text or None")
        kernel = (_or_none(_is_pair), f"{PAIR[1]}, or None")
        _check(self, source=TEXT, delay=INTEGER, kernel=kernel, geometry=geometry, shift=MAYBE_INTEGER, op=op)


SUMMING = {  # fields of all layers with synapses
    "name": TEXT,
    "weight_bits": INTEGER,
    "neuron": (
        lambda value: value is None or isinstance(value, NeuronSpec | Integrator),
        "a NeuronSpec, an Integrator or None",
    ),
    "input_shift": MAYBE_INTEGER,
    "edges": (_or_none(_tuple_of(EdgeSpec)), "a tuple of EdgeSpec, or None"),
    "weight_scale": TEXT,
}


@dataclass(frozen=True)
class DenseSpec:
    """`units` neurons that see every element.

    neuron : what the neurons are. The head, which is the last layer, says by it how it is read (`read_of`): None sums
        over the steps, a neuron counts its spikes, an `Integrator` keeps a membrane.

    weight_scale : how the step of the weights is learned, "step" or "mint" (`mintaka.snn.quantizer`).
    edges : what it reads; None is the layer before. Behind a direct input comes the first edge only, a recurrence
        (an edge from the layer itself, delay 1) never first.
    """

    name: str
    units: int
    weight_bits: int
    neuron: NeuronSpec | Integrator | None
    input_shift: int | None = None  # None: chosen from the first batch, where the input is direct
    edges: tuple[EdgeSpec, ...] | None = None
    weight_scale: str = "step"

    op = "dense"

    def __post_init__(self) -> None:
        _check(self, units=INTEGER, **SUMMING)


@dataclass(frozen=True)
class ConvSpec:
    """Convolution with `channels` output channels; `kernel` is (vertical, horizontal). The rest as for DenseSpec."""

    name: str
    channels: int
    kernel: tuple[int, int]
    geometry: ConvGeometry
    weight_bits: int
    neuron: NeuronSpec | Integrator | None
    input_shift: int | None = None
    edges: tuple[EdgeSpec, ...] | None = None
    weight_scale: str = "step"

    op = "conv2d"

    def __post_init__(self) -> None:
        geometry = (lambda value: isinstance(value, ConvGeometry), "a ConvGeometry")
        _check(self, channels=INTEGER, kernel=PAIR, geometry=geometry, **SUMMING)


@dataclass(frozen=True)
class PoolSpec:
    """OR ("max") or count ("sum") of spikes in windows."""

    name: str
    pool: Pool
    source: str | None = None  # None: the layer before

    op = "pool2d"

    def __post_init__(self) -> None:
        pool = (lambda value: isinstance(value, Pool), "a Pool")
        source = (_or_none(lambda value: isinstance(value, str)), "a text or None")
        _check(self, name=TEXT, pool=pool, source=source)


@dataclass(frozen=True)
class JoinSpec:
    """Spikes of several sources of one shape, element by element: "or", "and", "iand" ((not first) and second) or
    "add" (a count). It may read itself with delay 1, but as a count."""

    name: str
    kind: str
    edges: tuple[EdgeSpec, ...]

    op = "join"

    def __post_init__(self) -> None:
        _check(self, name=TEXT, kind=TEXT, edges=(_tuple_of(EdgeSpec), "a tuple of EdgeSpec"))


Spec = DenseSpec | ConvSpec | PoolSpec | JoinSpec


def read_of(head: DenseSpec | ConvSpec) -> str:
    """How the head's logits are read: "accumulate", "count" or "membrane"."""
    if head.neuron is None:
        return "accumulate"
    return "count" if isinstance(head.neuron, NeuronSpec) else "membrane"


def parse_leak(text: str) -> tuple[LeakTerm, ...]:
    """The leak in the design's notation: "V>>1", "V-(V>>3)", "V", or "0" for no memory.

    Raises ValueError with one sentence where it is no sum of at most 4 signed shifts of V.
    """
    squeezed = re.sub(r"\s", "", text)
    if squeezed == "0":
        return ()
    terms, at = [], 0
    while at < len(squeezed):
        match = LEAK_TERM.match(squeezed, at)
        if match is None or (at > 0 and not match[1]):
            raise ValueError(f"the leak {text!r:.60} is not a sum of shifts like 'V>>1', 'V-(V>>3)', 'V' or '0'")
        terms.append(LeakTerm(-1 if match[1] == "-" else 1, int(match[2] or match[3] or 0)))
        at = match.end()
    if not terms or len(terms) not in LEAK_TERMS:
        most = f"must be 1 to {LEAK_TERMS.most}, or '0' for none, got {len(terms)}"
        raise ValueError(f"the terms of the leak {text!r:.60} {most}")
    for term in terms:
        LEAK_SHIFT.require(term.shift, f"the shift of the leak {text!r:.60}", ValueError)
    return tuple(terms)


def format_leak(leak: tuple[LeakTerm, ...]) -> str:
    """The inverse of `parse_leak`."""
    text = "".join(("-" if t.sign < 0 else "+") + (f"(V>>{t.shift})" if t.shift else "V") for t in leak)
    return text.removeprefix("+") or "0"
