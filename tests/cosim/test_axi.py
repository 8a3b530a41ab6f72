"""Designs behind AXI on real bus models: results, registers, malformed traffic. The benches are in tb_axi.py."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cosim.small import Case, call
from cosim.test_lint import lint
from cosim.test_no_multiplier import FORBIDDEN, cells
from handmade import conv_network, dense_network, signed, with_margins

from cosim import tb_axi
from mintaka.artifact import run, save
from mintaka_cosim.bench.build import build_cocotb
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.verify import run_cocotb
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import PlanError, make_plan
from mintaka_hw.verilog import Design, generate

SAMPLES = 6
SPIKES = Case(dense_network((41, 13, 6), time_steps=3, threshold=3, seed=3), {"hidden1": 4, "head": 2}, 0.4)
CASES = {
    # a packet has a frame per step, words of 32 bits, the last of 9; samples may stop early
    "exits": Case(with_margins(SPIKES.network, SPIKES.inputs(64)), SPIKES.lanes, SPIKES.density),
    # pixels of three bytes, signed, in beats of four
    "pixels": Case(
        signed(conv_network((3, 4, 5), picture=(3, 3), kind="direct", bits=8, time_steps=3, threshold=200, seed=5)),
        {"conv1": 4, "head": 5},
        0.3,
    ),
}


@dataclass(frozen=True)
class Made:
    """A design with its network, samples and predictions beside it."""

    folder: Path
    design: Design


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    case, folder = CASES[request.param], tmp_path_factory.mktemp(request.param)
    plan, x = make_plan(case.network, case.lanes), case.inputs(SAMPLES)
    design = generate(plan, folder, host="axi")
    save(case.network, folder / "network.safetensors")
    np.save(folder / "x.npy", x)
    cycles, sops = predict_cycles(plan, x), run(case.network, x).sops
    layers = {
        layer.name: {
            "sops": int(sops[layer.name].sum()),
            "events": int(cycles.events[layer.name].sum()),
            "busy": int(cycles.busy[layer.name].sum()),
        }
        for layer in plan.layers
    }
    (folder / "predicted.json").write_text(json.dumps({"cycles": cycles.result.tolist(), "layers": layers}))
    return Made(folder, design)


TESTS = [
    "back_to_back",
    "stalled",
    "driven",
    "malformed",
    "unused_bits",
    "registers",
    "steps_in_flight",
    "soft_reset",
]


def test_bus_models(made: Made, tmp_path: Path) -> None:
    built = build_cocotb(made.design.verilog, made.design.top, optimize=False)
    env = {tb_axi.FOLDER: str(made.folder)}
    passed = run_cocotb(built, "cosim.tb_axi", TESTS, tmp_path, Processes(), env)
    log = (tmp_path / "simulation.log").read_text(errors="replace")
    assert passed == dict.fromkeys(TESTS, True), log[-4000:]


def test_lint_and_no_multiplier(made: Made) -> None:
    assert lint(made.folder, made.design.top) == ""
    found = cells(made.folder, made.design.verilog.name, made.design.top, "proc; opt; memory -nomap; opt")
    assert found["$mem_v2"] > 0
    assert [kind for kind in found if FORBIDDEN.search(kind)] == []


def test_the_accelerator_inside_is_reset_as_a_whole(made: Made) -> None:
    """By the pin of its instance, with nothing more inside."""
    text = made.design.verilog.read_text()
    assert "assign accelerator_rst = rst | registers_control_soft_reset;" in text
    assert text.count("soft_reset") == text.partition("endmodule")[0].count("soft_reset") + text.partition(
        f"module {made.design.top}__registers ("
    )[2].partition("endmodule")[0].count("soft_reset")


def test_c_header(made: Made) -> None:
    """It compiles on its own, twice included, and says what the description says."""
    top, info = made.design.top, made.design.info["host"]
    prefix = top.upper()
    checks = [f"{prefix}_REG_{name.upper()} == {offset}" for name, offset in info["registers"].items()]
    checks += [f"{prefix}_{name.upper()} == {info[name]}" for name in ("beat_bytes", "frame_bytes", "result_bytes")]
    checks += [f"{prefix}_REG_CONTROL_SNAPSHOT_MASK == 1U << {prefix}_REG_CONTROL_SNAPSHOT_SHIFT"]
    source = made.design.info["input"]
    checks += [f"{prefix}_INPUT_BITS == {source['bits']}", f"{prefix}_INPUT_SIGNED == {int(source['signed'])}"]
    checks += [f"{prefix}_HASH == 0x{made.design.info['artifact_hash'][7:23]}ULL"]
    lines = [f'#include "{top}_regs.h"'] * 2 + [f'_Static_assert({check}, "{check}");' for check in checks]
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "-"]
    done = subprocess.run(
        [*command, f"-I{made.folder}"], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_vivado_sees_the_interfaces(made: Made) -> None:
    ports = made.design.verilog.read_text().partition(");")[0]
    assert "xilinx.com:signal:interrupt:1.0 irq INTERRUPT" in ports
    assert "ASSOCIATED_BUSIF s_axis:m_axis:s_axil, ASSOCIATED_RESET rst" in ports
    assert "POLARITY ACTIVE_HIGH" in ports
    assert ports.index("POLARITY") < ports.index("input  wire        rst,") < ports.index("s_axis_tdata")


def test_taps_and_a_host_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="taps are ports of the accelerator alone"):
        generate(make_plan(SPIKES.network), tmp_path, taps=True, host="axi")
    assert list(tmp_path.iterdir()) == []


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(SPIKES.network, tmp_path / "net.safetensors")
    out = tmp_path / "out"
    words = ("generate", tmp_path / "net.safetensors", "--host")
    done = call(capsys, *words, "axi", "--out", out, "--top", "eye", "--json")
    assert done.status == 0
    assert json.loads(done.out)["host"] == "axi"
    assert sorted(path.name for path in out.iterdir()) == [
        "design.json",
        "eye.core",
        "eye.v",
        "eye.vlt",
        "eye_driver.py",
        "eye_regs.h",
        "files.f",
    ]
    done = call(capsys, *words, "usb", "--out", tmp_path / "none")
    assert done.status != 0
    assert done.err.startswith("mintaka: there is no host interface 'usb': expected none or ")
    assert done.err.count("\n") == 1
