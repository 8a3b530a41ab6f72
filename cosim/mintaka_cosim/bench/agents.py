"""The verification bench's parts: each drives or watches one side of the design, one cycle at a time.

All of them act twice per cycle: `drive` behind the rising clock edge, `sample` at the falling edge, when everything
has settled. A handshake happens at the next rising edge where both sides were up at the falling one.
"""

from __future__ import annotations

import random
from typing import Any, Protocol

import numpy as np

from mintaka_cosim.bench.layout import LayerPorts, Layout
from mintaka_cosim.bench.recording import per_sample
from mintaka_cosim.bench.scoreboard import Scoreboard
from mintaka_cosim.bench.words import split_fields


class Agent(Protocol):
    """Something that acts every cycle."""

    def drive(self) -> None: ...

    def sample(self, cycle: int) -> bool:
        """True where something happened (the watchdog is fed)."""
        ...


class Pauses:
    """Decides in which cycles one side pauses."""

    def __init__(self, percent: int, longest: int, rng: random.Random) -> None:
        self._chance, self._lengths, self._rng = percent / 100, longest.bit_length(), rng
        self._left = 0

    def pause(self) -> bool:
        """Whether to pause in this cycle."""
        if self._left:
            self._left -= 1
            return True
        if self._rng.random() >= self._chance:
            return False
        self._left = (1 << self._rng.randrange(self._lengths)) - 1
        return True


class InputDriver:
    """Offers beats in order, with random pauses; what is offered stays until it is taken."""

    def __init__(self, dut: Any, beats: np.ndarray, pauses: Pauses) -> None:
        self._dut, self._pauses = dut, pauses
        self._per_sample = beats.shape[1]
        rows = beats.reshape(-1, beats.shape[2]).astype("<u4")
        self._values = [int.from_bytes(row.tobytes(), "little") for row in rows]
        self._sent = 0
        self._offered = False
        self.accepted: list[int] = []

    def drive(self) -> None:
        """Decide whether this cycle offers the next beat."""
        if self._offered:
            return
        if self._sent < len(self._values) and not self._pauses.pause():
            self._dut.i_data.value = self._values[self._sent]
            self._offered = True
        self._dut.i_valid.value = int(self._offered)

    def sample(self, cycle: int) -> bool:
        if not (self._offered and int(self._dut.i_ready.value)):
            return False
        if self._sent % self._per_sample == 0:
            self.accepted.append(cycle)
        self._sent += 1
        self._offered = False
        return True


class OutputSink:
    """Takes logits, with random pauses, and hands them to the scoreboard."""

    def __init__(self, dut: Any, layout: Layout, pauses: Pauses, scoreboard: Scoreboard) -> None:
        self._dut, self._pauses, self._scoreboard = dut, pauses, scoreboard
        self._exits, self._time_steps = layout.exits, layout.time_steps
        self.steps: list[int] = []
        self._ready = True
        self.finished: list[int] = []
        self.cycles: list[int] = []

    def drive(self) -> None:
        self._ready = not self._pauses.pause()
        self._dut.o_ready.value = int(self._ready)

    def sample(self, cycle: int) -> bool:
        dut = self._dut
        if not (self._ready and int(dut.o_valid.value)):
            return False
        last = bool(int(dut.o_last.value))
        self._scoreboard.logit(dut.o_logit.value.to_signed(), int(dut.o_class.value) if last else None)
        if last:
            self.steps.append(int(dut.o_steps.value) if self._exits else self._time_steps)
            self._scoreboard.stopped(self.steps[-1])
            self.finished.append(cycle)
            self.cycles.append(int(dut.o_cycles.value))
        return True


class LayerMonitor:
    """Watches one layer's taps and counters."""

    def __init__(self, dut: Any, layer: LayerPorts, scoreboard: Scoreboard) -> None:
        self._layer, self._scoreboard = layer, scoreboard

        def port(suffix: str) -> Any:
            return getattr(dut, f"{layer.name}_{suffix}")

        self._done = port("done")
        self._counters = [port(name) for name in ("sops", "events", "busy")]
        self._valid = port("tap_valid") if layer.tapped else None
        self._taps = {name: port(f"tap_{name}") for name in layer.fields} if layer.tapped else {}
        self.totals: list[list[int]] = []  # at the end of each sample

    def drive(self) -> None:
        """A monitor drives nothing."""

    def sample(self, cycle: int) -> bool:  # noqa: ARG002
        tapped = self._valid is not None and bool(int(self._valid.value))
        if tapped:
            values = {}
            for name, (width, signed) in self._layer.fields.items():
                word = int(self._taps[name].value)
                values[name] = split_fields(word, self._layer.lanes, width, signed=signed)
            self._scoreboard.tap(self._layer.name, values)
        done = bool(int(self._done.value))
        if done:
            self.totals.append([int(counter.value) for counter in self._counters])
            latest = per_sample(np.array(self.totals[-2:]))[-1]
            self._scoreboard.counted(self._layer.name, int(latest[0]))
        return tapped or done


class RestartMonitor:
    """Watches the end of each sample of a design with early exit; it comes behind the monitors of the layers."""

    def __init__(self, dut: Any, scoreboard: Scoreboard) -> None:
        self._dut, self._scoreboard = dut, scoreboard

    def drive(self) -> None:
        """A monitor drives nothing."""

    def sample(self, cycle: int) -> bool:  # noqa: ARG002
        restart = bool(int(self._dut.restart.value))
        if restart:
            self._scoreboard.restarted()
        return restart
