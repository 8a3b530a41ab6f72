"""Which channels exist or vanish together.

A join, a pool and an identity edge take channel c of their source to channel c of their output, so both are one
*unit*. A grouped convolution joins the channels that a group reads and those that it gives: a group goes as a whole, so
that the others keep their size. Units that hold a channel of the input or of the head stay. Layers that share units are
a *family*; all units of a family have the same number of channels in each of its layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from mintaka.snn.graph import kernel_of
from mintaka.snn.network import SNN, takes_snn
from mintaka.snn.specs import ConvSpec, JoinSpec, PoolSpec

Unit = Mapping[str, tuple[int, ...]]
Channel = tuple[str, int]


@dataclass(frozen=True)
class Family:
    """Layers in the network's order, and units, each as layer -> its channels."""

    layers: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def label(self) -> str:
        """The layers for a sentence."""
        names = ", ".join(f"'{name}'" for name in self.layers)
        return f"layer {names}" if len(self.layers) == 1 else f"the layers {names}"

    def width(self, layer: str, units: int) -> int:
        """Channels of a layer when so many units are left."""
        return units * len(self.units[0][layer])


@takes_snn
def families(snn: SNN) -> list[Family]:
    """Everything that may be pruned, in the network's order."""
    sets = _joined(snn)
    kept = {snn.source.name, snn.specs[-1].name}
    order = {spec.name: index for index, spec in enumerate(snn.specs)}
    found: dict[tuple[str, ...], list[Unit]] = {}
    for members in sets:
        names = {name for name, _ in members}
        if names & kept:
            continue
        layers = tuple(sorted(names, key=order.__getitem__))
        unit = {name: tuple(sorted(c for n, c in members if n == name)) for name in layers}
        found.setdefault(layers, []).append(unit)
    return [
        Family(layers, tuple(sorted(units, key=itemgetter(layers[0]))))
        for layers, units in sorted(found.items(), key=lambda item: [order[name] for name in item[0]])
    ]


def _joined(snn: SNN) -> list[frozenset[Channel]]:
    """All channels, input and head included, as the sets that are tied together."""
    sets = {(name, c): {(name, c)} for name, signal in snn.signals.items() for c in range(signal.shape[0])}
    for tied in _ties(snn):
        whole = set().union(*(sets[channel] for channel in tied))
        for channel in whole:
            sets[channel] = whole
    return list({frozenset(members) for members in sets.values()})


def _ties(snn: SNN) -> Iterator[list[Channel]]:
    for spec, edges in zip(snn.specs, snn.edges, strict=True):
        channels = snn.signals[spec.name].shape[0]
        for edge in edges:
            inside = snn.signals[edge.source].shape[0]
            if isinstance(spec, PoolSpec | JoinSpec) or edge.op is not None:
                groups = channels
            elif isinstance(spec, ConvSpec):
                groups = kernel_of(spec, edge)[1].groups
                if groups == 1:
                    continue
            else:
                continue
            for group in range(groups):
                read = range(group * inside // groups, (group + 1) * inside // groups)
                given = range(group * channels // groups, (group + 1) * channels // groups)
                yield [*((edge.source, c) for c in read), *((spec.name, c) for c in given)]
