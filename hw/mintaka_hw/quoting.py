"""Text that comes from files and people, inside of generated text: one function for each language.

Whatever goes in, what comes out is one word, one string or one line of that language, and nothing that acts. What
Python reads is written by `repr`; HTML and SVG are escaped where they are made (jinja2, html.escape).
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from mintaka.errors import MintakaError, printable

PLAIN = re.compile(r"[A-Za-z0-9_./:+-]+")


class QuotingError(MintakaError, ValueError):
    """There is no way to say it in that language."""


def verilog_comment(text: str) -> str:
    """Behind `//`, which a backslash at the end must not continue. Tools take the first word of some comments for an
    order to them, so something else has to come before it."""
    return printable(text).replace("\\", "/")


def tcl_comment(text: str) -> str:
    """Behind `#`: brackets and braces count even there."""
    return re.sub(r"[\\{}\[\]\"$;]", " ", printable(text))


def tcl_word(text: str) -> str:
    """One word, without any substitution; also of XDC and SDC."""
    if PLAIN.fullmatch(text):
        return text
    if not text:
        return "{}"
    return "".join(c if PLAIN.fullmatch(c) else f"\\{c}" if " " <= c <= "~" else f"\\U{ord(c):08x}" for c in text)


def yaml_string(text: str) -> str:
    """A double-quoted scalar in ASCII. JSON's pairs of \\u are none in YAML."""
    found = (f"\\{c}" if c in '\\"' else c if " " <= c <= "~" else f"\\U{ord(c):08X}" for c in printable(text))
    return f'"{"".join(found)}"'


def make_word(text: str) -> str:
    """The value of a variable in MAKEFLAGS, which make expands twice, as one word of it; QuotingError for line ends."""
    if re.search(r"[\r\n\0]", text):
        raise QuotingError(f"make takes no line ends: {text:.100}")
    return re.sub(r"([\\\s])", r"\\\1", text.replace("$", "$$$$"))


def shell_word(text: str) -> str:
    """One word of a POSIX shell."""
    return shlex.quote(text)


def yosys_path(path: Path, folder: Path) -> str:
    """A path in a script of Yosys that runs in `folder`. Raises QuotingError where scripts cannot name it."""
    relative = os.path.relpath(path, folder)
    if re.search(r"[\"\\;#*?\[\x00-\x1f\x7f]", relative):
        raise QuotingError(f"Yosys' scripts cannot name {path}: move it to a path of plain characters")
    return f'"{relative}"'
