"""The Verilog test bench and the FuseSoC core file: as a user runs them, with Verilator and with Icarus."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cosim.small import call
from handmade import conv_network, dense_network, signed, with_margins
from strategies import random_inputs

from mintaka.artifact import Network, TestVectors, run, save
from mintaka_cosim import toolchain
from mintaka_hw.implement import generate_board, load_board
from mintaka_hw.plan import Plan, make_plan
from mintaka_hw.verilog import Design, generate
from mintaka_hw.verilog.memories import in_files

SAMPLES = 4
QUICK = "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"  # a long build is not worth a short simulation
icarus_only = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not on the PATH")


def with_vectors(network: Network) -> Network:
    x = random_inputs(network, SAMPLES, seed=1)
    return replace(network, vectors=TestVectors(x, run(network, x).logits))


def dense() -> Network:
    """A signed direct input of several words, and early exit."""
    network = signed(dense_network([21, 6, 3], kind="direct", bits=4, time_steps=4, threshold=9))
    return with_vectors(with_margins(network, random_inputs(network, 24, seed=3)))


def pictures() -> Network:
    """Spikes, pixel by pixel."""
    return with_vectors(conv_network((2, 3, 4), picture=(4, 3), time_steps=2))


PLANS: dict[str, partial[Plan]] = {
    "dense": partial(make_plan, dense(), 2),
    "run time": partial(make_plan, dense(), 2, run_time=True),
    "pictures": partial(make_plan, pictures(), 2),
}


MODES = ("2001", "2005", "2005-sv", "2009", "2012")  # of Icarus: Verilog, and from 2005-sv on SystemVerilog


def icarus(design: Design, mode: str = "2005") -> subprocess.CompletedProcess[str]:
    """Compile and run as docs/guide/verilog.md says."""
    assert design.testbench is not None
    folder = design.verilog.parent
    sources = [path.name for path in (design.verilog, *design.parts, design.testbench)]
    subprocess.run(["iverilog", f"-g{mode}", "-o", "bench", *sources], cwd=folder, check=True)
    return subprocess.run(["vvp", "-n", "bench"], cwd=folder, capture_output=True, text=True, check=False)


def fusesoc(name: str, target: str, cores: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`fusesoc run --target ...` on a core file below `cores`."""
    env = toolchain.simulation_env()
    env["MAKEFLAGS"] += f" {QUICK}"
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(cores), "run"]
    command += ["--work-root", str(folder), "--target", target, f"::{name}"]
    return subprocess.run(command, cwd=folder.parent, env=env, capture_output=True, text=True, check=False)


def test_fusesoc_with_verilator(tmp_path: Path) -> None:
    """Lint, then the bench with memories in files; what it reads decides: another expected value or weight fails."""
    design = generate(PLANS["dense"](), tmp_path / "design", memories="hex", vectors=SAMPLES)
    linted = fusesoc(design.top, "lint", tmp_path / "design", tmp_path / "lint")
    assert linted.returncode == 0, linted.stderr
    assert "Warning" not in linted.stdout + linted.stderr
    work = tmp_path / "sim"
    done = fusesoc(design.top, "sim", tmp_path / "design", work)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS: {2 * SAMPLES * 4} logits and classes of {SAMPLES} samples, 0 differ" in done.stdout
    for name in ("tb__logits", "_layer_hidden1__weights"):
        path = work / f"{design.top}_{name}.hex"
        text = path.read_text()
        path.write_text(re.sub(r"^(\w+)$", lambda word: "0" * len(word[1]), text, flags=re.MULTILINE))
        wrong = subprocess.run([work / f"V{design.top}_tb"], cwd=work, capture_output=True, text=True, check=False)
        assert wrong.returncode != 0
        assert re.search(r"^FAIL: \d+ differences in ", wrong.stdout, re.MULTILINE)
        path.write_text(text)


def test_fusesoc_knows_the_design_its_hosts_and_boards_apart(tmp_path: Path) -> None:
    """One network three times in a library; each is linted with all its files."""
    plan = PLANS["dense"]()
    top = generate(plan, tmp_path / "cores/plain").top
    generate(plan, tmp_path / "cores/axi", host="axi")
    generate_board(plan, load_board("arty-a7-35t"), tmp_path / "cores/board", baud=115200)
    for name in (top, f"{top}_axi", f"{top}_board"):
        done = fusesoc(name, "lint", tmp_path / "cores", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stdout + done.stderr
        files = (tmp_path / name).rglob("*.vc")
        assert f"--top-module {name.removesuffix('_axi')}" in "".join(path.read_text() for path in files)


@icarus_only
@pytest.mark.parametrize("name", PLANS)
def test_icarus(name: str, tmp_path: Path) -> None:
    """In Verilog and in SystemVerilog, where what a declaration assigns is there before any process waits for it."""
    design = generate(PLANS[name](), tmp_path, split=name == "pictures", taps=name == "dense", vectors=SAMPLES)
    for mode in MODES:
        done = icarus(design, mode)
        assert done.returncode == 0, f"-g{mode}: {done.stdout}"
        assert re.fullmatch(rf"PASS: \d+ logits and classes of {SAMPLES} samples, 0 differ\n", done.stdout)


@icarus_only
def test_fusesoc_with_icarus(tmp_path: Path) -> None:
    design = generate(PLANS["pictures"](), tmp_path / "design", memories="hex", vectors=1, top="eye")
    done = fusesoc(design.top, "sim_icarus", tmp_path / "design", tmp_path / "sim")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: " in done.stdout


@icarus_only
@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ("logits", r"round 0, sample 0: logit 0 is -?\d+, expected was -?\d+"),
        ("winners", r"round 0, sample 0: the class is \d, expected was \d"),
        ("steps", r"round 0, sample 0: it took \d steps, expected were \d"),
        ("cycles", r"round 0, sample 0: it took \d+ cycles, expected were \d+"),
    ],
)
def test_a_wrong_expectation_fails(memory: str, said: str, tmp_path: Path) -> None:
    design = generate(PLANS["dense"](), tmp_path, vectors=SAMPLES)
    assert design.testbench is not None
    text = design.testbench.read_text()
    first = re.search(rf"{memory}\[0\] = \d+'h(\w+);", text)
    assert first is not None
    other = f"{int(first[1], 16) ^ 1:x}"
    design.testbench.write_text(text.replace(first[0], first[0].replace(f"h{first[1]};", f"h{other};")))
    done = icarus(design)
    assert done.returncode != 0
    assert re.match(said, done.stdout)
    assert re.search(r"^FAIL: \d differences in 32 logits and classes of 4 samples$", done.stdout, re.MULTILINE)


@icarus_only
@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("o_valid", "FAIL: 0 of 4 samples came out within"),
        ("o_last", "round 0, sample 0: o_last is 0 with logit 2 of 3"),
        ("artifact_hash", "round 1, sample 4: the design is of another artifact"),
    ],
)
def test_a_dead_port_fails(port: str, said: str, tmp_path: Path) -> None:
    """A design that gives no word, one that does not say where a sample ends, and one of another network."""
    design = generate(PLANS["dense"](), tmp_path, vectors=SAMPLES)
    assert design.testbench is not None
    text, pins = re.subn(rf"\.{port}\({port}\)", f".{port}()", design.testbench.read_text())
    text, wires = re.subn(rf"  wire (.*){port};", rf"  wire \1{port} = 0;", text)
    assert (pins, wires) == (1, 1)
    design.testbench.write_text(text)
    done = icarus(design)
    assert done.returncode != 0
    assert done.stdout.startswith(said)


def test_memory_files_hold_what_the_text_holds(tmp_path: Path) -> None:
    """Put back in, they give the same Verilog."""
    plan = PLANS["dense"]()
    inline = generate(plan, tmp_path / "inline", vectors=2)
    design = generate(plan, tmp_path / "hex", memories="hex", vectors=2)
    assert inline.memory_files == ()
    assert design.info["memory_files"] == [path.name for path in design.memory_files]
    used: set[str] = set()

    def put_back(call: re.Match[str]) -> str:
        used.add(call[1])
        words = [line for line in (tmp_path / "hex" / call[1]).read_text().splitlines() if not line.startswith("//")]
        assert len(words) == int(call[3]) + 1
        width = re.search(rf"  reg \[(\d+):0\] {call[2]} \[{call[3]}:0\];\n{re.escape(call[0])}", text)
        bits = 1 + (int(width[1]) if width is not None else 0)
        lines = "".join(f"    {call[2]}[{place}] = {bits}'h{word};\n" for place, word in enumerate(words))
        return f"  initial begin\n{lines}  end\n"

    for mine, theirs in ((design.verilog, inline.verilog), (design.testbench, inline.testbench)):
        assert mine is not None
        assert theirs is not None
        text = mine.read_text()
        whole = re.sub(r'  initial \$readmemh\({`MINTAKA_MEMORIES, "(\w+\.hex)"}, (\w+), 0, (\d+)\);\n', put_back, text)
        whole = whole.replace('`ifndef MINTAKA_MEMORIES\n`define MINTAKA_MEMORIES "./"\n`endif\n', "")
        assert whole == theirs.read_text()
    assert used == {path.name for path in (tmp_path / "hex").glob("*.hex")}


def test_memories_of_zeros_stay() -> None:
    text = "module m (\n  reg [3:0] a [1:0];\n  initial begin\n    a[0] = 4'h0;\n    a[1] = 4'h0;\n  end\nendmodule\n"
    assert in_files("m", text) == (text, {})


def test_what_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(dense(), tmp_path / "net.safetensors")
    words = ("generate", tmp_path / "net.safetensors", "--out", tmp_path / "out")
    for more, said in (
        (("--vectors", "5"), "the test bench cannot have 5 test vectors: the artifact has 4"),
        (("--vectors", "-1"), "the test bench cannot have -1 test vectors"),
        (("--memories", "bin"), "memories are 'bin'; possible are inline and hex"),
        (("--vectors", "1", "--host", "axi"), "a test bench drives the accelerator alone"),
    ):
        done = call(capsys, *words, *more)
        assert done.status != 0
        assert said in " ".join(done.err.split())
    assert list((tmp_path / "out").iterdir()) == []
    done = call(capsys, *words, "--vectors", "2", "--memories", "hex", "--json")
    assert done.status == 0, done.err
    assert "_tb.v" in done.out
    assert np.all([path.is_file() for path in (tmp_path / "out").glob("*.core")])
