"""The design as a bench sees it: ports, widths and order of what crosses them. Read from design.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerPorts:
    """One layer that sums a current. `membrane_bits` is None for the head, which has neither spikes nor membranes."""

    name: str
    lanes: int
    groups: int
    size_in: int
    size_out: int
    k_width: int
    membrane_bits: int | None
    tapped: bool

    @property
    def fields(self) -> dict[str, tuple[int, bool]]:
        """Tapped fields: name -> (width of one lane, signed)."""
        found = {"k": (self.k_width, True)}
        if self.membrane_bits is not None:
            found |= {"s": (1, False), "u": (self.membrane_bits, True)}
        return found


@dataclass(frozen=True)
class Layout:
    """elements, bits, beats: of one input beat, and beats per event list; `lists` per sample is 1 for direct input."""

    top: str
    time_steps: int
    elements: int
    bits: int
    beats: int
    static: bool
    classes: int
    logit_width: int
    layers: tuple[LayerPorts, ...]

    @property
    def beats_per_sample(self) -> int:
        return self.beats * (1 if self.static else self.time_steps)

    @property
    def tapped(self) -> tuple[LayerPorts, ...]:
        return tuple(layer for layer in self.layers if layer.tapped)

    @property
    def patience(self) -> int:
        """Cycles without a handshake, tap or finished layer after which an unstalled design hangs for certain.

        Ten times the work of a sample in which every input bit is set, were nothing overlapped.
        """
        bits = self.bits if self.static else 1
        slots = sum(self.time_steps * layer.groups * (layer.size_in * bits + 64) for layer in self.layers)
        return 10 * (slots + self.beats_per_sample + self.classes) + 1000


def layout_of(info: dict[str, Any]) -> Layout:
    """From the content of design.json (KeyError where it is not one)."""
    source = info["input"]
    layers = tuple(
        LayerPorts(
            name=layer["name"],
            lanes=layer["lanes"],
            groups=layer["groups"],
            size_in=layer["size_in"],
            size_out=layer["size_out"],
            k_width=layer["k_width"],
            membrane_bits=layer["membrane_bits"],
            tapped=bool(info["taps"] and layer["tapped"]),
        )
        for layer in info["layers"]
    )
    return Layout(
        top=info["top"],
        time_steps=info["time_steps"],
        elements=source["elements"],
        bits=source["bits"],
        beats=source["beats"],
        static=source["kind"] == "direct",
        classes=info["output"]["classes"],
        logit_width=info["output"]["logit_width"],
        layers=layers,
    )
