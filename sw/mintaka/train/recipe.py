"""Recipes: everything that decides about a training, in one TOML file.

name = "digits"                # of the artifact
dataset = "digits"             # a known name, or the path of an .npz with x and y
seed = 1

[network]                      # widths, leak and reset here hold for every layer that does not say otherwise
time_steps = 4
input = "direct"               # direct, spikes (thermometer code of the data) or counts
weight_bits = 4
membrane_bits = 4
leak = "V>>1"                  # a sum of shifts, "V" for none, "0" for no memory
reset = "zero"                 # or "subtract"

[train]
float_epochs = 15
epochs = 15

[[layers]]                     # in order; the last is the head
name = "hidden"
op = "dense"
units = 128
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mintaka.artifact import ConvGeometry, Integrator, Pool, SynapticCurrent
from mintaka.artifact.bounded import MISSING, no_file
from mintaka.artifact.toml import read_toml
from mintaka.compress import CompressError
from mintaka.data import DataError, Dataset, data_file
from mintaka.errors import problem_of, quoted
from mintaka.snn.graph import flow
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, PoolSpec, Spec, parse_leak
from mintaka.train.early_exit import check_place
from mintaka.train.errors import RecipeError, UnknownMethodError
from mintaka.train.inputs import network_input
from mintaka.train.keys import (
    BLOCKS,
    EDGES,
    LAYERS,
    SECTIONS,
    ConvEdge,
    ConvRecipe,
    DenseEdge,
    DenseRecipe,
    JoinRecipe,
    NetworkRecipe,
    PoolRecipe,
    Recipe,
    edge_tables,
)
from mintaka.train.whereabouts import noted

CHECKOUT = Path(__file__).parents[3] / "recipes"
INSTALLED = Path(__file__).parents[1] / "recipes"
NEURON_KEYS = ("membrane_bits", "leak", "reset", "refractory", "current_leak", "current_bits", "membrane_rule")


def recipes_folder() -> Path:
    """Where the recipes that come with Mintaka are: in the checkout, or in the installed package."""
    return CHECKOUT if CHECKOUT.is_dir() else INSTALLED


def find_recipe(name: str) -> Path:
    """A recipe by its path, or one that comes with Mintaka by its name; a name that is neither is given back as a path.

    "digits", "digits.toml" and "recipes/digits.toml" are the same one, in whatever folder the program was started.
    """
    path = Path(name)
    if (path.exists() and not path.is_dir()) or path.parent not in (Path(), Path("recipes")):
        return path
    ours = recipes_folder() / (path.name if path.suffix == ".toml" else f"{path.name}.toml")
    return ours if ours.is_file() else path


def load_recipe(path: Path | str) -> Recipe:
    """Read and check a recipe.

    Raises RecipeError naming the file, the key and what would be right. A relative .npz path is looked for from the
    recipe's folder, for the recipe.toml of a run where that run found its data, then from the current folder.
    """
    if not isinstance(path, str | Path):
        raise RecipeError(f"the path of a recipe must be a text or a Path, got {quoted(path)}")
    path = Path(path)
    problem = no_file(path)
    if problem == MISSING:
        known = ", ".join(sorted(each.stem for each in recipes_folder().glob("*.toml")))
        raise RecipeError(f"{path}: {problem}, and no recipe of that name comes with Mintaka ({known})")
    if problem is not None:
        raise RecipeError(f"{path}: {problem}")
    try:
        form = read_toml(path)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    try:
        recipe = parse_recipe(form)
        file = data_file(recipe.dataset)
    except (RecipeError, DataError) as error:
        raise RecipeError(f"{path}: {error}") from None
    if file is None:
        return recipe
    places = (path.parent / file, *(place for place in noted(path.parent) if place.name == file.name))
    try:
        return recipe.model_copy(update={"dataset": str(next(filter(Path.exists, places), file))})
    except OSError as error:
        raise RecipeError(f"{path}: 'dataset' is {recipe.dataset!r:.60}: {(error.strerror or '').lower()}") from None


def parse_recipe(form: dict[str, Any]) -> Recipe:
    """A recipe from nested dictionaries; RecipeError names the key."""
    _refuse_unknown(form, Recipe, "")
    for section, model in SECTIONS.items():
        if isinstance(form.get(section), dict):
            _refuse_unknown(form[section], model, f"{section}.")
    for block, (kind, _) in BLOCKS.items():
        tables = form.get(block)
        for index, table in enumerate(tables if isinstance(tables, list) else []):
            if isinstance(table, dict):
                where = f"{block}[{index}]"
                model = _model_of(table, block, where)
                _refuse_unknown(table, model, f"{where}.")
                if block == "layers":
                    _refuse_unknown_in_edges(table, table[kind], where)
    try:
        recipe = Recipe.model_validate(form)
    except ValidationError as error:
        raise RecipeError(_sentence(error)) from None
    _check_head(recipe)
    _check_currents(recipe)
    _check_order(recipe)
    check_place(recipe)
    return recipe


def _model_of(table: dict[str, Any], block: str, where: str) -> type[BaseModel]:
    """The model that a table of a block says it is."""
    kind, models = BLOCKS[block]
    says = table.get(kind)
    unknown = UnknownMethodError if block == "compress" and isinstance(says, str) else RecipeError
    try:
        model = models.get(says) if isinstance(says, str) else None
    except CompressError as error:  # of the package that has the method
        raise unknown(f"{where}.{kind}: {error}") from None
    if model is None:
        found = "is missing" if says is None else f"is {says!r:.40}"
        raise unknown(f"{where}.{kind} {found}; possible: {', '.join(models)}")
    return model


def _refuse_unknown_in_edges(layer: dict[str, Any], op: str, where: str) -> None:
    edges = edge_tables(layer.get("from")) if op in EDGES else None
    for number, edge in enumerate(edges if isinstance(edges, list) else []):
        if isinstance(edge, dict):
            _refuse_unknown(edge, EDGES[op], f"{where}.from[{number}].")
            _refuse_bare_geometry(edge, f"{where}.from[{number}]")


def _check_order(recipe: Recipe) -> None:
    """Methods stand in the order in which they are run."""
    places = [method.at for method in recipe.compress or []]
    if "qat" in places and "float" in places[places.index("qat") :]:
        early = places.index("qat")
        late = places.index("float", early)
        raise RecipeError(
            f"compress[{late}].at is 'float', but it stands behind compress[{early}], which is at 'qat': "
            "write the methods in the order in which they are run"
        )


def _check_head(recipe: Recipe) -> None:
    """How the head is read decides which keys of neurons it has."""
    last = len(recipe.layers) - 1
    for index, layer in enumerate(recipe.layers[:last]):
        if getattr(layer, "read", None) is not None:
            raise RecipeError(f"layers[{index}].read: only the last layer, the head, is read")
    head = recipe.layers[-1]
    read = getattr(head, "read", None) or "accumulate"
    for key in NEURON_KEYS:
        if getattr(head, key, None) is None or read == "count":
            continue
        if read == "accumulate":
            raise RecipeError(
                f"layers[{last}].{key}: the last layer is the head, which has no membrane unless 'read' says"
            )
        if key not in ("membrane_bits", "leak"):
            raise RecipeError(f"layers[{last}].{key}: the head is read by its membrane, so it never fires and has none")


def _check_currents(recipe: Recipe) -> None:
    """A width without a leak would say nothing."""
    leaks = {f"layers[{i}]": getattr(layer, "current_leak", None) for i, layer in enumerate(recipe.layers)}
    shared = recipe.network
    if shared.current_bits is not None and not any((shared.current_leak, *leaks.values())):
        raise RecipeError("'network.current_bits' needs a 'current_leak' (CUBA-LIF): without, there is no current")
    for index, (where, leak) in enumerate(leaks.items()):
        bits = getattr(recipe.layers[index], "current_bits", None)
        if bits is not None and (leak or shared.current_leak or "0") == "0":
            raise RecipeError(f"'{where}.current_bits' needs '{where}.current_leak': without, there is no current")


def _refuse_bare_geometry(edge: dict[str, Any], where: str) -> None:
    for key in ("stride", "padding", "groups"):
        if key in edge and "kernel" not in edge:
            raise RecipeError(f"'{where}.{key}' needs '{where}.kernel': without, the edge has the layer's own geometry")


def _refuse_unknown(form: dict[str, Any], model: type[BaseModel], prefix: str) -> None:
    known = [field.alias or name for name, field in model.model_fields.items()]
    for key in form:
        if key not in known:
            raise RecipeError(f"the key '{prefix}{key:.60}' is unknown; {_advice(key, known, prefix)}")


def _advice(key: str, known: list[str], prefix: str) -> str:
    """A key that is spelt alike, the section that has this one, or all that are possible."""
    if near := get_close_matches(key, known, n=1):
        return f"did you mean '{prefix}{near[0]}'?"
    sections: dict[str, type[BaseModel]] = {"": Recipe, **{f"{section}.": model for section, model in SECTIONS.items()}}
    for section, model in sections.items():
        if key in model.model_fields:
            return f"did you mean '{section}{key}'?"
    return f"possible: {', '.join(known)}"


def _sentence(error: ValidationError) -> str:
    """The first complaint as one sentence with the full name of the key."""
    first, *others = error.errors(include_url=False)
    # Where several kinds of values are possible, the one that came nearest says most.
    alike = [each for each in others if each["loc"][: len(first["loc"]) - 1] == first["loc"][:-1]]
    first = max(first, *alike, key=lambda each: len(each["loc"])) if alike else first
    name = ""
    for part in first["loc"]:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part not in LAYERS and "[" not in part:
            name += f".{part}" if name else str(part)
    if first["type"] == "missing":
        return f"the key '{name}' is missing"
    message = problem_of(first)
    found = "" if message.startswith("must be ") else f"is {first['input']!r:.60}, but "
    return f"'{name}' {found}{message}"


def to_toml(recipe: Recipe) -> str:
    """The recipe with every default written out; `load_recipe` gives an equal one."""
    form = recipe.model_dump(exclude_none=True, by_alias=True)
    tables = {key: form.pop(key, []) for key in BLOCKS}
    sections = {key: form.pop(key) for key in SECTIONS}
    blocks = [_table(form)]
    blocks += [f"[{key}]\n{_table(section)}" for key, section in sections.items()]
    blocks += [f"[[{key}]]\n{_table(table)}" for key, block in tables.items() for table in block]
    return "\n".join(blocks)


def _table(form: dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in form.items())


def _value(value: object) -> str:
    """TOML's strings, integers, floats and lists read like JSON's; its tables do not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def network_specs(recipe: Recipe, dataset: Dataset) -> list[Spec]:
    """The layers, checked against each other and the data.

    Raises RecipeError or LayerError (which names the layer) where they do not fit.
    """
    specs = [_spec(layer, recipe, head=index == len(recipe.layers) - 1) for index, layer in enumerate(recipe.layers)]
    outputs = flow(network_input(recipe, dataset), specs)[-1].size
    if outputs < dataset.classes:
        raise RecipeError(
            f"the head '{specs[-1].name}' has {outputs} outputs, but the data has {dataset.classes} classes"
        )
    return specs


def _spec(layer: DenseRecipe | ConvRecipe | PoolRecipe | JoinRecipe, recipe: Recipe, *, head: bool) -> Spec:
    if isinstance(layer, PoolRecipe):
        kernel = _pair(layer.kernel)
        stride = kernel if layer.stride is None else _pair(layer.stride)
        return PoolSpec(layer.name, Pool(layer.kind, kernel, stride), layer.reads)
    if isinstance(layer, JoinRecipe):
        return JoinSpec(layer.name, layer.kind, tuple(EdgeSpec(read.node, read.delay) for read in layer.reads))
    bits = layer.weight_bits or recipe.network.weight_bits
    scale = layer.weight_scale or recipe.network.weight_scale
    neuron = _neuron(layer, recipe.network, (layer.read or "accumulate") if head else "")
    edges = None if layer.reads is None else tuple(map(_edge, layer.reads))
    if isinstance(layer, DenseRecipe):
        return DenseSpec(layer.name, layer.units, bits, neuron, layer.input_shift, edges, scale)
    geometry = ConvGeometry(_pair(layer.stride), _pair(layer.padding), layer.groups)
    about = layer.input_shift, edges, scale
    return ConvSpec(layer.name, layer.channels, _pair(layer.kernel), geometry, bits, neuron, *about)


def _neuron(layer: DenseRecipe | ConvRecipe, shared: NetworkRecipe, read: str) -> NeuronSpec | Integrator | None:
    """What the layer does not say, the network does. read : of the head, "" of another layer."""

    def said(key: str) -> Any:
        own = getattr(layer, key)
        return getattr(shared, key) if own is None else own

    if read == "accumulate":
        return None
    bits, leak = said("membrane_bits"), parse_leak(said("leak"))
    if read == "membrane":
        if said("membrane_rule") != "shift":
            raise RecipeError(
                f"the head '{layer.name}' is read by its membrane, which knows the membrane_rule 'shift' only: give "
                "'membrane_rule' to the other layers instead of 'network'"
            )
        return Integrator(leak, bits)
    current_leak = parse_leak(said("current_leak") or "0")
    current = SynapticCurrent(current_leak, said("current_bits") or bits) if current_leak else None
    return NeuronSpec(bits, leak, said("reset"), said("refractory") or 0, current, said("membrane_rule"))


def _edge(read: DenseEdge) -> EdgeSpec:
    kernel, geometry = None, None
    if isinstance(read, ConvEdge) and read.kernel is not None:
        kernel = _pair(read.kernel)
        geometry = ConvGeometry(_pair(read.stride or 1), _pair(read.padding or 0), read.groups or 1)
    return EdgeSpec(read.node, read.delay, kernel, geometry, read.shift, read.op)


def _pair(value: int | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
