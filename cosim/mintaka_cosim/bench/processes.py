"""Child processes of one run: several at once, progress through files, none left behind."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from mintaka.system import children

POLL_SECONDS = 0.1
Progress = Callable[[int, int], None]
T = TypeVar("T")


class Processes:
    """Starts children and can stop them all."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], out: IO[str] | None) -> int:
        """Run to the end, both outputs into `out`; the exit status."""
        with self._lock:
            if self._stopped:
                return -1
            child = children.start(command, env=env, cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
            self._running.add(child)
        try:
            return child.wait()
        except BaseException:  # Ctrl-C: nothing is left running
            children.end(child)
            raise
        finally:
            with self._lock:
                self._running.discard(child)

    def stop(self) -> None:
        """Kill what runs; nothing more will start."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                children.end(child, gently=False)


def run_parallel(
    jobs: Sequence[Callable[[], T]],
    processes: Processes,
    progress_files: Sequence[Path],
    total: int,
    progress: Progress | None,
    most: int | None = None,
) -> list[T]:
    """Run `jobs` in threads (each waits for a child), reporting the sum of the numbers in `progress_files`.

    most : at the same time; None: all of them.
    """
    with ThreadPoolExecutor(max_workers=min(len(jobs), most or len(jobs))) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            while not all(f.done() for f in futures):
                if progress is not None:
                    progress(sum(map(_read_count, progress_files)), total)
                time.sleep(POLL_SECONDS)
            results = [f.result() for f in futures]
        except BaseException:
            processes.stop()
            raise
    if progress is not None:
        progress(total, total)
    return results


def _read_count(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0
