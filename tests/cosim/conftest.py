"""One build cache and one copy of each design for all workers of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest

from mintaka.artifact.whole import write_whole
from mintaka_hw.plan import Plan


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "breaks_rtl: patches RTL, so that its designs are generated anew and not kept")


@pytest.fixture(scope="session", autouse=True)
def build_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The caller's cache (`make test` has one), or one for this run that xdist's workers share."""
    chosen = os.environ.get("MINTAKA_CACHE")
    if chosen:
        yield Path(chosen)
        return
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "builds"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINTAKA_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def design_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers of a run share the Verilog that they generated."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "designs"


@pytest.fixture(autouse=True)
def _designs_generated_once(
    request: pytest.FixtureRequest, design_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep what `module_texts` gives. (tests/hw generates every design anew.)"""
    if request.node.get_closest_marker("breaks_rtl"):
        return
    generation = import_module("mintaka_hw.verilog.generate")  # the package has a function of that name
    generated = generation.module_texts

    def module_texts(plan: Plan, top: str, *, taps: bool) -> dict[str, str]:
        key = json.dumps([plan.artifact_hash, plan.lanes, plan.sparse, plan.run_time, top, taps])
        path = design_folder / f"{sha256(key.encode()).hexdigest()}.json"
        if not path.is_file():
            write_whole(path, json.dumps(generated(plan, top, taps=taps)).encode())
        texts: dict[str, str] = json.loads(path.read_text())
        return texts

    monkeypatch.setattr(generation, "module_texts", module_texts)
