"""What every error that is meant for the user has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeGuard

from mintaka.extras import missing_sentence

MAX_SENTENCE = 1000
BOUNDS = {  # of pydantic, by the type of its error
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
KINDS = {  # of values, by the type of pydantic's error
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
EXPECTED = "Input should be "


class MintakaError(Exception):
    """Something that the user can mend: a file, a request, a tool. The message is one sentence.

    What files and boards say is quoted in messages, so every message is made printable and kept to one line here, once
    for all: it can be sent to a terminal or a log as it is.
    """

    def __init__(self, sentence: str):
        line = printable(sentence[: 2 * MAX_SENTENCE])
        super().__init__(line if len(line) <= MAX_SENTENCE else line[: MAX_SENTENCE - 3] + "...")


def printable(text: str) -> str:
    """`text` on one line: line ends, terminal and direction codes and half characters become escapes like \\x1b."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def is_integer(value: object) -> TypeGuard[int]:
    """An int, or one of numpy's; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def quoted(value: object) -> str:
    """A value that is quoted in a message: 65,536, 'text' or the beginning of what is longer."""
    return f"{value:,}" if is_integer(value) else f"{value!r:.60}"


def counted(number: int, what: str) -> str:
    """1 lane, 2 lanes, 1,024 lanes."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def problem_of(details: Mapping[str, Any]) -> str:
    """What is wrong with a value that pydantic refuses, for a sentence that begins with the value's name.

    details : one of its errors. Of a bound: "must be at least 2, got 1".
    """
    kind, message = details["type"], str(details["msg"])
    got = f", got {quoted(details['input'])}" if "input" in details else ""
    if kind in BOUNDS:
        words, key = BOUNDS[kind]
        bound = details["ctx"][key]
        return f"must be {words} {quoted(int(bound) if bound == int(bound) else bound)}{got}"
    if kind in KINDS:
        return f"must be {KINDS[kind]}{got}"
    if message.startswith(EXPECTED):
        return f"must be {message.removeprefix(EXPECTED)}{got}"
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def user_sentence(error: BaseException) -> str | None:
    """The sentence for the user, or None where the error is a defect of the program."""
    if isinstance(error, MintakaError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        name = error.filename2 if error.filename2 is not None else error.filename  # of a rename the target
        return f"{name}: {(error.strerror or type(error).__name__).lower()}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}"
    if isinstance(error, ModuleNotFoundError) and error.name is not None and not error.name.startswith("mintaka"):
        return missing_sentence(error.name)
    return _memory_sentence(error)


def _memory_sentence(error: BaseException) -> str | None:
    """Where memory ran out, in numpy, torch or Python: how much was wanted, and what to lower."""
    said = str(error)
    if not isinstance(error, MemoryError) and re.search(r"DefaultCPUAllocator|bad_alloc", said) is None:
        return None
    in_bytes = re.search(r"tried to allocate (\d+) bytes", said)  # torch
    in_units = re.search(r"Unable to allocate ([\d.]+ \w+)", said)  # numpy
    wanted = f"{int(in_bytes[1]) / 2**30:,.1f} GiB" if in_bytes else in_units[1] if in_units else ""
    needed = f" ({wanted} more were needed)" if wanted else ""
    return (
        f"there is not enough memory{needed}: lower the number of samples, or in a recipe 'train.batch', "
        "'network.time_steps' or the size of the layers"
    )
