"""One generated case (network, inputs, lanes, stalls): what must agree on it, how it is kept and made smaller.

Half of the networks are born as artifacts, the others in torch, in some state of training: these have a forward in
torch, which is compared too.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contract import files
from contract.stranger import Simulator, first_of_the_largest
from hypothesis import strategies as st
from strategies import FEATURES, inputs_for, networks, numbers_for, with_zeros

from mintaka.artifact import (
    ConvGeometry,
    Encoding,
    Input,
    Integrator,
    LeakTerm,
    Network,
    Pool,
    Quantizer,
    Result,
    SynapticCurrent,
    encode,
    load,
    run,
    save,
)
from mintaka.artifact.compare import FIELDS, compare
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.snn.lif import Scan
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, PoolSpec
from mintaka_cosim.bench import native
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_cosim.bench.job import NO_STALLS, RANDOM_STALLS, Stalls
from mintaka_cosim.bench.layout import layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import COUNTERS, Recording
from mintaka_cosim.bench.words import pack_beats
from mintaka_hw.estimate import CyclePrediction, predict_cycles
from mintaka_hw.plan import Plan, PlanError, make_plan
from mintaka_hw.plan.network import zeros_problem
from mintaka_hw.verilog import generate
from sw import nets

STRANGER_WORK = 15_000  # synapses times steps times samples that plain Python does in some tens of milliseconds
AMARANTH_CYCLES = 4_000  # more are left to Verilator: Amaranth's simulator does a few thousand a second
SPECS: list[Any] = [
    Input,
    Encoding,
    Quantizer,
    Integrator,
    LeakTerm,
    ConvGeometry,
    Pool,
    SynapticCurrent,
]  # what a file of a network in torch holds
SPECS += [DenseSpec, ConvSpec, PoolSpec, JoinSpec, EdgeSpec, NeuronSpec]
STALLS = (RANDOM_STALLS, Stalls(60, 10, 16), Stalls(10, 60, 16), Stalls(80, 80, 1))


@dataclass(frozen=True)
class Case:
    """lanes : by layer. batch : of the fast engine. stalls, seed : of the second run of the Verilog. snn : what the
    network was exported from, None where it was born as an artifact. sparse : layers with a sparse weight memory."""

    network: Network
    inputs: np.ndarray
    lanes: dict[str, int]
    batch: int
    stalls: Stalls
    seed: int
    snn: SNN | None = None
    sparse: tuple[str, ...] = ()


class DifferError(AssertionError):
    """Two implementations differ. `stage` names the one that is compared with the reference."""

    def __init__(self, stage: str, what: str) -> None:
        super().__init__(f"{stage}: {what}")
        self.stage = stage


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Whole networks as `strategies.networks` or `sw.nets` draw them, with and without what format 1.1 brought; lanes
    that divide nothing included."""
    snn = None
    if draw(st.booleans()):
        born = draw(nets.cases(*(draw(st.booleans()) for _ in range(3)), mint=False))
        snn, inputs, network = born.snn.eval(), born.inputs, to_artifact(born.snn, "net")
    else:
        features = draw(st.one_of(st.just(()), st.just(FEATURES), st.sets(st.sampled_from(FEATURES))))
        network = draw(networks(features=features))
        share = draw(st.sampled_from((0.0, 0.5, 0.9)))
        if share:
            network = with_zeros(network, share, draw(st.integers(0, 2**31 - 1)))
        inputs = draw(inputs_for(network))
    lanes = {node.name: draw(st.integers(1, node.channels)) for node in network.nodes if node.has_synapses}
    batch, seed = draw(st.integers(1, 3)), draw(st.integers(0, 2**31 - 1))
    able = [node.name for node in network.nodes if zeros_problem(node) is None]
    sparse = tuple(name for name in able if draw(st.booleans()))
    return Case(network, inputs, lanes, batch, draw(st.sampled_from(STALLS)), seed, snn, sparse)


# ---------------------------------------------------------------- checks


@dataclass(frozen=True)
class Checked:
    """Which implementations were compared. refused : why there is no hardware, names left out."""

    stages: tuple[str, ...]
    refused: str | None = None


def refusal(case: Case) -> str | None:
    """Why there is no hardware for the case, without names and numbers, or None."""
    try:
        make_plan(case.network, case.lanes, case.sparse)
    except PlanError as error:
        return re.sub(r"\[[\d, ]*\]", "[...]", re.sub(r"'[^']*'", "'...'", str(error)))
    return None


def check(case: Case, *, rtl: bool) -> Checked:
    """Compare everything with the reference; with `rtl` also the hardware, which must not refuse the case.

    Raises DifferError at the first difference.
    """
    stages = []
    expected = run(case.network, case.inputs, trace=True)
    for stage, holds in SOFTWARE.items():
        if holds(case, expected):
            stages.append(stage)
    refused = refusal(case)
    if rtl:
        plan = make_plan(case.network, case.lanes, case.sparse)
        predicted = predict_cycles(plan, case.inputs, expected)
        for seen in hardware(case, plan, predicted):
            seen.compare(case, plan, expected, predicted)
            stages.append(seen.stage)
    return Checked(tuple(stages), refused)


def fast_engine(case: Case, expected: Result) -> bool:
    stage = "fast engine"
    found = run_fast(case.network, case.inputs, trace=True, batch=case.batch)
    equal(stage, found, expected, case.network)
    for name, trace in expected.trace.items():  # the steps behind a sample's last one, too
        for field in FIELDS:
            same(stage, f"{field} of '{name}'", getattr(trace, field), getattr(found.trace[name], field))
    return True


def equal(stage: str, found: Result, expected: Result, network: Network) -> None:
    """All that two results hold, as co-simulations compare it."""
    compared = compare(found, expected, network.output.node, traces=True)
    if compared.first is not None:
        raise DifferError(stage, str(compared.first))


def torch_forward(case: Case, expected: Result) -> bool:
    """The quantized forward, that of training with frozen statistics; False for a network without one."""
    if case.snn is None:
        return False
    stage = "torch"
    record: list[Scan] = []
    case.snn.time_steps = case.network.time_steps  # fewer where the case was made smaller
    logits = case.snn(torch.from_numpy(case.inputs.astype(np.float32)), record)
    same(stage, "logits", expected.logits, logits.detach().double().numpy())
    same(stage, "layers", np.array(len(expected.trace)), np.array(len(record)))
    for scan, (name, trace) in zip(record, expected.trace.items(), strict=True):
        for field in FIELDS:
            wanted, actual = getattr(trace, field), getattr(scan, field)
            if wanted is not None:  # a head that never fires has no spikes to compare
                found = None if actual is None else actual.transpose(0, 1).double().numpy()
                same(stage, f"{field} of '{name}'", wanted, found)
    return True


def alone(case: Case, expected: Result) -> bool:  # noqa: ARG001
    """What a sample gives hangs on no other one: numbers in any order, some twice, in batches of any size."""
    stage, network = "batching", case.network
    numbers, rng = numbers_for(network, 3, case.seed), np.random.default_rng(case.seed)
    singles = [run(network, encode(network, numbers[n : n + 1])) for n in range(len(numbers))]
    order = rng.integers(0, len(numbers), 5)
    for name, runner in (("reference", run), ("fast engine", run_fast)):
        found = runner(network, encode(network, numbers[order]))
        for what in ("logits", "classes", "steps", "total_sops"):
            wanted = np.concatenate([getattr(singles[n], what) for n in order])
            same(stage, f"{what} of the {name}", wanted, getattr(found, what))
    return True


def stranger(case: Case, expected: Result) -> bool:
    """False where it would take too long."""
    synapses = sum(
        int(np.count_nonzero(e.weight.values)) * (1 if e.conv is None else int(np.prod(n.shape_out[1:])))
        for n in case.network.nodes
        for e in n.inputs
        if e.weight is not None
    )
    if synapses * case.network.time_steps * len(case.inputs) > STRANGER_WORK:
        return False
    stage = "stranger"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        save(case.network, path)
        simulator = Simulator(*files.pull_apart(path))
    outcomes = [simulator.run(sample) for sample in case.inputs]
    numbers = numbers_for(case.network, 2, case.seed)
    own = np.array([simulator.encode(sample.tolist()) for sample in numbers])
    same(stage, "encoding", encode(case.network, numbers), own)
    same(stage, "logits", expected.logits, np.array([o.logits for o in outcomes]))
    same(stage, "steps", expected.steps, np.array([o.steps for o in outcomes]))
    same(stage, "classes", expected.classes, np.array([first_of_the_largest(o.logits) for o in outcomes]))
    sops = {name: np.array([o.sops[name] for o in outcomes]) for name in outcomes[0].sops}
    same_dicts(stage, "sops", expected.sops, sops)
    for name, trace in expected.trace.items():
        for field in FIELDS:
            wanted = getattr(trace, field)
            if wanted is not None:
                rows = [[log[field] for log in o.trace[name]] for o in outcomes]
                same(stage, f"{field} of '{name}'", wanted, np.array(rows).reshape(wanted.shape))
    return True


SOFTWARE: dict[str, Callable[[Case, Result], bool]] = {
    "fast engine": fast_engine,
    "torch": torch_forward,
    "batching": alone,
    "stranger": stranger,
}


@dataclass(frozen=True)
class Seen:
    """What one simulation of the hardware gave."""

    stage: str
    recording: Recording
    stalled: bool

    def compare(self, case: Case, plan: Plan, expected: Result, predicted: CyclePrediction) -> None:
        """Spikes, membranes, K, logits, classes, operations, events; unstalled also every cycle."""
        stage, found = self.stage, self.recording
        equal(stage, found.result, expected, case.network)
        for layer in plan.layers:
            counters = dict(zip(COUNTERS, found.counters[layer.name].T, strict=True))
            if not (self.stalled and plan.exits):  # what is begun of steps that do not count depends on the cycle
                same(stage, f"events of '{layer.name}'", predicted.events[layer.name], counters["events"])
            if not self.stalled:
                same(stage, f"busy cycles of '{layer.name}'", predicted.busy[layer.name], counters["busy"])
        same(stage, "cycle counter", found.finished - found.accepted[0], found.cycles)
        if not self.stalled:
            same(stage, "cycles", predicted.result, found.cycles)


def hardware(case: Case, plan: Plan, predicted: CyclePrediction) -> Iterator[Seen]:
    """Amaranth's simulator where the stream is short, Verilator, and Verilator with stalls; one after the other."""
    last = int(predicted.result[-1])
    if last <= AMARANTH_CYCLES:
        yield Seen("amaranth", simulate_amaranth(plan, case.inputs, max_cycles=4 * last + 10_000), stalled=False)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        folder = Path(temporary)
        design = generate(plan, folder / "verilog", taps=True)
        layout = layout_of(design.info)
        built = native.build(design.verilog, layout, optimize=False)
        beats = pack_beats(case.inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
        for stage, stalls in (("verilator", NO_STALLS), ("verilator, stalled", case.stalls)):
            seen = native.run(built, layout, beats, stalls, case.seed, folder, Processes())
            yield Seen(stage, seen, stalls.any)


def same(stage: str, what: str, expected: np.ndarray | None, actual: np.ndarray | None) -> None:
    """Raises DifferError that names the first place."""
    if expected is None and actual is None:
        return
    if expected is None or actual is None:
        raise DifferError(stage, f"{what}: only one of both has it")
    if expected.shape != actual.shape:
        raise DifferError(stage, f"{what}: shape {actual.shape} instead of {expected.shape}")
    wrong = np.argwhere(expected != actual)
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        numbers = f"{actual[place]} instead of {expected[place]}"
        raise DifferError(stage, f"{what}: {len(wrong)} of {expected.size} differ, first at {place}: {numbers}")


def same_dicts(stage: str, what: str, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> None:
    if set(expected) != set(actual):
        raise DifferError(stage, f"{what}: of {sorted(actual)} instead of {sorted(expected)}")
    for name in expected:
        same(stage, f"{what} of '{name}'", expected[name], actual[name])


# ---------------------------------------------------------------- failures


def failure(case: Case, *, rtl: bool) -> str | None:
    """The sentence where something differs, breaks or hangs, else None."""
    try:
        check(case, rtl=rtl)
    except DifferError as error:
        return str(error)
    except Exception as error:  # whatever breaks on a valid network is a find
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return None


def shrink(case: Case, fails: Callable[[Case], bool], tries: int = 25) -> Case:
    """A smaller case that still fails: one sample, fewer steps, one lane, no stalls; at most `tries` checks."""
    left = tries
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(case):
            if left == 0:
                return case
            left -= 1
            if fails(smaller):
                case, changed = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    N, T = len(case.inputs), case.network.time_steps
    if N > 1:
        for n in range(N):
            yield replace(case, inputs=case.inputs[n : n + 1])
        yield replace(case, inputs=case.inputs[:-1])
    if T > 1:
        for steps in sorted({1, T // 2, T - 1}):
            margins = case.network.output.margins[: steps - 1]
            margins = margins if any(m is not None for m in margins) else ()
            network = replace(case.network, time_steps=steps, output=replace(case.network.output, margins=margins))
            yield replace(case, network=network, inputs=case.inputs if network.input.static else case.inputs[:, :steps])
    for name, lanes in case.lanes.items():
        if lanes > 1:
            yield replace(case, lanes={**case.lanes, name: 1})
    for name in case.sparse:
        yield replace(case, sparse=tuple(each for each in case.sparse if each != name))


def keep(case: Case, folder: Path, name: str, sentence: str, *, rtl: bool) -> Path:
    """Write NAME.safetensors, NAME.npz (array x), of a network born in torch NAME.pt, and NAME.json, which replays."""
    folder.mkdir(parents=True, exist_ok=True)
    save(case.network, folder / f"{name}.safetensors")
    np.savez_compressed(folder / f"{name}.npz", x=case.inputs)
    if case.snn is not None:
        born = {"source": case.snn.source, "specs": case.snn.specs, "state": case.snn.state_dict()}
        torch.save(born, folder / f"{name}.pt")
    stalls = [case.stalls.input_percent, case.stalls.output_percent, case.stalls.longest_cycles]
    facts = {"sentence": sentence, "rtl": rtl, "lanes": case.lanes, "sparse": case.sparse, "batch": case.batch}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**facts, "stalls": stalls, "seed": case.seed}, indent=2) + "\n")
    return path


def kept(path: Path) -> tuple[Case, dict[str, Any]]:
    """What `keep` wrote: the case, and the facts."""
    facts: dict[str, Any] = json.loads(path.read_text())
    network = load(path.with_suffix(".safetensors"))
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = arrays["x"]
    snn = _born(path.with_suffix(".pt"), network) if path.with_suffix(".pt").is_file() else None
    stalls, sparse = Stalls(*facts["stalls"]), tuple(facts["sparse"])
    return Case(network, inputs, facts["lanes"], facts["batch"], stalls, facts["seed"], snn, sparse), facts


def _born(path: Path, network: Network) -> SNN:
    with torch.serialization.safe_globals(SPECS):
        born = torch.load(path, weights_only=True)
    snn = SNN(born["source"], network.time_steps, born["specs"])
    snn.load_state_dict(born["state"])
    snn.set_integer(True)
    return snn.eval()
