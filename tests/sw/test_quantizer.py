"""Weights on the symmetric grid, and their gradients."""

import pytest
import torch

from mintaka.snn.quantizer import WeightQuantizer
from mintaka.snn.surrogate import floor_through, round_through, triangle


@pytest.mark.parametrize("bits", range(1, 9))
def test_levels(bits: int) -> None:
    quantizer = WeightQuantizer(bits)
    w = torch.randn(64, 64, generator=torch.Generator().manual_seed(bits))
    quantizer.start(w)
    W = quantizer(w).detach()
    Q = 2 ** (bits - 1) - 1
    if bits == 1:
        assert W.unique().tolist() == [-1, 1]
        return
    assert torch.equal(W, W.round())
    assert int(W.abs().max()) <= Q
    mint = 2 * w.abs().mean() / Q**0.5
    torch.testing.assert_close(quantizer.step(w).detach(), mint)
    torch.testing.assert_close(W, (w / mint).clamp(-Q, Q).round())
    ten_times = quantizer(100 * w).detach().unique().tolist()
    assert {-Q, Q} <= set(ten_times)


def test_zero_is_plus_one_in_one_bit() -> None:
    assert WeightQuantizer(1)(torch.tensor([0.0, -0.0, 1e-30, -1e-30])).tolist() == [1, 1, 1, -1]


def test_halves_go_to_the_even_number() -> None:
    """As in IEEE 754, so that weights and their opposites stay opposites."""
    w = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    assert WeightQuantizer(4)(w, torch.tensor(1.0)).tolist() == [0, 2, 2, 0, -2, -2]


def test_gradients_are_straight_through() -> None:
    quantizer = WeightQuantizer(3)
    w = torch.tensor([-9.0, -1.2, 0.4, 2.6, 5.0], requires_grad=True)
    quantizer(w).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [0, 1, 1, 1, 0]
    # log step: -w / step inside the grid, over sqrt(numel * Q) = sqrt(15)
    assert quantizer.log_step.grad is not None
    assert float(quantizer.log_step.grad) == pytest.approx(-(-1.2 + 0.4 + 2.6) / 15**0.5)


def test_a_zero_layer_can_start() -> None:
    """As when all its weights were pruned; gradients stay finite."""
    quantizer = WeightQuantizer(4)
    w = torch.zeros(3, requires_grad=True)
    quantizer.start(w)
    found = quantizer(w)
    assert found.tolist() == [0, 0, 0]
    found.backward(torch.full((3,), 1e30))
    assert w.grad is not None
    assert w.grad.isfinite().all()


def test_widths_are_checked() -> None:
    with pytest.raises(ValueError, match="must be 1 to 8, got 9"):
        WeightQuantizer(9)


def test_rounding_gives_exact_integers() -> None:
    """x + (round(x) - x) would not: the difference is rounded."""
    x = torch.tensor([0.5, 1.5, -0.5, 8388607.5, 1e-30, -1e-30], requires_grad=True)
    assert round_through(x).tolist() == [0, 2, 0, 8388608, 0, 0]
    assert floor_through(x).tolist() == [0, 1, -1, 8388607, 0, -1]
    floor_through(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1] * 6


def test_triangle() -> None:
    assert triangle(torch.tensor([-2.0, -0.5, 0.0, 0.25, 1.0, 7.0])).tolist() == [0, 0.5, 1, 0.75, 0, 0]


@pytest.mark.parametrize("bits", [1, 3])
def test_signs_flip_rows_and_their_gradients(bits: int) -> None:
    """As multiplying by the signs afterwards, bit for bit."""
    rng = torch.Generator().manual_seed(0)
    sign, weights = torch.tensor([1.0, -1.0, -1.0]), torch.randn(3, 2, 50, generator=rng)
    values = torch.randn(3, 2, 50, generator=rng)
    found = []
    for inside in (True, False):
        quantizer, w = WeightQuantizer(bits), values.clone().requires_grad_()
        quantizer.start(w)
        W = quantizer(w, sign=sign) if inside else quantizer(w) * sign[:, None, None]
        (W * weights).sum().backward()
        found.append((W.detach(), w.grad, quantizer.log_step.grad))
    assert torch.equal(found[0][0], found[1][0])
    for ours, plain in zip(*found, strict=True):
        assert ours is not None
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("bits", range(1, 9))
def test_levels_of_mint(bits: int) -> None:
    """q = round(clip(tanh(w) / alpha, -1, 1) Q), alpha from 2 mean|w| / sqrt(Q) on; the step is alpha / Q."""
    quantizer = WeightQuantizer(bits, "mint")
    w = torch.randn(64, 64, generator=torch.Generator().manual_seed(bits)) / 8
    quantizer.start(w)
    W = quantizer(quantizer.shaped(w)).detach()
    Q = max(1, 2 ** (bits - 1) - 1)
    alpha = 2 * w.abs().mean() / Q**0.5
    torch.testing.assert_close(quantizer.alpha.detach(), alpha)
    torch.testing.assert_close(quantizer.step(w).detach(), alpha / Q)
    assert quantizer.log_of_step() == pytest.approx(float((alpha / Q).log()))
    if bits == 1:
        assert W.unique().tolist() == [-1, 1]
        return
    torch.testing.assert_close(W, ((torch.tanh(w) / alpha).clamp(-1, 1) * Q).round())


def test_gradients_of_mint() -> None:
    """Straight through the rounding, through tanh and clip as they are; alpha's divided by sqrt(numel Q)."""
    values = torch.tensor([-2.0, -0.3, 0.1, 0.25, 0.9])
    found = []
    for ours in (True, False):
        w = values.clone().requires_grad_()
        quantizer = WeightQuantizer(3, "mint")
        quantizer.alpha.data.fill_(0.5)
        if ours:
            out = quantizer(quantizer.shaped(w)) * quantizer.step(w)
        else:
            alpha = quantizer.alpha
            x = (torch.tanh(w) / alpha).clamp(-1, 1) * 3
            out = (x + (x.round() - x).detach()) * alpha / 3
        (out * torch.tensor([1.0, 2, -1, 3, 1])).sum().backward()
        found.append((out.detach(), w.grad, quantizer.alpha.grad))
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])
    assert found[1][2] is not None
    torch.testing.assert_close(found[0][2], found[1][2] / (5 * 3) ** 0.5)


def test_scales_are_checked() -> None:
    with pytest.raises(ValueError, match="learned as step or mint, not 'log'"):
        WeightQuantizer(4, "log")
