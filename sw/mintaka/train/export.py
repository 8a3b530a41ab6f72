"""From a finished run to its artifact."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from mintaka.artifact import Network, TestVectors, run, save
from mintaka.compress import calibrate, with_margins
from mintaka.data import Dataset, load_dataset, network_inputs
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.train.checkpoint import load_checkpoint
from mintaka.train.errors import TrainError
from mintaka.train.holdout import exit_of, hold_out
from mintaka.train.keys import Recipe
from mintaka.train.loop import data_digest, restore
from mintaka.train.phases import END
from mintaka.train.recipe import load_recipe

FILE = "network.safetensors"
VECTORS = 4


def export(run_dir: Path | str, *, data_root: Path | str | None = None) -> Network:
    """Write `run_dir`/network.safetensors from the run's last checkpoint and return it.

    Its provenance holds the recipe, the data set and the accuracies on the test split: of the float network as it was
    before quantization, of the integer network as the fast engine measures it on this very artifact. Its test vectors
    are computed by the reference.

    Raises TrainError where the run is not finished, LayerError where the network cannot be exported.
    """
    folder = Path(run_dir)
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise TrainError(f"{folder} holds no checkpoint: train first")
    recipe = load_recipe(folder / "recipe.toml")
    if checkpoint.phase != END:
        done = f"{checkpoint.done} epochs of phase '{checkpoint.phase}' are done"
        raise TrainError(f"{folder} is not trained to its end ({done}): train again to resume it")
    dataset = load_dataset(recipe.dataset, data_root)
    if data_digest(dataset) != checkpoint.data:
        raise TrainError(f"the data set '{recipe.dataset}' is not the one that {folder} was trained with")
    plain = to_artifact(restore(recipe, dataset, checkpoint), recipe.name)
    plain, exits = _with_exit(plain, recipe, dataset)

    inputs = network_inputs(plain, dataset.test_x, dataset.bits)
    tested = run_fast(plain, inputs)
    right = tested.classes == dataset.test_y
    provenance = _provenance(recipe) | {
        "dataset": {
            "name": dataset.name,
            "sha256": checkpoint.data,
            "train_samples": len(dataset.train_x),
            "test_samples": len(dataset.test_x),
        },
        "encoding": "thermometer" if plain.input.kind == "spikes" else "none",
        "float_accuracy": checkpoint.float_accuracy,
        "integer_accuracy": float(np.mean(right)),
    }
    if exits:
        provenance["exit"] = exits | {"mean_steps": float(tested.steps.mean())}
    some = inputs[:VECTORS]
    vectors = TestVectors(some, run(plain, some).logits)
    network = Network(plain.name, plain.time_steps, plain.input, plain.nodes, plain.output, provenance, vectors)
    save(network, folder / FILE)
    return network


def _with_exit(network: Network, recipe: Recipe, dataset: Dataset) -> tuple[Network, dict[str, object]]:
    """With margins where the recipe asks for early exit, and how they were found.

    A search may have left one step (`mixed`): nothing can be left out of it.
    """
    early = exit_of(recipe)
    if early is None or network.time_steps == 1:
        return network, {}
    _, x, y = hold_out(recipe, dataset)
    margins = calibrate(network, network_inputs(network, x, dataset.bits), y, early.loss)
    test = network_inputs(network, dataset.test_x, dataset.bits)
    every_step = float(np.mean(run_fast(network, test).classes == dataset.test_y))
    about: dict[str, object] = {"loss": early.loss, "calibration_samples": len(y), "accuracy_of_all_steps": every_step}
    return with_margins(network, margins), about


def _provenance(recipe: Recipe) -> dict[str, object]:
    return {
        "recipe": recipe.model_dump(mode="json", exclude_none=True, by_alias=True),
        "seed": recipe.seed,
        "software": {"mintaka": version("mintaka"), "torch": str(torch.__version__)},
    }
