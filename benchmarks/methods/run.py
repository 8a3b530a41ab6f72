"""One method with one seed: trained, exported, measured, simulated and synthesized, in a folder of its own."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.methods.datasets import Data
from benchmarks.methods.figures import (
    FIGURES,
    HARDWARE,
    REFUSED,
    SYNTHESIS,
    Figures,
    Hardware,
    Synthesis,
    load_point,
    stored,
)
from benchmarks.methods.table import Entry, recipe_of
from mintaka.artifact import Network, content_hash, encode, load
from mintaka.compress import CompressError, exit_curve
from mintaka.data import Dataset
from mintaka.snn import LayerError
from mintaka.train import Recipe, RecipeError, Step, to_toml
from mintaka.train.data import load_data
from mintaka.train.holdout import parts_of
from mintaka.train.start import holds_another
from mintaka_cosim import flow
from mintaka_cosim.flow import Fitted
from mintaka_cosim.flow.kept import keep, key_of
from mintaka_cosim.flow.training import ARTIFACT
from mintaka_cosim.flow.verification import AS_SHIPPED
from mintaka_cosim.summary import summarize
from mintaka_hw.plan import Plan, PlanError
from mintaka_hw.targets import find_family
from mintaka_hw.verilog import Design, design_hash, generate

FORMAT = 1
FAMILY = "xc7"  # whose cells are counted

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """runs : the folder of all runs of the data set. recipes : the folder of the baselines' recipes."""

    entry: Entry
    data: Data
    seed: int
    runs: Path
    recipes: Path
    data_root: Path | None

    @property
    def folder(self) -> Path:
        return folder_of(self.runs, self.entry.name, self.seed)

    @property
    def recipe(self) -> Recipe:
        return recipe_of(self.entry, self.data, self.seed, self.recipes)


def folder_of(runs: Path, method: str, seed: int) -> Path:
    return runs / f"{method}-{seed}"


def seeds_of(runs: Path, method: str) -> list[int]:
    """The seeds that have a folder."""
    names = (re.fullmatch(rf"{re.escape(method)}-(\d+)", path.name) for path in runs.glob(f"{method}-*"))
    return sorted(int(name[1]) for name in names if name is not None)


def point_key(recipe: Recipe) -> str:
    """Of what is measured in software."""
    return key_of(FORMAT, to_toml(recipe))


def train_and_measure(job: Job, say: Say) -> None:
    """Train, export, measure in software, as far as that is not done. say : is told what is done now.

    A method that cannot work on the data is stored as refused, with its sentence. Raises DataError and TrainError.
    """
    recipe = job.recipe
    key = point_key(recipe)
    try:
        fitted, network = _train(job, recipe, say)
    except (RecipeError, LayerError, CompressError) as error:
        keep(job.folder / REFUSED, key, {"sentence": str(error)})
        return
    (job.folder / REFUSED).unlink(missing_ok=True)
    known = stored(job.folder / FIGURES, key, Figures)
    if known is None or known.artifact != content_hash(network):
        say("measuring")
        keep(job.folder / FIGURES, key, asdict(_software(fitted, network)))


def simulate(job: Job, say: Say) -> None:
    """The stated plan's Verilog on some test samples, unless that was done with the same Verilog.

    Where no hardware is built for the network, the sentence that says so is stored. Raises DataError and CosimError.
    """
    with _verilog(job, say) as found:
        if found is None:
            return
        plan, design, name = found
        known = stored(job.folder / HARDWARE, plan.artifact_hash, Hardware)
        if known is not None and (known.design, known.samples) == (name, job.data.samples):
            return
        say("simulating")
        dataset = load_data(job.recipe, job.data_root)
        inputs = encode(plan.network, dataset.test_x[: job.data.samples])
        work = design.verilog.parent.parent
        verification = flow.verify(plan, inputs, (AS_SHIPPED,), designs=[design], processes=1, work_dir=work)
        point = flow.design_point(plan.network, plan=plan, verification=verification)
        assert point.cycles is not None  # the C++ bench records everything, whatever differs
        measured = Hardware(name, point.lanes, point.cycles, len(inputs), verification.verified)
        keep(job.folder / HARDWARE, plan.artifact_hash, asdict(measured))


def synthesize(job: Job, say: Say) -> None:
    """The same Verilog's cells, unless they were counted before. Raises SynthesisError."""
    with _verilog(job, say) as found:
        if found is None:
            return
        _, design, name = found
        if stored(job.folder / SYNTHESIS, name, Synthesis) is None:
            say("synthesizing")
            found_cells = flow.synthesize(design, find_family(FAMILY)).resources
            keep(job.folder / SYNTHESIS, name, asdict(Synthesis(**found_cells)))


@contextmanager
def _verilog(job: Job, say: Say) -> Iterator[tuple[Plan, Design, str] | None]:
    """Plan, Verilog and its hash, in a temporary folder; None where there is no network or no hardware for it."""
    point = load_point(job.folder, point_key(job.recipe), job.seed)
    if point is None or point.figures is None:
        yield None
        return
    say("generating Verilog")
    network, wanted = load(job.folder / ARTIFACT), job.data.lanes
    lanes = {node.name: min(wanted[node.name], node.channels) for node in network.nodes if node.name in wanted}
    try:
        plan = flow.plan(network, lanes, "auto" if job.entry.sparse else ())
    except PlanError as error:
        keep(job.folder / HARDWARE, content_hash(network), {"unbuilt": str(error)})
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        design = generate(plan, Path(temporary) / "verilog")
        yield plan, design, design_hash(design)


def _train(job: Job, recipe: Recipe, say: Say) -> tuple[Fitted, Network]:
    """Train and export, as far as that is not done; a run of another recipe is trained anew."""
    start = folder_of(job.runs, job.entry.start, job.seed)

    def tell(step: Step) -> None:
        say(f"{step.phase} {step.epoch}/{step.epochs}")

    fitted = flow.fit(
        recipe,
        job.folder,
        resume=not holds_another(job.folder, recipe),
        start=start if job.entry.start and (start / "recipe.toml").is_file() else None,
        keep=True,
        progress=tell,
        data_root=job.data_root,
    )
    there = (job.folder / ARTIFACT).is_file()
    return fitted, load(job.folder / ARTIFACT) if there else flow.export(fitted)


def _software(fitted: Fitted, network: Network) -> Figures:
    dataset = fitted.dataset
    evaluation = flow.evaluate(network, dataset.test_x, dataset.test_y)
    point = flow.design_point(network, evaluation=evaluation)
    layers = [layer for layer in summarize(network).layers if layer.weight_bits is not None]
    return Figures(
        artifact=point.artifact,
        seconds=fitted.result.seconds,
        epochs=dict(Counter(epoch.phase for epoch in fitted.result.history)),
        float_accuracy=fitted.result.float_accuracy,
        integer_accuracy=evaluation.accuracy,
        test_samples=evaluation.samples,
        layers={layer.name: layer.shape_out[0] for layer in layers},
        widths=(
            max(layer.place_bits or layer.weight_bits or 0 for layer in layers),
            max(layer.membrane_bits or 0 for layer in layers),
        ),
        weight_bits=point.weight_bits,
        membrane_bits=point.membrane_state_bits,
        weights=point.weights,
        synapses=point.synapses,
        mean_steps=evaluation.mean_steps,
        spikes=evaluation.spikes_per_sample,
        sops=evaluation.sops_per_sample,
        exits=_exits(fitted.recipe, network, dataset),
    )


def _exits(recipe: Recipe, network: Network, dataset: Dataset) -> tuple[tuple[float, float, float], ...]:
    """Of early exit: allowed loss on the held-out samples, mean steps and accuracy on the test split."""
    calibration = parts_of(recipe, dataset).calibration
    if calibration is None or network.time_steps == 1:
        return ()
    x, y = calibration
    held = encode(network, x), y
    test = encode(network, dataset.test_x), dataset.test_y
    return tuple((point.loss, point.mean_steps, point.accuracy) for point in exit_curve(network, held, test))
