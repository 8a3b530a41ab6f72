"""The generated Verilog: same bytes every time, no path of the machine, and a true description beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from handmade import dense_network, neuron_network

from mintaka.artifact import Network, Output, content_hash, save
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate
from mintaka_hw.verilog.generate import module_name

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
        environment = {"PYTHONHASHSEED": number, "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "net.safetensors"), str(out)]
        subprocess.run(command, check=True, env=environment)
        written.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["design.json", "mintaka_handmade.v"]


def test_no_path_of_the_machine(tmp_path: Path) -> None:
    text = generate(make_plan(NETWORK), tmp_path, taps=True).verilog.read_text()
    assert str(tmp_path) not in text
    assert ".py" not in text
    assert not re.search(r"(?m)^\s*\(\* src", text)


def test_description_of_a_dense_network(tmp_path: Path) -> None:
    info = generate(make_plan(NETWORK, {"hidden1": 5, "head": 2}), tmp_path).info
    assert info["input"] == {"kind": "direct", "shape": [20], "bits": 8, "order": "chw", "elements": 4, "beats": 5}
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
    top = text[text.index(f"module {design.top}(") :]
    ports = re.search(r"\((.*?)\);", top, re.DOTALL)
    assert ports is not None
    names = {name.strip() for name in ports[1].split(",")}
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
        assert re.search(rf"output {name}_done;", text)
