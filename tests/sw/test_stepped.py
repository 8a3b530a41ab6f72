"""Neurons beyond plain LIF, integrators, joins: gradients against autograd through plain loops, and by differences."""

from itertools import product

import pytest
import torch
from sw.test_lif import LEAKS, _Damped, _floor, _Spike
from torch import Tensor
from torch.nn import functional as F

from mintaka.artifact import ConvGeometry, LeakTerm, SynapticCurrent
from mintaka.snn.cell import Cell, scan_cell
from mintaka.snn.integrator import last_membrane
from mintaka.snn.join import Joining, joined
from mintaka.snn.lif import LIF
from mintaka.snn.neuron_autograd import neuron_spikes

SHAPES = [(6, 16, 4), (16, 4), (6, 6, 3, 2, 2), (6, 3, 2, 2)]


def _leak(V: Tensor, leak: tuple[LeakTerm, ...], integer: bool) -> Tensor:
    U = torch.zeros_like(V)
    for term in leak:
        part = V * 2.0**-term.shift
        U = U + term.sign * (_floor(part) if integer else part)
    return U


def _stored(V: Tensor, lif: LIF) -> Tensor:
    U = _leak(V, lif.leak, lif.integer)
    return U.clamp(-lif.membrane_max, lif.membrane_max) if lif.integer else U


def _plain(current: Tensor, G: Tensor, T: Tensor, B: Tensor, W: Tensor | None, cell: Cell, steps: int) -> Tensor:
    """The same neuron step by step, for autograd. `silent` counts down what is left of the refractory steps."""
    static = current.ndim in (2, 4)
    shape = (-1, *[1] * (current.ndim - (2 if static else 3)))
    G, T, B = (v.reshape(shape) for v in (G, T, B))
    R = None if cell.reset_by is None else cell.reset_by.reshape(shape)
    lif, synapse, spikes = cell.lif, cell.current, []
    U = J = silent = torch.zeros(())
    for t in range(steps):
        total = current if static else current[t]
        if W is not None and spikes:
            past = _Damped.apply(spikes[-1])
            if W.ndim == 1:
                total = total + past * W.reshape(shape)
            else:
                total = total + (past @ W.T if W.ndim == 2 else F.conv2d(past, W, padding=(1, 0)))
        if synapse is not None:
            total = total + _leak(J, synapse.leak, lif.integer)
            J = total.clamp(-synapse.max, synapse.max) if lif.integer else total
        live = (silent == 0).double()
        K = U + live * (total + B)
        s = _Spike.apply((K - T) * G) * live
        fired = s.detach()
        silent = torch.where(fired > 0, float(cell.refractory), (silent - 1).clamp(min=0))
        U = _stored(K * (1 - fired) if R is None else K - fired * R, lif)
        spikes.append(s)
    return torch.stack(spikes)


CUBA = {"": None, "cuba": SynapticCurrent((LeakTerm(1, 0), LeakTerm(-1, 2)), 5), "forgets": SynapticCurrent((), 4)}


@pytest.mark.parametrize("recurrent", ["", "recurrent", "identity"])
@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cuba", CUBA)
@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("leak", ["none", "V>>1", "three"])
def test_gradients_equal_autograd_through_a_loop(
    leak: str, refractory: int, cuba: str, shape: tuple[int, ...], integer: bool, recurrent: str
) -> None:
    for reset in ("zero", "subtract"):
        rng = torch.Generator().manual_seed(len(leak) + sum(shape))
        static = len(shape) in (2, 4)
        steps = None if static else shape[0]
        channels = shape[1 if static else 2]

        def normal(*size: int, rng: torch.Generator = rng) -> Tensor:
            return torch.randn(size, generator=rng, dtype=torch.float64)

        current = normal(*shape) * 9
        G, T, B = (
            torch.rand(channels, generator=rng, dtype=torch.float64) / 20 + 0.02,
            normal(channels) * 5 + 4,
            normal(channels) * 3,
        )
        R = normal(channels).abs() * 9
        W, conv = None, None
        if recurrent:
            images = len(shape) > 3
            size: tuple[int, ...] = (channels, channels, *((3, 1) if images else ()))
            W = normal(*(size if recurrent == "recurrent" else (channels,))) * 6
            conv = ConvGeometry((1, 1), (1, 0), 1) if images and recurrent == "recurrent" else None
        if integer:
            current, T, B, R = (v.round() for v in (current, T, B, R))
            W = None if W is None else W.round()
        weight = normal(6, *shape[0 if static else 1 :])
        lif = LIF(LEAKS[leak], 7, reset, integer)
        outcome = []
        for plain in (False, True):
            inputs = [v.clone().requires_grad_() for v in (current, G, T, B, *([] if W is None else [W]))]
            own = inputs[4] if W is not None else None
            reset_by = R if reset == "subtract" else None
            if plain:
                cell = Cell(lif, None, None, reset_by, refractory, CUBA[cuba])
                s = _plain(*inputs[:4], own, cell, 6)
            else:
                cell = Cell(lif, inputs[2], inputs[3], reset_by, refractory, CUBA[cuba])
                s = neuron_spikes(*inputs[:2], cell, 6 if steps is None else None, own, conv)
            (s * weight).sum().backward()
            outcome.append((s.detach(), [v.grad for v in inputs]))
        (s, grads), (s_plain, grads_plain) = outcome
        assert 0 < float(s.mean()) < 1
        torch.testing.assert_close(s, s_plain, rtol=0, atol=0)
        # A spike that comes back to its own refractory neuron is lost, unless a current remembers it.
        lost = recurrent == "identity" and refractory > 0 and cuba != "cuba"
        for index, (grad, expected) in enumerate(zip(grads, grads_plain, strict=True)):
            assert (float(expected.abs().sum()) > 0) != (lost and index == 4)
            torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("own", [False, True])
def test_without_what_is_new_it_is_the_plain_neuron(own: bool) -> None:
    """The general function, of a current that is never kept, is the fast one of plain LIF, gradients included."""
    rng = torch.Generator().manual_seed(0)
    lif = LIF((LeakTerm(1, 1),), 7, "zero")
    current, W = (torch.randint(-20, 21, size, generator=rng).double() for size in ((5, 3, 4), (4, 4)))
    G, T, B = torch.full((4,), 0.1).double(), torch.full((4,), 6.0).double(), torch.ones(4).double()
    grads = []
    for synapse in (SynapticCurrent((), 16), None):
        x, w = current.clone().requires_grad_(), W.clone().requires_grad_()
        s = neuron_spikes(x, G, Cell(lif, T, B, None, 0, synapse), None, w if own else None)
        s.cumsum(0).sum().backward()
        grads.append((s.detach(), x.grad, w.grad))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("leak", LEAKS)
def test_integrators_equal_autograd_through_a_loop(leak: str, shape: tuple[int, ...], integer: bool) -> None:
    rng = torch.Generator().manual_seed(sum(shape))
    static = len(shape) in (2, 4)
    current = (torch.randn(shape, generator=rng, dtype=torch.float64) * 6).round()
    bias = torch.arange(shape[1 if static else 2]).double()
    lif = LIF(LEAKS[leak], 7, "zero", integer)
    weight = torch.randn(shape[0 if static else 1 :], generator=rng, dtype=torch.float64)
    outcome = []
    for plain in (False, True):
        x, B = current.clone().requires_grad_(), bias.clone().requires_grad_()
        if plain:
            U: Tensor = torch.zeros(())
            for t in range(6):
                K = U + (x if static else x[t]) + B.reshape(-1, *[1] * (weight.ndim - 2))
                U = _stored(K, lif)
        else:
            K = last_membrane(x, Cell(lif, None, B, None), 6 if static else None)
        (K * weight).sum().backward()
        outcome.append((K.detach(), x.grad, B.grad))
    for a, b in zip(*outcome, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


TRUTH = {
    "or": lambda bits: int(any(bits)),
    "and": lambda bits: int(all(bits)),
    "iand": lambda bits: int(not bits[0] and bits[1]),
    "add": sum,
}


@pytest.mark.parametrize("kind", TRUTH)
def test_joins_of_bits_and_between_them(kind: str) -> None:
    """The truth table; inside the cube the multilinear form: the mean over independent bits of these chances."""
    number = 2 if kind == "iand" else 3
    rows = list(product((0.0, 1.0), repeat=number))
    out = joined(list(torch.tensor(rows).T), kind)
    assert out.tolist() == [TRUTH[kind](row) for row in rows]
    rng = torch.Generator().manual_seed(1)
    xs = [torch.rand(2, 3, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(number)]
    mean = torch.zeros(2, 3, dtype=torch.float64)
    for row in rows:
        chance = torch.stack([x if bit else 1 - x for x, bit in zip(xs, row, strict=True)]).prod(0)
        mean = mean + TRUTH[kind](row) * chance
    torch.testing.assert_close(joined(xs, kind), mean)
    for grad, expected in zip(
        torch.autograd.grad(joined(xs, kind).sum(), xs), torch.autograd.grad(mean.sum(), xs), strict=True
    ):
        torch.testing.assert_close(grad, expected)


def test_a_join_that_reads_itself() -> None:
    """An OR with itself stays, an IAND of itself and the input toggles off every other spike."""
    x = torch.tensor([0.0, 1, 0, 1, 1, 1]).reshape(6, 1, 1)
    nothing = torch.empty(0)
    assert Joining("or", [False, True])([x, nothing]).flatten().tolist() == [0, 1, 1, 1, 1, 1]
    assert Joining("iand", [True, False])([nothing, x]).flatten().tolist() == [0, 1, 0, 1, 0, 1]
    rng = torch.Generator().manual_seed(1)
    xs = torch.rand(4, 2, 3, generator=rng, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: Joining("iand", [True, False])([nothing, x]), [xs])


def test_what_is_recorded_is_what_is_stored() -> None:
    """The example of docs/reference/semantics.md: J stored and U."""
    cell = Cell(
        LIF((LeakTerm(1, 0),), 127, "zero"),
        torch.full((1,), 20.0),
        torch.zeros(1),
        None,
        0,
        SynapticCurrent((LeakTerm(1, 1),), 4),
    )
    done = scan_cell(torch.tensor([6.0, 6, 0, 6, 0]).reshape(5, 1, 1), None, cell)
    assert done.scan.j is not None
    assert done.unclipped is not None
    assert done.scan.j.flatten().tolist() == [6, 7, 3, 7, 3]
    assert done.scan.k.flatten().tolist() == [6, 15, 18, 25, 3]
    assert done.unclipped.flatten().tolist() == [True, False, True, True, True]
