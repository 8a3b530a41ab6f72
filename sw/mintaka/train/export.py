"""From a finished run to its artifact."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import torch

from mintaka.artifact import Encoding, Network, TestVectors, encode, run, save
from mintaka.compress import exit_curve, with_margins
from mintaka.compress.exits import LOSSES
from mintaka.data import Dataset
from mintaka.data.recall import accuracy
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.train.checkpoint import Checkpoint, load_checkpoint
from mintaka.train.errors import TrainError
from mintaka.train.holdout import Samples, exit_of, parts_of
from mintaka.train.keys import Recipe
from mintaka.train.lock import locked
from mintaka.train.phases import END
from mintaka.train.recipe import load_recipe
from mintaka.train.restore import restore
from mintaka.train.start import differences
from mintaka.train.whereabouts import find_data

FILE = "network.safetensors"
VECTORS = 4


def export(run_dir: Path | str, *, data: Path | str | None = None, data_root: Path | str | None = None) -> Network:
    """Write `run_dir`/network.safetensors from the run's last checkpoint, and return it.

    data : the data set of the run, where it is no longer found; it must be the same by its digest.

    Its provenance holds the recipe, the data set and the accuracies on the test split: of the float network as it was
    before quantization, of the integer network as the fast engine measures it on this very artifact. Its test vectors
    are computed by the reference.

    Raises TrainError where the run is not finished or in use, its recipe.toml was edited or its data are not found, and
    LayerError where the network cannot be exported.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise TrainError(f"{folder}: there is no such run folder")
    with locked(folder, "export"):
        checkpoint = _finished(folder)
        dataset = find_data(folder, checkpoint.recipe, checkpoint.data, data=data, root=data_root)
        network = exported(checkpoint, dataset)
        save(network, folder / FILE)
    return network


def _finished(folder: Path) -> Checkpoint:
    """The checkpoint of a finished run; what it says was trained, and nothing else is exported."""
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise TrainError(f"{folder} holds no checkpoint: train first")
    if checkpoint.phase != END:
        done = f"{checkpoint.done} epochs of phase '{checkpoint.phase}' are done"
        raise TrainError(f"{folder} is not trained to its end ({done}): train again to resume it")
    written = folder / "recipe.toml"
    if not written.exists():
        return checkpoint
    edited = differences(checkpoint.recipe, load_recipe(written), first="in the checkpoint", second="in the file")
    if edited:
        raise TrainError(f"{written} was edited after the training ({edited[0]}): restore or delete it, or train anew")
    return checkpoint


def exported(checkpoint: Checkpoint, dataset: Dataset) -> Network:
    """The artifact of a finished training, as `export` writes it. dataset : that it was trained with."""
    recipe = checkpoint.recipe
    plain = to_artifact(restore(recipe, dataset, checkpoint), recipe.name)
    parts = parts_of(recipe, dataset)
    plain, exits = _with_exit(plain, recipe, dataset, parts.calibration)

    inputs = encode(plain, dataset.test_x)
    tested = run_fast(plain, inputs)
    provenance = _provenance(recipe) | {
        "dataset": {
            "name": dataset.name,
            "sha256": checkpoint.data,
            "train_samples": len(parts.train.train_x),
            "test_samples": len(dataset.test_x),
            **({} if parts.validation is None else {"validation_samples": len(parts.validation[1])}),
            **({} if dataset.class_names is None else {"classes": list(dataset.class_names)}),
        },
        "encoding": _encoding_text(plain.input.encoding),
        "float_accuracy": checkpoint.float_accuracy,
        "integer_accuracy": accuracy(tested.classes, dataset.test_y),
    }
    if exits:
        provenance["exit"] = exits | {"mean_steps": float(tested.steps.mean())}
    some = inputs[:VECTORS]
    vectors = TestVectors(some, run(plain, some).logits)
    return Network(plain.name, plain.time_steps, plain.input, plain.nodes, plain.output, provenance, vectors)


def _with_exit(
    network: Network, recipe: Recipe, dataset: Dataset, held: Samples | None
) -> tuple[Network, dict[str, object]]:
    """With margins where the recipe asks for early exit, how they were found, and what other losses would give on the
    test split. held : x and y that calibrate, and were not trained with.

    A search may have left one step (`mixed`): nothing can be left out of it.
    """
    early = exit_of(recipe)
    if early is None or held is None or network.time_steps == 1:
        return network, {}
    held_out = encode(network, held[0]), held[1]
    test = encode(network, dataset.test_x), dataset.test_y
    points = exit_curve(network, held_out, test, tuple(sorted({*LOSSES, early.loss})))
    (margins,) = [point.margins for point in points if point.loss == early.loss]
    about: dict[str, object] = {
        "loss": early.loss,
        "calibration_samples": len(held[1]),
        "accuracy_of_all_steps": accuracy(run_fast(network, test[0]).classes, test[1]),
        "curve": [{"loss": p.loss, "mean_steps": p.mean_steps, "accuracy": p.accuracy} for p in points],
    }
    return with_margins(network, margins), about


def _encoding_text(encoding: Encoding | None) -> str:
    """For example "quantized, thermometer"; "none" where the data's numbers are the input."""
    if encoding is None:
        return "none"
    return ", ".join(["quantized"] * (encoding.quantizer is not None) + [encoding.code] * (encoding.code != "none"))


def _provenance(recipe: Recipe) -> dict[str, object]:
    return {
        "recipe": recipe.model_dump(mode="json", exclude_none=True, by_alias=True),
        "seed": recipe.seed,
        "software": {"mintaka": version("mintaka"), "torch": str(torch.__version__)},
    }
