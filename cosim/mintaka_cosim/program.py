"""What every program of the project does around its work: it ends cleanly, says in one sentence what is wrong, and
prints nothing that could harm a terminal."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mintaka.errors import MintakaError, printable, user_sentence

if TYPE_CHECKING:
    from mintaka_cosim.terminal import SafeConsole

INTERRUPTED = 130
SIGNALLED = 128  # and the signal's number


class Ended(SystemExit):
    """A signal ends the program. (cocotb raises plain SystemExit where a command fails.)"""


class RequestError(MintakaError, ValueError):
    """The user's request makes no sense; the message is one sentence."""


def finish(program: str, stopped: str, work: Callable[[], int]) -> int:
    """Exit status of a program beside the command line: what `work` returns, `INTERRUPTED` where it was stopped (and
    `stopped` is said), 2 where the request is wrong, in one sentence."""
    begin()
    try:
        return work()
    except KeyboardInterrupt:
        say(f"{program}: stopped; {stopped}")
        return INTERRUPTED
    except Exception as error:
        sentence = user_sentence(error)
        if sentence is None:
            raise
        say(f"{program}: {sentence}")
        return 2


def begin() -> None:
    """What a program does first: it ends cleanly on signals, and its streams take every text."""
    from mintaka_cosim.terminal import safe_streams

    end_on_signals()
    safe_streams()


def end_on_signals() -> None:
    """SIGTERM and a closed terminal end the program as Ctrl-C does: what it started is ended, temporary folders go.

    The exit status is `SIGNALLED` and the signal's number. Signals that are ignored (nohup) stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)


def _leave(number: int, frame: object) -> None:  # noqa: ARG001
    signal.signal(number, signal.SIG_IGN)  # the second one must not disturb the cleaning
    raise Ended(SIGNALLED + number)


def warn(sentence: str) -> None:
    """One sentence on stderr."""
    say(f"mintaka: {sentence}")


def say(line: str) -> None:
    """A line on stderr, at once."""
    print(printable(line), file=sys.stderr, flush=True)


def console(*, stderr: bool = False, quiet: bool = False) -> SafeConsole:
    """For people, on stdout unless `stderr`."""
    from mintaka_cosim.terminal import SafeConsole

    return SafeConsole(stderr=stderr, quiet=quiet)


def check_file(option: str, path: Path, suffix: str | None = None) -> None:
    """Raise RequestError where no file can be written to `path`; before the work, not after it.

    suffix : what the file will hold, like ".json": its name must not promise something else.
    """
    from mintaka.artifact.whole import check_replaceable

    try:
        check_replaceable(path)
    except OSError as error:
        raise RequestError(f"{option} {path}: {error.strerror}") from None
    if suffix is not None and path.suffix.lower() != suffix:
        raise RequestError(f"{option} {path}: the file's name must end in {suffix}, as it holds nothing else")
    _check_folder(option, path, path.parent)


def check_folder(option: str, path: Path) -> None:
    """Raise RequestError where no files can be written into the folder `path`, which is made if missing."""
    _check_folder(option, path, path)


def _check_folder(option: str, path: Path, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise RequestError(f"{option} {path}: {folder} is no folder that can be written into ({reason})") from None


def shown(path: Path) -> str:
    """A path as the user would write it, on one line: relative where it lies below the current folder."""
    absolute = path.absolute()
    here = Path.cwd()
    return printable(str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path))
