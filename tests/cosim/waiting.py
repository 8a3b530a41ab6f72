"""Tasks for tests of processes; importing this takes no time."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mintaka.system import children


def wait_for_ever(folder: Path, say: Callable[[str], None]) -> None:  # noqa: ARG001
    """As a simulation does: a program of its own is waited for. Writes both process numbers into `folder`/pids."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "pids.new").write_text(f"{os.getpid()} {child.pid}")
    (folder / "pids.new").rename(folder / "pids")
    child.wait()


def note(folder: Path, name: str, say: Callable[[str], None]) -> None:
    say(f"writing {name}")
    say(f"threads {os.environ['OMP_NUM_THREADS']}")
    (folder / name).write_text("done")


def refuse(say: Callable[[str], None]) -> None:  # noqa: ARG001
    raise FileNotFoundError(2, "No such file", "gone.txt")


def fail(say: Callable[[str], None]) -> None:  # noqa: ARG001
    raise ZeroDivisionError("a defect")


def die(say: Callable[[str], None]) -> None:  # noqa: ARG001
    os._exit(3)


def tree(command: str, say: Callable[[str], None]) -> None:  # noqa: ARG001
    """As a tool does, which starts programs of its own."""
    children.run(["sh", "-c", command])
