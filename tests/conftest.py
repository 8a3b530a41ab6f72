"""Long sweeps only when asked for. Hypothesis profiles: "ci" gives the same examples on every machine, "first" stops at
the first that fails, "long" looks much further.

MINTAKA_HYPOTHESIS=long .venv/bin/pytest tests/contract
"""

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

LONG = "MINTAKA_LONG"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50, suppress_health_check=SLOW)
settings.register_profile("first", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate))
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("MINTAKA_HYPOTHESIS", "ci"))

# Elaborated designs are trees of many small objects with few cycles: a collection for every 700 of them, as by default,
# takes a fifth of the time.
gc.set_threshold(50_000, 20, 50)

# Whoever runs the tests in the background of a shell has told them to ignore interrupts, and so the programs that they
# start: the tests that interrupt one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: a long sweep, run by `make test-long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test` does not collect long sweeps at all; `make test-long` asks for them by name."""
    if not os.environ.get(LONG):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
