"""The state of a run after an epoch, whole or not at all: what a run is, and what was trained, is read from here."""

from __future__ import annotations

import io
import math
import pickletools
import re
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from mintaka.artifact.bounded import read_bounded
from mintaka.artifact.toml import parse_toml
from mintaka.artifact.whole import write_whole
from mintaka.train.errors import TrainError, UnknownMethodError
from mintaka.train.history import Epoch, float_accuracy
from mintaka.train.keys import Recipe
from mintaka.train.recipe import parse_recipe, to_toml
from mintaka.train.whereabouts import recorded_name

FILE = "checkpoint.pt"
VERSION = 2
MAX_BYTES = 2**29
OBJECTS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_(?:tensor_v2|parameter)|torch \w+Storage")
OTHER_OPCODES = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")
MAX_VALUES = 10**6
ADVICE = "delete it, or train anew (--fresh)"


@dataclass
class Checkpoint:
    """`recipe` is what is trained, its data set without a path (`recorded`), `data` the digest of the data. `done`
    counts the finished epochs of `phase` (which is "end" when all are done); `network` is the structure of the network
    then (`mintaka.train.form`), `model` and `optimizer` are state dictionaries. `float_accuracy` is the test accuracy
    of the network that was quantized; None before that, and where nothing was trained in full precision. With a
    validation split it is measured at the end, and `float_network` is that network (its `network` and `model`) until
    then. `confusion` counts the test samples of each class (rows) by the answers (columns), at the end.

    The random numbers of an epoch depend on seed, phase and epoch alone, so no generator's state is needed.
    """

    recipe: Recipe
    data: str
    phase: str
    done: int
    network: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    history: list[Epoch] = field(default_factory=list)
    float_accuracy: float | None = None
    float_network: dict[str, Any] | None = None
    confusion: list[list[int]] | None = None


def recorded(recipe: Recipe) -> Recipe:
    """As it goes into checkpoints and artifacts: the file of its data by name, without a path."""
    return recipe.model_copy(update={"dataset": recorded_name(recipe.dataset)})


def save_checkpoint(folder: Path, checkpoint: Checkpoint, file: str = FILE) -> None:
    rows = [asdict(epoch) for epoch in checkpoint.history]
    form = {**vars(checkpoint), "version": VERSION, "recipe": to_toml(checkpoint.recipe), "history": rows}
    buffer = io.BytesIO()
    torch.save(form, buffer)
    write_whole(folder / file, buffer.getvalue())


def load_checkpoint(folder: Path, file: str = FILE) -> Checkpoint | None:
    """The checkpoint of a run folder, None where there is none; TrainError where it is damaged or no checkpoint."""
    path = folder / file
    if not path.exists():
        return None
    try:
        data = read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if data is None:
        raise TrainError(f"{path} is no checkpoint: it has more than {MAX_BYTES:,} bytes: {ADVICE}")
    try:
        _check_archive(data)
        form = torch.load(io.BytesIO(data), weights_only=True)
        _check_size(form)
    except Exception:  # whatever torch's readers stumble upon in a damaged file
        raise TrainError(f"{path} is no intact checkpoint: {ADVICE}") from None
    if not isinstance(form, dict) or form.pop("version", None) != VERSION:
        raise TrainError(f"{path} was written by another version of Mintaka: {ADVICE}")
    try:
        return _checkpoint(form)
    except UnknownMethodError as error:
        raise TrainError(
            f"{path} was trained with a method that is not known here ({error}): install the package that has it, or "
            "call mintaka.compress.register_method first"
        ) from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise TrainError(f"{path} is no checkpoint of this version of Mintaka ({error!s:.100}): {ADVICE}") from None


def _check_archive(data: bytes) -> None:
    """Raise an exception where this is not what `save_checkpoint` wrote.

    torch does not look at the check sums of its files: one changed byte would be another network without a word. And
    it makes objects of any size that a pickle asks for, so every name and number of the pickle is looked at first.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        plain = (zipfile.ZIP_STORED, 0)  # torch takes a member for an empty folder where its attributes say so
        if any((member.compress_type, member.external_attr) != plain for member in archive.infolist()):
            raise ValueError("this is not how torch stores")
        if archive.testzip() is not None:
            raise ValueError("a check sum differs")
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        _check_pickle(archive.read(pickled))


def _check_pickle(pickled: bytes) -> None:
    """Its objects are those of state dictionaries, and nothing else that a pickle could make."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL" and not OBJECTS.fullmatch(str(argument)):
            raise ValueError(f"it names {argument}")
        if opcode.name in OTHER_OPCODES:
            raise ValueError(f"it holds {opcode.name}")


def _check_size(form: Any) -> None:
    """A list that holds another one twice, and so on, is small in the file and endless for who walks through it."""
    left, seen = [form], 0
    while left:
        value = left.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES:,} values")
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            left += value


def _checkpoint(form: dict[str, Any]) -> Checkpoint:
    """Of the stored form, with every type checked; ValueError, TypeError or KeyError where something is wrong."""
    history = [_epoch(row) for row in _typed(form, "history", list)]
    known = form.get("float_accuracy", float_accuracy(history))  # older ones have none
    found = Checkpoint(
        recipe=recorded(parse_recipe(parse_toml(_typed(form, "recipe", str), "its recipe"))),
        data=_typed(form, "data", str),
        phase=_typed(form, "phase", str),
        done=_typed(form, "done", int),
        network=_typed(form, "network", dict),
        model=_typed(form, "model", dict),
        optimizer=_typed(form, "optimizer", dict),
        history=history,
        float_accuracy=known,
        float_network=_or_none(form, "float_network", dict),
        confusion=_or_none(form, "confusion", list),
    )
    unknown = form.keys() - {each.name for each in fields(Checkpoint)}
    if unknown or found.done < 0 or not (known is None or _is_number(known)):
        raise ValueError("unknown keys or values")
    models = [found.model, *([] if found.float_network is None else [found.float_network["model"]])]
    for name, value in (item for model in models for item in model.items()):
        if not isinstance(value, torch.Tensor) or not _is_whole(value) or not bool(torch.isfinite(value).all()):
            raise ValueError(f"'{name}' is not finite")
    return found


def _is_whole(value: torch.Tensor) -> bool:
    """Whether the tensor's numbers are all there, and no view that repeats a few of them endlessly."""
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _typed(form: dict[str, Any], key: str, kind: type) -> Any:
    if not isinstance(form[key], kind):
        raise TypeError(f"'{key}' is {type(form[key]).__name__}")
    return form[key]


def _or_none(form: dict[str, Any], key: str, kind: type) -> Any:
    return None if form.get(key) is None else _typed(form, key, kind)


def _epoch(row: Any) -> Epoch:
    epoch = Epoch(**row)
    for each in fields(Epoch):
        value = getattr(epoch, each.name)
        absent = value is None and str(each.type).endswith("None")
        if not (isinstance(value, str) if each.type == "str" else absent or _is_number(value)):
            raise ValueError(f"'{each.name}' of an epoch is {value!r:.40}")
    return epoch


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
