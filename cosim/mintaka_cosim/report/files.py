"""The JSON files of a run folder, read as if somebody else had written them: bounded, and with every type checked."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mintaka.artifact import ArtifactError
from mintaka.artifact.strict_json import read_object
from mintaka.errors import problem_of
from mintaka_cosim.flow.training import ARTIFACT
from mintaka_cosim.report.model import ReportError

OF_A_TRAINING = ("recipe.toml", "checkpoint.pt", "history.json")
LARGEST = 1e15  # number of a file

Count = Annotated[int, Field(ge=0, le=int(LARGEST))]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Line = Annotated[str, Field(max_length=2000)]


class _Part(BaseModel):
    """What is not used here is not looked at."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Stalls(_Part):
    """How a simulation's streams paused."""

    input_percent: Count
    output_percent: Count


class Compared(_Part):
    """How many values were compared and found equal."""

    samples: Count
    spikes: Count
    membranes: Count
    currents: Count = 0  # older files do not have it
    sums: Count
    logits: Count


class LayerCounts(_Part):
    """Of one layer, per sample."""

    sops_per_sample: Amount
    events_per_sample: Amount
    busy_per_sample: Amount
    utilisation: Amount


class Verdict(_Part):
    """What `mintaka cosim` writes, as far as a report uses it. The figures are there together, or none of them is."""

    artifact_hash: str
    verdict: Line
    bit_exact: bool
    cycles_as_predicted: bool | None
    compared: Compared
    differences: Count
    resets: Count
    taps: bool
    stalls: Stalls
    seed: Count
    lanes: dict[str, Count]
    sparse: list[str] = []
    memory_bits: Count | None = None
    data: Line = ""
    accuracy: Amount | None = None
    interval_cycles: Amount | None = None
    latency_cycles: Amount | None = None
    sops_per_sample: Amount | None = None
    layers: dict[str, LayerCounts] | None = None


class Stage(_Part):
    """One stage of a design."""

    name: str
    lanes: Count | None
    memory_bits: Count


class DesignFile(_Part):
    """What `mintaka generate` writes, as far as a report uses it."""

    artifact_hash: str
    top: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,199}$")]
    memory_bits: Count
    stages: list[Stage]


FIGURES = ("interval_cycles", "latency_cycles", "sops_per_sample")


def check_exported(folder: Path) -> None:
    """Raises ReportError where a folder is no run's, or its training is not exported yet."""
    if (folder / ARTIFACT).exists():
        return  # whatever is wrong with it, its reader says
    if not folder.is_dir():
        what = "this is no folder" if folder.exists() else "there is no such run folder"
        raise ReportError(f"{folder}: {what}; mintaka train makes one")
    if not any((folder / name).exists() for name in OF_A_TRAINING):
        raise ReportError(f"{folder}: this is no run folder: it holds neither a training nor {ARTIFACT}")
    raise ReportError(f"{folder} is not exported yet: run mintaka export {shlex.quote(str(folder))} first")


def read_verdict(path: Path) -> dict[str, Any]:
    """A co-simulation, of whatever artifact. Raises ReportError where it is damaged."""
    again = "delete it, or run mintaka cosim again"
    found = _checked(path, read_json(path), Verdict, again)
    found = {key: value for key, value in found.items() if value is not None or key == "cycles_as_predicted"}
    if "layers" in found:
        missing = [name for name in FIGURES if name not in found]
        missing += [f"lanes of '{name}'" for name in found["layers"] if name not in found["lanes"]]
        if missing:
            raise ReportError(f"{path} lacks {missing[0]}: {again}")
    return found


def read_design(path: Path, digest: str) -> dict[str, Any] | None:
    """The design of the artifact with that hash; None where there is none. Raises ReportError where it is damaged or of
    another artifact."""
    if not path.exists():
        return None
    found, again = read_json(path), "run mintaka generate again"
    if found.get("artifact_hash") != digest:
        raise ReportError(f"{path} belongs to another artifact than the run's: {again}")
    return _checked(path, found, DesignFile, again)


def _checked(path: Path, found: dict[str, Any], form: type[_Part], again: str) -> dict[str, Any]:
    try:
        return form.model_validate(found).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {problem_of(first)}"
        raise ReportError(f"{path} is not what this version of Mintaka writes ({said}): {again}") from None


def read_json(path: Path) -> dict[str, Any]:
    """An object with finite numbers. Raises ReportError."""
    try:
        return read_object(path)
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({(error.strerror or '').lower()}): make it again") from None
    except ArtifactError as error:
        raise ReportError(f"{path} is not readable JSON ({error}): make it again") from None
