"""MINT's membrane rule by boundaries: every integer against the formula, gradients against autograd, and trainings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sw.test_lif import _Spike
from torch import Tensor

from mintaka.artifact import Input, encode, run
from mintaka.data import load_dataset
from mintaka.snn.cell import Cell
from mintaka.snn.errors import LayerError
from mintaka.snn.lif import LIF, scan
from mintaka.snn.network import SNN
from mintaka.snn.neuron_autograd import neuron_spikes
from mintaka.snn.norm import LEAST_GAIN
from mintaka.snn.specs import DenseSpec, EdgeSpec, NeuronSpec, parse_leak
from mintaka.snn.staircase import FAR, THETA, boundaries, staircase
from mintaka.train import RecipeError, export, parse_recipe, train
from mintaka.train.recipe import network_specs


def formula(V: np.ndarray, gain: np.ndarray, share: float, most: int) -> np.ndarray:
    """round(clip(tanh(share V u) / alpha, -1, 1) Q), alpha = Q u and u = THETA * gain, as the released code has it.

    V (C, M), gain (C,).
    """
    u = (THETA * gain)[:, None]
    alpha = u * most
    return np.round(np.clip(np.tanh(share * V * u) / alpha, -1, 1) * most)


@given(
    gains=st.lists(st.floats(LEAST_GAIN, 8.0) | st.floats(0.001, 0.3), min_size=1, max_size=4),
    share=st.sampled_from([0.5, 0.25, 1.0, 0.875, 1.5, 2.0**-31]),
    bits=st.integers(2, 8),
)
def test_boundaries_are_the_formula_for_every_integer(gains: list[float], share: float, bits: int) -> None:
    most = 2 ** (bits - 1) - 1
    V = np.concatenate([np.arange(-3000, 3001), [-(2**24), -(2**22), 2**22, 2**24]]).astype(np.float64)
    V = np.repeat(V[None], len(gains), 0)
    gain = torch.tensor(gains, dtype=torch.float64)
    found = boundaries(gain, share, most)
    assert found.shape == (len(gains), 2 * most)
    assert torch.equal(found, found.round())
    assert bool((found.diff(dim=1) >= 0).all())
    assert float(found.abs().max()) <= FAR
    stairs = staircase(gain, share, most, torch.float64)
    ours = stairs.store(torch.from_numpy(V.T.copy())).numpy().T
    np.testing.assert_array_equal(ours, formula(V, gain.numpy(), share, most))


def test_two_bits_by_hand() -> None:
    """A gain of 0.1, half kept: U is 1 from the first V on with tanh(V / 40) * 20 >= 0.5, that is 2 (1.0003 at V = 1 is
    0.5 - 0.0001); with a gain of 8 no membrane is worth half a step."""
    assert boundaries(torch.tensor([0.1, 8.0]), 0.5, 1).tolist() == [[-1.0, 2.0], [-FAR, FAR]]


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 3, 2, 3)], ids=str)
def test_storing_keeps_axes(shape: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(0)
    gain = torch.rand(shape[2], generator=rng) / 5 + 0.01
    V = torch.randint(-60, 60, shape[1:], generator=rng).float()
    stairs = staircase(gain, 0.5, 7, torch.float32)
    found = stairs.store(V)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    for c in range(shape[2]):
        wanted = formula(V[:, c].double().numpy().reshape(1, -1), gain[c : c + 1].double().numpy(), 0.5, 7)
        assert found[:, c].flatten().tolist() == wanted[0].tolist()


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.round()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return grads[0]


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("refractory", [0, 1])
def test_gradients_equal_autograd_of_the_formula(reset: str, refractory: int) -> None:
    """Through tanh and clip as they are, straight through the rounding; none to the gain by the membrane."""
    rng = torch.Generator().manual_seed(3)
    current = (torch.randn(6, 20, 4, generator=rng, dtype=torch.float64) * 20).round()
    gain = torch.rand(4, generator=rng, dtype=torch.float64) / 6 + 0.03
    T, B = (1 / gain).floor(), torch.tensor([1.0, -2, 0, 3], dtype=torch.float64)
    R = torch.tensor([9.0, 7, 5, 11], dtype=torch.float64) if reset == "subtract" else None
    weight = torch.randn(6, 20, 4, generator=rng, dtype=torch.float64)
    leak, most = parse_leak("V>>1"), 7
    lif = LIF(leak, most, reset, True, staircase(gain, 0.5, most, torch.float64))
    found = []
    for plain in (False, True):
        inputs = [v.clone().requires_grad_() for v in (current, gain, T, B)]
        I, G, theta, bias = inputs  # noqa: E741
        if plain:
            u, U, silent, spikes = THETA * gain, torch.zeros(20, 4, dtype=torch.float64), torch.zeros(20, 4), []
            for t in range(6):
                live = (silent == 0).double()
                K = U + live * (I[t] + bias)
                s = _Spike.apply((K - theta) * G) * live
                fired = s.detach()
                silent = torch.where(fired > 0, float(refractory), (silent - 1).clamp(min=0))
                V = K * (1 - fired) if R is None else K - fired * R
                U = _Round.apply((torch.tanh(0.5 * V * u) / u).clamp(-most, most))
                spikes.append(s)
            s = torch.stack(spikes)
        else:
            s = neuron_spikes(I, G, Cell(lif, theta, bias, R, refractory), None)
        (s * weight).sum().backward()
        found.append((s.detach(), [v.grad for v in inputs]))
    assert torch.equal(found[0][0], found[1][0])
    assert 0.1 < float(found[0][0].mean()) < 0.9
    for ours, autograd in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(ours, autograd, rtol=1e-9, atol=1e-9)


def test_one_step_of_a_recurrence_learns() -> None:
    """Nothing is stored, so nothing passes."""
    neuron = NeuronSpec(4, parse_leak("V>>1"), "zero", membrane_rule="mint")
    edges = (EdgeSpec("input"), EdgeSpec("a", 1))
    specs = [DenseSpec("a", 4, 4, neuron, edges=edges, weight_scale="mint"), DenseSpec("head", 2, 4, None)]
    snn = SNN(Input("input", (3,), "spikes", 1), 1, specs)
    snn.quantize()
    snn.train()
    snn(torch.randint(0, 2, (9, 1, 3)).float()).square().sum().backward()
    grad = snn.layers[0].edges[0].weight.grad
    assert grad is not None
    assert bool(grad.isfinite().all())


def test_a_float_network_knows_no_boundaries() -> None:
    """Full precision has no stored width: both rules are the same network."""
    both = []
    for rule in ("shift", "mint"):
        neuron = NeuronSpec(4, parse_leak("V>>1"), "zero", membrane_rule=rule)
        snn = SNN(Input("input", (6,), "spikes", 1), 5, [DenseSpec("a", 9, 4, neuron), DenseSpec("head", 3, 4, None)])
        both.append(snn((torch.rand(8, 5, 6, generator=torch.Generator().manual_seed(1)) < 0.5).float()))
    assert torch.equal(*both)


def test_membranes_are_wider_in_the_middle_than_shifts_keep() -> None:
    """The rules differ where they should: rounding to even instead of down, and no more than tanh allows."""
    K = torch.tensor([[[-3.0, 3.0, 60.0]]])  # of one sample, three channels
    lif = LIF(parse_leak("V>>1"), 127, "zero")
    never = torch.full((3,), 1e6)
    shifts = scan(K, None, lif, never, None, None, membranes=True).u
    stairs = LIF(parse_leak("V>>1"), 127, "zero", True, staircase(torch.full((3,), 0.1), 0.5, 127, torch.float32))
    mint = scan(K, None, stairs, never, None, None, membranes=True).u
    assert shifts is not None
    assert mint is not None
    assert shifts.flatten().tolist() == [-2, 1, 30]
    assert mint.flatten().tolist() == [-1, 1, 18]  # tanh(1.5) / 0.05 = 18.1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"membrane_bits": 9}, "layer 'a': membrane_bits with the membrane_rule 'mint' must be 2 to 8, got 9"),
        ({"leak": ()}, "layer 'a': the membrane_rule 'mint' needs a leak that keeps a share of V above 0"),
        ({"membrane_rule": "mnt"}, "layer 'a': membrane_rule is 'mnt'; possible: shift, mint"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], sentence: str) -> None:
    about = {"membrane_bits": 4, "leak": parse_leak("V>>1"), "reset": "zero", "membrane_rule": "mint"} | changes
    specs = [DenseSpec("a", 9, 4, NeuronSpec(**about)), DenseSpec("head", 3, 4, None)]
    with pytest.raises(LayerError) as caught:
        SNN(Input("input", (6,), "spikes", 1), 5, specs)
    assert str(caught.value) == sentence


def form(**network: Any) -> dict[str, Any]:
    return {
        "name": "mint",
        "dataset": "digits",
        "seed": 2,
        "network": {"time_steps": 3} | network,
        "train": {"float_epochs": 2, "epochs": 3, "batch": 64, "learning_rate": 5e-3},
        "layers": [
            {"name": "hidden", "op": "dense", "units": 32},
            {"name": "second", "op": "dense", "units": 24, "membrane_rule": "shift", "weight_scale": "step"},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }


def test_a_recipe_trains_and_exports_it(tmp_path: Path) -> None:
    """The released way in full: its scale and its membranes; the reference decides as the training saw it."""
    made = parse_recipe(form(weight_scale="mint", membrane_rule="mint"))
    specs = network_specs(made, load_dataset("digits"))
    assert [spec.weight_scale for spec in specs] == ["mint", "step", "mint"]
    result = train(made, tmp_path)
    network = export(tmp_path)
    hidden, second = (node.neuron for node in network.nodes[:2])
    assert hidden is not None
    assert second is not None
    assert hidden.boundaries is not None
    assert hidden.boundaries.values.shape == (32, 14)
    assert hidden.leak == ()
    assert second.boundaries is None
    data = load_dataset("digits")
    classes = run(network, encode(network, data.test_x)).classes
    assert float((classes == data.test_y).mean()) == result.integer_accuracy > 0.75


def test_a_head_that_is_read_by_its_membrane_shifts() -> None:
    wrong = form(membrane_rule="mint")
    wrong["layers"][2]["read"] = "membrane"
    with pytest.raises(
        RecipeError, match=r"^the head 'out' is read by its membrane, which knows the membrane_rule 'shift"
    ):
        network_specs(parse_recipe(wrong), load_dataset("digits"))
    wrong = form()
    wrong["layers"][2]["membrane_rule"] = "mint"
    with pytest.raises(
        RecipeError, match=r"^layers\[2\].membrane_rule: the last layer is the head, which has no membrane"
    ):
        parse_recipe(wrong)
