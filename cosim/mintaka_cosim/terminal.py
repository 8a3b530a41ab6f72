"""The terminal: everything that is printed passes here, and is harmless there.

Names, provenance and paths come from anybody. In what is printed no brackets are styles, and no character moves the
cursor, sets a title or turns the direction of writing; where a stream cannot show a character, it shows another one.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table

from mintaka.errors import printable

REPLACED = "mintaka.replaced"  # name of the way in which streams encode
MOST_COLUMNS = 10_000
PLAIN = {"×": "x", "→": "->", "µ": "u", "…": "...", "–": "-", "·": ".", "≥": ">=", "≤": "<=", "°": " deg"}


class SafeConsole(Console):
    """Styles come from the program alone, as `Text`; strings are shown as they are."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False, soft_wrap: bool = False):
        super().__init__(
            stderr=stderr,
            quiet=quiet,
            soft_wrap=soft_wrap,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich makes of it, without control characters but rich's own."""
        return _harmless(super().render(renderable, options))


def _harmless(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        text, style, control = segment
        if control is None and not text.isprintable():
            text = "\n".join(map(printable, text.split("\n")))
            segment = Segment(text, style)
        yield segment


def natural_width(console: Console, table: Table) -> int:
    """How wide a table is where nothing of it is cut."""
    return Measurement.get(console, console.options.update(max_width=MOST_COLUMNS), table).maximum


def print_whole(console: Console, table: Table, last: int | None = None) -> None:
    """Print a table of which no cell is cut, wider than the terminal where it must be: that wraps its lines.

    last : the last column is text that may be wrapped to so many characters, where that helps.
    """
    width = natural_width(console, table)
    if last is not None:
        others = width - natural_width(console, _column(table))
        width = min(width, max(console.width, others + last))
    options = console.options.update(width=width, max_width=width)
    for line in console.render_lines(table, options, pad=False):
        console.print(Segments([*line, Segment.line()]), end="", soft_wrap=True)


def _column(table: Table) -> Table:
    """The last column of a table without a frame, as one."""
    found = Table(box=None, pad_edge=False, show_header=False)
    found.add_column()
    for cell in table.columns[-1].cells:
        found.add_row(cell)
    return found


def safe_streams() -> None:
    """Let stdout and stderr take every text, whatever their encoding: ASCII shows "x" for "×"."""
    codecs.register_error(REPLACED, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=REPLACED)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, ascii(c)[1:-1]) for c in error.object[error.start : error.end]), error.end
