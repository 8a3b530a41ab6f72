"""Both benches on small designs: every value equal, under stalls and resets too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cosim.small import CASES, COUNTS, DIRECT, SPIKES, through_verilog
from handmade import dense_network
from hw.test_accelerator import assert_equal
from strategies import random_inputs, with_zeros

from mintaka.artifact import ArtifactError, Node, run
from mintaka.artifact.compare import compare
from mintaka_cosim.bench import NO_STALLS, RANDOM_STALLS, CosimError, Stalls, cosim, cosim_design, simulate
from mintaka_cosim.bench.build import build_cocotb
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import COUNTERS
from mintaka_cosim.bench.verify import run_cocotb
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import Design, generate

STALLS = ((RANDOM_STALLS, 1), (Stalls(0, 80, 16), 2), (Stalls(80, 0, 1), 3))
# The benches see the same Verilog and compare the same way: each design goes through the fast one, with all its taps;
# cocotb has one with integers and one with synaptic currents, and all of them in `make test-long`.
COCOTB = [name if name in ("counts", "neurons") else pytest.param(name, marks=pytest.mark.long) for name in CASES]
UNTAPPED = [name if name in ("direct", "spikes") else pytest.param(name, marks=pytest.mark.long) for name in CASES]


@pytest.mark.parametrize("name", CASES)
def test_every_value_cycle_and_count_is_equal(name: str) -> None:
    """Back to back with every predicted cycle, and under stalls."""
    case = CASES[name]
    plan, x = make_plan(case.network, case.lanes), case.inputs(8)
    free, *stalled = through_verilog(plan, x, (NO_STALLS, 0), *STALLS)
    assert_equal(plan, x, free, stalled=False)
    for seen in stalled:
        assert_equal(plan, x, seen, stalled=True)
        assert seen.total_cycles > free.total_cycles


@pytest.mark.parametrize("name", COCOTB)
def test_every_value_is_equal_back_to_back(name: str) -> None:
    case = CASES[name]
    x = case.inputs(samples := 32)  # two simulations side by side
    result = cosim(case.network, case.lanes, x, taps=True, processes=2)
    assert result.sentence.startswith("bit-exact: 32 samples, ")
    assert result.bit_exact
    assert result.verified
    assert result.cycles_as_predicted is True

    def values(of: Callable[[Node], object]) -> int:
        return samples * case.network.time_steps * sum(node.size_out for node in case.network.nodes if of(node))

    counts = result.counts
    assert counts.samples == samples
    assert counts.sums == values(lambda node: node.has_synapses)
    assert counts.spikes == values(lambda node: node.neuron)
    assert counts.membranes == values(lambda node: node.neuron or node.integrator)
    assert counts.currents == values(lambda node: node.neuron and node.neuron.current)
    assert result.counts.logits == samples * case.network.classes
    assert result.resets == 4
    assert result.chunks == (0, 16)


@pytest.mark.parametrize("name", COCOTB)
def test_every_value_is_equal_under_stalls(name: str) -> None:
    case = CASES[name]
    for stalls, seed in STALLS:
        result = cosim(case.network, case.lanes, case.inputs(6, seed), taps=True, stalls=stalls, seed=seed)
        assert result.bit_exact, result.sentence
        assert result.cycles_as_predicted is None
        assert result.resets == 4


@pytest.mark.parametrize("name", UNTAPPED)
def test_fast_bench_counts_and_cycles(name: str) -> None:
    case = CASES[name]
    x = case.inputs(64)
    result = cosim(case.network, case.lanes, x, processes=2)
    assert result.verified
    assert result.cycles_as_predicted is True
    expected = run(case.network, x)
    recording = result.recording
    assert recording is not None
    assert np.array_equal(recording.logits, expected.logits)
    assert np.array_equal(recording.classes, expected.classes)
    for layer, sops in expected.sops.items():
        assert np.array_equal(result.sops[layer], sops)
    assert (result.latency_cycles > 0).all()
    assert result.interval_cycles > 0
    assert all(0 < part <= 1 for part in result.utilisation.values())


def test_sparse_weight_memories() -> None:
    """Every value, back to back with the predicted cycles, and under stalls."""
    network = with_zeros(dense_network((70, 13, 6), time_steps=3, threshold=3, seed=1), 0.8, 2)
    plan = make_plan(network, {"hidden1": 3, "head": 2}, ["hidden1", "head"])
    assert plan.sparse == ("hidden1", "head")
    x = random_inputs(network, samples=24, seed=1, rate=0.2)
    free, stalled = through_verilog(plan, x, (NO_STALLS, 0), (RANDOM_STALLS, 3))
    assert_equal(plan, x, free, stalled=False)
    assert_equal(plan, x, stalled, stalled=True)


def test_fast_bench_under_stalls_is_slower_and_equal() -> None:
    x = DIRECT.inputs(24)
    free = cosim(DIRECT.network, DIRECT.lanes, x, processes=1)
    stalled = cosim(DIRECT.network, DIRECT.lanes, x, stalls=RANDOM_STALLS, seed=9, processes=1)
    again = cosim(DIRECT.network, DIRECT.lanes, x, stalls=RANDOM_STALLS, seed=9, processes=1)
    assert stalled.bit_exact
    assert stalled.interval_cycles > free.interval_cycles
    assert stalled.recording is not None
    assert again.recording is not None
    assert np.array_equal(stalled.recording.cycles, again.recording.cycles)


@pytest.mark.parametrize("name", ["direct", "graph", "neurons"])
def test_simulate_gives_the_references_result(name: str) -> None:
    case = CASES[name]
    x = case.inputs(33)
    expected = run(case.network, x, trace=True)
    found = simulate(case.network, x, lanes=case.lanes, trace=True)
    same = compare(found, expected, case.network.output.node, traces=True)
    assert same.differences == 0, str(same.first)
    assert same.counts.samples == 33


def test_progress_ends_with_all_samples() -> None:
    seen: list[tuple[int, int]] = []
    x = SPIKES.inputs(20)
    cosim(SPIKES.network, SPIKES.lanes, x, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20)
    assert all(0 <= done <= total == 20 for done, total in seen)


def test_work_folder_keeps_the_jobs(tmp_path: Path) -> None:
    result = cosim(COUNTS.network, COUNTS.lanes, COUNTS.inputs(3), taps=True, work_dir=tmp_path)
    assert result.bit_exact
    report = json.loads((tmp_path / "simulation_0" / "stream.json").read_text())
    assert report["counts"]["samples"] == 3
    assert (tmp_path / "verilog" / "design.json").is_file()


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(ArtifactError, match="shape"):
        cosim(DIRECT.network, DIRECT.lanes, DIRECT.inputs(3)[:, :-1])
    with pytest.raises(ValueError, match="input_percent must be 0 to 90, got 95"):
        Stalls(95, 0)
    with pytest.raises(ValueError, match="longest_cycles must be a power of two up to 4,096, got 3"):
        Stalls(5, 0, 3)


def test_a_bench_that_does_not_exist_does_not_pass(tmp_path: Path) -> None:
    design = generate(make_plan(COUNTS.network, COUNTS.lanes), tmp_path, taps=True)
    built = build_cocotb(design.verilog, design.top, optimize=False)
    with pytest.raises(CosimError, match="of the benches strea ran none"):
        run_cocotb(built, "mintaka_cosim.bench.tb_stream", ["strea"], tmp_path, Processes(), {})


@pytest.mark.parametrize("taps", [True, False])
def test_a_design_that_hangs_is_stopped(tmp_path: Path, taps: bool) -> None:
    plan = make_plan(COUNTS.network, COUNTS.lanes)
    design = generate(plan, tmp_path, taps=taps)
    stuck = _stuck(design)
    with pytest.raises(CosimError, match=r"nothing happened for \d+ cycles"):
        cosim_design(plan, stuck, COUNTS.inputs(2))


def _stuck(design: Design) -> Design:
    """A module with the design's ports that takes everything and never gives anything."""
    layout = layout_of(design.info)
    outputs = {"i_ready": 1, "o_valid": 1, "o_logit": layout.logit_width, "o_class": 8, "o_last": 1, "o_cycles": 32}
    for layer in layout.layers:
        outputs |= {f"{layer.name}_{name}": 32 for name in COUNTERS} | {f"{layer.name}_done": 1}
        if layer.tapped:
            outputs |= {f"{layer.name}_tap_{name}": layer.lanes * width for name, (width, _) in layer.fields.items()}
            outputs[f"{layer.name}_tap_valid"] = 1
    ports = ["input clk", "input rst", "input i_valid", "input o_ready"]
    ports += [f"input [{layout.elements * layout.bits - 1}:0] i_data"]
    ports += [f"output [{width - 1}:0] {name}" for name, width in outputs.items()]
    values = "".join(f"  assign {name} = {int(name == 'i_ready')};\n" for name in outputs)
    path = design.verilog.with_name("stuck.v")
    path.write_text(f"module {design.top}({', '.join(ports)});\n{values}endmodule\n")
    return Design(path, design.top, design.info)


def test_verilog_that_does_not_compile_is_one_sentence(tmp_path: Path) -> None:
    design = generate(make_plan(COUNTS.network, COUNTS.lanes), tmp_path)
    design.verilog.write_text(design.verilog.read_text() + "\nnonsense")
    with pytest.raises(CosimError, match=r"Verilator or the C\+\+ compiler failed: .*syntax error"):
        cosim_design(make_plan(COUNTS.network, COUNTS.lanes), design, COUNTS.inputs(2))


def test_an_interrupt_leaves_no_child_behind(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mintaka_cosim.bench.processes import Processes\n"
        "Processes().run(['sh', '-c', 'echo $$ > pid; exec sleep 60'], cwd=Path(sys.argv[1]), env={}, out=None)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    restore = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # a shell may have set it to ignore
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=restore) as child:
        pid = tmp_path / "pid"
        deadline = time.monotonic() + 60
        while not (pid.exists() and pid.read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, error = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in error
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_no_list_is_read_where_it_is_written(tmp_path: Path) -> None:
    """The rings are `no_rw_check`: whatever a block RAM gives for an entry that is being written, nothing changes."""
    case = CASES["graph"]
    design = generate(make_plan(case.network, case.lanes), tmp_path)
    text, rings = re.subn(
        r"if \((\w+)\)\n(\s+)events\[(.+?)\] <= (\w+);(.*?)events_word <= events\[(\w+)\];",
        r"if (\1)\n\2events[\3] <= \4;\5events_word <= (\1 && \3 == \6) ? ~events[\6] : events[\6];",
        design.verilog.read_text(),
        flags=re.DOTALL,
    )
    assert rings == len(case.lanes)
    design.verilog.write_text(text)
    result = cosim_design(make_plan(case.network, case.lanes), design, case.inputs(12), seed=3)
    assert result.verified
