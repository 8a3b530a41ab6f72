"""The plan of a whole accelerator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mintaka.artifact import Network
from mintaka.artifact.limits import Range
from mintaka.errors import MintakaError
from mintaka_hw.plan.join import JoinPlan
from mintaka_hw.plan.layer import LayerPlan
from mintaka_hw.plan.link import Link
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.pool import PoolPlan
from mintaka_hw.plan.schedule import Schedule
from mintaka_hw.plan.stream import StreamLayout

Stage = LayerPlan | PoolPlan | JoinPlan


class PlanError(MintakaError, ValueError):
    """The network cannot be built as asked; the message is one sentence that names the node."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The accelerator of one network: its cores in the artifact's order, and the links between them.

    input : the input stream. A flat one, or any that a dense layer reads, comes in C order; pictures for a convolution
        or a pool come pixel by pixel, channels innermost.
    run_time : the steps of each sample, up to the network's, and the margins are inputs of the design.
    """

    network: Network
    artifact_hash: str
    input: StreamLayout
    stages: tuple[Stage, ...]
    links: tuple[Link, ...]
    run_time: bool = False

    @property
    def layers(self) -> tuple[LayerPlan, ...]:
        """The stages that sum a current."""
        return tuple(stage for stage in self.stages if isinstance(stage, LayerPlan))

    @property
    def head(self) -> LayerPlan:
        return self.layer(self.network.output.node)

    @property
    def running_ahead(self) -> frozenset[str]:
        """Nodes that no undelayed way leads to from the input: they may begin a sample before it has come in."""
        found: set[str] = set()
        for node in self.network.nodes:
            if all(edge.delay or edge.node in found for edge in node.inputs):
                found.add(node.name)
        return frozenset(found)

    @property
    def input_order(self) -> str:
        """ "chw" or "hwc": how the input's elements follow one another."""
        return "hwc" if self.input.pixels > 1 else "chw"

    def layer(self, name: str) -> LayerPlan:
        """The layer of that name; KeyError where there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def lanes(self) -> dict[str, int]:
        return {layer.name: layer.folding.lanes for layer in self.layers}

    @property
    def sparse(self) -> tuple[str, ...]:
        """The layers with a sparse weight memory."""
        return tuple(layer.name for layer in self.layers if layer.weights.sparse is not None)

    @property
    def logit_width(self) -> int:
        return self.head.datapath.logit_width

    @property
    def memories(self) -> list[tuple[str, MemoryPlan]]:
        """Every memory with the name of its stage; a queue belongs to the stage that reads it."""
        found = [(stage.name, memory) for stage in self.stages for memory in stage.memories]
        if self.head.logit_memory is not None:
            found.append((self.head.name, self.head.logit_memory))
        if self.exits:
            found.append((self.head.name, MemoryPlan("kept", self.network.classes, self.logit_width)))
        return found + [(link.target, link.memory) for link in self.links if link.queue]

    @property
    def exits(self) -> bool:
        """True where samples may stop before their last step."""
        return self.head.schedule.exits

    @property
    def memory_bits(self) -> int:
        return sum(memory.bits for _, memory in self.memories)

    def with_run_time(self) -> Plan:
        """The same plan with `run_time`."""
        return replace(self, stages=_scheduled(self.stages, lambda s: replace(s, run_time=True)), run_time=True)

    def with_steps(self, steps: int) -> Plan:
        """How a design with `run_time` works on samples of so many steps: for the cycle model and to compare with.

        The network is that of `steps` time steps; queues and memories stay as they were built.
        """
        if not self.run_time:
            raise PlanError("the steps of a sample are fixed in this plan: make it with run_time=True")
        Range(1, self.network.time_steps).require(steps, "the steps of a sample", PlanError)
        output = replace(self.network.output, margins=self.network.output.margins[: steps - 1])
        network = replace(self.network, time_steps=steps, output=output)
        return replace(self, network=network, stages=_scheduled(self.stages, lambda s: replace(s, time_steps=steps)))


def _scheduled(stages: tuple[Stage, ...], change: Callable[[Schedule], Schedule]) -> tuple[Stage, ...]:
    """The stages, with layers whose schedules are changed."""
    return tuple(replace(s, schedule=change(s.schedule)) if isinstance(s, LayerPlan) else s for s in stages)
