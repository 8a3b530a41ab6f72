"""What the counters' running totals say of each sample."""

import numpy as np

from mintaka_cosim.bench.recording import per_sample


def test_totals_become_counts_and_may_wrap() -> None:
    totals = np.array([[5, 2**32 - 3, 1], [9, 4, 1], [9, 10, 2**32 - 1]])
    assert per_sample(totals).tolist() == [[5, 2**32 - 3, 1], [4, 7, 0], [0, 6, 2**32 - 2]]
