"""The training: phases, each some epochs long; a float baseline first, then the integer network from its weights.

Methods of compression bring phases of their own (`mintaka.train.phases`), and may replace the network by a smaller one.

Everything random depends on the recipe's seed, the phase and the epoch, so a run that was killed at any time and is
resumed ends with the same bits as one that was not (on the same kind of machine, with the recipe's thread count).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mintaka.artifact.whole import write_whole
from mintaka.compress import Phase, Task
from mintaka.data import DataError, Dataset, Look, look
from mintaka.data.recall import ClassResult, class_results
from mintaka.errors import quoted
from mintaka.snn.fit import DivergedError, cosine, train_epoch
from mintaka.snn.network import SNN
from mintaka.train.alive import check_alive
from mintaka.train.augment import shift_images
from mintaka.train.checkpoint import FILE, Checkpoint, load_checkpoint, recorded, save_checkpoint
from mintaka.train.data import class_weights, fitted, load_data
from mintaka.train.errors import RecipeError, TrainError
from mintaka.train.evaluate import accuracy, batch_of, batches_of, confusion
from mintaka.train.form import network_form
from mintaka.train.history import Epoch, write_history
from mintaka.train.holdout import parts_of
from mintaka.train.inputs import network_input
from mintaka.train.keys import Recipe
from mintaka.train.lock import locked
from mintaka.train.phases import END, QAT, check_methods, phases
from mintaka.train.progress import Callback, Step
from mintaka.train.recipe import network_specs, to_toml
from mintaka.train.restore import network_of, restore, restore_optimizer
from mintaka.train.start import KEPT, common_checkpoint, differences, kept_file
from mintaka.train.whereabouts import data_digest, note, root_of

OUTPUTS = (FILE, "history.csv", "history.json", "network.safetensors")


@dataclass(frozen=True)
class TrainResult:
    """Accuracies on the test split, shares of 1: of the float network before quantization (None where no epoch was
    trained in full precision), and of the integer network in the end; and how that does on each class (none for runs of
    older versions). dataset : what was trained and tested with."""

    run_dir: Path
    float_accuracy: float | None
    integer_accuracy: float
    history: tuple[Epoch, ...]
    classes: tuple[ClassResult, ...] = ()
    dataset: Dataset | None = field(default=None, repr=False, compare=False)

    @property
    def seconds(self) -> float:
        """Time of all epochs, evaluation included."""
        return sum(epoch.seconds for epoch in self.history)


def train(
    recipe: Recipe,
    run_dir: Path | str,
    *,
    resume: bool = True,
    start: Path | str | None = None,
    keep: bool = False,
    progress: Callback | None = None,
    data_root: Path | str | None = None,
    see: Callable[[Look], None] | None = None,
    dataset: Dataset | None = None,
) -> TrainResult:
    """Train as the recipe says, in `run_dir` (recipe.toml, history.csv, history.json, checkpoint.pt, data.json).

    The checkpoint is what counts: recipe.toml and the history are for people. The folder is locked meanwhile.

    resume : go on from the folder's checkpoint; False starts anew.
    start : the folder of another run, trained with `keep`. The phases with which both recipes begin alike are taken
        from it; the bits are those of a run that trains them itself.
    keep : also keep the state behind each phase (after-PHASE.pt), for other runs to start from.
    progress : called after every batch.
    see : is told what is in the data, before the training.
    dataset : the data, where they are in memory; otherwise those that the recipe names are loaded.

    Raises DataError, RecipeError or LayerError before anything is written where data and recipe do not fit, and
    TrainError where another process uses the folder, it belongs to another recipe, its checkpoint is damaged, the loss
    is not finite, or the trained network gives the same logits for all samples.
    """
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"the recipe must be a Recipe, as load_recipe(path) gives it, got {quoted(recipe)}")
    folder = Path(run_dir)
    with ExitStack() as stack:
        is_new = not folder.is_dir()  # asked once: another process may make it while the data load
        if not is_new:  # refuse at once where it is in use
            stack.enter_context(locked(folder, "training"))
        given = dataset
        if given is None:
            data_root = root_of(folder, recipe.dataset, data_root)
        dataset = load_data(recipe, data_root) if given is None else fitted(recipe, given)
        run = _Run(recipe, dataset, folder, keep=keep)
        seen = look(dataset)
        if seen.problem is not None:
            raise DataError(f"{recipe.dataset}: {seen.problem}")
        if see is not None:
            see(seen)
        if is_new:
            stack.enter_context(locked(folder, "training"))
        if not resume:
            run.forget()
        run.resume(None if start is None else Path(start))
        if given is None:
            note(folder, recipe.dataset, data_root)
        with _threads(recipe.train.threads):
            run.go(progress or _silent)
    return replace(run.result(), dataset=dataset)


def _silent(step: Step) -> None:
    """No progress."""


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build(recipe: Recipe, dataset: Dataset) -> SNN:
    """The untrained network of a recipe; raises RecipeError or LayerError where it does not fit to the data."""
    dataset = fitted(recipe, dataset)
    if recipe.train.shift_pixels and dataset.train_x.ndim < 4:
        raise RecipeError("'train.shift_pixels' moves images (N, C, H, W), but the data has none")
    source = network_input(recipe, dataset)
    return SNN(source, recipe.network.time_steps, network_specs(recipe, dataset), seed=recipe.seed)


class _Run:
    """A training in its folder; the state that changes is `index` (of the phase), `done` (epochs of it), the network
    and the optimizer."""

    def __init__(self, recipe: Recipe, dataset: Dataset, folder: Path, *, keep: bool) -> None:
        parts = parts_of(recipe, dataset)
        self.recipe, self.dataset, self.folder, self.keep = recipe, parts.train, folder, keep
        self.validation = parts.validation
        self.class_weights = class_weights(recipe, parts.train)
        self.snn = build(recipe, parts.train)
        self.phases = phases(recipe)
        self.task = Task(self._batches, recipe.seed, temporal=dataset.train_x.ndim in (3, 5))
        check_methods(recipe, self.snn, self.task)
        self.data = data_digest(dataset)
        self.index, self.done = 0, 0
        self.optimizer = self._new_optimizer()
        self.history: list[Epoch] = []
        self.float_accuracy: float | None = None
        self.float_network: dict[str, Any] | None = None  # until it is judged, at the end
        self.confusion: np.ndarray | None = None

    def _new_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.snn.parameters(), lr=self.recipe.train.learning_rate, fused=True)

    def _batches(self, snn: SNN) -> Iterator[tuple[Tensor, Tensor]]:
        yield from batches_of(self.dataset.train_x, self.dataset.train_y, snn)

    @property
    def phase(self) -> Phase:
        return self.phases[self.index]

    def resume(self, start: Path | None) -> None:
        """Take over the folder's checkpoint, if there is one, or else what the run in `start` has in common."""
        checkpoint = load_checkpoint(self.folder)
        if checkpoint is None and start is not None:
            checkpoint = common_checkpoint(self.recipe, network_form(self.snn), self.data, start)
        if checkpoint is None:
            return
        advice = "choose another folder (--run), or start anew (--fresh)"
        found = differences(checkpoint.recipe, self.recipe)
        if found:
            raise TrainError(f"{self.folder} holds a run of another recipe ({found[0]}): {advice}")
        if checkpoint.data != self.data:
            raise TrainError(f"{self.folder} holds a run on other data of the same name: {advice}")
        names = [*(phase.name for phase in self.phases), END]
        self.snn = restore(self.recipe, self.dataset, checkpoint)
        self.index, self.done, self.history = names.index(checkpoint.phase), checkpoint.done, checkpoint.history
        self.float_accuracy, self.float_network = checkpoint.float_accuracy, checkpoint.float_network
        if checkpoint.phase == END and checkpoint.confusion is not None:
            self.confusion = np.array(checkpoint.confusion, np.int64)
        if self.done:
            self.optimizer = self._new_optimizer()
            restore_optimizer(self.optimizer, checkpoint.optimizer)

    def forget(self) -> None:
        """Remove what an earlier run left, so that it is not taken for this one's."""
        for file in (*(self.folder / name for name in OUTPUTS), *self.folder.glob(KEPT)):
            file.unlink(missing_ok=True)

    def go(self, progress: Callback) -> None:
        write_whole(self.folder / "recipe.toml", to_toml(recorded(self.recipe)).encode())
        if self.index and not (self.folder / FILE).is_file():
            self._save()  # what was taken from another run may be all
        while self.index < len(self.phases):
            self._phase(progress)

    def _phase(self, progress: Callback) -> None:
        """Begin the phase or go on with it, up to its end; what is saved last is what the next one starts from."""
        hooks, epochs = self.phase.hooks, self.phase.epochs
        if self.done == 0:
            if self.phase.name == QAT and self.history:
                self._judge_float()
            self.snn = hooks.begin(self.snn, self.task)
            hooks.attach(self.snn)
            self.optimizer = self._new_optimizer()
        while self.done < epochs:
            self._epoch(progress)
            if self.done < epochs:
                hooks.after_epoch(self.snn, self.task, self.done, epochs)
                self._save()
        self.snn = hooks.finish(self.snn, self.task)
        if self.index + 1 == len(self.phases):
            check_alive(self.snn, self.task)
        name = self.phase.name
        self.index, self.done = self.index + 1, 0
        if self.index == len(self.phases):
            self._conclude()
        if self.keep:
            save_checkpoint(self.folder, self._checkpoint(), kept_file(name))
        self._save()

    def _judge_float(self) -> None:
        """Of the network in full precision, before it is quantized: its accuracy on the test split, or where there is a
        validation split what it takes to measure that at the end."""
        if self.validation is not None:
            model = {name: value.clone() for name, value in self.snn.state_dict().items()}
            self.float_network = {"network": network_form(self.snn), "model": model}
            return
        self.float_accuracy = accuracy(deepcopy(self.snn), self.dataset.test_x, self.dataset.test_y)

    def _conclude(self) -> None:
        """Read the test split: with a validation split for the first time."""
        x, y = self.dataset.test_x, self.dataset.test_y
        self.confusion = confusion(deepcopy(self.snn), x, y, self.dataset.classes)
        if self.float_network is not None:
            self.float_accuracy = accuracy(network_of(self.float_network, self.snn.source), x, y)
            self.float_network = None

    def _epoch(self, progress: Callback) -> None:
        start = time.perf_counter()
        recipe, x = self.recipe.train, self.dataset.train_x
        name, epochs = self.phase.name, self.phase.epochs
        frozen_from = math.ceil(epochs * (1 - recipe.frozen_share))
        self.snn.freeze_norms(self.snn.integer and self.done >= max(1, frozen_from))
        rng = np.random.default_rng([self.recipe.seed, self.index, self.done])
        parts = np.array_split(rng.permutation(len(x)), max(1, round(len(x) / recipe.batch)))
        passed = [(self.done * len(parts) + index) / (epochs * len(parts)) for index in range(len(parts))]
        schedule = [(share, cosine(recipe.learning_rate, share)) for share in passed]
        batches = self._training_batches(parts, rng)
        total, right = 0.0, 0
        results = train_epoch(self.snn, self.phase.hooks, self.optimizer, batches, schedule, self.class_weights)
        try:
            for number, batch in enumerate(results, 1):
                total, right = total + batch.loss * batch.samples, right + batch.right
                if number < len(parts):
                    progress(Step(name, self.done + 1, epochs, number, len(parts), batch.loss))
        except DivergedError:
            raise TrainError(
                f"the loss is not finite in {name} epoch {self.done + 1}: lower 'train.learning_rate' "
                f"({recipe.learning_rate})"
            ) from None
        by_test = self.validation is None
        judged = accuracy(self.snn, *(self.validation or (self.dataset.test_x, self.dataset.test_y)))
        shown = (judged, None) if by_test else (None, judged)
        self.done += 1
        seconds = time.perf_counter() - start
        loss, share = total / len(x), right / len(x)
        self.history.append(Epoch(name, self.done, loss, share, shown[0], schedule[-1][1], seconds, shown[1]))
        progress(Step(name, self.done, epochs, len(parts), len(parts), loss, *shown))

    def _training_batches(self, parts: list[np.ndarray], rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The training samples `parts`, augmented as the recipe says, as inputs and classes."""
        pixels, x, y = self.recipe.train.shift_pixels, self.dataset.train_x, self.dataset.train_y
        for chosen in parts:
            images = shift_images(x[chosen], pixels, rng) if pixels else x[chosen]
            yield batch_of(images, self.snn), torch.from_numpy(y[chosen])

    def _checkpoint(self) -> Checkpoint:
        phase = END if self.index == len(self.phases) else self.phase.name
        model, optimizer = self.snn.state_dict(), self.optimizer.state_dict()
        return Checkpoint(
            recorded(self.recipe),
            self.data,
            phase,
            self.done,
            network_form(self.snn),
            model,
            optimizer,
            self.history,
            self.float_accuracy,
            self.float_network,
            None if self.confusion is None else self.confusion.tolist(),
        )

    def _save(self) -> None:
        save_checkpoint(self.folder, self._checkpoint())
        about = {
            "recipe": self.recipe.name,
            "dataset": self.dataset.name,
            "seed": self.recipe.seed,
            "threads": self.recipe.train.threads,
            "torch": str(torch.__version__),
        }
        if self.confusion is not None:
            about["classes"] = [asdict(each) for each in self._classes()]
        write_history(self.folder, self.history, about)

    def _classes(self) -> tuple[ClassResult, ...]:
        return () if self.confusion is None else class_results(self.confusion, self.dataset.class_names)

    def result(self) -> TrainResult:
        x, y = self.dataset.test_x, self.dataset.test_y
        if self.confusion is None:  # a run that an older version finished
            integer = accuracy(deepcopy(self.snn), x, y)
        else:
            integer = int(self.confusion.diagonal().sum()) / len(x)
        return TrainResult(self.folder, self.float_accuracy, integer, tuple(self.history), self._classes())
