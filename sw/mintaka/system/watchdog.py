"""Ends what a program started once that program is gone, whatever ended it: a process of its own, `children` starts it.

Its standard input is a pipe that only the program holds open, so it reads the end of it when the program is no more,
also after SIGKILL. Everything that the program started has the program's mark in its environment, and so has whatever
that started in turn: make's compilers, too.
"""

import os
import signal
import sys
import time

VARIABLE = b"MINTAKA_STARTED_BY="
GENTLE_SECONDS = 1.0  # for compilers to remove their temporary files
PAUSE_SECONDS = 0.02
CLEAN = 3  # so many looks in a row that find nothing
LONGEST_SECONDS = 60.0  # then it gives up: the system holds on to something


def marked(mark: bytes) -> list[int]:
    """Processes with `mark` among their marks. Only Linux shows environments; elsewhere there are none."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():  # noqa: PTH112, PTH208 - quicker to start without
        if name.isdecimal() and _has(int(name), mark):
            found.append(int(name))
    return found


def _has(process: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{process}/environ", "rb") as file:  # noqa: PTH123
            variables = file.read().split(b"\0")
    except OSError:  # gone, or somebody else's
        return False
    return any(v.startswith(VARIABLE) and mark in v[len(VARIABLE) :].split() for v in variables)


def send(process: int, mark: bytes, number: int) -> None:
    """A signal to a process, unless another one has its number by now."""
    try:
        handle = os.pidfd_open(process)
        try:
            if _has(process, mark):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except OSError:
        pass


def end(mark: bytes) -> None:
    """Terminate, then kill, until nothing with the mark is left."""
    begin = time.monotonic()
    asked = set()
    clean = 0
    while clean < CLEAN and time.monotonic() - begin < LONGEST_SECONDS:
        found = marked(mark)
        clean = 0 if found else clean + 1
        late = time.monotonic() - begin > GENTLE_SECONDS
        for process in found:
            if late:
                send(process, mark, signal.SIGKILL)
            elif process not in asked:
                asked.add(process)
                send(process, mark, signal.SIGTERM)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    while sys.stdin.buffer.read(1):
        pass
    end(sys.argv[1].encode())
