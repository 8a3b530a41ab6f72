"""Tasks on several processes: in order, each behind those that it needs, none left running when stopped."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from mintaka.errors import user_sentence
from mintaka.system import children

PATIENCE_SECONDS = 3


@dataclass(frozen=True)
class Task:
    """call : with a function that it tells what it is doing; must be importable by name and picklable.

    after : names of tasks before it that must be done.
    """

    name: str
    call: Callable[[Callable[[str], None]], None]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """What happened: "begin", "at" (text: what it is doing), "end" (text: what went wrong, "" if nothing)."""

    kind: str
    task: str
    text: str = ""


def run_tasks(tasks: Sequence[Task], processes: int, listen: Callable[[Event], None]) -> dict[str, str]:
    """Run them all, each with one thread of numpy and torch; what went wrong, by task, in one sentence each.

    A task that failed stops none but those behind it. When this is interrupted, all processes are ended first.
    """
    waiting, done = list(tasks), set[str]()
    failed: dict[str, str] = {}
    busy: list[_Worker] = []
    idle: list[_Worker] = []
    try:
        while waiting or busy:
            for task in [task for task in waiting if not failed.keys().isdisjoint(task.after)]:
                waiting.remove(task)
                failed[task.name] = f"{', '.join(name for name in task.after if name in failed)} failed"
                listen(Event("end", task.name, failed[task.name]))
            ready = [task for task in waiting if done.issuperset(task.after)]
            for task in ready[: processes - len(busy)]:
                waiting.remove(task)
                worker = idle.pop() if idle else _Worker()
                busy.append(worker)
                worker.begin(task)
                listen(Event("begin", task.name))
            heard = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in heard]:
                event = worker.hear()
                if event.kind == "end":
                    busy.remove(worker)
                    if worker.process.is_alive():
                        idle.append(worker)
                    if event.text:
                        failed[event.task] = event.text
                    else:
                        done.add(event.task)
                listen(event)
    finally:
        _stop([*busy, *idle])
    return failed


def _stop(workers: Sequence[_Worker]) -> None:
    """With everything that they started: a compiler would outlive its make."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for worker in workers:
            with suppress(ProcessLookupError, PermissionError):
                assert worker.process.pid is not None
                os.killpg(worker.process.pid, number)
        for worker in workers:
            worker.process.join(PATIENCE_SECONDS)


class _Worker:
    """One process, for one task after the other."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(other,), daemon=False)
        self.task = ""
        with _environment():
            self.process.start()
        other.close()
        self.connection.recv()  # from here on it leads its group

    def begin(self, task: Task) -> None:
        self.task = task.name
        self.connection.send(task.call)

    def hear(self) -> Event:
        try:
            kind, text = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return Event("end", self.task, f"its process ended with status {self.process.exitcode}")
        return Event(kind, self.task, text)


@contextmanager
def _environment() -> Iterator[None]:
    """Of processes that are started meanwhile: one thread each, no modules from the current folder, and they are ended
    when this one is gone."""
    before = dict(os.environ)
    os.environ.update(children.environment() | {"OMP_NUM_THREADS": "1"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(connection: Connection) -> None:
    """In the process, which leads a group of its own: tasks from the pipe until it is closed."""
    os.setpgrp()
    signal.signal(signal.SIGTERM, _leave)
    connection.send(("ready", ""))
    said = ""

    def say(text: str) -> None:
        nonlocal said
        if text != said:
            said = text
            connection.send(("at", text))

    with suppress(EOFError, BrokenPipeError):  # the parent is gone
        while True:
            call = connection.recv()
            try:
                call(say)
                wrong = ""
            except Exception as error:
                wrong = user_sentence(error) or traceback.format_exc().strip()
            connection.send(("end", wrong))


def _leave(number: int, frame: object) -> None:  # noqa: ARG001
    raise SystemExit(1)
