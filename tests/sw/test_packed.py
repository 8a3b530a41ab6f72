"""Packed products give every integer that the plain ones give, at the edges of what fits, too."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sw.nets import assert_is

import mintaka.snn.packed as packed_module
from mintaka.artifact import Input, LeakTerm
from mintaka.snn import SNN, DenseSpec, NeuronSpec, to_artifact
from mintaka.snn.layers import Recorder
from mintaka.snn.packed import LEAST_ROWS, integer_dense, largest_sum, pack


def _exact(x: torch.Tensor, W: torch.Tensor) -> np.ndarray:
    return x.to(torch.int64).numpy() @ W.to(torch.int64).numpy().T


@given(
    st.integers(1, 8),
    st.integers(1, 60),
    st.integers(1, 70),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_equals_the_plain_product(
    bits: int, inputs: int, outputs: int, input_bits: int, signed: bool, seed: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    Q, most = max(1, 2 ** (bits - 1) - 1), 2**input_bits - 1
    least = -most - 1 if signed else 0
    W = torch.randint(-Q, Q + 1, (outputs, inputs), generator=rng).float()
    x = torch.randint(least, most + 1, (7, inputs), generator=rng).float()
    x[0], x[3] = most, least
    # the largest and the smallest sum of a row
    x[1], x[2] = torch.where(W[0] > 0, most, least), torch.where(W[-1] < 0, most, least)
    bound = largest_sum(W, most, least)
    positive, negative = W.clamp(min=0).sum(1), (-W).clamp(min=0).sum(1)
    if signed:
        assert bound == int((positive + negative).max()) * -least
    else:
        assert bound == int(max(positive.max(), negative.max())) * most
    assert int((x @ W.T).abs().max()) <= bound
    packed = pack(W, bound)
    if outputs >= 2 * LEAST_ROWS and bound <= 2047:
        assert packed is not None
    if packed is not None:
        np.testing.assert_array_equal(packed.product(x).to(torch.int64).numpy(), _exact(x, W))


@pytest.mark.parametrize(("magnitude", "parts"), [(2048, None), (2047, 2), (127, 3), (128, 2), (31, 4), (15, 5)])
def test_the_edges_of_what_fits(magnitude: int, parts: int | None) -> None:
    """Every part at its largest magnitude, of either sign."""
    W = torch.zeros(5 * LEAST_ROWS, magnitude)
    W[:] = 1
    signs = torch.where(torch.randint(0, 2, (len(W),), generator=torch.Generator().manual_seed(magnitude)) > 0, 1, -1)
    for flips in (torch.ones(len(W)), -torch.ones(len(W)), signs):
        V = W * flips[:, None]
        packed = pack(V, largest_sum(V, 1))
        assert (None if packed is None else packed.parts) == parts
        if packed is not None:
            x = torch.ones(3, magnitude)
            x[1] = 0
            np.testing.assert_array_equal(packed.product(x).to(torch.int64).numpy(), _exact(x, V))


def test_gradients_are_those_of_the_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    found = []
    for least in (0, 2**60):
        monkeypatch.setattr(packed_module, "LEAST_WORK", least)
        W = torch.randint(-7, 8, (50, 30), generator=rng.manual_seed(1)).float().requires_grad_()
        x = torch.randint(0, 2, (9, 5, 6), generator=rng).float().requires_grad_()
        out = integer_dense(x, W, 1)
        (out * torch.randn(out.shape, generator=rng)).sum().backward()
        found.append((out.detach(), W.grad, x.grad))
    for packed, plain in zip(*found, strict=True):
        assert packed is not None
        assert plain is not None
        torch.testing.assert_close(packed, plain)
    assert torch.equal(found[0][0], found[1][0])


def test_training_uses_them_and_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that is large enough, with the batch in the order that loaders give, samples before steps."""
    used = []

    def spy(W: torch.Tensor, magnitude: int) -> packed_module.Packed | None:
        used.append(pack(W, magnitude))
        return used[-1]

    monkeypatch.setattr(packed_module, "pack", spy)
    neuron = NeuronSpec(4, (LeakTerm(1, 1),), "subtract")
    snn = SNN(Input("x", (784,), "spikes", 1), 5, [DenseSpec("hidden", 75, 4, neuron), DenseSpec("head", 4, 4, None)])
    snn.quantize()
    inputs = np.random.default_rng(0).integers(0, 2, (60, 5, 784)).astype(np.uint8)
    x = torch.from_numpy(inputs.astype(np.float32))
    snn.train()
    snn(x)
    snn.freeze_norms()
    record: Recorder = []
    logits = snn(x, record)
    assert [p.parts for p in used if p is not None] == [2, 2]
    assert torch.equal(snn(x), logits)  # without a record the head's steps are one product
    assert_is(to_artifact(snn, "x"), snn, record, logits, inputs)
