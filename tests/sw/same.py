"""Equality of two results, bit for bit, with the place of the first difference."""

import numpy as np

from mintaka.artifact import Result
from mintaka.artifact.compare import FIELDS


def assert_same(expected: Result, actual: Result) -> None:
    """Every field, dtype, key and number."""
    pairs = [(what, getattr(expected, what), getattr(actual, what)) for what in ("logits", "classes", "steps")]
    for what in ("sops", "spikes"):
        a, b = getattr(expected, what), getattr(actual, what)
        assert list(a) == list(b), what
        pairs += [(f"{what} of {name}", a[name], b[name]) for name in a]
    assert list(expected.trace) == list(actual.trace)
    for name, a in expected.trace.items():
        b = actual.trace[name]
        pairs += [(f"{field} of {name}", getattr(a, field), getattr(b, field)) for field in FIELDS]
    for what, x, y in pairs:
        if x is None:
            assert y is None, what
        else:
            assert x.dtype == y.dtype, what
            np.testing.assert_array_equal(y, x, err_msg=what)
