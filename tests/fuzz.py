"""Any number of generated networks through every implementation: `make fuzz N=1000 RTL=30 SEED=1`.

It works in chunks, each drawn from its own seed; what is done is in <folder>/state.json, so that a run that was
stopped goes on, and a larger N only adds. Exit status 1 where anything differed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOFTWARE_CHUNK = 100
RTL_CHUNK = 4
ENGINE_FIRST = 1  # hypothesis' first example is always the simplest one: the same in every chunk, so it is left out


@dataclass(frozen=True)
class Chunk:
    """`size` cases from one seed; the RTL too where `rtl`."""

    rtl: bool
    seed: int
    index: int
    size: int

    @property
    def key(self) -> str:
        return f"{'rtl' if self.rtl else 'software'}-{self.seed}-{self.index}-{self.size}"


@dataclass
class Tally:
    """stages : comparisons by implementation. refused : cases without hardware, by reason. failures : files."""

    networks: int = 0
    buildable: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    redrawn: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        self.networks += other.networks
        self.buildable += other.buildable
        self.stages += other.stages
        self.refused += other.refused
        self.redrawn += other.redrawn
        self.failures += other.failures
        self.seconds += other.seconds

    def to_json(self) -> dict[str, object]:
        return {**vars(self), "stages": dict(self.stages), "refused": dict(self.refused)}

    @staticmethod
    def from_json(values: dict[str, object]) -> Tally:
        tally = Tally(**values)  # type: ignore[arg-type]
        tally.stages, tally.refused = Counter(tally.stages), Counter(tally.refused)
        return tally


def chunks(n: int, rtl: int, seed: int) -> list[Chunk]:
    """`rtl` of the `n` networks go through the RTL; the slow chunks are spread among the others."""

    def parts(total: int, size: int, through_rtl: bool) -> list[Chunk]:
        return [Chunk(through_rtl, seed, i, min(size, total - i * size)) for i in range(-(-total // size))]

    slow, quick = parts(rtl, RTL_CHUNK, True), parts(n - rtl, SOFTWARE_CHUNK, False)
    keyed = [((i + 0.5) / len(row), chunk) for row in (slow, quick) for i, chunk in enumerate(row)]
    return [chunk for _, chunk in sorted(keyed, key=lambda pair: pair[0])]


def run_chunk(chunk: Chunk, folder: Path) -> Tally:
    """Draw and check; failures are made smaller and kept."""
    from fuzz_case import Case, DifferError, cases, check, failure, keep, refusal, shrink
    from hypothesis import HealthCheck, Phase, assume, given, settings
    from hypothesis import seed as seeded

    tally, begin, drawn = Tally(), time.monotonic(), 0

    def found(case: Case, sentence: str, stage: str | None) -> None:
        def fails(smaller: Case) -> bool:
            said = failure(smaller, rtl=chunk.rtl)
            return said is not None and (stage is None or said.startswith(stage))

        small = shrink(case, fails)
        sentence = failure(small, rtl=chunk.rtl) or f"{sentence} (not again when it was repeated)"
        name = f"{chunk.key}-{tally.networks}"
        tally.failures.append(str(keep(small, folder / "failures", name, sentence, rtl=chunk.rtl)))

    def look(case: Case) -> None:
        nonlocal drawn
        drawn += 1
        if drawn <= ENGINE_FIRST:
            return
        refused = refusal(case)
        if refused is not None and chunk.rtl:
            tally.redrawn += 1
            assume(False)
        if tally.networks == chunk.size:
            return
        tally.networks += 1
        try:
            checked = check(case, rtl=chunk.rtl)
            tally.stages.update(checked.stages)
        except DifferError as error:
            found(case, str(error), error.stage)
        except Exception as error:
            found(case, f"{type(error).__name__}: {error}", None)
        tally.buildable += refused is None
        tally.refused.update([refused] if refused is not None else [])

    engine = settings(
        max_examples=chunk.size + ENGINE_FIRST + 2,  # some, because an example that repeats is not called again
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for attempt in range(100):
        drawn = 0
        seeded(f"{chunk.key}-{attempt}")(engine(given(cases())(look)))()
        if tally.networks == chunk.size:
            break
    tally.seconds = time.monotonic() - begin
    return tally


def _start() -> None:
    """Of a worker: Ctrl-C is the parent's; one thread each."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    warnings.simplefilter("error")


def _work(job: tuple[Chunk, Path]) -> tuple[Chunk, Tally]:
    return job[0], run_chunk(*job)


def results(todo: list[Chunk], folder: Path, jobs: int) -> Iterator[tuple[Chunk, Tally]]:
    """In the order in which they end; workers never outlive this."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _start) as pool:
        yield from pool.imap_unordered(_work, [(chunk, folder) for chunk in todo])


def read_state(path: Path) -> dict[str, Tally]:
    if not path.is_file():
        return {}
    return {key: Tally.from_json(values) for key, values in json.loads(path.read_text()).items()}


def write_state(path: Path, done: dict[str, Tally]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({key: tally.to_json() for key, tally in done.items()}, indent=1) + "\n")
    temporary.replace(path)


def fuzz(n: int, rtl: int, seed: int, folder: Path, jobs: int) -> Tally:
    """Whatever of the `n` networks is not done yet. KeyboardInterrupt leaves the state of all finished chunks."""
    path = folder / "state.json"
    done, wanted = read_state(path), chunks(n, rtl, seed)
    todo = [chunk for chunk in wanted if chunk.key not in done]
    if len(todo) < len(wanted):
        print(f"{len(wanted) - len(todo)} of {len(wanted)} chunks were done before ({path})", flush=True)
    total = _sum(done, wanted)
    begin = told = time.monotonic()
    for chunk, tally in results(todo, folder, jobs):
        done[chunk.key] = tally
        write_state(path, done)
        total = _sum(done, wanted)
        for failure in tally.failures:
            print(
                f"DIFFERS: {json.loads(Path(failure).read_text())['sentence']}\n  make fuzz REPLAY={failure}",
                flush=True,
            )
        if time.monotonic() - told > 5 or total.networks == n:
            told = time.monotonic()
            through = total.stages["verilator"]
            print(f"{total.networks}/{n} networks, {through}/{rtl} through RTL, {told - begin:.0f} s", flush=True)
    return total


def _sum(done: dict[str, Tally], wanted: list[Chunk]) -> Tally:
    total = Tally()
    for chunk in wanted:
        if chunk.key in done:
            total.add(done[chunk.key])
    return total


def tell(total: Tally) -> None:
    """The figures of a whole run."""
    print(f"\n{total.networks:,} networks in {total.seconds:,.0f} s of work; compared with the reference:")
    for stage, number in total.stages.items():
        print(f"  {stage:20} {number:8,}")
    print(f"{total.buildable:,} have hardware; {total.redrawn:,} more were drawn again for the RTL. Without hardware:")
    for reason, number in total.refused.most_common():
        print(f"  {number:8,}  {reason}")
    print(f"{len(total.failures)} differences" + "".join(f"\n  {path}" for path in total.failures))


def replay(path: Path) -> int:
    """One kept failure again."""
    from fuzz_case import failure, kept

    try:
        case, facts = kept(path)
    except (OSError, ValueError, KeyError) as error:
        print(f"fuzz: {path} is no kept failure: {error}", file=sys.stderr)
        return 2
    said = failure(case, rtl=facts["rtl"])
    print("nothing differs" if said is None else f"DIFFERS: {said}")
    return int(said is not None)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1000, help="networks in all")
    parser.add_argument("--rtl", type=int, default=None, help="of them through the RTL (default: 3 %%)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="state, failures and build cache")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="a failure's .json: check it again")
    chosen = parser.parse_args(arguments)
    # Its own cache: thousands of builds must not push the user's out of theirs.
    os.environ["MINTAKA_CACHE"] = str((chosen.folder / ".cache").resolve())
    if chosen.replay is not None:
        return replay(chosen.replay)
    rtl = chosen.n * 3 // 100 if chosen.rtl is None else chosen.rtl
    if not (0 <= rtl <= chosen.n and chosen.seed >= 0 and chosen.jobs >= 1):
        parser.error(f"N={chosen.n} RTL={rtl} SEED={chosen.seed}: wanted are 0 <= RTL <= N, SEED >= 0, one job or more")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job begins with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        total = fuzz(chosen.n, rtl, chosen.seed, chosen.folder, chosen.jobs)
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on from here", file=sys.stderr)
        return 130
    tell(total)
    return int(bool(total.failures) or total.networks != chosen.n)


if __name__ == "__main__":
    sys.exit(main())
