"""Tasks that run at the same time, as lines on stderr."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mintaka_cosim.flow.pool import Event

SLOW = "preparing"  # how `mintaka_hw.implement` says that a tool's first call takes a minute
AGAIN_SECONDS = 60  # without a terminal: where only numbers of a line have changed


@contextlib.contextmanager
def task_display(total: int) -> Iterator[Callable[[Event], None]]:
    """A line per task that ends, and where one waits for a tool's first call. What is going on is a bar on a terminal,
    elsewhere a line for each stage of a task, and now and then how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    from mintaka_cosim.terminal import SafeConsole

    console = SafeConsole(stderr=True, soft_wrap=True)
    begun: dict[str, tuple[float, TaskID]] = {}
    said_last: dict[str, tuple[str, float]] = {}  # by task: a stage, and when

    def is_news(event: Event) -> bool:
        if event.text.startswith(SLOW):
            return True
        stage, now = re.sub(r"\d+", "", event.text), time.monotonic()
        before, then = said_last.get(event.task, ("", now))
        if console.is_terminal or (stage == before and now - then < AGAIN_SECONDS):
            return False
        said_last[event.task] = stage, now
        return True

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        whole = bar.add_task("all", total=total)

        def listen(event: Event) -> None:
            if event.kind == "begin":
                begun[event.task] = time.monotonic(), bar.add_task(event.task, total=1)
            elif event.kind == "at":
                if is_news(event):
                    console.print(f"{event.task}: {event.text}")
                bar.update(begun[event.task][1], description=f"{event.task}: {event.text}")
            else:
                bar.advance(whole)
                seconds = 0.0
                if event.task in begun:
                    since, line = begun.pop(event.task)
                    seconds = time.monotonic() - since
                    bar.remove_task(line)
                said = event.text.splitlines()[-1] if event.text else "done"
                console.print(f"{event.task}: {said} ({seconds:,.0f} s)")

        yield listen
