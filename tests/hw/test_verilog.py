"""The generated Verilog: readable, same bytes every time, no path of the machine, a true description beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from handmade import dense_network, graph_network, neuron_network

from mintaka.artifact import Network, Output, content_hash, save
from mintaka_hw.plan import PlanError, make_plan
from mintaka_hw.verilog import generate
from mintaka_hw.verilog.generate import module_name, module_texts
from mintaka_hw.verilog.tidy import tidy

NETWORK = dense_network([20, 12, 3], kind="direct", bits=8, input_shift=3)
NEURONS = neuron_network()
SCRIPT = """
import sys
from mintaka.artifact import load
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate
generate(make_plan(load(sys.argv[1]), {"hidden1": 5, "head": 2}), sys.argv[2], taps=True)
"""


def test_bytes_are_the_same_in_every_process_and_folder(tmp_path: Path) -> None:
    save(NETWORK, tmp_path / "net.safetensors")
    written = []
    for number in ("1", "2"):
        out = tmp_path / f"out{number}"
        environment = {
            "PYTHONHASHSEED": number,
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "net.safetensors"), str(out)]
        subprocess.run(command, check=True, env=environment)
        written.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert written[0] == written[1]
    files = [f"mintaka_handmade.{kind}" for kind in ("core", "v", "vlt")]
    assert sorted(written[0]) == ["design.json", "files.f", *files]


def test_no_path_of_the_machine(tmp_path: Path) -> None:
    text = generate(make_plan(NETWORK), tmp_path, taps=True).verilog.read_text()
    assert str(tmp_path) not in text
    assert ".py" not in text
    assert "src" not in text


def port_names(text: str, module: str) -> set[str]:
    """Of a module in a Verilog text."""
    ports = re.search(rf"^module {module} \((.*?)^\);", text, re.DOTALL | re.MULTILINE)
    assert ports is not None
    return set(re.findall(r"^  (?:input|output) .*?(\w+)(?: = \S+?)?,?$", ports[1], re.MULTILINE))


def test_description_of_a_dense_network(tmp_path: Path) -> None:
    info = generate(make_plan(NETWORK, {"hidden1": 5, "head": 2}), tmp_path).info
    source = {"kind": "direct", "shape": [20], "bits": 8, "signed": False, "encoding": None}
    assert info["input"] == source | {"order": "chw", "elements": 4, "beats": 5}
    assert (info["output"]["node"], info["output"]["read"], info["output"]["classes"]) == ("head", "accumulate", 3)
    assert info["layers"][0]["groups"] == 3


@pytest.mark.parametrize("taps", [False, True])
@pytest.mark.parametrize("network", [NETWORK, NEURONS], ids=["dense", "neurons"])
def test_description_matches_the_ports(tmp_path: Path, network: Network, taps: bool) -> None:
    plan = make_plan(network, 2)
    design = generate(plan, tmp_path, taps=taps)
    info = json.loads((tmp_path / "design.json").read_text())
    assert info == design.info
    assert info["artifact_hash"] == content_hash(network)
    text = design.verilog.read_text()
    names = port_names(text, design.top)
    expected = {"clk", "rst", "i_valid", "i_ready", "i_data", "o_valid", "o_ready", "o_logit", "o_class", "o_last"}
    expected |= {"o_cycles", "artifact_hash"}
    for layer in info["layers"]:
        expected |= {f"{layer['name']}_{port}" for port in ("done", "sops", "events", "busy")}
        if taps:
            fields = {"s": layer["spikes"], "u": layer["membrane_bits"], "j": layer["current_bits"]}
            shown = ("valid", "k", *(field for field, there in fields.items() if there))
            expected |= {f"{layer['name']}_tap_{port}" for port in shown}
    assert names == expected
    assert content_hash(network) in text


@pytest.mark.parametrize(
    ("name", "module"),
    [("digits-dense", "mintaka_digits_dense"), ("W4U4 π", "mintaka_w4u4"), ("--", "mintaka_network")],
)
def test_module_name(name: str, module: str) -> None:
    assert module_name(name) == module


def test_another_artifact_gives_another_hash_port(tmp_path: Path) -> None:
    other: Network = dense_network([20, 12, 3], kind="direct", bits=8, input_shift=3, seed=1)
    first = generate(make_plan(NETWORK), tmp_path / "a").verilog.read_text()
    second = generate(make_plan(other), tmp_path / "b").verilog.read_text()
    assert f"64'h{content_hash(NETWORK)[7:23]}" in first
    assert f"64'h{content_hash(other)[7:23]}" in second


@pytest.mark.parametrize(
    "names", [("logits", "head"), ("hidden", "logits"), ("i", "o"), ("clk", "rst"), ("module", "begin"), ("a", "a_tap")]
)
def test_any_node_name_is_fine(tmp_path: Path, names: tuple[str, str]) -> None:
    """A node's name meets neither another module, nor a port, nor a word of Verilog."""
    network = dense_network([4, 3, 2])
    hidden, head = network.nodes
    nodes = (
        replace(hidden, name=names[0]),
        replace(head, name=names[1], inputs=(replace(head.inputs[0], node=names[0]),)),
    )
    renamed = replace(network, nodes=nodes, output=Output(names[1]))
    text = generate(make_plan(renamed, 1), tmp_path, taps=True).verilog.read_text()
    for name in names:
        assert f"{name}_done" in port_names(text, "mintaka_handmade")


GRAPH = graph_network()
PLAN = make_plan(GRAPH, 2)
texts_of = cache(module_texts)
STAGE = ("collector", "lanes", "out_fifo", "replay", "sequencer")


def test_every_identifier_is_plain() -> None:
    for text in texts_of(PLAN, "g", taps=True).values():
        code = re.sub(r"//.*|\$signed", "", text)
        assert "\\" not in code
        assert "$" not in code


def test_names_of_modules_say_what_and_where() -> None:
    names = set(texts_of(PLAN, "g", taps=True))
    assert all(re.fullmatch(r"g(__[a-z0-9_]+)*", name) for name in names)
    expected = {"g", "g__logits", "g__fork_conv1", "g__fork_loop", "g__layer_conv2__windows1", "g__queue_loop_1__fifo"}
    expected |= {f"g__layer_{node.name}__{part}" for node in GRAPH.nodes for part in STAGE}
    assert expected <= names


def test_ports_are_those_of_the_interface() -> None:
    texts = texts_of(PLAN, "g", taps=True)
    streams = {f"{stream}__{part}" for stream in ("i", "o") for part in ("valid", "ready", "payload")}
    assert port_names(texts["g__logits"], "g__logits") == {"clk", "rst"} | streams
    assert port_names(texts["g__queue_loop_1"], "g__queue_loop_1") == {"clk", "rst"} | streams
    first = re.findall(r"^  input +wire +(\w+),$", texts["g__queue_loop_1"], re.MULTILINE)[:2]
    assert first == ["clk", "rst"]


def test_another_layer_changes_no_name_and_no_port() -> None:
    few = module_texts(make_plan(dense_network([20, 12, 3]), 1), "d", taps=True)
    more = module_texts(make_plan(dense_network([20, 12, 7, 3]), 1), "d", taps=True)
    assert set(few) < set(more)
    for name in few:
        if name != "d":
            assert port_names(few[name], name) == port_names(more[name], name)
        if "hidden1" in name:  # but for the head's number of inputs nothing else is the same layer
            assert (
                few[name].partition("artifact:")[2].partition("\n")[2]
                == (more[name].partition("artifact:")[2].partition("\n")[2])
            )


def test_names_that_meet_are_told_apart() -> None:
    """A layer called as another one's collector would be."""
    network = dense_network([4, 3, 2])
    hidden, head = network.nodes
    nodes = (replace(hidden, name="a"), replace(head, name="a__collector", inputs=(replace(head.inputs[0], node="a"),)))
    texts = module_texts(make_plan(replace(network, nodes=nodes, output=Output("a__collector")), 1), "n", taps=False)
    assert {"n__layer_a__collector", "n__layer_a__collector_2"} <= set(texts)
    assert "n__layer_a__collector collector (" in texts["n__layer_a"]
    assert re.search(r"n__layer_a__collector_2 \w+ \(", texts["n"])


def test_every_module_has_a_header() -> None:
    plan = PLAN
    texts = texts_of(plan, "g", taps=True)
    for name, text in texts.items():
        header, _, rest = text.partition(f"module {name} (\n")
        lines = header.splitlines()
        assert all(line.startswith("//") for line in lines)
        assert lines[0] == f"// {name}"
        assert len(lines[2]) > 20  # what it is
        assert "`" not in header
        parameter = lines[lines.index(f"// artifact: {plan.artifact_hash}") - 1]
        assert re.fullmatch(r"// [\w ]+: .+", parameter)
        assert rest.endswith("\nendmodule\n")
    assert "// lanes: 2\n" in texts["g__layer_loop"]
    weights = plan.layer("loop").memories[0]
    assert f"// memory weights: {weights.depth} words of {weights.width} bits\n" in texts["g__layer_loop"]
    assert "// kernel: 3x3\n" in texts["g__layer_conv1__windows0"]
    assert "// leak: +(V >> 1)\n" in texts["g__layer_loop__lanes"]


def test_headers_of_neurons_that_fire_below_zero(tmp_path: Path) -> None:
    """Every fact of a component is a plain value that a header can name."""
    layer = make_plan(dense_network([4, 3, 2], threshold=-5), 1).layers[0]
    assert layer.datapath.fires_above_zero is False
    verilog = generate(make_plan(dense_network([4, 3, 2], threshold=-5), 1), tmp_path).verilog.read_text()
    assert "fires above zero: no" in verilog


def test_a_split_design_is_the_same_text(tmp_path: Path) -> None:
    plan = PLAN
    whole = generate(plan, tmp_path / "whole", taps=True)
    split = generate(plan, tmp_path / "split", taps=True, split=True)
    assert (tmp_path / "whole" / "files.f").read_text() == "mintaka_graph.v\n"
    listed = (tmp_path / "split" / "files.f").read_text().splitlines()
    assert [path.name for path in (split.verilog, *split.parts)] == listed
    assert listed[0] == "mintaka_graph.v"
    assert {path.name for path in (tmp_path / "split").glob("*.v")} == set(listed)
    assert whole.parts == ()
    assert whole.verilog.read_text() == "\n".join((tmp_path / "split" / name).read_text() for name in listed)
    for name in listed:
        assert re.findall(r"^module (\w+)", (tmp_path / "split" / name).read_text(), re.MULTILINE) == [name[:-2]]
    assert whole.info == split.info


def test_the_top_can_be_named(tmp_path: Path) -> None:
    design = generate(make_plan(NETWORK), tmp_path, top="eye_left")
    assert design.verilog.name == "eye_left.v"
    assert design.info["top"] == "eye_left"
    modules = re.findall(r"^module (\w+)", design.verilog.read_text(), re.MULTILINE)
    assert modules[0] == "eye_left"
    assert all(name.startswith("eye_left__") for name in modules[1:])
    assert "eye_left" in (tmp_path / "eye_left.vlt").read_text()
    for name in ("Eye", "eye__left", "1st", "module", "", "eye_"):
        with pytest.raises(PlanError, match=f"'{name}' cannot name the top module"):
            generate(make_plan(NETWORK), tmp_path / "none", top=name)
    assert not (tmp_path / "none").exists()


YOSYS = r"""module \top (clk, \final , a, q);
  reg \$auto$verilog_backend.cc:2355:dump_module$3  = 0;
  reg [3:0] \$1 ;
  wire \$2 ;
  input a;
  wire a;
  input clk;
  wire clk;
  input [3:0] \final ;
  wire [3:0] \final ;
  wire \final.low ;
  wire [-1:0] \final.none ;
  reg [3:0] kept = 4'h5;
  (* init = 4'h1 *)
  wire [3:0] same;
  reg dead = 1'h0;
  output [3:0] q;
  wire [3:0] q;
  wire w;
  wire \w$7 ;
  (* ram_style = "block" *)
  reg [3:0] store [1:0];
  initial begin
    store[0] = 4'ha;
    store[1] = 4'h0;
  end
  (* keep = 32'd1 *)
  reg [3:0] _0_;
  always @(posedge clk) begin
    _0_ <= store[w];
  end
  always @(posedge clk)
    kept <= \$1 ;
  always @(posedge clk)
    dead <= \$2 ;
  assign \$2  = ~ dead;
  inner inner (
    .\end (\w$7 ),
    .in(\final [3:1]),
    .out(w)
  );
  always @* begin
    if (\$auto$verilog_backend.cc:2355:dump_module$3 ) begin end
    \$1  = kept;
    casez (\final )
      4'h3:
          \$1  = 4'hb;
    endcase
  end
  assign \final.low  = \final [0];
  assign { q[3:2], q[1:0] } = { kept[1:0], _0_[3:2] };
endmodule
"""
TIDY = """module top (
  input  wire       clk,
  input  wire [3:0] final_,
    // low [0]
  input  wire       a,
  output wire [3:0] q
);
  wire unused = &{ 1'b0, a }; // inputs of every such component, not needed here
  reg at_start;
  initial at_start <= 1'b0;
  reg [3:0] kept = 4'h5;
  reg [3:0] kept_next;
  (* keep = 32'd1 *)
  reg [3:0] store_word;
  wire inner_out;
  (* ram_style = "block" *)
  reg [3:0] store [1:0];
  initial begin
    store[0] = 4'ha;
    store[1] = 4'h0;
  end
  always @(posedge clk) begin
    store_word <= store[inner_out];
  end
  always @(posedge clk)
    kept <= kept_next;
  inner inner (
    .end_(),
    .in(final_[3:1]),
    .out(inner_out)
  );
  always @* begin
    if (at_start) begin end
    kept_next = kept;
    casez (final_)
      4'h3:
          kept_next = 4'hb;
      default: ;
    endcase
  end
  assign { q[3:2], q[1:0] } = { kept[1:0], store_word[3:2] };
endmodule
"""


def test_what_tidying_does() -> None:
    """Plain names, no keyword, ports in order, dead registers and second names gone, open pins, a default, fields."""
    found = tidy(YOSYS, ["clk", "final", "a", "q"], {"inner": frozenset({"end_", "out"})})
    assert sorted(found.splitlines()) == sorted(TIDY.splitlines())
    assert found.splitlines()[:9] == TIDY.splitlines()[:9]
    assert found[found.index("  (* ram_style") :] == TIDY[TIDY.index("  (* ram_style") :]
