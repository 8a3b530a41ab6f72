"""From a recipe to a trained network and its artifact."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mintaka.artifact import Network, save
from mintaka.errors import quoted
from mintaka_cosim.flow.errors import FlowError

if TYPE_CHECKING:
    from mintaka.data import Dataset, Look
    from mintaka.train import Recipe, TrainResult
    from mintaka.train.checkpoint import Checkpoint
    from mintaka.train.progress import Callback

ARTIFACT = "network.safetensors"  # in a run's folder


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network in memory.

    result : accuracies and history, as `mintaka.train.train` gives them. checkpoint : the network as it was trained.
    dataset : what it was trained and tested with. folder : the run's, where it was kept.
    """

    recipe: Recipe
    dataset: Dataset
    result: TrainResult
    checkpoint: Checkpoint
    folder: Path | None


def fit(
    recipe: Recipe,
    folder: Path | None = None,
    *,
    dataset: Dataset | None = None,
    resume: bool = True,
    start: Path | None = None,
    keep: bool = False,
    progress: Callback | None = None,
    see: Callable[[Look], None] | None = None,
    data_root: Path | None = None,
) -> Fitted:
    """Train as the recipe says. The other arguments and what is raised are those of `mintaka.train.train`.

    folder : of the run, with a checkpoint after each epoch, from which it is resumed; None: nothing is left on disk.
    dataset : the data, where they are in memory; otherwise those that the recipe names are loaded.
    """
    from mintaka.train import train
    from mintaka.train.checkpoint import load_checkpoint

    with _folder(folder) as run:
        result = train(
            recipe,
            run,
            resume=resume,
            start=start,
            keep=keep,
            progress=progress,
            see=see,
            data_root=data_root,
            dataset=dataset,
        )
        checkpoint = load_checkpoint(run)
    assert checkpoint is not None
    assert result.dataset is not None
    return Fitted(recipe, result.dataset, result, checkpoint, folder)


def export(fitted: Fitted) -> Network:
    """The artifact, also written into the run's folder where there is one.

    Raises FlowError where `fitted` is not what `fit` returns, LayerError where the network cannot be exported, and
    TrainError where another process uses the folder.
    """
    if not isinstance(fitted, Fitted):
        raise FlowError(f"export takes what fit returns, got {quoted(fitted)}; mintaka.train.export takes a run folder")
    from mintaka.train.export import exported
    from mintaka.train.lock import locked

    if fitted.folder is None:
        return exported(fitted.checkpoint, fitted.dataset)
    with locked(fitted.folder, "export"):
        network = exported(fitted.checkpoint, fitted.dataset)
        save(network, fitted.folder / ARTIFACT)
    return network


@contextlib.contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        yield Path(temporary) / "run"
