"""The pipeline of a layer core: how many cycles after an event's slot things happen."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka_hw.plan import LayerPlan
from mintaka_hw.rtl.lif import lif_latency
from mintaka_hw.rtl.table import state_latency

DECODE = 3  # cycles from a slot to its weights, out of their memory and its register
ACCUMULATE = 1  # from there to the lanes: the register before the accumulators
OUTPUT_LATENCY = 1  # from a group's result to its word at the core's output, through an empty output queue


@dataclass(frozen=True)
class PipelineTiming:
    """Cycles from a slot of a layer core.

    result : from a group's last slot to its result: spikes leave the lanes, state is written.
    state : from a group's last slot to the first slot that may read what it stores; 1 where nothing is stored.
    counters : from a slot to the clock edge at which it is counted.
    """

    result: int
    state: int
    counters: int

    @property
    def word(self) -> int:
        """From a group's last slot to its word at the core's output."""
        return self.result + OUTPUT_LATENCY

    @classmethod
    def of(cls, layer: LayerPlan) -> PipelineTiming:
        result = DECODE + ACCUMULATE + lif_latency(cuba=layer.datapath.current is not None)
        # What a slot stores with its result can be read where the next one reads its state: with the weights.
        state = result + 1 - DECODE + state_latency(layer.folding.states) if layer.datapath.keeps_state else 1
        return cls(result, state, counters=DECODE + 1 + layer.events.is_grouped)
