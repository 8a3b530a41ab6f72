"""A sequential network as a plain list: what each layer is, before any tensor exists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from mintaka.artifact import ConvGeometry, Input, LeakTerm, Pool, Signal
from mintaka.snn.errors import LayerError

RESETS = ("zero", "subtract")
MAX_LEAK_TERMS, MAX_LEAK_SHIFT = 4, 31
LEAK_TERM = re.compile(r"([+-]?)(?:\(V>>(\d{1,2})\)|V>>(\d{1,2})|V)")


@dataclass(frozen=True)
class NeuronSpec:
    """LIF of one layer: stored width (2 to 16), leak terms (none: the membrane is forgotten), reset."""

    membrane_bits: int
    leak: tuple[LeakTerm, ...]
    reset: str


@dataclass(frozen=True)
class DenseSpec:
    """`units` neurons that see every element; `neuron` is None for the head."""

    name: str
    units: int
    weight_bits: int
    neuron: NeuronSpec | None
    input_shift: int | None = None  # None: chosen from the first batch, where the input is direct

    op = "dense"


@dataclass(frozen=True)
class ConvSpec:
    """Convolution with `channels` output channels; `kernel` is (vertical, horizontal)."""

    name: str
    channels: int
    kernel: tuple[int, int]
    geometry: ConvGeometry
    weight_bits: int
    neuron: NeuronSpec | None
    input_shift: int | None = None

    op = "conv2d"


@dataclass(frozen=True)
class PoolSpec:
    """OR ("max") or count ("sum") of spikes in windows."""

    name: str
    pool: Pool

    op = "pool2d"


Spec = DenseSpec | ConvSpec | PoolSpec


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
    if not 1 <= len(terms) <= MAX_LEAK_TERMS:
        raise ValueError(f"the leak {text!r:.60} has {len(terms)} terms; 1 to {MAX_LEAK_TERMS} are possible, or '0'")
    if max(term.shift for term in terms) > MAX_LEAK_SHIFT:
        raise ValueError(f"the leak {text!r:.60} shifts by more than {MAX_LEAK_SHIFT}")
    return tuple(terms)


def format_leak(leak: tuple[LeakTerm, ...]) -> str:
    """The inverse of `parse_leak`."""
    text = "".join(("-" if t.sign < 0 else "+") + (f"(V>>{t.shift})" if t.shift else "V") for t in leak)
    return text.removeprefix("+") or "0"


def flow(source: Input, specs: list[Spec]) -> list[Signal]:
    """The signal that enters each layer, and at the end the one that leaves the head: len(specs) + 1 of them.

    Raises LayerError where a layer does not fit to what it reads, or the last is not the only head.
    """
    if not specs:
        raise LayerError("the network has no layers")
    signal = Signal(source.shape, 2**source.bits - 1, "bits", source.static)
    signals = [signal]
    for index, spec in enumerate(specs):
        where = f"layer '{spec.name}'"
        if [s.name for s in specs].count(spec.name) > 1 or spec.name == source.name:
            raise LayerError(f"{where}: the name is used twice")
        if isinstance(spec, PoolSpec):
            if index == 0 and source.kind != "spikes":
                raise LayerError(f"{where} pools the {source.kind} input; only spikes are pooled")
            signal = _pooled(spec, signal, where)
        else:
            _check_layer(spec, where, head=index == len(specs) - 1)
            if spec.input_shift is not None and not signal.static:
                raise LayerError(f"{where}: input_shift is for the first layer behind a direct input")
            signal = Signal(_shape_out(spec, signal, where), 1, "bits", False)
        signals.append(signal)
    if isinstance(specs[-1], PoolSpec):
        raise LayerError(f"layer '{specs[-1].name}' is the last, but a pool is no head: it must be dense or conv2d")
    return signals


def _check_layer(spec: DenseSpec | ConvSpec, where: str, *, head: bool) -> None:
    if head and spec.neuron is not None:
        raise LayerError(f"{where} is the last, so it is the head and has no neuron")
    if not head and spec.neuron is None:
        raise LayerError(f"{where} has no neuron, but is not the last: only the head has none")
    if not 1 <= spec.weight_bits <= 8:
        raise LayerError(f"{where}: weight_bits is {spec.weight_bits}; 1 to 8 are possible")
    neuron = spec.neuron
    if neuron is None:
        return
    if not 2 <= neuron.membrane_bits <= 16:
        raise LayerError(f"{where}: membrane_bits is {neuron.membrane_bits}; 2 to 16 are possible")
    if neuron.reset not in RESETS:
        raise LayerError(f"{where}: reset is '{neuron.reset}'; possible: {', '.join(RESETS)}")
    if len(neuron.leak) > MAX_LEAK_TERMS or any(not 0 <= t.shift <= MAX_LEAK_SHIFT for t in neuron.leak):
        raise LayerError(f"{where}: a leak has at most {MAX_LEAK_TERMS} terms that shift by 0 to {MAX_LEAK_SHIFT}")


def _shape_out(spec: DenseSpec | ConvSpec, signal: Signal, where: str) -> tuple[int, ...]:
    if isinstance(spec, DenseSpec):
        if spec.units < 1:
            raise LayerError(f"{where}: units is {spec.units}; at least 1 is needed")
        return (spec.units,)
    if len(signal.shape) != 3:
        raise LayerError(f"{where} convolves {list(signal.shape)}; (C, H, W) is wanted")
    (c, h, w), g = signal.shape, spec.geometry
    if spec.channels < 1 or c % g.groups or spec.channels % g.groups:
        raise LayerError(f"{where}: {g.groups} groups divide {c} or {spec.channels} channels unevenly")
    if any(not 0 <= p < k for p, k in zip(g.padding, spec.kernel, strict=True)):
        raise LayerError(f"{where}: padding {list(g.padding)} must be less than the kernel {list(spec.kernel)}")
    (kh, kw), (pv, ph) = spec.kernel, g.padding
    if kh > h + 2 * pv or kw > w + 2 * ph:
        raise LayerError(f"{where}: the kernel {kh}x{kw} is larger than its padded input {h + 2 * pv}x{w + 2 * ph}")
    return (spec.channels, (h + 2 * pv - kh) // g.stride[0] + 1, (w + 2 * ph - kw) // g.stride[1] + 1)


def _pooled(spec: PoolSpec, signal: Signal, where: str) -> Signal:
    pool = spec.pool
    if len(signal.shape) != 3:
        raise LayerError(f"{where} pools {list(signal.shape)}; (C, H, W) is wanted")
    if pool.kind == "max" and signal.max_value > 1:
        raise LayerError(f"{where} takes the maximum of counts; max pooling is an OR of spikes")
    (c, h, w), (kh, kw) = signal.shape, pool.kernel
    if kh > h or kw > w:
        raise LayerError(f"{where}: the kernel {kh}x{kw} is larger than its input {h}x{w}")
    shape = (c, (h - kh) // pool.stride[0] + 1, (w - kw) // pool.stride[1] + 1)
    if pool.kind == "max":
        return Signal(shape, 1, "bits", False)
    return Signal(shape, prod(pool.kernel) * signal.max_value, "spikes", False)
