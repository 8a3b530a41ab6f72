"""The methods that recipes know: Mintaka's, those of installed packages, and those that a program registers.

A package names its methods as entry points of the group "mintaka.methods":

    [project.entry-points."mintaka.methods"]
    magnitude = "my_package.magnitude:Magnitude"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BeforeValidator

from mintaka.compress.errors import CompressError
from mintaka.compress.method import Method

GROUP = "mintaka.methods"
RESERVED = ("float", "qat", "end", "exit")  # phases of every run, and the recipe's table of early exit
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
M = TypeVar("M", bound=type[Method])


class Methods(Mapping[str, type[Method]]):
    """Method classes by their names. A package's class is imported when its name is first looked up.

    Raises CompressError where a package's entry point cannot be used.
    """

    def __init__(self) -> None:
        self._registered: dict[str, type[Method]] = {}
        self._compared: set[str] = set()  # names of entry points that give what is registered

    def __getitem__(self, name: str) -> type[Method]:
        points = _entry_points().get(name, [])
        if points and name not in self._compared:
            model = _loaded(points[0])
            other = self._registered.setdefault(name, model)
            if len(points) > 1 or _place(other) != _place(model):
                owners = ([] if other is model else [_place(other)]) + sorted(map(_owner, points))
                raise CompressError(f"more than one method is named '{name}' ({', '.join(owners)}): remove one")
            self._compared.add(name)
        return self._registered[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._registered, *_entry_points()]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def register(self, model: type[Method]) -> None:
        name = _name_of(model)
        before = self._registered.get(name, model)
        if _place(before) != _place(model):  # the same place: a cell or module that was run again
            raise CompressError(f"{_place(model)} and {_place(before)} are both named '{name}': rename one")
        self._registered[name] = model


METHODS = Methods()


def register_method(model: M) -> M:
    """Make a method known to recipes of this program, under the name in `method: Literal["its name"]`; a decorator.

    Registered once before a recipe is parsed, trained, resumed or exported. For the command line, use an entry point
    of the group "mintaka.methods".
    Raises CompressError where it is no complete method, or another one has its name.
    """
    METHODS.register(model)
    return model


def parse_method(form: Any) -> Method:
    """A method from its table in a recipe, a dictionary with its parameters and `method`, its name.

    Raises ValueError (as pydantic's ValidationError where a parameter is wrong).
    """
    if isinstance(form, Method):
        return form
    name = form.get("method") if isinstance(form, dict) else None
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"'method' must be one of {', '.join(METHODS)}")
    return METHODS[name].model_validate(form)


AnyMethod = Annotated[Method, BeforeValidator(parse_method)]


def _name_of(model: type[Method]) -> str:
    if not (isinstance(model, type) and issubclass(model, Method)):
        raise CompressError(f"a method must be a subclass of mintaka.compress.Method, got {model!r:.60}")
    kind = model.model_fields["method"].annotation
    names = get_args(kind) if get_origin(kind) is Literal else ()
    if len(names) != 1 or not isinstance(names[0], str) or not NAME.fullmatch(names[0]) or names[0] in RESERVED:
        raise CompressError(
            f'{_place(model)} needs a name: method: Literal["..."], lower-case letters, digits and _, at most 32 '
            f"characters, and none of {', '.join(RESERVED)}"
        )
    if model.phases is Method.phases:
        raise CompressError(f"the method '{names[0]}' of {_place(model)} has no `phases`: say what is trained")
    return names[0]


def _place(model: type[Method]) -> str:
    return f"{model.__module__}.{model.__qualname__}"


@cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    """By name; of several distributions that name the same class, one counts."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, {}).setdefault(point.value, point)
    return {name: list(points.values()) for name, points in found.items()}


def _owner(point: EntryPoint) -> str:
    return point.value if point.dist is None else point.dist.name


def _loaded(point: EntryPoint) -> type[Method]:
    try:
        model = point.load()
        name = _name_of(model)
    except Exception as error:  # whatever a package's import may raise
        reason = f"{type(error).__name__}: {error}"
        raise CompressError(
            f"the method '{point.name}' of the package '{_owner(point)}' cannot be used ({reason:.200}): update or "
            "remove the package"
        ) from None
    if name != point.name:
        raise CompressError(
            f"the package '{_owner(point)}' has the method '{name}' under the name '{point.name}': rename one of them"
        )
    return model
