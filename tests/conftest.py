"""Hypothesis profiles: "ci" gives the same examples on every machine, "long" looks much further.

MINTAKA_HYPOTHESIS=long .venv/bin/pytest tests/contract
"""

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50, suppress_health_check=SLOW)
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("MINTAKA_HYPOTHESIS", "ci"))
