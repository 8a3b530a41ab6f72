"""Designs behind AXI on real bus models: results, registers, malformed traffic. The benches are in tb_axi.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cosim import tb_axi
from cosim.small import Case
from handmade import conv_network, dense_network, with_margins

from mintaka.artifact import run, save
from mintaka_cosim.bench.build import Build, build_cocotb
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.verify import run_cocotb
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate

SAMPLES = 6
SPIKES = Case(dense_network((41, 13, 6), time_steps=3, threshold=3, seed=3), {"hidden1": 4, "head": 2}, 0.4)
CASES = {
    # a packet has a frame per step, words of 32 bits, the last of 9; samples may stop early
    "exits": Case(with_margins(SPIKES.network, SPIKES.inputs(64)), SPIKES.lanes, SPIKES.density),
    # pixels of three bytes, in beats of four
    "pixels": Case(
        conv_network((3, 4, 5), picture=(3, 3), kind="direct", bits=8, time_steps=3, threshold=200, seed=5),
        {"conv1": 4, "head": 5},
        0.3,
    ),
}


@dataclass(frozen=True)
class Made:
    """A design with its network, samples and predictions beside it, and its simulation."""

    folder: Path
    build: Build


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
    return Made(folder, build_cocotb(design.verilog, design.top))


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
    env = {tb_axi.FOLDER: str(made.folder)}
    passed = run_cocotb(made.build, "cosim.tb_axi", TESTS, tmp_path, Processes(), env)
    log = (tmp_path / "simulation.log").read_text(errors="replace")
    assert passed == dict.fromkeys(TESTS, True), log[-4000:]
