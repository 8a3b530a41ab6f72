"""TOML files of people: recipes and boards."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from mintaka.artifact.bounded import read_bounded

MAX_BYTES = 2**20
MAX_PARTS = 64  # of a dotted key
PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
MANY_PARTS = re.compile(rf"(?<![\w-])(?:{PART}){{{MAX_PARTS}}}")
LINE = re.compile(r"\(at line (\d+)")
KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")
TABLE = re.compile(r"Cannot declare \((.*?),?\) twice")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file, with or without a byte order mark.

    Raises ValueError with one sentence that names the file and the place where it cannot be read, is too large, or is
    no TOML.
    """
    try:
        data = read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if data is None:
        raise ValueError(f"{path} is no TOML file for people: it has more than {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no TOML file: its bytes are no UTF-8 (at byte {error.start:,})") from None
    return parse_toml(text, f"{path}")


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The content of a TOML text. Raises ValueError with one sentence that begins with the text's name."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"{name} is no TOML file for people: it has more than {MAX_BYTES:,} characters")
    if MANY_PARTS.search(text):  # each of which costs the parser as much as all before it
        raise ValueError(f"{name} is no TOML file for people: a key in it has more than {MAX_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is no TOML file: {_reason(str(error), text)}") from None
    except ValueError:
        raise ValueError(f"{name} is no TOML file for people: a number in it has too many digits") from None
    except RecursionError:
        raise ValueError(f"{name} is no TOML file for people: its values are nested too deeply") from None


def _reason(message: str, text: str) -> str:
    """What the parser says, and the key that is given twice, which it does not name."""
    if table := TABLE.match(message):
        name = ".".join(re.findall("'([^']*)'", table[1]))
        return f"the table [{name}] is declared twice{message[table.end() :]}"
    if message.startswith("Cannot overwrite a value"):
        lines = text.splitlines()
        found = LINE.search(message)
        before = lines[: int(found[1]) if found else len(lines)]
        key = next((match[1] for match in map(KEY.match, reversed(before)) if match), None)
        if key is not None:
            return f"the key '{key}' is given twice (the second time in line {_line_of(key, before)})"
    return message[:1].lower() + message[1:]


def _line_of(key: str, lines: list[str]) -> int:
    return max(number for number, line in enumerate(lines, 1) if (match := KEY.match(line)) and match[1] == key)
