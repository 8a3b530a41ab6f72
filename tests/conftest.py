"""Hypothesis profiles: "ci" gives the same examples on every machine, "first" stops at the first that fails, "long"
looks much further.

MINTAKA_HYPOTHESIS=long .venv/bin/pytest tests/contract
"""

import os
import signal

from hypothesis import HealthCheck, Phase, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50, suppress_health_check=SLOW)
settings.register_profile("first", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate))
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("MINTAKA_HYPOTHESIS", "ci"))

# Whoever runs the tests in the background of a shell has told them to ignore interrupts, and so the programs that they
# start: the tests that interrupt one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
