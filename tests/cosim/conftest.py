"""One build cache for all workers of a run; long sweeps only when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

LONG = "MINTAKA_LONG"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: a long sweep, run by `make test-long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test` does not collect long sweeps at all; `make test-long` asks for them by name."""
    if not os.environ.get(LONG):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


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
