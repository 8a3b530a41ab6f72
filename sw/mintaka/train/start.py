"""Runs that begin alike: what one has trained, another need not train again.

All that is random in a phase depends on the recipe's seed and the phase's place, and every phase has an optimizer of
its own. So a run that begins with phases of another one has the same bits as if it had trained them itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mintaka.train.checkpoint import FILE, Checkpoint, load_checkpoint
from mintaka.train.errors import TrainError
from mintaka.train.keys import Recipe
from mintaka.train.phases import END, FLOAT, phases

KEPT = "after-*.pt"  # the state after each phase

# Keys that say nothing before quantization.
QUANTIZED_KEYS = (
    "weight_bits",
    "membrane_bits",
    "membrane_rule",
    "current_bits",
    "epochs",
    "frozen_share",
)


def kept_file(phase: str) -> str:
    """Where a run keeps the state after a phase."""
    return KEPT.replace("*", phase)


def holds_another(folder: Path, recipe: Recipe) -> bool:
    """Whether the run in `folder` is one of another recipe. Raises TrainError where its checkpoint is damaged."""
    found = load_checkpoint(folder)
    return found is not None and bool(differences(found.recipe, recipe))


def differences(recipe: Recipe, other: Recipe, *, first: str = "there", second: str = "here") -> list[str]:
    """The keys in which two recipes differ, with their values; the place of the data set is none.

    first, second : where the two recipes are, for people.
    """
    forms = [_flat(each.model_dump(mode="json", by_alias=True, exclude={"dataset"})) for each in (recipe, other)]
    keys = dict.fromkeys([*forms[0], *forms[1]])
    values = {key: [form.get(key) for form in forms] for key in keys}
    return [f"'{key}' is {a!r} {first}, {b!r} {second}" for key, (a, b) in values.items() if a != b]


def _flat(form: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables and lists by the names that messages use: {"layers[0].units": 64}."""
    if not isinstance(form, dict | list):
        return {prefix: form}
    items = form.items() if isinstance(form, dict) else enumerate(form)
    names = (
        (f"{prefix}[{key}]" if isinstance(form, list) else f"{prefix}.{key}".lstrip("."), each) for key, each in items
    )
    return {name: value for key, each in names for name, value in _flat(each, key).items()}


def common_checkpoint(recipe: Recipe, form: dict[str, Any], data: str, start: Path) -> Checkpoint | None:
    """The state behind the last phase that `recipe` and the run in `start` have in common and that was kept; None where
    there is none.

    form : structure of the recipe's network, untrained. data : digest of the data.

    Raises TrainError where `start` is no run's folder, or was trained with other data of the same name.
    """
    if not any((start / name).is_file() for name in (FILE, "recipe.toml")):
        raise TrainError(f"{start} cannot be started from: it holds no run")
    names = [*(phase.name for phase in phases(recipe)), END]
    for count in range(len(names) - 1, 0, -1):
        found = load_checkpoint(start, kept_file(names[count - 1]))
        if found is None or common_phases(recipe, found.recipe) < count:
            continue
        if found.data != data:
            raise TrainError(f"{start} was trained on other data of the same name: choose another folder to start from")
        network = found.network if _core(recipe) == _core(found.recipe) else form
        return replace(found, recipe=recipe, phase=names[count], done=0, network=network)
    return None


def common_phases(recipe: Recipe, other: Recipe) -> int:
    """How many phases at the begin give the same bits in both."""
    pairs = list(zip(phases(recipe), phases(other), strict=False))
    if _core(recipe) != _core(other):
        pairs = pairs[:1] if _core(recipe, FLOAT) == _core(other, FLOAT) else []
    count = 0
    for a, b in pairs:
        if (a.name, a.epochs, type(a.hooks), vars(a.hooks)) != (b.name, b.epochs, type(b.hooks), vars(b.hooks)):
            break
        count += 1
    return count


def _core(recipe: Recipe, phase: str | None = None) -> dict[str, Any]:
    """What decides about a run beside its phases; with "float" only what decides about the float phase."""
    form = recipe.model_dump(exclude={"name", "compress", "dataset"})
    form["train"].pop("float_epochs")
    early = recipe.early_exit
    form["holdout"] = None if early is None else early.holdout  # what is not trained with
    parts = [form["network"], form["train"], *form["layers"]]
    for part in parts if phase == FLOAT else []:
        for key in QUANTIZED_KEYS:
            part.pop(key, None)
    return form
