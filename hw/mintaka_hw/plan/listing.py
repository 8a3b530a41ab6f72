"""The plan as a table: every stage with its folding, its widths and its memories, for people and for `design.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mintaka_hw.plan.join import JoinPlan
from mintaka_hw.plan.layer import LayerPlan
from mintaka_hw.plan.memory import MemoryPlan, table_width
from mintaka_hw.plan.plan import Plan
from mintaka_hw.plan.pool import PoolPlan


@dataclass(frozen=True)
class StageListing:
    """One core.

    op : for example "conv2d", "sum pool", "add join".
    lanes, groups, windows : P, G and windows per step; None for pools and joins, which are not folded.
    widths : bits by what is that wide, as far as the stage has it.
    memories : everything that keeps words, the queues in front of the stage included.
    """

    name: str
    op: str
    lanes: int | None
    groups: int | None
    windows: int | None
    widths: dict[str, int]
    memories: tuple[MemoryPlan, ...]

    @property
    def memory_bits(self) -> int:
        return sum(memory.bits for memory in self.memories)

    def to_json(self) -> dict[str, object]:
        memories = [{**asdict(memory), "bits": memory.bits} for memory in self.memories]
        return {**asdict(self), "memories": memories, "memory_bits": self.memory_bits}


def listing(plan: Plan) -> list[StageListing]:
    """Every stage in the artifact's order. The bits of all of them are `plan.memory_bits`."""
    queues = {link.target: [each for each in plan.links if each.target == link.target] for link in plan.links}
    found = []
    for stage in plan.stages:
        own = [memory for name, memory in plan.memories if name == stage.name and memory.name != "queue"]
        own += [
            MemoryPlan(f"queue from {link.source}", link.memory.depth, link.memory.width)
            for link in queues[stage.name]
            if link.queue
        ]
        if isinstance(stage, LayerPlan):
            P, G, windows = stage.folding.lanes, stage.folding.groups, stage.folding.windows
            found.append(StageListing(stage.name, stage.node.op, P, G, windows, _widths(stage), tuple(own)))
        else:
            widths = {"element in": _element_bits(stage), "element out": stage.outgoing.element_bits}
            op = f"{stage.node.join} join" if isinstance(stage, JoinPlan) else f"{'sum' if stage.is_sum else 'or'} pool"
            found.append(StageListing(stage.name, op, None, None, None, widths, tuple(own)))
    return found


def _element_bits(stage: PoolPlan | JoinPlan) -> int:
    streams = stage.incoming if isinstance(stage, JoinPlan) else (stage.incoming,)
    return max(stream.element_bits for stream in streams)


def _widths(layer: LayerPlan) -> dict[str, int]:
    """Proven from the artifact: no value needs more."""
    weights, datapath, neuron = layer.weights, layer.datapath, layer.node.neuron
    found = {
        **({} if weights.codebook is None else {"weight place": weights.bits}),
        "weight": weights.bits if weights.codebook is None else weights.width,
        "accumulator": datapath.accumulator_width,
        "K": datapath.k_width,
        "bias": table_width(datapath.bias),
    }
    if neuron is not None and datapath.threshold is not None:
        found["threshold"] = table_width(datapath.threshold)
        found["U"] = neuron.membrane_bits
        if neuron.current is not None:
            found["J stored"] = neuron.current.bits
        if neuron.refractory:
            found["silent steps"] = neuron.refractory.bit_length()
        if datapath.reset_by is not None:
            found["reset by"] = table_width(datapath.reset_by)
    elif layer.node.integrator is not None:
        found["U"] = layer.node.integrator.membrane_bits
    return {**found, "input": max(edge.element_bits for edge in layer.edges), "word out": layer.outgoing.word_bits}
