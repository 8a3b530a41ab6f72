"""What a plan takes at least of a part: told before synthesis, which for what cannot fit runs for many minutes."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from mintaka_hw.plan.memory import BLOCK_BITS as FORCED_BITS
from mintaka_hw.plan.memory import BLOCK_ROWS
from mintaka_hw.targets import Part, family_of

if TYPE_CHECKING:
    from mintaka_hw.plan import Plan, WeightMemory


def least(plan: Plan, part: Part) -> dict[str, int]:
    """LUT, FF and BRAM that no synthesis of the design can do without, of what `part.capacity` has.

    Block RAMs: those of weight memories, which are always made of them. Synthesis drops a bit that is the same in all
    rows, as of a lane whose weights are all 0, and what is around it; so do these figures. LUTs and flip-flops: an
    accumulator per lane.
    """
    luts, blocks = 0, 0
    memory = family_of(part).memory
    size = memory.block_bits
    for layer in plan.layers:
        varying = varying_bits(layer.weights)
        bits = _block_rows(layer.weights) * int(np.bitwise_count(varying).sum())
        blocks += bits // size if memory.half_blocks else ceil(bits / size)
        luts += int((varying != 0).sum()) * layer.datapath.accumulator_width
    return {"LUT": luts, "FF": luts, "BRAM": max(0, blocks - _large(part))}


def memory_bits(part: Part) -> int:
    """Bits that the part can hold in all: in block RAMs, and in LUTs and flip-flops if it had nothing else to do."""
    capacity, memory = part.capacity, family_of(part).memory
    blocks = int(capacity["BRAM"] * memory.block_bits) + int(capacity.get("LRAM", 0)) * memory.large_bits
    return blocks + int(capacity["LUT"]) * memory.lut_bits + int(capacity["FF"])


def fit_problem(plan: Plan, part: Part) -> str | None:
    """Why the design cannot fit the part, with the numbers; None where that is not known before synthesis."""
    capacity = part.capacity
    takes = [f"{n:,} {unit} of {capacity[unit]:,g}" for unit, n in least(plan, part).items() if n > capacity[unit]]
    total = plan.memory_bits
    if total > memory_bits(part):
        takes.append(f"{total:,} bits of memory, of which block RAMs, LUTs and flip-flops hold {memory_bits(part):,}")
    return f"at least {' and '.join(takes)}" if takes else None


def varying_bits(memory: WeightMemory) -> np.ndarray:
    """By lane, the bits of its stored weight that are not the same in all rows of the weight memory, as a number."""
    lanes, bits = memory.lanes, memory.bits
    if memory.sparse is not None:
        weights = memory.sparse.rows.T  # (lanes, rows)
    else:
        padding = -len(memory.values) % lanes
        groups = np.pad(memory.values, ((0, padding), (0, 0))).reshape(-1, lanes, memory.fan_in)
        weights = np.moveaxis(groups, 1, 0).reshape(lanes, -1)
    if memory.codebook is not None:
        stored = np.searchsorted(memory.codebook, weights)
    else:
        stored = weights if bits > 1 else (weights < 0).astype(np.int64)
    if stored.shape[1] == 0:
        return np.zeros(lanes, np.int64)
    mask = (1 << bits) - 1
    found: np.ndarray = (np.bitwise_or.reduce(stored, axis=1) ^ np.bitwise_and.reduce(stored, axis=1)) & mask
    return found


def _block_rows(memory: WeightMemory) -> int:
    """Rows of the weight memory that are in block RAM: `pipelined_rom` parts it, and a small rest is LUTs."""
    width = memory.lanes * memory.bits
    if memory.depth * width < FORCED_BITS:
        return 0
    whole, rest = divmod(memory.depth, BLOCK_ROWS)
    return whole * BLOCK_ROWS + (rest if rest * width >= FORCED_BITS else 0)


def _large(part: Part) -> int:
    """Block RAMs that the part's large RAMs can stand for."""
    memory = family_of(part).memory
    return int(part.capacity.get("LRAM", 0)) * memory.large_bits // memory.block_bits
