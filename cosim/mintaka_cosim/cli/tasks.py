"""Tasks that run at the same time, as lines on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mintaka_cosim.methods.work import Event

SLOW = "preparing"  # how `mintaka_hw.implement` says that a tool's first call takes a minute


@contextlib.contextmanager
def task_display(total: int) -> Iterator[Callable[[Event], None]]:
    """A line per task that ends, and where one waits for a tool's first call; on a terminal also what is going on."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    begun: dict[str, tuple[float, TaskID]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        whole = bar.add_task("all", total=total)

        def listen(event: Event) -> None:
            if event.kind == "begin":
                begun[event.task] = time.monotonic(), bar.add_task(event.task, total=1)
            elif event.kind == "at":
                if event.text.startswith(SLOW):
                    console.print(f"{event.task}: {escape(event.text)}")
                bar.update(begun[event.task][1], description=f"{event.task}: {event.text}")
            else:
                bar.advance(whole)
                seconds = 0.0
                if event.task in begun:
                    since, line = begun.pop(event.task)
                    seconds = time.monotonic() - since
                    bar.remove_task(line)
                said = event.text.splitlines()[-1] if event.text else "done"
                console.print(f"{event.task}: {escape(said)} ({seconds:,.0f} s)")

        yield listen
