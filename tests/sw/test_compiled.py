"""The compiled loops, and the engine with and without them: the same integers and SOPs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import inputs_for, networks
from sw.same import assert_same

from mintaka.artifact import Input, LeakTerm, run
from mintaka.snn import SNN, DenseSpec, NeuronSpec, gather, native, run_fast, scan, to_artifact
from mintaka.snn import lif as torch_lif
from mintaka.snn.cell import Cell
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


@given(st.data())
@settings(max_examples=60)
def test_scan_equals_that_of_torch(data: st.DataObject) -> None:
    """Every leak, both resets, thresholds of both signs, membranes that clip, blocks that are not full."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    T, N, C, inner = (data.draw(st.integers(1, most)) for most in (5, 4, 70, 3))
    terms = data.draw(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, 31)), max_size=4))
    leak = tuple(LeakTerm(sign, shift) for sign, shift in terms)
    reset = data.draw(st.sampled_from(["zero", "subtract"]))
    span = data.draw(st.sampled_from([3, 100, 100_000]))

    def channels(least: int) -> torch.Tensor:
        return torch.from_numpy(rng.integers(least, span, C).astype(np.float32))

    bias = channels(-span) if data.draw(st.booleans()) else None
    reset_by = channels(1) if reset == "subtract" else None
    cell = Cell(torch_lif.LIF(leak, 2 ** data.draw(st.integers(1, 15)) - 1, reset), channels(-span), bias, reset_by)
    static = data.draw(st.booleans())
    shape = (N, C, inner) if static else (N, T, C, inner)
    current = torch.from_numpy(rng.integers(-span, span, shape).astype(np.float32))
    current = current if static else current.transpose(0, 1)
    steps = T if static else None
    assert cell.threshold is not None
    expected = torch_lif.scan(current, steps, cell.lif, cell.threshold, cell.bias, cell.reset_by).s
    found = scan.compiled_scan(current, steps, cell, spikes=True)
    assert found is not None
    fired, total = found
    assert fired is not None
    assert torch.equal(fired, expected)
    assert torch.equal(total, expected.sum(0))
    only = scan.compiled_scan(current, steps, cell, spikes=False)
    assert only is not None
    assert only[0] is None
    assert torch.equal(only[1], total)


@pytest.mark.parametrize(("magnitude", "fits"), [(MOST, True), (MOST + 1, False)], ids=["most", "one more"])
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
    network = data.draw(st.one_of(networks(), networks(features={"exit", "count"}, max_steps=6)))
    x = data.draw(inputs_for(network, samples=(1, 5)))
    monkeypatch.setattr(gather, "LEAST_WORK", 0)
    monkeypatch.setattr(scan, "LEAST_WORK", 0)
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
    monkeypatch.setattr(gather, "LEAST_WORK", 0)
    assert_same(expected, run_fast(network, x, batch=20))
    assert used == [100, 50]
    monkeypatch.setattr(gather, "library", lambda: None)
    assert_same(expected, run_fast(network, x))


def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path))
    monkeypatch.setattr(native.children, "which", lambda _: None)
    assert native.library.__wrapped__() is None
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(native.children, "which", lambda _: str(broken))
    assert native.library.__wrapped__() is None
    monkeypatch.undo()
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path / "new"))
    assert native.library.__wrapped__() is not None
    assert [path.suffix for path in (tmp_path / "new" / "engine").glob("*/*") if path.suffix] == [".so"]
