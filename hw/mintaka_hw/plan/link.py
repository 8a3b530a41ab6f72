"""The wires between cores: who reads whom, and how much must fit in between."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from mintaka.artifact import Network
from mintaka_hw.plan.layer import SPIKE_FIFO_DEPTH
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.stream import StreamLayout

DIRECT_QUEUE_WORDS = 2  # behind a fork: enough for a word per cycle
DEEP_QUEUE = 64  # from so many words on, a queue is read a cycle ahead, so that it can be block RAM


@dataclass(frozen=True)
class Link:
    """From `source` (the input's or a node's name) to input number `port` of `target`.

    delay : 1 where the words of the step before are read.
    queue : words that fit in between; 0 is a plain wire.
    """

    source: str
    target: str
    port: int
    layout: StreamLayout
    delay: int
    queue: int

    @property
    def name(self) -> str:
        """Unique: a target has one link per port."""
        return f"{self.target}_{self.port}"

    @property
    def is_deep(self) -> bool:
        """True where words take a cycle more, through block RAM."""
        return self.queue >= DEEP_QUEUE

    @property
    def memory(self) -> MemoryPlan:
        return MemoryPlan("queue", self.queue, self.layout.word_bits)


def levels(network: Network) -> dict[str, int]:
    """Most cores on a way from the input, without delayed edges; 0 for the input itself."""
    found = {network.input.name: 0}
    for node in network.nodes:
        found[node.name] = 1 + max((found[e.node] for e in node.inputs if not e.delay), default=0)
    return found


def links(network: Network, layouts: dict[str, StreamLayout]) -> list[Link]:
    """Every link, by target and port.

    Queues are what keeps the design from locking up. A core takes a list's words edge by edge, so where several edges
    of one step meet, each must hold a whole frame: then every core can give frame t once it has frame t, whatever its
    readers wait for, and by induction over t all frames flow. A way that is n cores shorter than another into the same
    target holds n frames more, so that both keep pace, and a delayed edge one more again.

    A direct input has one frame per sample, where other links have T. Its frame is the first thing of a sample that a
    core takes, and taking it needs nothing of that sample but a place for what the core gives meanwhile (its frame 0),
    which the queue of a reader that is not there yet holds. So once all readers have a sample's direct frame, the
    sample flows as above and all of them come to the next one: by induction over the samples the fork, which gives
    every reader the same words, never waits for ever. Where a direct edge meets others (another one of the same input
    among them), its queue holds a frame, and one more for every T cores that its way is shorter.

    For speed, not for safety: a layer with a direct input works in bursts, as it sums that input once and then gives
    one frame after the other, which takes its readers as long each as the first. Queues for the T frames of a sample
    let it sum the next sample meanwhile, so that a sample takes as long as the slowest layer alone.
    """
    level, static = levels(network), network.input.static
    bursts = _bursts(network) if network.time_steps > 1 else set()
    readers: dict[str, int] = {}
    for node in network.nodes:
        for edge in node.inputs:
            readers[edge.node] = readers.get(edge.node, 0) + 1
    found = []
    for node in network.nodes:
        meeting = sum(not edge.delay for edge in node.inputs)
        for port, edge in enumerate(node.inputs):
            layout = layouts[edge.node]
            ahead = max(0, level[node.name] - level[edge.node] - 1)
            if edge.delay:
                queue = (ahead + 2) * layout.words
            elif meeting > 1:
                frames = ceil(ahead / network.time_steps) if edge.node == network.input.name and static else ahead
                queue = max(DIRECT_QUEUE_WORDS, (frames + 1) * layout.words)
            else:
                queue = DIRECT_QUEUE_WORDS if readers[edge.node] > 1 else 0
            sample = network.time_steps * layout.words
            if edge.node in bursts and node.op != "pool2d" and sample > SPIKE_FIFO_DEPTH:
                queue += sample
            found.append(Link(edge.node, node.name, port, layout, edge.delay, queue))
    return found


def _bursts(network: Network) -> set[str]:
    """Layers with a direct input, and pools behind them: their words come in bursts."""
    found: set[str] = set()
    for node in network.nodes:
        direct = network.input.static and any(edge.node == network.input.name for edge in node.inputs)
        if (node.has_synapses and direct) or (node.op == "pool2d" and node.inputs[0].node in found):
            found.add(node.name)
    return found
