"""Reading and tidying Verilog as Yosys writes it: small modules, each with one thing that must not be lost."""

from __future__ import annotations

import re

import pytest

from mintaka.artifact import LeakTerm
from mintaka_hw.verilog import header
from mintaka_hw.verilog.text import identifiers, renamed
from mintaka_hw.verilog.tidy import tidy

INNER = {"inner": frozenset({"out"})}


def test_what_only_an_instance_reads_stays() -> None:
    text = r"""module \top (a, q);
  input a;
  wire a;
  output q;
  wire q;
  wire \$1 ;
  assign \$1  = ~ a;
  inner inner (
    .in(\$1 ),
    .out(q)
  );
endmodule
"""
    found = tidy(text, ["a", "q"], INNER)
    assert "  wire inner_in;\n" in found
    assert "  assign inner_in = ~ a;\n" in found
    assert "    .in(inner_in),\n    .out(q)\n" in found


def test_signals_that_would_have_one_name_are_told_apart() -> None:
    text = r"""module \top (a, q);
  input [1:0] a;
  wire [1:0] a;
  output q;
  wire q;
  wire \w$1 ;
  wire \w$2 ;
  wire w;
  assign \w$1  = a[0];
  assign \w$2  = \w$1  & a[1];
  assign w = ~ \w$2 ;
  assign q = w;
endmodule
"""
    lines = tidy(text, ["a", "q"], {}).splitlines()
    assigned = dict(line.removeprefix("  assign ").rstrip(";").split(" = ") for line in lines if "assign" in line)
    assert assigned == {"w": "a[0]", "w_2": "w & a[1]", "w_3": "~ w_2", "q": "w_3"}
    assert {line for line in lines if re.fullmatch(r"  wire w\w*;", line)} == {
        "  wire w;",
        "  wire w_2;",
        "  wire w_3;",
    }


def test_what_only_an_index_reads_stays() -> None:
    text = r"""module \top (a, clk, q);
  input a;
  wire a;
  input clk;
  wire clk;
  output [1:0] q;
  reg [1:0] q;
  wire \$1 ;
  assign \$1  = ~ a;
  always @(posedge clk)
    q[\$1 ] <= a;
endmodule
"""
    found = tidy(text, ["clk", "a", "q"], {})
    assert "  wire n1;\n" in found
    assert "  assign n1 = ~ a;\n" in found
    assert "    q[n1] <= a;\n" in found


def test_a_memorys_word_has_one_name() -> None:
    text = r"""module \top (a, clk, q);
  input a;
  wire a;
  input clk;
  wire clk;
  output q;
  wire q;
  wire [1:0] word;
  wire \word.low ;
  reg [1:0] store [1:0];
  initial begin
    store[0] = 2'h1;
    store[1] = 2'h2;
  end
  reg [1:0] _0_;
  always @(posedge clk) begin
    _0_ <= store[a];
  end
  assign word = _0_;
  assign \word.low  = word[0];
  assign q = word[1];
endmodule
"""
    found = tidy(text, ["clk", "a", "q"], {})
    assert "  reg [1:0] store_word;\n    // low [0]\n" in found
    assert "    store_word <= store[a];\n" in found
    assert found.endswith("  end\n  assign q = store_word[1];\nendmodule\n")


def test_strings_numbers_attributes_and_pins_name_no_signal() -> None:
    line = r"""  (* src = "x" *) $display("a \" b", 4'hb, \c$1 , .d(e[2'h1]), $signed(f));"""
    assert list(identifiers(line)) == [r"\c$1", "e", "f"]
    names = {name: f"new_{name}" for name in ("x", "a", "b", "d", "e", "f", "src", "display", "signed")}
    expected = r"""  (* src = "x" *) $display("a \" b", 4'hb, c, .d(new_e[2'h1]), $signed(new_f));"""
    assert renamed(line, names | {r"\c$1": "c"}) == expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((LeakTerm(1, 0), LeakTerm(-1, 3)), "+(V >> 0) -(V >> 3)"),
        ((4, 5, 5), "4x5x5"),
        (("conv1", "conv2"), "conv1, conv2"),
        (True, "yes"),
        (False, "no"),
        (None, "none"),
        ((), "none"),
        (7, "7"),
    ],
)
def test_values_in_a_header(value: object, shown: str) -> None:
    assert header.text(value) == shown
