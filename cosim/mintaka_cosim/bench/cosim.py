"""Co-simulation for users: generate the Verilog, stream samples through it, compare with the reference."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from mintaka.artifact import Result, check_inputs
from mintaka.artifact import run as run_reference
from mintaka.artifact.compare import Counts, Difference, compare
from mintaka.artifact.schema import Network
from mintaka_cosim.bench import native, verify
from mintaka_cosim.bench.build import Build
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.job import NO_STALLS, Job, Stalls
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes, Progress, run_parallel
from mintaka_cosim.bench.recording import Recording, join
from mintaka_cosim.bench.result import CosimResult
from mintaka_cosim.bench.words import pack_beats
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import Lanes, Plan, make_plan
from mintaka_hw.verilog import Design, generate

SAMPLES_PER_PROCESS = 16  # fewer are not worth another process
LONG = 300_000  # cycles; fewer are simulated before an optimizing compiler is through with a design


def cosim(
    network: Network,
    lanes: Plan | Lanes,
    inputs: np.ndarray,
    *,
    taps: bool = False,
    stalls: Stalls = NO_STALLS,
    seed: int = 0,
    processes: int | None = None,
    work_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> CosimResult:
    """Generate `network`'s Verilog, simulate it on `inputs` and compare it with the reference.

    lanes : what `make_plan` takes, or a plan.
    inputs : as `Network.input_shape` wants them.
    taps : compare every spike, membrane and K of every layer and step (cocotb), and reset in mid-sample; otherwise
        logits, classes and counters (C++, some ten times faster).
    stalls : random pauses on both streams, from `seed`.
    work_dir : keeps the Verilog, jobs and logs; a temporary folder otherwise.
    progress : called with (samples done, samples).

    A difference is no exception: it is in the result. Raises ArtifactError for bad inputs, PlanError, CosimError
    where the simulation cannot be built, hangs, or breaks the protocol of its streams.
    """
    check_inputs(network, inputs)
    plan = lanes if isinstance(lanes, Plan) else make_plan(network, lanes)
    with _folder(work_dir) as folder:
        design = generate(plan, folder / "verilog", taps=taps)
        return cosim_design(
            plan, design, inputs, stalls=stalls, seed=seed, processes=processes, work_dir=folder, progress=progress
        )


def cosim_design(
    plan: Plan,
    design: Design,
    inputs: np.ndarray,
    *,
    stalls: Stalls = NO_STALLS,
    seed: int = 0,
    processes: int | None = None,
    work_dir: Path | str | None = None,
    progress: Progress | None = None,
    fast: bool = False,
    stream: int | None = None,
    predict: int | None = None,
) -> CosimResult:
    """The same for Verilog that exists; it is the design's taps that decide how much is compared.

    fast : taps are recorded by the C++ bench and compared, without the cocotb bench's resets in mid-sample.
    stream : most samples of a simulation from one reset (taps of many take much memory); None: as few simulations as
        there are processes.
    predict : the cycles of the first so many samples are compared with the cycle model; None: of all.
    """
    network = plan.network
    check_inputs(network, inputs)
    layout = layout_of(design.info)
    taps = bool(design.info["taps"])
    cocotb = taps and not fast
    chunks = _chunks(len(inputs), processes, stream)
    wanted = len(inputs) if predict is None else min(predict, len(inputs))
    begin = time.monotonic()
    with _folder(work_dir) as folder:
        optimize = is_long(plan, inputs)
        built = (verify if cocotb else native).build(design.verilog, layout, parts=design.parts, optimize=optimize)
        runner = Processes()
        sims = [_folder_of(folder, index) for index in range(len(chunks))]
        for sim in sims:  # `$readmemh` looks where the simulation runs
            for path in design.memory_files:
                shutil.copy(path, sim)
        parts = [
            _Chunk(plan, design, inputs[part], part.start, stalls, seed + index, sims[index], runner, wanted)
            for index, part in enumerate(chunks)
        ]
        jobs: list[Callable[[], _Outcome]] = [
            partial(part.verify if cocotb else part.stream, built, resets=index == 0)
            for index, part in enumerate(parts)
        ]
        outcomes = run_parallel(jobs, runner, [sim / "progress" for sim in sims], len(inputs), progress, processes)
    recordings = [o.recording for o in outcomes if o.recording is not None]
    complete = len(recordings) == len(outcomes)
    return CosimResult(
        network=network.name,
        artifact_hash=plan.artifact_hash,
        requested=len(inputs),
        taps=taps,
        stalls=stalls,
        seed=seed,
        lanes=dict(plan.lanes),
        sparse=plan.sparse,
        memory_bits=plan.memory_bits,
        early_exit=plan.exits,
        counts=sum((o.counts for o in outcomes), Counts()),
        differences=sum(o.differences for o in outcomes),
        first_difference=next((o.difference for o in outcomes if o.difference is not None), None),
        resets=sum(o.resets for o in outcomes),
        chunks=tuple(part.start for part in chunks),
        recording=join(recordings) if complete else None,
        predicted=None if stalls.any else np.concatenate([o.predicted for o in outcomes]),
        seconds=time.monotonic() - begin,
        build_seconds=built.seconds,
    )


def simulate(
    network: Network,
    inputs: np.ndarray,
    *,
    lanes: Plan | Lanes = "auto",
    trace: bool = False,
    processes: int | None = None,
    work_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> Result:
    """What the generated Verilog computes for `inputs`, in the reference's form; nothing is compared.

    trace : return every layer's K, spikes and membranes; of a sample that stopped early those of the steps that the
        layer had begun by then. Raises as `cosim` does.
    """
    check_inputs(network, inputs)
    plan = lanes if isinstance(lanes, Plan) else make_plan(network, lanes)
    chunks = _chunks(len(inputs), processes)
    with _folder(work_dir) as folder:
        design = generate(plan, folder / "verilog", taps=True)  # the taps count the spikes
        layout = layout_of(design.info)
        built = native.build(design.verilog, layout, parts=design.parts, optimize=is_long(plan, inputs))
        runner = Processes()
        sims = [_folder_of(folder, index) for index in range(len(chunks))]
        jobs = [
            partial(native.run, built, layout, _beats(design, inputs[part]), NO_STALLS, 0, sims[index], runner)
            for index, part in enumerate(chunks)
        ]
        found = join(run_parallel(jobs, runner, [sim / "progress" for sim in sims], len(inputs), progress))
    result = found.result
    return result if trace else replace(result, trace={})


def is_long(plan: Plan, inputs: np.ndarray) -> bool:
    """Whether a simulation takes long enough for a compiler that optimizes, by the cycles of the first sample."""
    return len(inputs) * int(predict_cycles(plan, inputs[:1]).result[-1]) > LONG


@dataclass
class _Outcome:
    counts: Counts
    differences: int
    difference: Difference | None
    resets: int
    recording: Recording | None
    predicted: np.ndarray


@dataclass
class _Chunk:
    """Consecutive samples that one simulation streams."""

    plan: Plan
    design: Design
    inputs: np.ndarray
    first: int
    stalls: Stalls
    seed: int
    folder: Path
    processes: Processes
    predict: int

    def verify(self, built: Build, *, resets: bool) -> _Outcome:
        """With taps: the cocotb bench compares."""
        expected, predicted = self._expected()
        job = Job(
            self.folder,
            self.design.info,
            self.seed,
            self.stalls,
            self.first,
            _beats(self.design, self.inputs),
            expected.trace,
            expected.logits,
            expected.steps,
            expected.sops,
        )
        done = verify.run(built, job, self.processes, resets=resets)
        differences = int(done.difference is not None)
        return _Outcome(done.counts, differences, done.difference, done.resets, done.recording, predicted)

    def stream(self, built: Build, *, resets: bool) -> _Outcome:  # noqa: ARG002
        """The C++ bench records, and all that it does is compared here."""
        layout = layout_of(self.design.info)
        beats = _beats(self.design, self.inputs)
        found = native.run(built, layout, beats, self.stalls, self.seed, self.folder, self.processes)
        expected, predicted = self._expected()
        same = compare(found.result, expected, self.plan.head.name, traces=bool(found.traces), first=self.first)
        for path in self.folder.glob("*.taps"):  # the largest by far
            path.unlink()
        return _Outcome(same.counts, same.differences, same.first, 0, found.without_traces(), predicted)

    def _expected(self) -> tuple[Result, np.ndarray]:
        expected = run_reference(self.plan.network, self.inputs, trace=True)
        count = 0 if self.stalls.any else min(max(self.predict - self.first, 0), len(self.inputs))
        if count == 0:
            return expected, np.zeros(0, np.int64)
        # What comes later cannot make an earlier sample later: a shorter stream has the same cycles.
        whole = expected if count == len(self.inputs) else None
        return expected, predict_cycles(self.plan, self.inputs[:count], whole).result


def _beats(design: Design, inputs: np.ndarray) -> np.ndarray:
    layout = layout_of(design.info)
    beats = pack_beats(inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
    if beats.shape[1] != layout.beats_per_sample:
        raise CosimError(f"a sample makes {beats.shape[1]} beats, but design.json says {layout.beats_per_sample}")
    return beats


def _chunks(samples: int, processes: int | None, stream: int | None = None) -> list[slice]:
    """Consecutive parts of a batch: nearly equal ones, one per process, or of `stream` samples each."""
    if stream is not None:
        return [slice(begin, min(begin + stream, samples)) for begin in range(0, samples, stream)]
    most = processes if processes is not None else os.cpu_count() or 1
    count = max(1, min(most, samples // SAMPLES_PER_PROCESS))
    edges = [samples * index // count for index in range(count + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def _folder_of(folder: Path, index: int) -> Path:
    found = folder / f"simulation_{index}"
    found.mkdir(parents=True, exist_ok=True)
    for name in ("progress", "results.xml", "stream.json", "reset_in_mid_sample.json"):
        (found / name).unlink(missing_ok=True)  # of a run before
    return found


@contextlib.contextmanager
def _folder(work_dir: Path | str | None) -> Iterator[Path]:
    """`work_dir`, absolute, or a temporary folder."""
    if work_dir is not None:
        folder = Path(work_dir).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        yield Path(temporary).resolve()
