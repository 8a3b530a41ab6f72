"""The design as a bench sees it: ports, widths and order of what crosses them. Read from design.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mintaka_hw.plan import packed_margins


@dataclass(frozen=True)
class LayerPorts:
    """One layer that sums a current. `spikes` is False and `membrane_bits` and `current_bits` (of synaptic currents)
    are None where its neurons have no such thing.

    A step has `windows` event lists (a convolution's output pixels), each of at most `fan_in` elements of
    `element_bits` bits and replayed once per group of output channels. One that `runs_ahead` reads nothing of its own
    step, so that it may work on a sample that has not come in yet.
    """

    name: str
    lanes: int
    groups: int
    windows: int
    shape_out: tuple[int, ...]
    fan_in: int
    element_bits: int
    k_width: int
    spikes: bool
    membrane_bits: int | None
    current_bits: int | None
    tapped: bool
    runs_ahead: bool

    @property
    def words(self) -> int:
        """Tapped words, and slots of an empty network, per step."""
        return self.windows * self.groups

    @property
    def fields(self) -> dict[str, tuple[int, bool]]:
        """Tapped fields: name -> (width of one lane, signed)."""
        found = {"k": (self.k_width, True)}
        if self.spikes:
            found["s"] = (1, False)
        if self.membrane_bits is not None:
            found["u"] = (self.membrane_bits, True)
        if self.current_bits is not None:
            found["j"] = (self.current_bits, True)
        return found


@dataclass(frozen=True)
class Layout:
    """elements, bits, order: of one input beat. beats: per frame; a sample is one frame of direct input, else T.

    exits : samples may stop early: with the last logit comes how many steps there were, and a port says when one ends.
    run_time : a port says with a sample's first beat how many steps it has, and where samples may stop early another
        one wants `margins`.
    """

    top: str
    time_steps: int
    elements: int
    bits: int
    beats: int
    order: str
    static: bool
    classes: int
    logit_width: int
    exits: bool
    run_time: bool
    margins: int
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
        phases = self.time_steps + 1  # a direct input may be summed ahead of the steps
        slots = sum(phases * x.words * (x.fan_in * x.element_bits + 64) for x in self.layers)
        return 10 * (slots + self.beats_per_sample + self.classes) + 1000


def layout_of(info: dict[str, Any]) -> Layout:
    """From the content of design.json (KeyError where it is not one)."""
    source = info["input"]
    layers = tuple(
        LayerPorts(
            name=layer["name"],
            lanes=layer["lanes"],
            groups=layer["groups"],
            windows=layer["windows"],
            shape_out=tuple(layer["shape_out"]),
            fan_in=layer["fan_in"],
            element_bits=layer["element_bits"],
            k_width=layer["k_width"],
            spikes=layer["spikes"],
            membrane_bits=layer["membrane_bits"],
            current_bits=layer["current_bits"],
            tapped=bool(info["taps"] and layer["tapped"]),
            runs_ahead=layer["runs_ahead"],
        )
        for layer in info["layers"]
    )
    return Layout(
        top=info["top"],
        time_steps=info["time_steps"],
        elements=source["elements"],
        bits=source["bits"],
        beats=source["beats"],
        order=source["order"],
        static=source["kind"] == "direct",
        classes=info["output"]["classes"],
        logit_width=info["output"]["logit_width"],
        exits=bool(info["output"]["margins"]),
        run_time=info["run_time"],
        margins=packed_margins(info["output"]["margins"], info["output"]["logit_width"]),
        layers=layers,
    )
