"""The compiled product of spikes, and the engine with and without it: the same integers and SOPs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import inputs_for, networks
from sw.same import assert_same

from mintaka.artifact import Input, LeakTerm, run
from mintaka.snn import SNN, DenseSpec, NeuronSpec, fast, gather, run_fast, to_artifact
from mintaka.snn.gather import BLOCK, MOST, Gather


@given(st.integers(1, 200), st.integers(1, 2 * BLOCK + 3), st.integers(1, 8), st.integers(1, 3), st.integers(0, 2**31))
@settings(max_examples=60)
def test_equals_the_plain_product(inputs: int, outputs: int, bits: int, threads: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    Q = max(1, 2 ** (bits - 1) - 1)
    W = rng.integers(-Q, Q + 1, (outputs, inputs)).astype(np.int8)
    x = (rng.random((9, inputs)) < rng.random((9, 1))).astype(np.uint8)
    x[0], x[1] = 0, 1
    made = Gather.of(W, inputs * Q)
    assert made is not None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = made.product(x)
    finally:
        torch.set_num_threads(before)
    assert found is not None  # the tests' machine has a compiler: the simulations need it, too
    wide = x.astype(np.int64)
    np.testing.assert_array_equal(found[0].numpy(), wide @ W.T.astype(np.int64))
    np.testing.assert_array_equal(found[1], wide @ (W != 0).sum(0))


@pytest.mark.parametrize(("magnitude", "fits"), [(MOST, True), (MOST + 1, False)])
def test_sums_of_16_bits(magnitude: int, fits: bool) -> None:
    W = np.zeros((2, 259), np.int8)
    W[0, :258], W[1, :258] = 127, -127  # 32,766
    W[0, 258] = magnitude - 258 * 127
    made = Gather.of(W, magnitude)
    assert (made is not None) == fits
    if made is not None:
        found = made.product(np.ones((1, 259), np.uint8))
        assert found is not None
        assert found[0].tolist() == [[magnitude, -258 * 127]]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_engine_equals_the_reference_with_it(data: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
    network = data.draw(networks())
    x = data.draw(inputs_for(network, samples=(1, 5)))
    monkeypatch.setattr(fast, "LEAST_WORK", 0)
    for trace in (False, True):
        found = run_fast(network, x, trace=trace, batch=data.draw(st.integers(1, 5)))
        assert_same(run(network, x, trace=trace), found)


def test_it_is_used_and_can_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [DenseSpec("hidden", 70, 4, NeuronSpec(4, (LeakTerm(1, 1),), "zero")), DenseSpec("head", 4, 4, None)]
    snn = SNN(Input("x", (90,), "spikes", 1), 5, list(specs))
    snn.quantize()
    x = np.random.default_rng(0).integers(0, 2, (30, 5, 90)).astype(np.uint8)
    snn.train()(torch.from_numpy(x.astype(np.float32)))
    network = to_artifact(snn.eval(), "x")
    expected = run(network, x)
    used = []
    product = Gather.product
    monkeypatch.setattr(Gather, "product", lambda self, rows: used.append(len(rows)) or product(self, rows))
    assert_same(expected, run_fast(network, x))
    assert used == []  # too little work to compile anything
    monkeypatch.setattr(fast, "LEAST_WORK", 0)
    assert_same(expected, run_fast(network, x, batch=20))
    assert used == [100, 50]
    monkeypatch.setattr(gather, "_library", lambda: None)
    assert_same(expected, run_fast(network, x))


def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path))
    monkeypatch.setattr(gather.shutil, "which", lambda _: None)
    assert gather._library.__wrapped__() is None
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(gather.shutil, "which", lambda _: str(broken))
    assert gather._library.__wrapped__() is None
    monkeypatch.undo()
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path / "new"))
    assert gather._library.__wrapped__() is not None
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".so"]
