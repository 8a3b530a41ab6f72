"""`make fuzz`: it finds what differs, keeps it, replays it, resumes, and leaves the equal alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fuzz
import fuzz_case
import numpy as np
import pytest
from cosim.small import GRAPH
from fuzz import Chunk, Tally
from fuzz_case import Case, DifferError, alone, cases, check, fast_engine, kept, shrink, torch_forward
from hypothesis import given, settings
from strategies import examples, random_inputs
from torch import Tensor

from mintaka.artifact import Network, Result, run
from mintaka.snn.lif import Scan
from mintaka.snn.network import SNN
from mintaka_cosim.bench.job import RANDOM_STALLS
from mintaka_cosim.bench.recording import Recording

CHUNK = Chunk(rtl=False, seed=3, index=0, size=6)


def graph_case() -> Case:
    """A design that tests/cosim builds, too."""
    return Case(GRAPH.network, random_inputs(GRAPH.network, 2, 1), GRAPH.lanes, 1, RANDOM_STALLS, 7)


def test_equal_implementations_leave_no_failure(tmp_path: Path) -> None:
    tally = fuzz.run_chunk(CHUNK, tmp_path)
    assert tally.networks == tally.stages["fast engine"] == 6
    assert tally.buildable + sum(tally.refused.values()) == 6
    assert tally.failures == []
    again = fuzz.run_chunk(CHUNK, tmp_path)
    assert replace(again, seconds=0.0) == replace(tally, seconds=0.0)


def test_a_difference_is_kept_small_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = fuzz_case.run_fast

    def wrong(network: Network, inputs: np.ndarray, **options: bool) -> Result:
        found = right(network, inputs, **options)
        found.logits[0, 0] += 1
        return found

    with monkeypatch.context() as patch:
        patch.setattr(fuzz_case, "run_fast", wrong)
        tally = fuzz.run_chunk(CHUNK, tmp_path)
        assert len(tally.failures) == 6
        path = Path(tally.failures[-1])
        assert fuzz.main(["--folder", str(tmp_path), "--replay", str(path)]) == 1
    assert "fast engine: sample 0, layer '" in capsys.readouterr().out
    case, facts = kept(path)
    assert len(case.inputs) == case.network.time_steps == 1
    assert re.fullmatch(
        r"fast engine: sample 0, .*: expected logit = -?\d+; the hardware has logit = -?\d+", facts["sentence"]
    )
    assert fuzz.main(["--folder", str(tmp_path), "--replay", str(path)]) == 0
    assert fuzz.main(["--folder", str(tmp_path), "--replay", str(tmp_path / "no.json")]) == 2


def test_a_network_born_in_torch_is_compared_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the networks have a forward in torch; where it is wrong, its state is kept and gives the same again."""
    tally = fuzz.run_chunk(replace(CHUNK, size=60), tmp_path)
    assert 15 <= tally.stages["torch"] <= 45
    right = fuzz_case.SNN.forward

    def wrong(snn: SNN, x: Tensor, record: list[Scan] | None = None) -> Tensor:
        logits = right(snn, x, record)
        if record is not None:
            record[0].k[-1] += 1
        return logits

    with monkeypatch.context() as patch:
        patch.setattr(fuzz_case.SNN, "forward", wrong)
        tally = fuzz.run_chunk(CHUNK, tmp_path)
        assert len(tally.failures) == 6 - tally.stages["fast engine"] > 0
        path = Path(tally.failures[-1])
        assert fuzz.main(["--folder", str(tmp_path), "--replay", str(path)]) == 1
    assert "torch: k of" in capsys.readouterr().out
    case, facts = kept(path)
    assert facts["sentence"].startswith("torch: k of")
    assert case.snn is not None
    assert len(case.inputs) == case.network.time_steps == 1
    assert "torch" in check(case, rtl=False).stages
    assert fuzz.main(["--folder", str(tmp_path), "--replay", str(path)]) == 0


@settings(examples(300), database=None)
@given(cases())
def test_generated_networks_through_the_software(case: Case) -> None:
    """The stages that take milliseconds; a plain simulator in Python and the hardware see fewer."""
    expected = run(case.network, case.inputs, trace=True)
    fast_engine(case, expected)
    torch_forward(case, expected)


@settings(examples(40), database=None)
@given(cases())
def test_a_sample_hangs_on_no_other(case: Case) -> None:
    """In the reference and the fast engine: subsets, orders, duplicates and batches of numbers, encoded."""
    alone(case, run(case.network, case.inputs))


def test_generated_networks_through_the_hardware(tmp_path: Path) -> None:
    """Through the whole chain, the generated Verilog included: networks born in torch and as artifacts."""
    tally = fuzz.run_chunk(Chunk(rtl=True, seed=1, index=0, size=2), tmp_path)
    assert tally.failures == []
    assert tally.stages["fast engine"] == tally.stages["verilator"] == tally.stages["verilator, stalled"] == 2
    assert tally.stages["torch"] > 0


def test_hardware_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it on a graph; then one wrong membrane, operation, event and cycle each."""
    case = graph_case()
    right = fuzz_case.native.run
    monkeypatch.setattr(fuzz_case, "STRANGER_WORK", 10**9)
    monkeypatch.setattr(fuzz_case, "AMARANTH_CYCLES", 10**9)
    software = ("fast engine", "batching", "stranger")
    assert check(case, rtl=True).stages == (*software, "amaranth", "verilator", "verilator, stalled")
    monkeypatch.setattr(fuzz_case, "AMARANTH_CYCLES", 0)

    def tampered(what: str) -> Iterator[None]:
        def run(*arguments: object) -> Recording:
            found = right(*arguments)  # type: ignore[arg-type]
            if what == "u":
                found.traces["loop"].u[0, 0, 0] ^= 1  # type: ignore[index]
            elif what == "cycles":
                found.cycles[0] += 1
                found.finished[0] += 1
            else:
                found.counters["loop"][1, ["SOPs", "events", "busy cycles"].index(what)] += 1
            return found

        with monkeypatch.context() as patch:
            patch.setattr(fuzz_case.native, "run", run)
            yield

    sentences = {
        "u": "sample 0, step 0, layer 'loop', neuron 0: expected .* U = ",
        "cycles": "cycles: 1 of 2 differ",
        "SOPs": "sample 1, layer 'loop': expected SOPs = ",
        "events": "events of 'loop': 1 of 2 differ",
        "busy cycles": "busy cycles of 'loop': 1 of 2 differ",
    }
    for what, sentence in sentences.items():
        for _ in tampered(what):
            with pytest.raises(DifferError, match="^verilator: " + sentence) as caught:
                check(case, rtl=True)
            assert caught.value.stage == "verilator"


def test_shrinking_ends_at_the_smallest_that_fails() -> None:
    small = shrink(graph_case(), lambda case: case.network.time_steps >= 2, tries=100)
    assert small.network.time_steps == 2
    assert len(small.inputs) == 1
    assert set(small.lanes.values()) == {1}
    assert shrink(small, lambda _: False) is small


def test_chunks_hold_exactly_what_was_asked() -> None:
    found = fuzz.chunks(1007, 30, 1)
    assert sum(chunk.size for chunk in found) == 1007
    assert sum(chunk.size for chunk in found if chunk.rtl) == 30
    assert len({chunk.key for chunk in found}) == len(found)
    assert set(fuzz.chunks(500, 0, 1)) <= set(fuzz.chunks(2000, 0, 1))


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Chunk] = []
    stop_after = 3

    def results(todo: list[Chunk], folder: Path, jobs: int) -> Iterator[tuple[Chunk, Tally]]:  # noqa: ARG001
        for chunk in todo:
            if len(seen) == stop_after:
                raise KeyboardInterrupt
            seen.append(chunk)
            yield chunk, Tally(networks=chunk.size)

    monkeypatch.setattr(fuzz, "results", results)
    arguments = ["-n", "620", "--rtl", "8", "--folder", str(tmp_path)]
    assert fuzz.main(arguments) == 130
    assert len(json.loads((tmp_path / "state.json").read_text())) == 3
    stop_after = 100
    assert fuzz.main(arguments) == 0
    assert sorted(c.key for c in seen) == sorted(c.key for c in fuzz.chunks(620, 8, 1))


def test_a_failure_is_the_exit_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_file = tmp_path / "x.json"
    kept_file.write_text('{"sentence": "s"}')
    monkeypatch.setattr(
        fuzz, "results", lambda todo, *_: [(c, Tally(networks=c.size, failures=[str(kept_file)])) for c in todo]
    )
    assert fuzz.main(["-n", "10", "--rtl", "0", "--folder", str(tmp_path)]) == 1
