"""Long sweeps, run by `make test-long`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mintaka.artifact import encode
from mintaka.data import load_dataset
from mintaka.train import export, load_recipe, train
from mintaka_cosim.bench import RANDOM_STALLS, cosim

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "runs" / "mnist-dense"


@pytest.mark.long
def test_the_full_mnist_test_set() -> None:
    """784-128-10, W4U4, T = 4: trained by its recipe (a finished run is taken as it is), all 10,000 test images."""
    recipe = load_recipe(ROOT / "recipes" / "mnist-dense.toml")
    train(recipe, FOLDER)
    network = export(FOLDER)
    data = load_dataset("mnist")
    inputs = encode(network, data.test_x)

    result = cosim(network, "auto", inputs)
    assert result.verified, result.sentence
    assert result.counts.samples == 10_000
    assert result.counts.logits == 100_000
    assert result.cycles_as_predicted is True
    assert result.recording is not None
    accuracy = float(np.mean(result.recording.classes == data.test_y))
    assert accuracy >= 0.973
    print(f"{result.sentence}; accuracy {accuracy:.2%}, {result.interval_cycles:.1f} cycles, {result.seconds:.0f} s")

    tapped = cosim(network, "auto", inputs[:200], taps=True)
    assert tapped.verified, tapped.sentence
    stalled = cosim(network, "auto", inputs[:50], taps=True, stalls=RANDOM_STALLS, seed=3)
    assert stalled.bit_exact, stalled.sentence
