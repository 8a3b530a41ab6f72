"""What is asked of the tools for one target, and the task that makes them do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mintaka_cosim.flow import Synthesis, synthesize
from mintaka_cosim.flow.pool import Task
from mintaka_hw.implement import Part, fit_problem, gates
from mintaka_hw.implement.tools import Say, on_stderr
from mintaka_hw.plan import Plan
from mintaka_hw.targets import family_of, find_family
from mintaka_hw.verilog import Design


@dataclass(frozen=True)
class Request:
    """part : None for standard cells, for which there may be a Liberty file. frequency_mhz : None for the part's."""

    design: Design
    target: str
    part: Part | None
    pnr: bool = False
    frequency_mhz: float | None = None
    seed: int = 1
    liberty: Path | None = None

    def synthesis(self, say: Say = on_stderr) -> Synthesis:
        """Of a part: its cells, and with `pnr` its Fmax, found in the cache or computed now."""
        assert self.part is not None
        return synthesize(
            self.design, self.part, pnr=self.pnr, frequency_mhz=self.frequency_mhz, seed=self.seed, say=say
        )


def requests_for(
    design: Design,
    parts: Mapping[str, Part | None],
    *,
    pnr: bool = False,
    frequency_mhz: float | None = None,
    seed: int = 1,
    liberty: Path | None = None,
) -> list[Request]:
    """One for each target. parts : by target. pnr : place and route those that the open tools can."""
    return [
        Request(design, name, part, pnr and is_placed(name), frequency_mhz, seed, liberty)
        for name, part in parts.items()
    ]


def is_placed(target: str) -> bool:
    """Whether nextpnr places and routes that target."""
    return find_family(target).nextpnr is not None


def target_task(request: Request) -> Task:
    """Fills the cache, so that the report finds everything there."""
    return Task(request.target, partial(_fill, request))


def _fill(request: Request, say: Callable[[str], None]) -> None:
    if request.part is None:
        gates(request.design, liberty=request.liberty, say=say)
    else:
        request.synthesis(say)


def refusals(plan: Plan, parts: Mapping[str, Part | None], *, pnr: bool) -> dict[str, str]:
    """By target, why what the plan takes at least is too much: known before anything is generated."""
    found = {name: _refusal(part, plan, pnr=pnr and is_placed(name)) for name, part in parts.items()}
    return {name: sentence for name, sentence in found.items() if sentence is not None}


def _refusal(part: Part | None, plan: Plan, *, pnr: bool) -> str | None:
    """Why the tools need not begin: what is to be placed cannot fit its part, or is too much for every part of the
    family. None where that is not known before synthesis, and for standard cells."""
    problem = None if part is None else fit_problem(plan, part)
    if part is None or problem is None:
        return None
    if pnr:
        return f"the design does not fit {part.name}, it takes {problem}: use fewer lanes or another part"
    if any(fit_problem(plan, each) is None for each in family_of(part).parts):
        return None
    return f"no part of {part.target} that is known here holds the design; of {part.name} it takes {problem}"


def products(request: Request) -> dict[str, Path]:
    """The folders with netlists and logs, by what they are of; after the task."""
    if request.part is None:
        return {"synthesis": gates(request.design, liberty=request.liberty)[1]}
    made = request.synthesis()
    steps = {"synthesis": made.core, "place": made.timed}
    return {name: step.folder for name, step in steps.items() if step is not None}
