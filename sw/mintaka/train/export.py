"""From a finished run to its artifact."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import torch

from mintaka.artifact import Encoding, Network, TestVectors, encode, run, save
from mintaka.data import Dataset
from mintaka.data.recall import accuracy
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.train.checkpoint import Checkpoint, load_checkpoint
from mintaka.train.early_exit import with_early_exit
from mintaka.train.errors import TrainError
from mintaka.train.holdout import parts_of
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
    plain, exits = with_early_exit(plain, recipe, dataset, parts.calibration)

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
