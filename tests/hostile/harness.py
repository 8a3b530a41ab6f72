"""Reads damaged files and counts what comes of it: read, or refused in one sentence, in time and in little memory.

Every place is drawn from its own seed, so the same numbers give the same damage again.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from hostile.damage import damaged

from mintaka.errors import MAX_SENTENCE, MintakaError

SECONDS = 2.0  # of processor time
MEGABYTES = 1000
ENDLESS_SECONDS = 10.0  # then it is interrupted
UNIT = 1024 if sys.platform != "darwin" else 1  # bytes of ru_maxrss' unit
PEAK = Path("/proc/self/clear_refs")  # Linux: writing 5 forgets the largest size so far


@dataclass(frozen=True)
class Kind:
    """A kind of file that the program reads.

    files : sound ones, each in its place among what else is read with it. read : of one; raises MintakaError where it
    is refused. damage : makes another file of a sound one, of its bytes, the number of the place and its generator.
    """

    name: str
    files: Sequence[Path]
    read: Callable[[Path], object]
    damage: Callable[[bytes, int, Random], bytes] = lambda data, _, rng: damaged(data, rng)


@dataclass
class Tally:
    """Of one kind. faults : what went wrong, in words; the files are kept in `kept`."""

    name: str
    files: int
    places: int = 0
    read: int = 0
    refused: int = 0
    tracebacks: int = 0
    slow: int = 0
    large: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    faults: list[str] = field(default_factory=list)


class EndlessError(BaseException):
    """It takes longer than `ENDLESS_SECONDS`."""


def attack(kind: Kind, places: int, seed: int, kept: Path | None = None) -> Tally:
    """Damage the kind's files at so many places in turn. kept : where what goes wrong is written to."""
    tally = Tally(kind.name, len(kind.files))
    sound = {path: path.read_bytes() for path in kind.files}
    for number in range(places):
        path = kind.files[number % len(kind.files)]
        rng = Random(f"{kind.name} {path.name} {seed} {number}")
        data = kind.damage(sound[path], number // len(kind.files), rng)
        path.write_bytes(data)
        fault = judge(kind, path, tally)
        if fault is not None:
            tally.faults.append(f"{kind.name}, place {number} of seed {seed}: {fault}")
            if kept is not None:
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"{kind.name.replace(' ', '-')}-{seed}-{number}{path.suffix}").write_bytes(data)
        path.write_bytes(sound[path])
    return tally


def judge(kind: Kind, path: Path, tally: Tally) -> str | None:
    """Read one file; what is wrong with how that went, None where nothing is."""
    tally.places += 1
    fault = None
    before = _resident()
    begin = time.process_time()
    try:
        with _interrupted():
            kind.read(path)
        tally.read += 1
    except MintakaError as error:
        tally.refused += 1
        text = str(error)
        if not text.isprintable() or not 10 <= len(text) <= MAX_SENTENCE:
            fault = f"this is no sentence: {text!r:.200}"
    except (Exception, EndlessError) as error:
        tally.tracebacks += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__}: {error!s:.200} ({Path(last.filename).name}:{last.lineno})"
    seconds, megabytes = time.process_time() - begin, _peak() - before
    tally.seconds, tally.megabytes = max(tally.seconds, seconds), max(tally.megabytes, megabytes)
    if seconds > SECONDS:
        tally.slow += 1
        fault = fault or f"it took {seconds:.1f} s"
    if megabytes > MEGABYTES:
        tally.large += 1
        fault = fault or f"it took {megabytes:.0f} MB"
    return fault


@contextmanager
def _interrupted() -> Iterator[None]:
    """Whatever runs without end is stopped."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise EndlessError(f"no end within {ENDLESS_SECONDS:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, ENDLESS_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _resident() -> float:
    """Megabytes of this process now, from which its peak counts; elsewhere than on Linux its peak so far."""
    with suppress(OSError):
        PEAK.write_text("5")
        return _status("VmRSS:")
    return _peak()


def _peak() -> float:
    """Megabytes."""
    with suppress(OSError):
        return _status("VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6


def _status(key: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.partition(key)[2].split()[0]) * 1024 / 1e6
