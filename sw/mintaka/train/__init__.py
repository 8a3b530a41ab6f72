"""Recipes, the training loop, checkpoints and the export of a run."""

from mintaka.train.errors import RecipeError, TrainError
from mintaka.train.export import export
from mintaka.train.history import Epoch
from mintaka.train.keys import Recipe
from mintaka.train.loop import TrainResult, build, train
from mintaka.train.progress import Step, progress_bar
from mintaka.train.recipe import find_recipe, load_recipe, parse_recipe, to_toml

__all__ = [
    "Epoch",
    "Recipe",
    "RecipeError",
    "Step",
    "TrainError",
    "TrainResult",
    "build",
    "export",
    "find_recipe",
    "load_recipe",
    "parse_recipe",
    "progress_bar",
    "to_toml",
    "train",
]
