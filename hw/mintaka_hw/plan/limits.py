"""What is too large to be generated: told from the plan, before hours of work."""

from __future__ import annotations

from collections import Counter
from math import prod

from mintaka.artifact import Network
from mintaka_hw.plan.plan import Plan
from mintaka_hw.plan.pool import PoolPlan

# Each makes some minutes of generating: 3 s per Mbit, 75 ms per lane, 60 s for a kernel of 63x63, 0.1 s per part.
MAX_MEMORY_BITS = 1 << 26
MAX_TOTAL_LANES = 1 << 13
MAX_WINDOW_INPUTS = 1 << 21
MAX_PARTS = 1 << 12


def memory_problem(network: Network) -> str | None:
    """Why no plan of dense weight memories is possible, whatever the lanes; None where that is not sure.

    Weights and membranes alone: known at once, without a run of the test vectors.
    """
    bits: Counter[str] = Counter()
    for node in network.nodes:
        for edge in node.inputs:
            if edge.weight is not None:
                bits[node.name] += edge.weight.values.size * (node.place_bits or edge.weight.bits)
        state = node.neuron or node.integrator
        if state is not None:
            bits[node.name] += prod(node.shape_out) * state.membrane_bits
    return _beyond(bits, MAX_MEMORY_BITS, "at least {} bits of weights and membranes", "all memory is on the chip")


def size_problem(plan: Plan) -> str | None:
    """Why the plan is too large to be generated, or None."""
    bits, inputs, parts = Counter[str](), Counter[str](), Counter[str]()
    for name, memory in plan.memories:
        bits[name] += memory.bits
    for stage in plan.stages:
        windows = [edge.window_buffer for edge in getattr(stage, "edges", ())]
        windows += [stage.window_buffer] if isinstance(stage, PoolPlan) else getattr(stage, "window_buffers", ())
        parts[stage.name] += 1
        for window in windows:
            if window is not None:
                parts[stage.name] += 1
                inputs[stage.name] += window.outgoing.pixels * window.kept.buffer_rows * window.part_count
    for link in plan.links:
        parts[link.target] += 1
    lanes = Counter(plan.lanes)
    return (
        _beyond(bits, MAX_MEMORY_BITS, "{} bits of memory", "all memory is on the chip")
        or _beyond(lanes, MAX_TOTAL_LANES, "{} lanes", "give fewer lanes")
        or _beyond(inputs, MAX_WINDOW_INPUTS, "windows with {} inputs of multiplexers", "take smaller kernels")
        or _beyond(parts, MAX_PARTS, "{} cores, buffers and links", "take fewer nodes and edges")
    )


def _beyond(shares: Counter[str], most: int, what: str, advice: str) -> str | None:
    """A sentence where the sum of `shares`, by stage, is more than `most`."""
    total = sum(shares.values())
    if total <= most:
        return None
    name, largest = shares.most_common(1)[0]
    return (
        f"the accelerator would have {what.format(f'{total:,}')}, {largest:,} of them in '{name}'; at most {most:,} are"
        f" generated: {advice}"
    )
