"""From Verilog to a placed design: counting, errors, output registers, what sets Fmax, results that are kept."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from handmade import dense_network
from hw.netlist import simulate

from mintaka_hw.implement import (
    YOSYS,
    Macro,
    PlaceError,
    SynthesisError,
    alike,
    check_fits,
    check_liberty,
    critical_path,
    fit_problem,
    flow,
    least,
    place,
    run_tool,
    spoken,
    synthesize,
    use_output_registers,
)
from mintaka_hw.implement.harness import harness
from mintaka_hw.implement.kept import kept
from mintaka_hw.implement.place import read_report
from mintaka_hw.implement.resources import resources, without_multipliers
from mintaka_hw.implement.standard_cells import to_gates
from mintaka_hw.implement.yosys import cells, module_of
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import TargetError, Tool, families, family_of, find_family, part_of
from mintaka_hw.verilog import Design

LIBERTY = Path(__file__).parent.parent / "tiny.lib"
ECP5 = part_of("LFE5U-25F")


def test_resources_of_every_family() -> None:
    xilinx = Counter({"LUT6": 3, "LUT2": 2, "INV": 9, "RAM32M": 2, "SRL16E": 1, "FDRE": 5, "FDSE": 1, "CARRY4": 7})
    xilinx += Counter({"RAMB36E1": 2, "RAMB18E1": 3, "DSP48E1": 1, "BUFG": 1})
    assert resources(find_family("xc7"), xilinx) == {"LUT": 5 + 8 + 1, "FF": 6, "BRAM": 3.5, "DSP": 1}
    ecp5 = {"LUT4": 10, "CCU2C": 2, "TRELLIS_DPR16X4": 1, "TRELLIS_FF": 4, "DP16KD": 3, "MULT18X18D": 1}
    assert resources(find_family("ecp5"), ecp5) == {"LUT": 18, "FF": 4, "BRAM": 3, "DSP": 1}
    ice40 = {"SB_LUT4": 7, "SB_CARRY": 5, "SB_DFF": 1, "SB_DFFESR": 2, "SB_RAM40_4K": 4, "SB_RAM40_4KNW": 1}
    assert resources(find_family("ice40"), ice40) == {"LUT": 7, "FF": 3, "BRAM": 5, "DSP": 0}
    gowin = {"LUT1": 1, "LUT4": 2, "ALU": 3, "RAM16SDP4": 1, "MUX2_LUT5": 9, "DFF": 1, "DFFRE": 2, "SDPB": 1}
    gowin |= {"pROM": 1, "MULT18X18": 1}
    assert resources(find_family("gowin"), gowin) == {"LUT": 10, "FF": 3, "BRAM": 2, "DSP": 1}
    nexus = {"LUT4": 1, "CCU2": 1, "DPR16X4": 1, "FD1P3IX": 2, "PDPSC16K": 1, "DPSC512K": 1}
    assert resources(find_family("nexus"), nexus) == {"LUT": 7, "FF": 2, "BRAM": 1, "LRAM": 1, "DSP": 0}
    with pytest.raises(SynthesisError, match="RAM512X1S"):
        resources(find_family("xc7"), Counter({"RAM512X1S": 1}))


def test_a_multiplier_is_an_error() -> None:
    without_multipliers(resources(find_family("ecp5"), {"LUT4": 1}))
    with pytest.raises(SynthesisError, match="the netlist holds 2 DSPs, but must hold none"):
        without_multipliers(resources(find_family("ecp5"), {"MULT18X18D": 2}))


def test_modules_of_layers() -> None:
    text = "module top(a);\nmodule top__layer_hid (a);\nmodule top__layer_hid__lanes (a);\n"
    assert module_of(text, "top", "hid") == "top__layer_hid"
    with pytest.raises(SynthesisError, match="no module 'top__layer_lanes' for layer 'lanes'"):
        module_of(text, "top", "lanes")


def test_synthesis_of_a_module(tmp_path: Path) -> None:
    (tmp_path / "m.v").write_text(
        "module m(input clk, input [3:0] a, output reg [3:0] y);\nalways @(posedge clk) y <= ~a + 1;\nendmodule\n"
    )
    found = resources(family_of(ECP5), cells(tmp_path, "m.v", "m", family_of(ECP5).synthesis.script))
    assert found["FF"] == 4
    assert found["LUT"] > 0
    with pytest.raises(SynthesisError, match=r"Yosys failed on gone .*: Module `gone' not found"):
        cells(tmp_path, "m.v", "gone", family_of(ECP5).synthesis.script)


def test_parts() -> None:
    assert all(family_of(part) is family for family in families() for part in family.parts)
    assert part_of("lfe5u-25f") is ECP5
    with pytest.raises(TargetError, match="part LFE5U-26F: known are LFE5U-85F, "):
        part_of("LFE5U-26F")
    check_fits({"LUT": 24288, "FF": 1, "BRAM": 56, "DSP": 0}, ECP5)
    with pytest.raises(PlaceError, match=r"does not fit LFE5U-25F, it takes 24,289 LUT of 24,288, 57 BRAM of 56: use"):
        check_fits({"LUT": 24289, "FF": 1, "BRAM": 57, "DSP": 0}, ECP5)


Runner = Callable[..., tuple[int, str]]


def faked(monkeypatch: pytest.MonkeyPatch, module: str, status: int, text: str, writes: Sequence[str] = ()) -> None:
    """A tool that writes some files, prints a text and ends."""

    def run(_tool: Tool, _arguments: Sequence[str], folder: Path, **_: object) -> tuple[int, str]:
        for name in writes:
            (folder / name).write_text("{}")
        return status, text

    monkeypatch.setattr(import_module(f"mintaka_hw.implement.{module}"), "run_tool", run)


def test_what_a_plan_takes_at_least() -> None:
    """Never more than synthesis finds: 784-128-10 W4 on 32 lanes took 3,636 LUT, 2,712 FF and 34 block RAMs of an ECP5,
    784-1024-10 5,156, 4,382 and 191."""
    ecp5 = part_of("LFE5U-85F")
    for hidden, found in ((128, (3636, 2712, 34)), (1024, (5156, 4382, 191))):
        plan = make_plan(dense_network([784, hidden, 10]), 32)
        wanted = least(plan, ecp5)
        assert all(0 < n <= most for n, most in zip(wanted.values(), found, strict=True))
        assert wanted["BRAM"] > 0.6 * found[2]
        assert fit_problem(plan, ecp5) is None
    small = part_of("iCE40UP5K")
    assert str(fit_problem(plan, small)).startswith("at least 794 BRAM of 30 and 3,2")
    network = dense_network([784, 128, 10])
    weight = network.nodes[0].inputs[0].weight
    assert weight is not None
    half = weight.values.copy()
    half[::2] = 0  # every other lane's weights: synthesis drops their bits
    edge = replace(network.nodes[0].inputs[0], weight=replace(weight, values=half))
    pruned = replace(network, nodes=(replace(network.nodes[0], inputs=(edge,)), *network.nodes[1:]))
    assert abs(least(make_plan(pruned, 32), ecp5)["BRAM"] - least(make_plan(network, 32), ecp5)["BRAM"] / 2) <= 1


def test_a_yosys_that_stops_early_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With status 0, as it may where its output is redirected; files of a run before are not taken for this one's."""
    (tmp_path / "stat.json").write_text("{}")
    (tmp_path / "m.json").write_text("{}")
    faked(monkeypatch, "yosys", 0, "3.46. Executing ABC.\n", ["m.json"])
    with pytest.raises(SynthesisError, match=r"m \(synth_ecp5\): .*ABC \(it stopped before it wrote stat.json\)"):
        synthesize([tmp_path / "m.v"], "m", ECP5, tmp_path)
    faked(monkeypatch, "yosys", 1, "x\nERROR: Module `m' is unknown!\nmore\n")
    with pytest.raises(SynthesisError, match=r"Yosys failed on m \(synth_ecp5\): Module `m' is unknown$"):
        synthesize([tmp_path / "m.v"], "m", ECP5, tmp_path)


def test_a_nextpnr_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    faked(monkeypatch, "place", 0, "Info: Routing..\n", ["m.config"])
    with pytest.raises(PlaceError, match=r"nextpnr-ecp5 failed on m for LFE5U-25F: .* \(it stopped early\)"):
        place(tmp_path / "m.json", ECP5, tmp_path)
    faked(monkeypatch, "place", 1, "ERROR: Unable to place cell 'a', no BELs remaining.\n")
    with pytest.raises(PlaceError, match=r"for LFE5U-25F: Unable to place cell 'a', no BELs remaining$"):
        place(tmp_path / "m.json", ECP5, tmp_path)
    for part, frequency, said in ((part_of("XC7A35T"), None, "no open place and route for xc7"), (ECP5, 0, "0 MHz")):
        with pytest.raises(PlaceError, match=said):
            place(tmp_path / "m.json", part, tmp_path, frequency_mhz=frequency)


def test_a_tool_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"nextpnr-mars is not installed: pip install yowasp-nextpnr-mars"):
        run_tool(Tool("nextpnr-mars", "yowasp-nextpnr-mars", "run"), [], tmp_path)


def test_the_first_call_of_a_tool_is_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By what the WebAssembly runtime prints; everything else goes to the caller line by line."""
    (tmp_path / "slowtool.py").write_text(
        "import sys\ndef run(argv):\n    print('Preparing to run yowasp-x. This might ...', file=sys.stderr)\n"
        "    print('working on', *argv)\n    return 3\n"
    )
    monkeypatch.setattr(Tool, "version", "1")
    said: list[str] = []
    lines: list[str] = []
    tool = Tool("Slow", "slowtool", "run")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    status, text = run_tool(tool, ["a"], tmp_path, say=said.append, each_line=lines.append)
    assert (status, said) == (3, ["preparing Slow for its first call, which takes a minute ..."])
    assert lines == ["working on a\n"]
    assert "Preparing" in text


MEMORIES = """
module m(input clk, input [9:0] ra, input [9:0] wa, input we, input ce, input [17:0] d,
         output [17:0] rom_q, output [17:0] ram_q, output [17:0] held_q,
         output [17:0] shared_q, output [17:0] shared_r);
  integer i;
  reg [17:0] rom [0:1023], held [0:1023], shared [0:1023], rom_r, rom_o, held_r, held_o, shared_s, shared_o;
  initial for (i = 0; i < 1024; i = i + 1) begin
    rom[i] = i * 77777 >> 3; held[i] = i * 55555 >> 2; shared[i] = i * 33333 >> 1;
  end
  (* no_rw_check *) reg [17:0] ram [0:1023];
  reg [17:0] ram_r, ram_o;
  initial for (i = 0; i < 1024; i = i + 1) ram[i] = 0;
  always @(posedge clk) begin
    rom_r <= rom[ra]; rom_o <= rom_r;
    if (ce) ram_r <= ram[ra];
    if (we) ram[wa] <= d;
    ram_o <= ram_r;
    held_r <= held[ra]; if (ce) held_o <= held_r;
    shared_s <= shared[ra]; shared_o <= shared_s;
  end
  assign rom_q = rom_o, ram_q = ram_o, held_q = held_o, shared_q = shared_o, shared_r = shared_s;
endmodule
"""


def test_registers_move_into_block_rams(tmp_path: Path) -> None:
    """Where they are plain and all that reads the RAM: the netlist does the same before and after, as the Verilog."""
    (tmp_path / "m.v").write_text(MEMORIES)
    netlist = synthesize([tmp_path / "m.v"], "m", ECP5, tmp_path, pads=False)
    assert netlist.resources["BRAM"] == 4
    before = json.loads(netlist.json.read_text())["modules"]["m"]
    assert use_output_registers(netlist.json, ECP5) == 2
    after = json.loads(netlist.json.read_text())["modules"]["m"]
    modes = {
        name.split(".")[0]: {cell["parameters"][f"REGMODE_{port}"] for port in "AB"}
        for name, cell in after["cells"].items()
        if cell["type"] == "DP16KD"
    }
    assert modes == {"rom": {"NOREG", "OUTREG"}, "ram": {"NOREG", "OUTREG"}, "held": {"NOREG"}, "shared": {"NOREG"}}
    assert len(before["cells"]) - len(after["cells"]) == 2 * 18
    assert use_output_registers(netlist.json, ECP5) == 0

    rng = random.Random(1)
    inputs = []
    for _ in range(200):
        read, write = rng.randrange(20), rng.randrange(16, 20)
        enable = read != write and rng.random() < 0.5  # as no_rw_check promises
        inputs.append({"ra": read, "wa": write, "we": int(enable), "ce": rng.randrange(2), "d": rng.getrandbits(18)})
    wanted = list(expected(inputs))
    assert len({outputs["ram_q"] for outputs in wanted}) > 10
    assert list(simulate(before, inputs)) == wanted
    assert list(simulate(after, inputs)) == wanted


def expected(inputs: list[dict[str, int]]) -> list[dict[str, int]]:
    """What the Verilog says."""
    mask = 2**18 - 1
    ram = [0] * 1024
    rom_r = rom_o = ram_r = ram_o = held_r = held_o = shared_s = shared_o = 0
    found = []
    for cycle in inputs:
        found.append({"rom_q": rom_o, "ram_q": ram_o, "held_q": held_o, "shared_q": shared_o, "shared_r": shared_s})
        at = cycle["ra"]
        rom_o, ram_o, shared_o = rom_r, ram_r, shared_s
        held_o = held_r if cycle["ce"] else held_o
        rom_r, held_r, shared_s = (at * 77777 >> 3) & mask, (at * 55555 >> 2) & mask, (at * 33333 >> 1) & mask
        ram_r = ram[at] if cycle["ce"] else ram_r
        if cycle["we"]:
            ram[cycle["wa"]] = cycle["d"]
    return found


def test_a_harness_has_a_register_at_every_port() -> None:
    ports: dict[str, dict[str, object]] = {
        "clk": {"direction": "input", "bits": [2]},
        "rst": {"direction": "input", "bits": [3]},
        "i": {"direction": "input", "bits": [4, 5, 6]},
        "o": {"direction": "output", "bits": [7, 8, 9, 10, "0"]},
        "hash": {"direction": "output", "bits": ["0", "1"]},
    }
    text = harness("core_of", ports)
    assert "core_of core(.clk(clk), .rst(in_q[0:0]), .i(in_q[3:1]), .o(out_w[4:0]));" in text
    assert "xor_0[1] <= ^out_q[4:4];" in text
    assert "xor_1[0] <= ^xor_0[1:0];" in text
    assert "so <= xor_1[0];" in text
    assert "hash" not in text
    with pytest.raises(SynthesisError, match="core_of has no port 'clk', or no other inputs or outputs"):
        harness("core_of", {"clk": ports["clk"], "i": ports["i"]})


def hop(kind: str, delay: float, cell: str, to: str) -> dict[str, Any]:
    return {
        "type": kind,
        "delay": delay,
        "from": {"cell": cell, "port": "Q"},
        "to": {"cell": to, "port": "D"},
    }


def test_the_critical_path_is_named() -> None:
    """By the component with most of its delay; the path of the slowest clock is taken, and only from it to itself."""
    flag, gate, end = "core.layer_hid_1.collector.flags_TRELLIS_FF_Q_3", "core.layer_hid_1.go_LUT4_Z", "core.n_SB_DFF_Q"
    path = [
        hop("clk-to-q", 0.5, flag, flag),
        hop("routing", 1.0, flag, gate),
        hop("logic", 0.25, gate, gate),
        hop("routing", 0.5, gate, end),
        hop("setup", 0.125, end, end),
    ]
    report = {
        "fmax": {"clk": {"achieved": 80.0, "constraint": 100.0}, "fast": {"achieved": 300.0, "constraint": 200.0}},
        "critical_paths": [
            {"from": "posedge fast", "to": "posedge fast", "path": [hop("clk-to-q", 9, "x", "x")]},
            {"from": "posedge clk", "to": "<async>", "path": [hop("clk-to-q", 9, "x", "x")]},
            {"from": "posedge clk", "to": "posedge clk", "path": path},
        ],
        "utilization": {"TRELLIS_FF": {"used": 3, "available": 24288}},
    }
    placed = read_report(report, ECP5, Path("m.config"))
    assert (placed.slowest, placed.fmax_mhz, placed.met) == ("clk", 80.0, False)
    assert placed.used == {"TRELLIS_FF": (3, 24288)}
    found = critical_path(placed.path, frozenset({"core", "core.layer_hid_1", "core.layer_hid_1.collector"}), "core")
    assert found.component == "layer hid_1, collector"
    assert found.parts == (("layer hid_1, collector", 1.5), ("layer hid_1", 0.75), ("top", 0.125))
    assert (found.start, found.end) == ("flags (layer hid_1, collector)", "n (top)")
    assert (found.delay_ns, found.logic_ns, found.routing_ns) == (2.375, 0.875, 1.5)
    assert spoken("in_q", "core") == "registers around the core"
    with pytest.raises(PlaceError, match="no path from register to register on LFE5U-25F"):
        read_report({**report, "fmax": {}}, ECP5, Path("m.config"))


GATES = """
module m(input clk, input rst, input en, input we, input [3:0] wa, input [3:0] a,
         output reg [3:0] y, output reg [7:0] q);
  reg [7:0] ram [0:15], rom [0:15]; integer i;
  initial y = 5;
  initial for (i = 0; i < 16; i = i + 1) rom[i] = 3 * i;
  always @(posedge clk) begin q <= rom[a] ^ ram[wa]; if (we) ram[wa] <= {a, wa}; end
  always @(posedge clk) if (rst) y <= 0; else if (en) y <= y + a;
endmodule
"""


def test_standard_cells(tmp_path: Path) -> None:
    (tmp_path / "m.v").write_text(GATES)
    plain = to_gates([tmp_path / "m.v"], "m", tmp_path / "plain")
    assert {kind for kind in plain.cells if "DFF" in kind} == {"$_DFF_P_"}  # enables and resets are gates
    assert plain.cells["$_DFF_P_"] == 12
    assert plain.transistors is not None
    weights = {"NOT": 2, "NAND": 4, "NOR": 4, "AOI3": 6, "OAI3": 6, "AOI4": 8, "OAI4": 8, "NMUX": 10, "DFF_P": 16}
    weights |= dict.fromkeys(("MUX", "XOR", "XNOR"), 12)  # docs/guide/synthesis.md
    assert plain.transistors == sum(weights[kind.strip("$_")] * n for kind, n in plain.cells.items())
    assert plain.gate_equivalents == plain.transistors / 4
    assert (plain.area, plain.delay_ps) == (None, None)
    assert plain.memories == (
        Macro("ram", 16, 8, reads=1, writes=1, rom=False, clocked=False),
        Macro("rom", 16, 6, reads=1, writes=0, rom=True, clocked=False),
    )
    assert [(m.bits, count) for m, count in alike([*plain.memories, *plain.memories])] == [(128, 2), (96, 2)]

    mapped = to_gates([tmp_path / "m.v"], "m", tmp_path / "mapped", liberty=LIBERTY)
    areas = {"INV": 1, "BUF": 2, "NAND2": 2, "NOR2": 2, "XOR2": 4, "AOI21": 3, "DFF": 6}
    assert mapped.cells.keys() <= areas.keys()
    assert mapped.area == sum(areas[kind] * n for kind, n in mapped.cells.items())
    assert mapped.sequential_area == 12 * 6
    assert mapped.delay_ps is not None
    assert 100 < mapped.delay_ps < 5000  # of gates of 20 to 110 ps
    assert mapped.transistors is None
    assert mapped.memories == plain.memories
    assert "DFF" in (tmp_path / "mapped" / "m.v").read_text()

    text = LIBERTY.read_text().replace("cell(INV) { area : 1;", 'cell(INV) { area : "one";')
    (tmp_path / "no.lib").write_text(text.replace("cell(NAND2) { area : 2;", "cell(NAND2) { /* area : 2; */"))
    with pytest.raises(SynthesisError, match=r"no\.lib gives no area, a number, of INV, NAND2, used by m"):
        to_gates([tmp_path / "m.v"], "m", tmp_path / "poor", liberty=tmp_path / "no.lib")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file or directory"),
        ("hello", "holds no cells"),
        ("library(x) { cell(INV) { area : 1; } }", "holds no flip-flop"),
    ],
)
def test_liberty_files_that_are_none(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "x.lib"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SynthesisError, match=rf"Liberty file .*x\.lib:? {said}"):
        check_liberty(path)


def test_a_design_is_known_by_its_text(tmp_path: Path) -> None:
    """And by the memories that it reads; not by comments, which name the artifact."""
    path = tmp_path / "m.v"
    path.write_text('// artifact: 1\nmodule m;\ninitial begin\n  $readmemh("m.hex", rom);\nend\n')
    (tmp_path / "m.hex").write_text("0\n")
    design = Design(path, "m", {})
    first = flow._text(design)
    path.write_text(path.read_text().replace("artifact: 1", "artifact: 2"))
    assert flow._text(design) == first
    (tmp_path / "m.hex").write_text("1\n")
    second = flow._text(design)
    assert second != first
    path.write_text(path.read_text().replace("rom", "ram"))
    assert flow._text(design) not in (first, second)


def test_results_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> dict[str, Any]:
        made.append(folder)
        (folder / "log").write_text("x")
        return {"value": (1, 2)}

    first, folder = kept("kind", ("a", 1), make)
    assert (first, (folder / "log").read_text()) == ({"value": [1, 2]}, "x")
    assert kept("kind", ("a", 1), make) == (first, folder)
    assert len(made) == 1
    assert kept("kind", ("a", 2), make)[1] != folder
    (folder / "result.json").write_text("{half")
    assert kept("kind", ("a", 1), make) == (first, folder)
    assert len(made) == 3

    def fail(folder: Path) -> dict[str, Any]:
        (folder / "log").write_text("x")
        raise SynthesisError("no")

    with pytest.raises(SynthesisError):
        kept("kind", ("b",), fail)
    assert len([path for path in (tmp_path / "kind").iterdir() if path.is_dir()]) == 2
    assert YOSYS.version
