"""The one comparison of what an implementation gives with what the reference gives, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import numpy as np

from mintaka.artifact.reference import Result, Trace

FIELDS = tuple(each.name for each in fields(Trace))
SYMBOLS = {"k": "K", "s": "s", "u": "U", "j": "Js"}  # of the fields, as docs/reference/semantics.md calls them
COUNTED = {"k": "sums", "s": "spikes", "u": "membranes", "j": "currents"}  # the fields in `Counts`


@dataclass(frozen=True)
class Difference:
    """A value that differs. `step` and `neuron` are None where the value has none.

    expected, actual : values by symbol, for example {"K": 5, "s": 1, "U": 0}; what one side lacks is missing there.
    """

    sample: int
    layer: str
    expected: dict[str, int]
    actual: dict[str, int]
    step: int | None = None
    neuron: int | None = None

    def __str__(self) -> str:
        where = f"sample {self.sample}"
        where += "" if self.step is None else f", step {self.step}"
        where += f", layer '{self.layer}'"
        where += "" if self.neuron is None else f", neuron {self.neuron}"

        def listed(values: dict[str, int]) -> str:
            return ", ".join(f"{name} = {value}" for name, value in values.items()) or "nothing"

        return f"{where}: expected {listed(self.expected)}; the hardware has {listed(self.actual)}"


@dataclass
class Counts:
    """Values compared and found equal: spikes s, membranes U, synaptic currents Js, sums K (of a head that accumulates
    the running sums), logits; and samples of which everything is equal."""

    samples: int = 0
    spikes: int = 0
    membranes: int = 0
    currents: int = 0
    sums: int = 0
    logits: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, more = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + more[name] for name in mine})

    def count(self, found: Mapping[str, int]) -> None:
        """Add values by field of `Trace`."""
        for name, number in found.items():
            setattr(self, COUNTED[name], getattr(self, COUNTED[name]) + number)


@dataclass(frozen=True)
class Compared:
    """What `compare` found. first : the earliest difference, that of a trace before what follows from it."""

    counts: Counts
    differences: int
    first: Difference | None


def shown(trace: Trace) -> dict[str, np.ndarray]:
    """What the node has, by field."""
    return {name: values for name in FIELDS if (values := getattr(trace, name)) is not None}


def trace_of(values: Mapping[str, np.ndarray]) -> Trace:
    """The other way round; "k" is always there."""
    return Trace(values["k"], **{name: values.get(name) for name in FIELDS if name != "k"})


def unequal(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> np.ndarray:
    """bool, of the shape that all fields share: where any of them differs. A field that only one side has differs
    everywhere. Raises ValueError where shapes differ."""
    shape = next(iter(expected.values())).shape
    for name, values in [*found.items(), *expected.items()]:
        if values.shape != shape:
            raise ValueError(f"values of {SYMBOLS[name]} have the shape {values.shape} instead of {shape}")
    if found.keys() != expected.keys():
        return np.ones(shape, bool)
    wrong = np.zeros(shape, bool)
    for name, values in expected.items():
        wrong |= values != found[name]
    return wrong


def compare(found: Result, expected: Result, head: str, *, traces: bool, first: int = 0) -> Compared:
    """Compare logits, classes, steps and SOPs; with `traces` every K, spike, membrane and synaptic current too, of the
    steps that a sample took, and the spike counts.

    head : the node that the logits come from. first : number of the first sample, for the differences.
    Raises ValueError where the results are of other numbers of samples, or of other shapes.
    """
    if found.logits.shape != expected.logits.shape:
        raise ValueError(f"logits have the shape {found.logits.shape} instead of {expected.logits.shape}")
    samples = len(expected.logits)
    layers = tuple(dict.fromkeys((*expected.trace, *found.trace)))
    board = _Board(first, np.ones(samples, bool), Counts(), layers)
    if traces:
        for name in layers:
            board.trace(name, found.trace.get(name), expected.trace.get(name), expected.steps)
    board.counts.logits = int((found.logits == expected.logits).sum())
    board.table("logit", head, found.logits, expected.logits)
    board.table("class", head, found.classes, expected.classes)
    board.table("steps", head, found.steps, expected.steps)
    tables = [("SOPs", found.sops, expected.sops)]
    tables += [("spikes", found.spikes, expected.spikes)] if traces else []
    for what, mine, theirs in tables:
        for name in dict.fromkeys((*theirs, *mine)):
            missing = np.full(samples, -1)
            board.table(what, name, mine.get(name, missing), theirs.get(name, missing))
    board.counts.samples = int(board.right.sum())
    return Compared(board.counts, board.differences, min(board.firsts, key=board.cause, default=None))


@dataclass
class _Board:
    """What is found on the way. right : bool (N,), samples without a difference. firsts : of every table the first."""

    first: int
    right: np.ndarray
    counts: Counts
    layers: tuple[str, ...]
    differences: int = 0
    firsts: list[Difference] = field(default_factory=list)

    def cause(self, difference: Difference) -> tuple[int, int, int, int]:
        """Orders differences by sample; then traces by step and layer, logits, and what follows from them."""
        if difference.step is not None:
            return difference.sample, 0, difference.step, self.layers.index(difference.layer)
        return difference.sample, 1 if difference.neuron is not None else 2, 0, 0

    def table(self, what: str, layer: str, actual: np.ndarray, wanted: np.ndarray) -> None:
        """A number per sample, or several: (N,) or (N, classes)."""
        places = np.argwhere(actual != wanted)
        self._note(places)
        if len(places):
            sample, *at = places[0].tolist()
            expected, found = ({what: int(values[(sample, *at)])} for values in (wanted, actual))
            self.firsts.append(Difference(self.first + sample, layer, expected, found, neuron=at[0] if at else None))

    def trace(self, layer: str, found: Trace | None, expected: Trace | None, steps: np.ndarray) -> None:
        """All of a layer's fields (N, T, ...), of the first `steps` (N,) steps; one side may lack the layer."""
        mine, theirs = ({} if trace is None else shown(trace) for trace in (found, expected))
        k = (theirs or mine)["k"]
        taken = np.arange(k.shape[1]) < steps[:, None]
        taken = taken.reshape(*taken.shape, *[1] * (k.ndim - 2))
        wrong = unequal(mine, theirs) if theirs else np.ones(k.shape, bool)
        self.counts.count({f: int(((mine[f] == theirs[f]) & taken).sum()) for f in theirs if f in mine})
        places = np.argwhere(wrong & taken)
        self._note(places)
        if len(places):
            sample, step, *at = place = tuple(places[0].tolist())
            wanted, actual = ({SYMBOLS[f]: int(v[place]) for f, v in side.items()} for side in (theirs, mine))
            neuron = int(np.ravel_multi_index(at, k.shape[2:]))
            self.firsts.append(Difference(self.first + sample, layer, wanted, actual, step=step, neuron=neuron))

    def _note(self, places: np.ndarray) -> None:
        """places : (M, dimensions), the sample first."""
        self.differences += len(places)
        self.right[places[:, 0]] = False
