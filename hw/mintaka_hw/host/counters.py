"""What is counted: cycles, samples, and per layer operations; copied all at once for whoever reads it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.host.registers import COUNTERS
from mintaka_hw.plan.layer import COUNTER_WIDTH

BEHIND_WIDTH = 16  # far more samples than can be in flight


class Counters(wiring.Component):
    """Totals since reset. `snapshot` copies all of them in one cycle; what is read is the copy.

    Attributes
    ----------
    snapshot : In(1)
    begins, comes, leaves : In(1)
        A sample begins, its packet has come in, its result leaves.
    cycles : In(32)
        The accelerator's cycles, modulo 2^32.
    layer0_done, layer0_sops, layer0_events, layer0_busy, ... : In
        As the accelerator has them.
    flying : Out(1)
        A result is still to come.
    working : Out(1)
        It is, or a layer is not yet done with a sample.
    taken_R : Out(32)
        The copies: of cycles_low, cycles_high, samples_in, samples_out, layer0_sops, ...
    """

    def __init__(self, layers: int):
        self.layers = layers
        ports: dict[str, Any] = {name: In(1) for name in ("snapshot", "begins", "comes", "leaves")}
        ports |= {"cycles": In(COUNTER_WIDTH), "flying": Out(1), "working": Out(1)}
        copied = ["cycles_low", "cycles_high", "samples_in", "samples_out"]
        for number in range(layers):
            ports[f"layer{number}_done"] = In(1)
            for counter in COUNTERS:
                ports[f"layer{number}_{counter}"] = In(COUNTER_WIDTH)
                copied.append(f"layer{number}_{counter}")
        ports |= {f"taken_{name}": Out(COUNTER_WIDTH) for name in copied}
        super().__init__(ports)

    def describe(self) -> dict[str, Any]:
        return {"layers": self.layers, "bits": COUNTER_WIDTH}

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        high, before = Signal(COUNTER_WIDTH), Signal()
        samples_in, samples_out = Signal(COUNTER_WIDTH), Signal(COUNTER_WIDTH)
        top = self.cycles[-1]
        wraps = Signal()
        m.d.comb += wraps.eq(before & ~top)
        m.d.sync += [before.eq(top), high.eq(high + wraps)]
        with m.If(self.comes):
            m.d.sync += samples_in.eq(samples_in + 1)
        with m.If(self.leaves):
            m.d.sync += samples_out.eq(samples_out + 1)

        # ---- what is still to be done: may be below 0 where a layer runs ahead of its input
        behind = [self._behind(m, "results", self.leaves)]
        for number in range(self.layers):
            behind.append(self._behind(m, f"layer{number}", getattr(self, f"layer{number}_done")))
        m.d.comb += self.flying.eq(behind[0] > 0)
        working = self.flying
        for layer in behind[1:]:
            working = working | (layer > 0)
        m.d.comb += self.working.eq(working)

        values: dict[str, Any] = {
            "cycles_low": self.cycles,
            "cycles_high": (high + wraps)[:COUNTER_WIDTH],
            "samples_in": samples_in,
            "samples_out": samples_out,
        }
        for number in range(self.layers):
            for counter in COUNTERS:
                values[f"layer{number}_{counter}"] = getattr(self, f"layer{number}_{counter}")
        with m.If(self.snapshot):
            m.d.sync += [getattr(self, f"taken_{name}").eq(value) for name, value in values.items()]
        return m

    def _behind(self, m: Module, name: str, done: Any) -> Signal:
        """Samples begun and not done."""
        count = Signal(signed(BEHIND_WIDTH), name=f"{name}_behind")
        with m.If(self.begins & ~done):
            m.d.sync += count.eq(count + 1)
        with m.Elif(~self.begins & done):
            m.d.sync += count.eq(count - 1)
        return count
