"""The generated Verilog against the reference: what `mintaka demo` checks, or other checks."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mintaka_cosim.bench import NO_STALLS, RANDOM_STALLS, CosimResult, Stalls, cosim_design
from mintaka_cosim.bench.processes import Progress
from mintaka_cosim.flow.errors import FlowError
from mintaka_hw.plan import Plan
from mintaka_hw.verilog import Design, generate

SEED = 1  # of the pauses


@dataclass(frozen=True)
class Check:
    """One co-simulation. The figures after `title` are those of `cosim_design`.

    taps : every spike, membrane and sum, with resets in mid-sample unless `fast`; otherwise what leaves the design.
    samples : the first so many; None: all of them.
    """

    title: str
    taps: bool = False
    stalls: Stalls = NO_STALLS
    samples: int | None = None
    fast: bool = False
    stream: int | None = None
    predict: int | None = None


EVERY_VALUE = Check("every spike, membrane and sum", taps=True)
STALLED = Check("again with random stalls on both streams", taps=True, stalls=RANDOM_STALLS, samples=40)
AS_SHIPPED = Check("the Verilog as shipped")
CANONICAL = (EVERY_VALUE, STALLED, AS_SHIPPED)
Watch = Callable[[Check], AbstractContextManager[Progress | None]]


@dataclass(frozen=True)
class Verification:
    """*Simulated*: each check with what it found."""

    results: tuple[tuple[Check, CosimResult], ...]

    @property
    def verified(self) -> bool:
        """Everything was compared, nothing differs, and all cycles that were predicted are so. Of no check it is
        False."""
        return bool(self.results) and all(result.verified for _, result in self.results)

    @property
    def problem(self) -> str | None:
        """The first difference, in a sentence."""
        return next((problem_of(result) for _, result in self.results if not result.verified), None)

    @property
    def figures(self) -> CosimResult | None:
        """That of the most samples without stalls, where it has figures: the one to take cycles and counts from."""
        steady = [result for _, result in self.results if not result.stalls.any and result.recording is not None]
        return max(steady, key=lambda result: result.counts.samples, default=None)


def problem_of(result: CosimResult) -> str:
    """Of a result that is not verified."""
    return result.sentence if not result.bit_exact else "the cycles differ from the cycle model"


def verify(
    plan: Plan,
    inputs: np.ndarray,
    checks: Sequence[Check] = CANONICAL,
    *,
    designs: Sequence[Design] = (),
    seed: int = SEED,
    processes: int | None = None,
    work_dir: Path | None = None,
    watch: Watch | None = None,
    done: Callable[[Check, CosimResult, np.ndarray], None] | None = None,
) -> Verification:
    """Simulate the plan's Verilog and compare it with the reference, and its cycles with the cycle model.

    inputs : as the network takes them, (N, ...), N at least 1. designs : the plan's Verilog, with taps and without, as
    far as it exists; what is missing is generated. seed : of the pauses. processes : simulations at a time.
    work_dir : keeps jobs and logs. watch : gives for each check the function that is told how far it is.
    done : is given each result, and the samples that it is of.
    Raises FlowError where there is no check, and otherwise as `mintaka_cosim.bench.cosim` does; a difference is no
        exception.
    """
    if not checks:
        raise FlowError("verify needs a check at least: without one nothing is compared")
    built = {bool(design.info["taps"]): design for design in designs}
    results = []
    with contextlib.ExitStack() as stack:
        for check in checks:
            if check.taps not in built:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mintaka-")))
                built[check.taps] = generate(plan, folder / "verilog", taps=check.taps)
            chosen = inputs[: check.samples]
            with (watch or _unwatched)(check) as progress:
                result = cosim_design(
                    plan,
                    built[check.taps],
                    chosen,
                    stalls=check.stalls,
                    seed=seed,
                    processes=processes,
                    work_dir=work_dir,
                    progress=progress,
                    fast=check.fast,
                    stream=check.stream,
                    predict=check.predict,
                )
            if done is not None:
                done(check, result, chosen)
            results.append((check, result))
    return Verification(tuple(results))


@contextlib.contextmanager
def _unwatched(check: Check) -> Iterator[None]:  # noqa: ARG001
    yield None
