"""Runs the cocotb bench on one chunk of samples and reads back what it found."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mintaka.artifact.compare import Counts, Difference
from mintaka_cosim.bench.build import BenchRunner, Build, build_cocotb, only_runtime_errors
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.job import VARIABLE, Job
from mintaka_cosim.bench.layout import Layout
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import Recording, per_sample

MODULE = "mintaka_cosim.bench.tb_stream"
RESET_TEST, STREAM_TEST = "reset_in_mid_sample", "stream"


@dataclass
class Verified:
    """What one simulation compared. `recording` is None where it stopped at a difference."""

    counts: Counts
    resets: int
    difference: Difference | None
    recording: Recording | None


def build(verilog: Path, layout: Layout, *, parts: Sequence[Path] = (), optimize: bool = True) -> Build:
    """Compile the design with cocotb (or take it from the cache). The options are those of `build_cocotb`."""
    return build_cocotb(verilog, layout.top, parts=parts, optimize=optimize)


def run(built: Build, job: Job, processes: Processes, *, resets: bool) -> Verified:
    """Simulate `job`, whose folder exists; with `resets` also the test that resets in mid-sample.

    Raises CosimError where the simulation hangs, dies, or runs another number of tests than asked.
    """
    job.write()
    tests = [RESET_TEST, STREAM_TEST] if resets else [STREAM_TEST]
    results = run_cocotb(built, MODULE, tests, job.folder, processes, {VARIABLE: str(job.folder)})
    reports = {test: _report(job, test) for test in tests}
    difference = next((r["difference"] for r in reports.values() if r["difference"]), None)
    counts = Counts(**reports[STREAM_TEST]["counts"])
    rounds = sum(report.get("resets", 0) for report in reports.values())
    if difference is not None:
        return Verified(counts, rounds, Difference(**difference), None)
    if results != dict.fromkeys(tests, True):
        raise CosimError(f"a bench failed without naming a difference: see {job.folder / 'simulation.log'}")
    return Verified(counts, rounds, None, _recording(job, reports[STREAM_TEST]))


def run_cocotb(
    built: Build, module: str, tests: list[str], folder: Path, processes: Processes, env: dict[str, str]
) -> dict[str, bool]:
    """Run exactly `tests` of a bench module: name -> passed.

    A filter that matches nothing would pass in silence, so the tests that ran are compared with those asked for.
    """
    runner = BenchRunner(processes)
    # cocotb looks for modules where the simulation runs, and would have pytest read settings there; `folder` may be the
    # user's and hold anything.
    env = {"COCOTB_ANSI_OUTPUT": "0", "COCOTB_REWRITE_ASSERTION_FILES": " ", **env}
    log, results = folder / "simulation.log", folder / "results.xml"
    failed = ""
    with tempfile.TemporaryDirectory(prefix="mintaka-") as place:
        for path in folder.glob("*.hex"):  # `$readmemh` looks where the simulation runs
            shutil.copy(path, place)
        try:
            with only_runtime_errors():
                runner.test(
                    module,
                    built.program.name,
                    hdl_toplevel_lang="verilog",
                    build_dir=built.folder,
                    test_dir=place,
                    results_xml=str(results),
                    test_filter=rf"\.({'|'.join(tests)})$",
                    extra_env=env,
                    log_file=str(log),
                )
        except RuntimeError as error:
            failed = str(error)  # under pytest cocotb's runner exits where a test failed: the results say which
    if not results.is_file():
        raise CosimError(f"the simulator stopped without results ({failed or 'no message'}): see {log}")
    found = {
        case.get("name", ""): case.find("failure") is None and case.find("error") is None
        for case in ElementTree.parse(results).iter("testcase")
        if case.find("skipped") is None
    }
    if set(found) != set(tests):
        raise CosimError(f"of the benches {', '.join(tests)} ran {', '.join(found) or 'none'}: see {log}")
    return found


def _report(job: Job, test: str) -> dict[str, Any]:
    path = job.folder / f"{test}.json"
    if not path.is_file():
        raise CosimError(f"the bench '{test}' ended before its report: see {job.folder / 'simulation.log'}")
    report: dict[str, Any] = json.loads(path.read_text())
    if report["error"]:
        raise CosimError(f"the bench '{test}' failed with seed {job.seed}: {report['error']}")
    return report


def _recording(job: Job, report: dict[str, Any]) -> Recording:
    def integers(name: str) -> np.ndarray:
        return np.array(report[name], np.int64)

    return Recording(
        logits=job.logits.copy(),  # every logit and class was compared
        classes=np.argmax(job.logits, axis=1).astype(np.int64),
        accepted=integers("accepted"),
        finished=integers("finished"),
        cycles=integers("cycles"),
        counters={name: per_sample(np.array(rows, np.int64)) for name, rows in report["counters"].items()},
        steps=integers("steps"),
        total_cycles=report["total_cycles"],
    )
