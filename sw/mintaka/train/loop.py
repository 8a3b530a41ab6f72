"""The training: phases, each some epochs long; a float baseline first, then the integer network from its weights.

Methods of compression bring phases of their own (`mintaka.train.phases`), and may replace the network by a smaller one.

Everything random depends on the recipe's seed, the phase and the epoch, so a run that was killed at any time and is
resumed ends with the same bits as one that was not (on the same kind of machine, with the recipe's thread count).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mintaka.artifact.encoding import encoded
from mintaka.artifact.whole import write_whole
from mintaka.compress import Phase, Stage, Task
from mintaka.compress.apply import batch_loss, update
from mintaka.data import Dataset, load_dataset
from mintaka.snn.network import SNN
from mintaka.train.alive import check_alive
from mintaka.train.augment import shift_images
from mintaka.train.checkpoint import FILE, Checkpoint, load_checkpoint, recorded, save_checkpoint
from mintaka.train.errors import RecipeError, TrainError
from mintaka.train.form import network_form
from mintaka.train.history import Epoch, write_history
from mintaka.train.holdout import hold_out
from mintaka.train.inputs import network_input
from mintaka.train.keys import Recipe
from mintaka.train.lock import locked
from mintaka.train.phases import END, QAT, check_methods, phases
from mintaka.train.progress import Callback, Step
from mintaka.train.recipe import network_specs, to_toml
from mintaka.train.restore import restore, restore_optimizer
from mintaka.train.start import KEPT, common_checkpoint, differences, kept_file
from mintaka.train.whereabouts import data_digest, note, root_of

OUTPUTS = (FILE, "history.csv", "history.json", "network.safetensors")
EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class TrainResult:
    """Accuracies on the test split, shares of 1: of the float network before quantization (None where no epoch was
    trained in full precision), and of the integer network in the end."""

    run_dir: Path
    float_accuracy: float | None
    integer_accuracy: float
    history: tuple[Epoch, ...]

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
) -> TrainResult:
    """Train as the recipe says, in `run_dir` (recipe.toml, history.csv, history.json, checkpoint.pt, data.json).

    The checkpoint is what counts: recipe.toml and the history are for people. The folder is locked meanwhile.

    resume : go on from the folder's checkpoint; False starts anew.
    start : the folder of another run, trained with `keep`. The phases with which both recipes begin alike are taken
        from it; the bits are those of a run that trains them itself.
    keep : also keep the state behind each phase (after-PHASE.pt), for other runs to start from.
    progress : called after every batch.

    Raises DataError, RecipeError or LayerError before anything is written where data and recipe do not fit, and
    TrainError where another process uses the folder, it belongs to another recipe, its checkpoint is damaged, the loss
    is not finite, or the trained network gives the same logits for all samples.
    """
    folder = Path(run_dir)
    with ExitStack() as stack:
        if folder.is_dir():  # refuse at once where it is in use
            stack.enter_context(locked(folder, "training"))
        data_root = root_of(folder, recipe.dataset, data_root)
        dataset = load_dataset(recipe.dataset, data_root)
        run = _Run(recipe, dataset, folder, keep=keep)
        if not folder.is_dir():
            stack.enter_context(locked(folder, "training"))
        if not resume:
            run.forget()
        run.resume(None if start is None else Path(start))
        note(folder, recipe.dataset, data_root)
        with _threads(recipe.train.threads):
            run.go(progress or _silent)
    return run.result()


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
    if recipe.train.shift_pixels and dataset.train_x.ndim < 4:
        raise RecipeError("'train.shift_pixels' moves images (N, C, H, W), but the data has none")
    source = network_input(recipe, dataset)
    return SNN(source, recipe.network.time_steps, network_specs(recipe, dataset), seed=recipe.seed)


def accuracy(snn: SNN, x: np.ndarray, y: np.ndarray) -> float:
    """Share of samples whose class is right (lowest index at ties), in eval mode."""
    snn.eval()
    right = 0
    with torch.no_grad():
        for at in range(0, len(x), EVALUATION_BATCH):
            logits = snn(_batch(x[at : at + EVALUATION_BATCH], snn))
            classes = np.argmax(logits.numpy(), axis=1)
            right += int((classes == y[at : at + EVALUATION_BATCH]).sum())
    return right / len(x)


def _batch(x: np.ndarray, snn: SNN) -> Tensor:
    """Samples of the data set as the network's input."""
    return torch.from_numpy(encoded(snn.source, snn.time_steps, x).astype(np.float32))


class _Run:
    """A training in its folder; the state that changes is `index` (of the phase), `done` (epochs of it), the network
    and the optimizer."""

    def __init__(self, recipe: Recipe, dataset: Dataset, folder: Path, *, keep: bool) -> None:
        self.recipe, self.dataset, self.folder, self.keep = recipe, hold_out(recipe, dataset)[0], folder, keep
        self.snn = build(recipe, dataset)
        self.phases = phases(recipe)
        self.task = Task(self._batches, recipe.seed, temporal=dataset.train_x.ndim in (3, 5))
        check_methods(recipe, self.snn, self.task)
        self.data = data_digest(dataset)
        self.index, self.done = 0, 0
        self.optimizer = self._new_optimizer()
        self.history: list[Epoch] = []
        self.float_accuracy: float | None = None
        self.integer_accuracy = 0.0

    def _new_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.snn.parameters(), lr=self.recipe.train.learning_rate, fused=True)

    def _batches(self, snn: SNN) -> Iterator[tuple[Tensor, Tensor]]:
        x, y = self.dataset.train_x, self.dataset.train_y
        for at in range(0, len(x), EVALUATION_BATCH):
            chosen = slice(at, at + EVALUATION_BATCH)
            yield _batch(x[chosen], snn), torch.from_numpy(y[chosen])

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
        self.float_accuracy = checkpoint.float_accuracy
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
        self.integer_accuracy = self._accuracy()

    def _phase(self, progress: Callback) -> None:
        """Begin the phase or go on with it, up to its end; what is saved last is what the next one starts from."""
        stage, epochs = self.phase.stage, self.phase.epochs
        if self.done == 0:
            if self.phase.name == QAT and self.history:
                self.float_accuracy = self._accuracy()
            self.snn = stage.begin(self.snn, self.task)
            stage.attach(self.snn)
            self.optimizer = self._new_optimizer()
        while self.done < epochs:
            self._epoch(progress)
            if self.done < epochs:
                stage.after_epoch(self.snn, self.task, self.done, epochs)
                self._save()
        self.snn = stage.finish(self.snn, self.task)
        if self.index + 1 == len(self.phases):
            check_alive(self.snn, self.task)
        name = self.phase.name
        self.index, self.done = self.index + 1, 0
        if self.keep:
            save_checkpoint(self.folder, self._checkpoint(), kept_file(name))
        self._save()

    def _accuracy(self) -> float:
        """On the test split, of the network as it is between two phases: what the last epoch measured, unless the
        phase had none or its end changed the network."""
        last = self.phases[self.index - 1]
        if last.epochs and type(last.stage).finish is Stage.finish:
            return self.history[-1].test_accuracy
        return accuracy(deepcopy(self.snn), self.dataset.test_x, self.dataset.test_y)

    def _epoch(self, progress: Callback) -> None:
        start = time.perf_counter()
        recipe, x, y = self.recipe.train, self.dataset.train_x, self.dataset.train_y
        name, epochs = self.phase.name, self.phase.epochs
        frozen_from = math.ceil(epochs * (1 - recipe.frozen_share))
        self.snn.freeze_norms(self.snn.integer and self.done >= max(1, frozen_from))
        self.snn.train()
        rng = np.random.default_rng([self.recipe.seed, self.index, self.done])
        parts = np.array_split(rng.permutation(len(x)), max(1, round(len(x) / recipe.batch)))
        total, right, rate = 0.0, 0, recipe.learning_rate
        for index, chosen in enumerate(parts):
            passed = (self.done * len(parts) + index) / (epochs * len(parts))
            rate = recipe.learning_rate * (1 + math.cos(math.pi * passed)) / 2
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            images = shift_images(x[chosen], recipe.shift_pixels, rng) if recipe.shift_pixels else x[chosen]
            self.phase.stage.before_step(self.snn, passed, rate)
            loss, correct = self._step(images, y[chosen])
            total, right = total + loss * len(chosen), right + correct
            if index + 1 < len(parts):
                progress(Step(name, self.done + 1, epochs, index + 1, len(parts), loss))
        test = accuracy(self.snn, self.dataset.test_x, self.dataset.test_y)
        self.done += 1
        seconds = time.perf_counter() - start
        self.history.append(Epoch(name, self.done, total / len(x), right / len(x), test, rate, seconds))
        progress(Step(name, self.done, epochs, len(parts), len(parts), total / len(x), test))

    def _step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, int]:
        """One update; the loss, and how many samples were right."""
        snn = self.snn
        target = torch.from_numpy(y)
        batch = _batch(x, snn)
        loss, logits = batch_loss(snn, self.phase.stage, batch, target)
        value = float(loss.detach())
        if not math.isfinite(value):
            rate, where = self.recipe.train.learning_rate, f"{self.phase.name} epoch {self.done + 1}"
            raise TrainError(f"the loss is not finite in {where}: lower 'train.learning_rate' ({rate})")
        update(snn, self.optimizer, loss)
        return value, int((logits.detach().argmax(1) == target).sum())

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
        write_history(self.folder, self.history, about)

    def result(self) -> TrainResult:
        return TrainResult(self.folder, self.float_accuracy, self.integer_accuracy, tuple(self.history))
