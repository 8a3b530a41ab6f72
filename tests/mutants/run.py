"""`make mutants`: plants each bug of the list in a copy of the sources, and runs the tests that should notice it.

The checkout is never changed. A bug that was caught is not tried again until it, its file or its tests change, so a run
that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from mutants.planted import ListError, Mutant, load, missing_test, of_area

from mintaka.artifact.whole import write_whole

ROOT = Path(__file__).parents[2]
SOURCES = ("sw", "hw", "cosim")
OTHERS = ("tests", "benchmarks", "constraints", "docs", "examples", "recipes", "pyproject.toml", "README.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*")
LIMIT_SECONDS = 400  # a bug that makes its tests hang is caught
PASSED, FAILED, COLLECTING = 0, 1, 2  # exit statuses of pytest; a bug may show as soon as a test is imported
NOTICED = re.compile(r"^(?:FAILED|ERROR) (\S+?(?:\[.*?\])?)(?: - .*)?$", re.M)  # pytest's summary: ids of tests


@dataclass(frozen=True)
class Outcome:
    """caught : None where the tests did not run. noticed : ids of tests that failed. said : the end of the output.
    confirmed : those tests pass without a bug."""

    caught: bool | None
    seconds: float
    noticed: tuple[str, ...] = ()
    said: str = ""
    confirmed: bool = False


class Tree:
    """A copy of what the tests need, for one bug at a time. cache : compiled programs, shared by all copies."""

    def __init__(self, root: Path, folder: Path, cache: Path):
        self.folder, self.cache = folder, cache
        self._child: subprocess.Popen[str] | None = None
        for name in (*SOURCES, *OTHERS):
            source = root / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=LEFT_OUT)
            elif source.is_file():
                shutil.copy(source, folder / name)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        return kept | {
            "PYTHONPATH": os.pathsep.join(str(self.folder / name) for name in SOURCES),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "MINTAKA_CACHE": str(self.cache),
            "MINTAKA_HYPOTHESIS": "first",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # most of the time of a short test
        }

    def tested(self, mutant: Mutant) -> Outcome:
        path = self.folder / mutant.file
        right = path.read_text(encoding="utf-8")
        path.write_text(mutant.applied(right), encoding="utf-8")
        try:
            return self.run(mutant.tests, "-x")
        finally:
            path.write_text(right, encoding="utf-8")

    def run(self, tests: Sequence[str], *options: str) -> Outcome:
        """pytest on these tests, with all that they start ended afterwards."""
        begin = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", *options, *tests]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child:
            self._child = child
            try:
                said, _ = child.communicate(timeout=LIMIT_SECONDS if options else None)
            except subprocess.TimeoutExpired:
                return Outcome(True, time.monotonic() - begin, tuple(tests), f"no end within {LIMIT_SECONDS} s")
            finally:
                self.stop()
        noticed = NOTICED.findall(said)
        caught = {PASSED: False, FAILED: True, COLLECTING: True if noticed else None}.get(child.returncode)
        return Outcome(caught, time.monotonic() - begin, tuple(noticed), said.strip()[-600:])

    def stop(self) -> None:
        """End the tests, where any run, and the programs that they started."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child = None

    def imported(self) -> list[str]:
        """The files of the packages that the tests import."""
        packages = ("mintaka", "mintaka_hw", "mintaka_cosim")
        program = f"import {', '.join(packages)}\n" + "".join(f"print({name}.__file__)\n" for name in packages)
        done = subprocess.run([sys.executable, "-c", program], env=self.environment, capture_output=True, check=True)
        return done.stdout.decode().splitlines()


class Kept:
    """The bugs that were caught, in a file."""

    def __init__(self, path: Path):
        self.path = path
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self.found = {key: Outcome(**{**each, "noticed": tuple(each["noticed"])}) for key, each in found.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.found = {}

    def put(self, found: dict[str, Outcome]) -> None:
        self.found |= found
        self._save()

    def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.found.pop(key, None)
        self._save()

    def _save(self) -> None:
        write_whole(self.path, json.dumps({k: asdict(v) for k, v in self.found.items()}, indent=1).encode())


def key_of(mutant: Mutant, root: Path) -> str:
    """Changes with the bug, its file and the files of its tests."""
    found = hashlib.sha256(repr(mutant).encode())
    for file in (mutant.file, *(test.partition("::")[0] for test in mutant.tests)):
        found.update((root / file).read_bytes())
    return found.hexdigest()[:24]


class Tally:
    """Prints a line per bug as it comes."""

    def __init__(self, planted: int):
        self.planted = planted
        self.outcomes: dict[Mutant, Outcome] = {}

    def told(self, mutant: Mutant, outcome: Outcome, *, before: bool = False) -> None:
        self.outcomes[mutant] = outcome
        mark = {True: "caught", False: "SURVIVED", None: "BROKEN"}[outcome.caught]
        which = f"{len(self.outcomes):>4}/{self.planted}  {mark:<8} {outcome.seconds:>5.1f} s"
        print(f"{which}  {mutant.area}: {mutant.name}{' (found before)' if before else ''}", flush=True)
        if outcome.caught is None:
            print(outcome.said, flush=True)
        elif not outcome.caught:
            print(f"          {mutant.file}, tried with {' '.join(mutant.tests)}", flush=True)

    def number(self, caught: bool | None) -> int:
        return sum(outcome.caught is caught for outcome in self.outcomes.values())


def run(mutants: Sequence[Mutant], root: Path, store: Path, jobs: int) -> int:
    """Try them all; the exit status: 0 where each was caught. Prints a line per bug. Raises ListError where the list is
    wrong, or where a test fails without any bug."""
    planted = [mutant for mutant in mutants if not mutant.equivalent]
    for mutant in mutants:
        try:
            ast.parse(mutant.applied((root / mutant.file).read_text(encoding="utf-8")))
        except SyntaxError as error:
            raise ListError(f"{mutant.area}: '{mutant.name}' ({mutant.file}): it makes no Python: {error}") from None
        for test in mutant.tests:
            problem = missing_test(root, test)
            if problem is not None:
                raise ListError(f"{mutant.area}: '{mutant.name}': {problem}")
    kept, tally = Kept(store / "caught.json"), Tally(len(planted))
    keys = {
        mutant: key_of(mutant, root) for mutant in planted
    }  # of what is tried, though the checkout changes meanwhile
    left = []
    for mutant, key in keys.items():
        known = kept.found.get(key)
        if known is None:
            left.append(mutant)
        else:
            tally.told(mutant, known, before=True)
    if left or any(outcome.caught and not outcome.confirmed for outcome in tally.outcomes.values()):
        with tempfile.TemporaryDirectory(prefix="mintaka-mutants-") as name:
            number = max(1, min(jobs, len(left)))
            trees = [Tree(root, Path(name).resolve() / str(n), store / "cache") for n in range(number)]
            files = trees[0].imported() if (root / "sw/mintaka").is_dir() else []
            if not all(file.startswith(str(trees[0].folder)) for file in files):
                raise ListError(f"the tests would not see the bugs: they import {' '.join(files)}")
            _try(left, trees, tally, kept, keys)
            caught = {keys[mutant]: outcome for mutant, outcome in tally.outcomes.items() if outcome.caught}
            _without_bugs({key: outcome for key, outcome in caught.items() if not outcome.confirmed}, trees[0], kept)
    survived, broken, equivalent = tally.number(False), tally.number(None), len(mutants) - len(planted)
    print(f"planted {len(mutants)}, caught {tally.number(True)}, equivalent {equivalent}, survived {survived}", end="")
    print(f", not tried {broken}: their tests did not run" if broken else "")
    return int(bool(survived or broken))


def _try(mutants: Sequence[Mutant], trees: Sequence[Tree], tally: Tally, kept: Kept, keys: dict[Mutant, str]) -> None:
    free: SimpleQueue[Tree] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> Outcome:
        tree = free.get()
        try:
            return tree.tested(mutant)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        futures = {pool.submit(one, mutant): mutant for mutant in mutants}
        try:
            for future in as_completed(futures):
                mutant, outcome = futures[future], future.result()
                if outcome.caught:
                    kept.put({keys[mutant]: outcome})
                tally.told(mutant, outcome)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for tree in trees:
                tree.stop()
            raise


def _without_bugs(caught: dict[str, Outcome], tree: Tree, kept: Kept) -> None:
    """The tests that noticed pass in the sources as they are; else their failures mean nothing, and are forgotten."""
    tests = sorted({test for outcome in caught.values() for test in outcome.noticed})
    if not tests:
        return
    print(f"the {len(tests)} tests that noticed, without a bug", flush=True)
    seen = tree.run(tests)
    if seen.caught is False:
        kept.put({key: replace(outcome, confirmed=True) for key, outcome in caught.items()})
        return
    kept.forget([key for key, outcome in caught.items() if {*seen.noticed} & {*outcome.noticed}])
    raise ListError(f"tests fail without any bug: {' '.join(seen.noticed) or seen.said}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description="Plant the bugs of tests/mutants, one at a time.")
    parser.add_argument("only", nargs="*", metavar="BUG", help="areas or names, by how they begin (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="bugs at a time (default: 2)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "mutants", help="what was found (runs/mutants)")
    parser.add_argument("--list", action="store_true", help="print the bugs, and try none")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        mutants = of_area(load(), chosen.only)
        if not mutants:
            raise ListError(f"no planted bug has an area or a name that begins with {' or '.join(chosen.only)}")
        if chosen.list:
            for mutant in mutants:
                print(f"{mutant.area}: {mutant.name}" + (" (equivalent)" if mutant.equivalent else ""))
            return 0
        return run(mutants, ROOT, chosen.out.resolve(), max(1, chosen.jobs))
    except ListError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mutants: stopped; what was caught is kept, the same command goes on", file=sys.stderr)
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
