"""Folding BatchNorm: what fires before fires behind, and the float network is a plain one."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mintaka.artifact import Input
from mintaka.snn.network import SNN
from mintaka.snn.norm import LEAST_GAIN, MOST, Norm, fold
from mintaka.snn.specs import DenseSpec, NeuronSpec, parse_leak


def test_folded_neuron_fires_as_the_normalised_one() -> None:
    """Without rounding of B, K > floor(1 / G) decides as G * K > 1 does, for all integers."""
    rng = torch.Generator().manual_seed(0)
    gamma = torch.randn(500, generator=rng, dtype=torch.float64)
    beta = torch.randn(500, generator=rng, dtype=torch.float64)
    var = torch.rand(500, generator=rng, dtype=torch.float64) * 900
    mean = torch.randn(500, generator=rng, dtype=torch.float64) * 40
    current = torch.arange(-300, 301, dtype=torch.float64)[:, None]
    sign = torch.where(gamma < 0, -1.0, 1.0)
    folded = fold(gamma, beta, mean * sign, var, 1e-5)
    exact_bias = beta / folded.gain - mean * sign
    assert float((folded.bias - exact_bias).abs().max()) <= 0.5
    # The normalised neuron, with B rounded so that the same real number is compared:
    y = gamma * (current - mean) / torch.sqrt(var + 1e-5) + beta
    y = y + folded.gain * (folded.bias - exact_bias)
    clear = (y - 1).abs() > 1e-9
    fires = current * sign + folded.bias > folded.threshold
    assert torch.equal(fires[clear], (y > 1)[clear])
    assert 0.05 < float(fires.double().mean()) < 0.95


def test_extremes_stay_exact() -> None:
    extremes = torch.tensor([0.0, 1e-30, -1e-30, 1e30, 1.0, -1.0])
    for value in (-1e30, -1.0, 0.0, 1.0, 1e30):
        folded = fold(extremes, torch.full((6,), value), torch.tensor(3.0), torch.tensor(0.0), 1e-5)
        for tensor in (folded.threshold, folded.bias, folded.reset_by):
            assert torch.equal(tensor, tensor.round())
            assert float(tensor.abs().max()) <= MOST
        assert float(folded.gain.min()) >= LEAST_GAIN
        assert int(folded.reset_by.min()) >= 1


def test_running_statistics() -> None:
    norm = Norm(2)
    norm.gamma.data[1] = -1
    x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    norm(x)  # the first batch sets them, as if no weight were flipped
    assert norm.running_mean.tolist() == [2, -20]
    assert norm.running_var.tolist() == [1, 100]
    norm(x + 10)
    torch.testing.assert_close(norm.running_mean, torch.tensor([3.0, -21.0], dtype=torch.float64))
    frozen = norm.running_mean.clone()
    norm.frozen = True
    norm(x + 100)
    norm.eval()
    norm.frozen = False
    norm(x + 100)
    assert torch.equal(norm.running_mean, frozen)
    norm.restart()
    norm.train()
    norm(x)
    assert norm.running_mean.tolist() == [2, -20]


def test_training_and_eval_normalise_alike() -> None:
    """The running statistics of one batch fold as the batch's own do, for either sign of gamma."""
    norm = Norm(4)
    norm.integer = True
    norm.gamma.data = torch.tensor([1.0, -1.0, 0.5, -2.0])
    norm.beta.data = torch.tensor([0.5, 0.5, -1.0, 2.0])
    raw = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).mul(20).add(7).round()
    for _ in range(2):
        norm.restart()
        norm.train()
        ours = norm(raw * norm.sign())
        norm.eval()
        for field in ("gain", "threshold", "bias", "reset_by"):
            torch.testing.assert_close(getattr(norm.folded(), field), getattr(ours, field), rtol=1e-6, atol=1e-6)
        norm.gamma.data.neg_()
        # A changed sign flips the weights, so the same sums, negated, have the same statistics negated.
        flipped = fold(norm.gamma, norm.beta, (raw * norm.sign()).mean(0), raw.var(0, correction=0), norm.eps)
        torch.testing.assert_close(norm.folded().bias, flipped.bias)


def test_float_network_is_a_plain_one() -> None:
    """Full precision: dense -> BatchNorm -> LIF with threshold 1, written the usual way, gives the same spikes."""
    neuron = NeuronSpec(4, parse_leak("V-(V>>2)"), "subtract")
    specs = [DenseSpec("hidden", 20, 4, neuron), DenseSpec("head", 3, 4, None)]
    snn = SNN(Input("x", (30,), "counts", 4), 6, specs, seed=3).double()
    layer = snn.layers[0]
    rng = torch.Generator().manual_seed(1)
    layer.norm.gamma.data.normal_(generator=rng)
    layer.norm.beta.data.normal_(generator=rng)
    x = torch.randint(0, 16, (8, 6, 30), generator=rng).double()
    record: list = []
    logits = snn(x, record)

    current = (x.transpose(0, 1).flatten(0, 1) @ layer.synapses.weight.T).detach()
    y = F.batch_norm(current, None, None, layer.norm.gamma.detach(), layer.norm.beta.detach(), True, eps=1e-5)
    U, spikes = torch.zeros(8, 20, dtype=torch.float64), []
    for y_t in y.reshape(6, 8, 20):
        K = U + y_t
        s = (K > 1).double()
        U = (K - s) * 0.75
        spikes.append(s)
    expected = torch.stack(spikes)
    # The library casts to float32 on the way, so a membrane may land on the other side once in a while.
    assert float((record[0].s != expected).double().mean()) < 0.002
    assert 0.05 < float(expected.mean()) < 0.95
    head = snn.head
    total = record[0].s.double().sum(0) @ head.synapses.weight.T.double() + 6 * head.bias.double()
    torch.testing.assert_close(logits.double(), total, rtol=1e-4, atol=1e-4)


def _plain_fold(gamma: Tensor, beta: Tensor, x: Tensor, integer: bool) -> list[Tensor]:
    """The formulas of `fold` over the batch's statistics, for autograd; roundings pass the gradient."""
    var, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
    gain = (gamma.abs() / torch.sqrt(var + Norm.eps)).clamp(min=LEAST_GAIN)
    theta, bias = 1 / gain, beta / gain - mean
    if integer:
        bias = bias.clamp(-MOST, MOST)
        theta, bias = theta + (theta.floor() - theta).detach(), bias + (bias.round() - bias).detach()
    return [gain, theta, bias]


@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("shape", [(40, 6), (5, 6, 3, 4)], ids=str)
def test_gradients_equal_autograd_of_the_formulas(shape: tuple[int, ...], integer: bool) -> None:
    """Also where the gain is held at its least (the first channel) and the bias at its most (the second)."""
    rng = torch.Generator().manual_seed(1)
    weights = torch.randn(3, 6, generator=rng, dtype=torch.float64)
    found = []
    for ours in (True, False):
        norm = Norm(6).double()
        norm.integer = integer
        norm.gamma.data = torch.tensor([1e-9, 1e-5, 1.0, -2.0, 0.3, -0.1], dtype=torch.float64)
        norm.beta.data = torch.tensor([0.0, 50.0, 0.5, -0.5, 2.0, 1.0], dtype=torch.float64)
        x = torch.randn(shape, generator=rng.manual_seed(2), dtype=torch.float64).mul(20).add(3).requires_grad_()
        if ours:
            folded = norm(x)
            values = [folded.gain, folded.threshold, folded.bias]
            assert not folded.reset_by.requires_grad
        else:
            values = _plain_fold(norm.gamma, norm.beta, x, integer)
        sum((v * w).sum() for v, w in zip(values, weights, strict=True)).backward()
        found.append([*values, norm.gamma.grad, norm.beta.grad, x.grad])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
