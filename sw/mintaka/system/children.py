"""Programs that this one starts: in a clean environment, with all that they start in turn, and ended with this one.

Every child leads a process group, so that ending it ends its own children. Whatever ends this program, SIGKILL
included, a watchdog ends what it started (`watchdog`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mintaka.system.watchdog import VARIABLE

WATCHDOG = Path(__file__).with_name("watchdog.py")
MARKS = VARIABLE.decode().rstrip("=")
GENTLE_SECONDS = 2.0
_lock = threading.Lock()
_mark: dict[int, str] = {}  # of this process, by its number, as it may have been forked
_alive: list[int] = []  # the pipe's end that stays open as long as this process lives


def python(*arguments: str) -> list[str]:
    """A command for this Python. Neither the current folder nor a script's is searched for modules."""
    return [sys.executable, "-P", *arguments]


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base` (default: this program's environment) for a child: nothing in it leads to code in the current folder.

    Python takes no modules from there; relative entries of PATH and PYTHONPATH, which are empty ones, too, are left
    out. The child gets this program's mark, and a watchdog is there to end it.
    """
    env = dict(os.environ if base is None else base)
    env["PYTHONSAFEPATH"] = "1"
    for name in ("PATH", "PYTHONPATH"):
        if name in env:
            env[name] = _absolute(env[name])
    env[MARKS] = f"{env.get(MARKS, '')} {_watched()}".strip()
    return env


def which(program: str) -> str | None:
    """Where a program is on the PATH that children have; None where it is not."""
    return shutil.which(program, path=_absolute(os.environ.get("PATH", os.defpath)))


def start(command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
    """`subprocess.Popen` in `environment(env)`, leading a process group; without input unless `stdin` is given.

    Raises OSError where it cannot be started. Whoever starts it has to `end` it where it does not end by itself.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, env=environment(env), process_group=0, **options)


def end(child: subprocess.Popen[Any], *, gently: bool = True) -> None:
    """End a child and all of its group, and wait for it. gently : give it time to clean up."""
    if gently:
        _signal(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GENTLE_SECONDS)
    _signal(child, signal.SIGKILL)
    child.wait()


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    input: str | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run to the end and collect what it prints.

    Raises OSError where it cannot be started, subprocess.TimeoutExpired where it takes longer than `timeout` seconds;
    whatever interrupts this, the child is ended.
    """
    pipe = subprocess.PIPE
    stdin = subprocess.DEVNULL if input is None else pipe
    options: dict[str, Any] = {"cwd": cwd, "stdin": stdin, "stdout": pipe, "stderr": pipe}
    with start(command, env=env, text=True, errors="replace", **options) as child:
        try:
            out, err = child.communicate(input, timeout)
        except BaseException:
            end(child)
            raise
    return subprocess.CompletedProcess(list(command), child.returncode, out, err)


def _absolute(path: str) -> str:
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if Path(entry).is_absolute())


def _signal(child: subprocess.Popen[Any], number: int) -> None:
    """To the group: it may outlive its leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _watched() -> str:
    """The mark of this process, for which a watchdog looks."""
    process = os.getpid()
    with _lock:
        if process not in _mark:
            mark = f"{process}-{secrets.token_hex(8)}"
            read, write = os.pipe()
            quiet = subprocess.DEVNULL
            watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WATCHDOG), mark],
                stdin=read,
                stdout=quiet,
                stderr=quiet,
                start_new_session=True,  # out of reach of the terminal's signals
            )
            watchdog.returncode = 0  # nobody waits for it: it outlives this process
            os.close(read)
            _mark.clear()
            _mark[process] = mark
            _alive.append(write)
        return _mark[process]
