"""Tasks on several processes: in order, with what went wrong in one sentence, and nothing left when stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from cosim.waiting import die, fail, note, refuse

from mintaka_cosim.flow.pool import Event, Task, run_tasks

ROOT = Path(__file__).parents[2]


def test_tasks_run_behind_those_that_they_need(tmp_path: Path) -> None:
    events: list[Event] = []
    tasks = [
        Task("a", partial(note, tmp_path, "a")),
        Task("bad", refuse),
        Task("behind", partial(note, tmp_path, "behind"), ("bad",)),
        Task("far", partial(note, tmp_path, "far"), ("a", "behind")),
        Task("dead", die),
        Task("defect", fail),
        Task("b", partial(note, tmp_path, "b"), ("a",)),
    ]
    failed = run_tasks(tasks, 2, events.append)
    assert failed.pop("defect").endswith("ZeroDivisionError: a defect")
    assert failed == {
        "bad": "gone.txt: no such file",
        "behind": "bad failed",
        "far": "behind failed",
        "dead": "its process ended with status 3",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert [e.text for e in events if e.task == "b"] == ["", "writing b", "threads 1", ""]
    assert events.index(Event("end", "a")) < events.index(Event("begin", "b"))
    assert sorted(e.task for e in events if e.kind == "end") == sorted(task.name for task in tasks)


STOPPED = """
import sys
from functools import partial
from pathlib import Path
sys.path.insert(0, {tests!r})
from cosim.waiting import wait_for_ever
from mintaka_cosim.flow.pool import Task, run_tasks
if __name__ == "__main__":
    run_tasks([Task("wait", partial(wait_for_ever, Path({folder!r})))], 1, print)
"""


def alive(pid: int) -> bool:
    """Whether it runs: what was killed and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_nothing_is_left_running_when_stopped(tmp_path: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.format(tests=str(ROOT / "tests"), folder=str(tmp_path)))
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "pids").exists() and parent.poll() is None:
        time.sleep(0.1)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(alive, pids))
    parent.send_signal(signal.SIGINT)
    assert parent.wait(100) != 0
    assert not any(map(alive, pids))
