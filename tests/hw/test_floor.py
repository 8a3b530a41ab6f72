"""What a part must hold at least, to the bit."""

from __future__ import annotations

from dataclasses import replace

from handmade import dense_network

from mintaka_hw.implement.floor import fit_problem, least, memory_bits
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import part_of


def test_memory_fits_up_to_the_last_bit() -> None:
    plan = make_plan(dense_network([80, 12, 3]), 2)
    part = replace(part_of("LFE5U-25F"), capacity={"LUT": 100, "FF": 0, "BRAM": 0})
    flip_flops = plan.memory_bits - memory_bits(part)  # beside the LUTs
    assert least(plan, part)["LUT"] <= 100
    assert flip_flops > least(plan, part)["FF"]
    exact, short = (replace(part, capacity={**part.capacity, "FF": n}) for n in (flip_flops, flip_flops - 1))
    assert fit_problem(plan, exact) is None
    total = plan.memory_bits
    hold = f"of which block RAMs, LUTs and flip-flops hold {total - 1:,}"
    assert fit_problem(plan, short) == f"at least {total:,} bits of memory, {hold}"
