"""The methods that are compared. A method is added by one entry in METHODS."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.methods.datasets import Data
from mintaka.train import Recipe, RecipeError, load_recipe, parse_recipe


@dataclass(frozen=True)
class Entry:
    """One method.

    what : one line for the page.
    changes : TOML, laid over the data set's recipe: [network] and [train] key by key, [layers.NAME] for the layer of
        that name, [[compress]] as it is. $search, $tune and $both of them (epochs), $fresh (epochs of a network that
        starts anew behind the float phase, so that it is trained as long as one that is searched and tuned), $half
        (half of the hidden neurons) and $lanes are the data set's.
    start : the entry whose run it goes on from, as far as both recipes begin alike; "" where it trains all by itself.
    published : what the source reports, only where that was read in its abstract or in its authors' logs.
    data : the data sets that it is for; none: all. sparse : of the stated plan: weight memories without rows of zeros,
        where that makes them smaller.
    """

    name: str
    what: str
    changes: str = ""
    start: str = "baseline"
    published: str = ""
    data: tuple[str, ...] = ()
    sparse: bool = False


# Parts of several entries.
SLIM = """
[[compress]]
method = "slim"
remove = 0.5
multiple = $lanes
sparse_epochs = $search
epochs = $tune
"""
THINNED = """
[[compress]]
method = "slats"
depth = 2.0
search_epochs = $search
epochs = $tune
"""
HALF_STEPS = """
[[compress]]
method = "steps"
at = "qat"
time_steps = 2
epochs = $tune
"""
QUIET = """
[[compress]]
method = "activity"
at = "qat"
strength = 0.5
epochs = $tune
"""

METHODS = (
    Entry("baseline", "the data set's recipe as it is", start=""),
    Entry("w8", "8-bit weights and membranes", "network = {weight_bits = 8, membrane_bits = 8}"),
    Entry(
        "w2",
        "2-bit (ternary) weights, 2-bit membranes: MINT's narrowest",
        "network = {weight_bits = 2, membrane_bits = 2}",
        published="VGG-16, CIFAR-10, W2U2: 90.6 %, memory -93.8 % (abstract)",
    ),
    Entry(
        "mint-scale", "the scale of the weights learned as MINT learns it", 'network.weight_scale = "mint"', start=""
    ),
    Entry(
        "mint-rule",
        "MINT's scale and the membrane rule of its released code (tanh and round), for comparison; no hardware",
        'network = {weight_scale = "mint", membrane_rule = "mint"}',
        start="mint-scale",
    ),
    Entry(
        "binary",
        "1-bit weights by weight-threshold balancing",
        """
        [[compress]]
        method = "binary"
        at = "qat"
        epochs = $tune
        """,
    ),
    Entry(
        "mixed",
        "widths of all layers searched, for 5/8 of the baseline's memory bits",
        """
        [[compress]]
        method = "mixed"
        at = "qat"
        memory_bits = $budget
        search_epochs = $search
        epochs = $tune
        """,
    ),
    Entry("plain", "the baseline without augmentation", "train = {shift_pixels = 0}", start="", data=("mnist",)),
    Entry("wide", "twice as many hidden neurons", "layers.hidden.units = 256", start="", data=("mnist",)),
    Entry(
        "wide-w2",
        "twice as many hidden neurons, 2-bit weights and membranes",
        "layers.hidden.units = 256\nnetwork = {weight_bits = 2, membrane_bits = 2}",
        start="wide",
        data=("mnist",),
    ),
    Entry(
        "slim",
        "network slimming: half of the hidden neurons go by their BatchNorm scales",
        SLIM,
        published="about 10 % of the parameters left at less than 1 % loss (abstract)",
    ),
    Entry(
        "sca",
        "spike channel activity: half of the hidden neurons go by their firing rates, some come back",
        """
        [[compress]]
        method = "sca"
        remove = 0.5
        multiple = $lanes
        search_epochs = $search
        epochs = $tune
        """,
    ),
    Entry(
        "random",
        "the control: half of the hidden neurons go by lot",
        """
        [[compress]]
        method = "random"
        remove = 0.5
        multiple = $lanes
        epochs = $both
        """,
    ),
    Entry(
        "small",
        "the other control: half of the hidden neurons from the beginning, trained directly",
        """
        [[compress]]
        method = "small"
        widths = {hidden = $half}
        epochs = $fresh
        """,
    ),
    Entry(
        "sdsnn",
        "SD-SNN: half of the hidden neurons go by the ranges in which their weights stay, some come back",
        """
        [[compress]]
        method = "sdsnn"
        remove = 0.5
        multiple = $lanes
        patience = 2
        search_epochs = $search
        epochs = $tune
        """,
        published="MNIST: 99.51 % at 49.83 % pruned, +0.05 (abstract)",
    ),
    Entry(
        "pca",
        "as many hidden neurons as principal components hold 95 % of the variance, trained directly",
        """
        [[compress]]
        method = "pca"
        variance = 0.95
        epochs = $fresh
        """,
        published="10 to 14 times smaller (abstract)",
    ),
    Entry(
        "stds",
        "soft thresholds on single weights, sine schedule",
        """
        [[compress]]
        method = "stds"
        depth = 2.0
        search_epochs = $search
        epochs = $tune
        """,
        published="CIFAR-10, T = 8: 92.49 % at 95.36 % zeros, 91.64 % at 98.60 % (authors' logs)",
    ),
    Entry(
        "slats",
        "soft thresholds on single weights, S-LATS' schedule",
        """
        [[compress]]
        method = "slats"
        depth = 3.0
        search_epochs = $search
        epochs = $tune
        """,
    ),
    Entry(
        "slats-sparse",
        "S-LATS with a higher threshold, and weight memories without rows of zeros where that makes them smaller",
        """
        [[compress]]
        method = "slats"
        depth = 5.0
        search_epochs = $search
        epochs = $tune
        """,
        sparse=True,
    ),
    Entry(
        "sops",
        "masks on weights and neurons, learned against synaptic operations",
        """
        [[compress]]
        method = "sops"
        strength = 0.5
        search_epochs = $search
        epochs = $tune
        """,
        published="CIFAR-10: 0.63 % of the connections left, -2.19 % (abstract)",
    ),
    Entry(
        "share",
        "k-means weight sharing: 4 values per layer, 2 bits per weight",
        """
        [[compress]]
        method = "share"
        at = "qat"
        bits = 2
        epochs = $tune
        """,
    ),
    Entry(
        "share-w8",
        "8-bit weights, of which k-means leaves 16 values per layer, 4 bits per weight",
        """
        [network]
        weight_bits = 8
        membrane_bits = 8

        [[compress]]
        method = "share"
        at = "qat"
        bits = 4
        epochs = $tune
        """,
        start="w8",
    ),
    Entry(
        "activity",
        "a penalty on the mean firing rate",
        """
        [[compress]]
        method = "activity"
        at = "qat"
        strength = 1.0
        epochs = $tune
        """,
    ),
    Entry(
        "activity-membrane",
        "a penalty on the membranes above 0",
        """
        [[compress]]
        method = "activity"
        of = "membrane"
        at = "qat"
        strength = 1.0
        epochs = $tune
        """,
    ),
    Entry(
        "steps-2",
        "half of the time steps",
        HALF_STEPS,
    ),
    Entry(
        "steps-1",
        "one time step, by way of two: no membrane is stored",
        """
        [[compress]]
        method = "steps"
        at = "qat"
        time_steps = 2
        epochs = $tune

        [[compress]]
        method = "steps"
        at = "qat"
        time_steps = 1
        epochs = $tune
        """,
        start="steps-2",
        published="VGG-16, CIFAR-10, T = 1: 93.05 % (abstract)",
    ),
    Entry(
        "exit",
        "early exit: samples stop where one class is ahead, at most 0.2 % of 10 % held-out training samples lost",
        """
        [[compress]]
        method = "exit"
        """,
        start="",
        published="ResNet-19, CIFAR-10: 96.1 % at 1.08 steps (abstract)",
    ),
    Entry(
        "stack",
        "slim, then S-LATS, then quantization, then a penalty on the firing rate",
        SLIM + THINNED + QUIET,
        start="slim",
    ),
    Entry(
        "stack-2",
        "the same with half of the time steps",
        SLIM + THINNED + HALF_STEPS + QUIET,
        start="stack",
    ),
)


def entries(data: Data, names: list[str] | None = None) -> list[Entry]:
    """The methods for a data set, in the table's order: the named ones and those that they start from, or all.

    Raises RecipeError where there is no such method.
    """
    found = [entry for entry in METHODS if not entry.data or data.name in entry.data]
    if names is None:
        return found
    known = {entry.name: entry for entry in found}
    wanted: set[str] = set()
    for name in names:
        if name not in known:
            raise RecipeError(f"there is no method '{name}' for {data.name}; there are {', '.join(known)}")
        while name:
            wanted.add(name)
            name = known[name].start
    return [entry for entry in found if entry.name in wanted]


def recipe_of(entry: Entry, data: Data, seed: int, recipes: Path) -> Recipe:
    """The whole recipe of a run. Raises RecipeError naming the entry where it makes no recipe."""
    base = load_recipe(recipes / data.recipe).model_dump(exclude_none=True, by_alias=True)
    base["train"] |= {"float_epochs": data.float_epochs, "epochs": data.epochs}
    changes = tomllib.loads(Template(entry.changes).substitute(data.words))
    form = _laid_over(base, changes) | {"name": f"{data.name}-{entry.name}", "seed": seed}
    try:
        return parse_recipe(form)
    except RecipeError as error:
        raise RecipeError(f"method '{entry.name}': {error}") from None


def _laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    form = copy.deepcopy(base)
    for section in ("network", "train"):
        form[section] |= changes.get(section, {})
    for name, own in changes.get("layers", {}).items():
        (layer,) = [layer for layer in form["layers"] if layer["name"] == name]
        layer |= own
    if "compress" in changes:
        form["compress"] = changes["compress"]
    unknown = set(changes) - {"network", "train", "layers", "compress"}
    if unknown:
        raise RecipeError(f"a method changes [network], [train], [layers] and [[compress]], not '{min(unknown)}'")
    return form
