"""The LIF scan: its integers against the reference, its gradients against autograd through a plain loop of steps."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mintaka.artifact import ConvGeometry, IntTensor, LeakTerm, Neuron
from mintaka.artifact.reference import fire
from mintaka.snn.cell import Cell
from mintaka.snn.lif import LIF, scan
from mintaka.snn.neuron_autograd import DAMPING, neuron_spikes

LEAKS = {
    "none": (),
    "V": (LeakTerm(1, 0),),
    "V>>1": (LeakTerm(1, 1),),
    "-(V>>2)": (LeakTerm(-1, 2),),
    "V-(V>>3)": (LeakTerm(1, 0), LeakTerm(-1, 3)),
    "three": (LeakTerm(1, 1), LeakTerm(1, 2), LeakTerm(-1, 31)),
}


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("leak", LEAKS)
def test_every_small_number_as_in_the_reference(leak: str, reset: str, bits: int) -> None:
    """All K in -40..40 and thresholds in -9..9, exhaustively: spike and stored membrane."""
    K = np.repeat(np.arange(-40, 41)[:, None], 19, axis=1)
    T = np.arange(-9, 10)
    R = 2 * np.arange(19) - 5
    reset_by = IntTensor(R.astype(np.int8), 7) if reset == "subtract" else None
    neuron = Neuron(IntTensor(T.astype(np.int8), 5), ">", reset, reset_by, LEAKS[leak], bits)
    expected = fire(K, neuron)
    lif = LIF(LEAKS[leak], neuron.membrane_max, reset)
    for dtype in (torch.float32, torch.float64):
        k, theta, r = (torch.from_numpy(v).to(dtype) for v in (K, T, R))
        s, U = lif.step(k, theta, r if reset == "subtract" else None)
        np.testing.assert_array_equal(s.numpy(), expected[0])
        np.testing.assert_array_equal(U.numpy(), expected[1])


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        ctx.save_for_backward(h)
        return (h > 0).to(h.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (h,) = ctx.saved_tensors
        return grads[0] * torch.clamp(1 - h.abs(), min=0)


class _Damped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return grads[0] * DAMPING


def _floor(x: Tensor) -> Tensor:
    return x + (torch.floor(x) - x).detach()


def _plain(
    current: Tensor, G: Tensor, T: Tensor, B: Tensor, R: Tensor, lif: LIF, steps: int, W: Tensor | None = None
) -> Tensor:
    """The same neuron step by step, for autograd. W: of a recurrence."""
    shape = (-1, *[1] * (current.ndim - (2 if current.ndim in (2, 4) else 3)))
    G, T, B, R = (v.reshape(shape) for v in (G, T, B, R))
    U, spikes = torch.zeros(()), []
    for t in range(steps):
        K = U + (current if current.ndim in (2, 4) else current[t]) + B
        if W is not None and spikes:
            past = _Damped.apply(spikes[-1])
            K = K + (past @ W.T if W.ndim == 2 else F.conv2d(past, W, padding=(1, 0)))
        s = _Spike.apply((K - T) * G)
        spikes.append(s)
        fired = s.detach()
        V = K * (1 - fired) if lif.reset == "zero" else K - fired * R
        U = torch.zeros_like(V)
        for term in lif.leak:
            part = V * 2.0**-term.shift
            U = U + term.sign * (_floor(part) if lif.integer else part)
        if lif.integer:
            U = U.clamp(-lif.membrane_max, lif.membrane_max)
    return torch.stack(spikes)


@pytest.mark.parametrize("recurrent", [False, True], ids=["", "recurrent"])
@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("shape", [(5, 3, 4), (3, 4), (4, 2, 3, 2, 2), (2, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("leak", LEAKS)
def test_gradients_equal_autograd_through_a_loop(
    leak: str, reset: str, shape: tuple[int, ...], integer: bool, recurrent: bool
) -> None:
    rng = torch.Generator().manual_seed(len(leak) + sum(shape))
    static = len(shape) in (2, 4)
    steps = 4 if static else shape[0]
    channels = shape[1 if static else 2]
    current = torch.randn(shape, generator=rng, dtype=torch.float64) * 12
    values = [
        torch.rand(channels, generator=rng, dtype=torch.float64) / 5 + 0.02,
        torch.randn(channels, generator=rng, dtype=torch.float64) * 5 + 4,
        torch.randn(channels, generator=rng, dtype=torch.float64) * 4,
    ]
    R = torch.rand(channels, generator=rng, dtype=torch.float64) * 9
    if integer:
        current, values[1:], R = current.round(), [v.round() for v in values[1:]], R.round()
    weight = torch.randn((steps, *shape[0 if static else 1 :]), generator=rng, dtype=torch.float64)
    lif = LIF(LEAKS[leak], 7, reset, integer)
    W, conv = torch.zeros(0), None
    if recurrent:
        images = len(shape) > 3
        W = torch.randn((channels, channels, *((3, 1) if images else ())), generator=rng, dtype=torch.float64) * 9
        W = W.round() if integer else W
        conv = ConvGeometry((1, 1), (1, 0), 1) if images else None
    outcome = []
    for plain in (False, True):
        inputs = [v.clone().requires_grad_() for v in (current, *values, *([W] if recurrent else []))]
        if plain:
            s = _plain(*inputs[:4], R, lif, steps, inputs[4] if recurrent else None)
        else:
            cell = Cell(lif, inputs[2], inputs[3], R if reset == "subtract" else None)
            s = neuron_spikes(*inputs[:2], cell, steps if static else None, inputs[4] if recurrent else None, conv)
        (s * weight).sum().backward()
        outcome.append((s.detach(), [v.grad for v in inputs]))
    (s, grads), (s_plain, grads_plain) = outcome
    assert 0 < float(s.mean()) < 1
    torch.testing.assert_close(s, s_plain, rtol=0, atol=0)
    for grad, expected in zip(grads, grads_plain, strict=True):
        assert float(expected.abs().sum()) > 0
        torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("conv", [False, True])
def test_gradients_through_a_recurrence_of_extreme_gain_stay_finite(conv: bool) -> None:
    """50 steps just below the threshold, each of which multiplies by far more than the damping takes away."""
    current = torch.zeros((50, 2, 8, *((3, 1) if conv else ()))).requires_grad_()
    gain, threshold, bias = torch.full((8,), 300.0), torch.full((8,), 0.001), torch.zeros(8)
    W = torch.full((8, 8, *((3, 1) if conv else ())), 7.0).requires_grad_()
    geometry = ConvGeometry((1, 1), (1, 0), 1) if conv else None
    cell = Cell(LIF(LEAKS["V>>1"], 7, "zero", False), threshold, bias, None)
    s = neuron_spikes(current, gain, cell, None, W, geometry)
    s.sum().backward()
    for grad in (current.grad, W.grad):
        assert grad is not None
        assert bool(grad.isfinite().all())
    assert current.grad is not None
    assert float(current.grad.abs().max()) > 1e3


def test_membranes_are_recorded() -> None:
    lif = LIF(LEAKS["V>>1"], 7, "zero")
    done = scan(torch.full((1, 1), 5.0), 3, lif, torch.full((1,), 8.0), None, None, membranes=True)
    assert done.u is not None
    assert done.k.flatten().tolist() == [5, 7, 8]
    assert done.u.flatten().tolist() == [2, 3, 4]
    assert done.s.flatten().tolist() == [0, 0, 0]
