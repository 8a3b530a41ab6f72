"""The smallest bench: an AND gate, to prove that Verilator, the compiler and cocotb work together."""

from __future__ import annotations

from itertools import product
from typing import Any

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def truth_table(dut: Any) -> None:
    """All four inputs."""
    for a, b in product((0, 1), repeat=2):
        dut.a.value, dut.b.value = a, b
        await Timer(1, unit="step")
        found = int(dut.y.value)
        assert found == (a & b), f"{a} AND {b} gave {found}"
