"""From Verilog to a placed design: counting, errors, output registers, timing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mintaka_hw.implement import SCRIPTS, SynthesisError
from mintaka_hw.implement.resources import resources
from mintaka_hw.implement.yosys import cells, module_of


def test_resources() -> None:
    xilinx = Counter({"LUT6": 3, "LUT2": 2, "INV": 9, "RAM32M": 2, "SRL16E": 1, "FDRE": 5, "FDSE": 1, "CARRY4": 7})
    xilinx += Counter({"RAMB36E1": 2, "RAMB18E1": 3, "DSP48E1": 1, "BUFG": 1})
    assert resources("xc7", xilinx) == {"LUT": 5 + 8 + 1, "FF": 6, "BRAM": 3.5, "DSP": 1}
    ecp5 = Counter({"LUT4": 10, "CCU2C": 2, "TRELLIS_DPR16X4": 1, "TRELLIS_FF": 4, "DP16KD": 3, "MULT18X18D": 1})
    assert resources("ecp5", ecp5) == {"LUT": 18, "FF": 4, "BRAM": 3, "DSP": 1}
    with pytest.raises(SynthesisError, match="RAM512X1S"):
        resources("xc7", Counter({"RAM512X1S": 1}))


def test_modules_of_layers() -> None:
    text = "module top(a);\nmodule top__layer_hid (a);\nmodule top__layer_hid__lanes (a);\n"
    assert module_of(text, "top", "hid") == "top__layer_hid"
    with pytest.raises(SynthesisError, match="no module 'top__layer_lanes' for layer 'lanes'"):
        module_of(text, "top", "lanes")


def test_synthesis_of_a_module(tmp_path: Path) -> None:
    (tmp_path / "m.v").write_text(
        "module m(input clk, input [3:0] a, output reg [3:0] y);\nalways @(posedge clk) y <= ~a + 1;\nendmodule\n"
    )
    found = resources("ecp5", cells(tmp_path, "m.v", "m", SCRIPTS["ecp5"]))
    assert found["FF"] == 4
    assert found["LUT"] > 0
    with pytest.raises(SynthesisError, match="Yosys failed on gone"):
        cells(tmp_path, "m.v", "gone", SCRIPTS["ecp5"])
