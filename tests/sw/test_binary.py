"""Binary weights: the scale of a channel goes into its threshold and changes no spike; runs that go down to 1 bit."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sw.killed import train_until

from mintaka.artifact import Input, content_hash, encode, run
from mintaka.compress import CompressError, binarize, share_weights, with_widths
from mintaka.data import load_dataset
from mintaka.snn.export import to_artifact
from mintaka.snn.network import SNN
from mintaka.snn.specs import DenseSpec, NeuronSpec, parse_leak
from mintaka.train import Recipe, RecipeError, export, parse_recipe, train

NEURON = NeuronSpec(16, parse_leak("V"), "zero")


@given(
    leak=st.sampled_from(["V", "0"]),
    kind=st.sampled_from(["spikes", "counts"]),
    seed=st.integers(0, 2**31),
    steps=st.integers(1, 8),
)
def test_balancing_is_exact(leak: str, kind: str, seed: int, steps: int) -> None:
    """A network of real weights a*b, thresholds 1 behind a BatchNorm and a head of weights a*b spikes and decides as
    the integer network with b alone. (B is chosen to be an integer, the membrane is wide, the leak needs no floor.)"""
    rng = torch.Generator().manual_seed(seed)
    N_in, N_out, classes = 14, 9, 4
    neuron = NeuronSpec(16, parse_leak(leak), "zero")
    specs = [DenseSpec("hidden", N_out, 1, neuron), DenseSpec("head", classes, 1, None)]
    snn = SNN(Input("input", (N_in,), kind, 1 if kind == "spikes" else 3), steps, specs)
    a = torch.rand(N_out, 1, generator=rng, dtype=torch.float64) * 3 + 0.01
    b = torch.randint(0, 2, (N_out, N_in), generator=rng) * 2.0 - 1
    of_head = torch.randint(0, 2, (classes, N_out), generator=rng) * 2.0 - 1
    gamma = torch.randn(N_out, generator=rng, dtype=torch.float64)
    mean = torch.randn(N_out, generator=rng, dtype=torch.float64) * 3  # of sum(b s)
    var = torch.rand(N_out, generator=rng, dtype=torch.float64) * 20 + 0.5
    beta = gamma.abs() / var.sqrt() * (torch.randint(-3, 4, (N_out,), generator=rng) + mean * gamma.sign())

    def made(scale: torch.Tensor, of_all: float, integer: bool) -> SNN:
        net = SNN(snn.source, steps, specs)
        net.set_integer(integer)
        norm, synapses = net.layers[0].norm, net.layers[0].synapses
        norm.eps = 0.0
        net.double()
        synapses.weight.data = scale * b
        net.layers[1].synapses.weight.data = of_all * of_head.double()
        norm.gamma.data, norm.beta.data = gamma.clone(), beta.clone()
        norm.running_mean, norm.running_var = mean * scale[:, 0], var * scale[:, 0] ** 2
        norm.batches.fill_(1)
        return net.eval()

    real = made(a, 0.37, integer=False)
    whole = made(torch.ones(N_out, 1, dtype=torch.float64), 1.0, integer=True)
    high = 2 if kind == "spikes" else 8
    x = torch.randint(0, high, (6, steps, N_in), generator=rng)
    record: list[Any] = []
    logits = _plain(real, x.double(), record)
    network = to_artifact(whole, "binary")
    found = run(network, x.numpy().astype(np.uint8), trace=True)
    spikes = found.trace["hidden"].s
    assert spikes is not None
    np.testing.assert_array_equal(spikes, torch.stack(record, 1).numpy())
    weight = network.node("hidden").inputs[0].weight
    assert weight is not None
    assert (weight.bits, set(weight.values.flat)) == (1, {-1, 1})
    np.testing.assert_allclose(found.logits * 0.37, logits.numpy(), rtol=1e-9, atol=1e-9)


def _plain(real: SNN, x: torch.Tensor, record: list[Any]) -> torch.Tensor:
    """The float network in float64, written out: BatchNorm, then membranes against a threshold of 1."""
    layer, head = real.layers
    norm, keep = layer.norm, 1.0 if layer.neuron.leak else 0.0
    # As the network does: a channel of negative gamma has its weights (so its mean) flipped, and |gamma|.
    sign = norm.gamma.sign()
    gain = norm.gamma.abs() / norm.running_var.sqrt()
    U, total = torch.zeros(len(x), len(gain), dtype=torch.float64), 0
    for t in range(x.shape[1]):
        current = sign * (x[:, t] @ layer.synapses.weight.T - norm.running_mean)
        K = U + gain * current + norm.beta
        s = (K > 1 + 1e-9).double()
        U = (K * (1 - s) * keep).detach()
        record.append(s)
        total = total + s @ head.synapses.weight.T
    return total.detach()


def quantized(bits: int = 4) -> SNN:
    specs = [DenseSpec("hidden", 9, bits, NEURON), DenseSpec("head", 4, bits, None)]
    snn = SNN(Input("input", (12,), "spikes", 1), 3, specs, seed=4)
    snn.quantize()
    snn.train()
    snn(batch())
    return snn


def batch() -> torch.Tensor:
    return (torch.rand(20, 3, 12, generator=torch.Generator().manual_seed(1)) < 0.4).float()


def test_one_layer_alone() -> None:
    snn = quantized()
    new = binarize(snn, ["hidden"])
    new(batch())
    network = to_artifact(new.eval(), "net")
    hidden, head = (node.inputs[0].weight for node in network.nodes)
    assert hidden is not None
    assert head is not None
    assert (hidden.bits, head.bits) == (1, 4)
    sign = torch.where(snn.layers[0].synapses.weight < 0, -1, 1)
    assert hidden.values.tolist() == sign.tolist()
    assert head.values.tolist() == snn.layers[1].integers(0, None).int().tolist()
    assert snn.specs[0].weight_bits == 4


def test_what_cannot_be_binary() -> None:
    with pytest.raises(CompressError, match=r"^layer 'hiden' cannot get other weights: there is no such layer; there"):
        binarize(quantized(), ["hiden"])
    with pytest.raises(CompressError, match="have weights of 1 bit already"):
        binarize(quantized(1))
    with pytest.raises(CompressError, match=r"^layer 'hidden' shares its weights: change widths before it does$"):
        binarize(share_weights(quantized(), 2))
    snn = quantized()
    snn.layers[1].synapses.mask = torch.ones(4, 9, dtype=torch.bool)
    with pytest.raises(CompressError, match=r"^layer 'head' has weights that are 0, which 1 bit cannot say"):
        binarize(snn)


def test_other_widths() -> None:
    snn = quantized()
    new = with_widths(snn, {"head": 7}, {"hidden": 5}, time_steps=2)
    assert (new.time_steps, new.specs[1].weight_bits, new.specs[0].neuron.membrane_bits) == (2, 7, 5)
    assert torch.equal(new.layers[0].synapses.weight, snn.layers[0].synapses.weight)
    assert (int(new.layers[0].norm.batches), int(snn.layers[0].norm.batches)) == (0, 1)
    for kwargs, sentence in (
        ({"weight_bits": {"head": 9}}, "layer 'head': weight_bits must be 1 to 8, got 9"),
        ({"membrane_bits": {"hidden": 1}}, "layer 'hidden': membrane_bits must be 2 to 16, got 1"),
        ({"time_steps": 0}, "time_steps must be 1 to 1,024, got 0"),
        ({"membrane_bits": {"head": 4}}, "layer 'head' cannot get other membranes: it has none; there are hidden"),
    ):
        with pytest.raises(CompressError, match=f"^{re.escape(sentence)}$"):
            with_widths(snn, **kwargs)


# ---- in a run


def recipe(*methods: dict[str, Any], **network: Any) -> Recipe:
    form: dict[str, Any] = {
        "name": "binary",
        "dataset": "digits",
        "seed": 5,
        "network": {"time_steps": 2} | network,
        "train": {"float_epochs": 2, "epochs": 2, "batch": 128, "learning_rate": 0.01},
        "compress": list(methods),
        "layers": [
            {"name": "conv", "op": "conv2d", "channels": 8, "kernel": 3, "stride": 2, "padding": 1},
            {"name": "hidden", "op": "dense", "units": 32, "reset": "subtract"},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }
    return parse_recipe(form)


BINARY = {"method": "binary", "epochs": 3}


def test_a_run_goes_down_to_one_bit_and_resumes(tmp_path: Path) -> None:
    made = recipe(BINARY)
    result = train(made, tmp_path / "straight")
    network = export(tmp_path / "straight")
    weights = [edge.weight for node in network.nodes for edge in node.inputs]
    assert all(W is not None and W.bits == 1 and set(W.values.flat) == {-1, 1} for W in weights)
    data = load_dataset("digits")
    classes = run(network, encode(network, data.test_x)).classes
    assert float((classes == data.test_y).mean()) == result.integer_accuracy > 0.6
    train_until(made, tmp_path / "killed", ("binary", 2, 3))
    train(made, tmp_path / "killed")
    assert content_hash(export(tmp_path / "killed")) == content_hash(network)


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        ([BINARY | {"layers": ["hiden"]}], "compress[0] (binary): layer 'hiden' cannot get other weights: there is no"),
        ([BINARY, BINARY], "compress[1] (binary): all these layers have weights of 1 bit already"),
        (
            [{"method": "stds", "depth": 1.0, "search_epochs": 1, "epochs": 1}, BINARY],
            "compress[1] (binary): layer 'conv' has weights that are 0, which 1 bit cannot say: give it 2 bits or more",
        ),
        (
            [BINARY, {"method": "share", "bits": 2, "epochs": 1}],
            "compress[1] (share): layer 'conv': weights of 1 bit have 2 values, so a codebook of 2 bits saves nothing",
        ),
        (
            [BINARY, {"method": "stds", "at": "qat", "depth": 1.0, "search_epochs": 1, "epochs": 1}],
            "compress[1] (stds): layer 'conv' has weights of 1 bit, which cannot be 0; give it 2 bits or more",
        ),
        ([BINARY | {"at": "float"}], "'compress[0].at' must be 'qat', got 'float'"),
    ],
)
def test_what_cannot_be_is_said_before_training(methods: list[dict[str, Any]], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        train(recipe(*methods), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_methods_see_what_those_before_them_leave(tmp_path: Path) -> None:
    """Two stages of `steps`, the second to no fewer; a share of channels that an earlier share has made too large."""
    steps = [{"method": "steps", "at": "qat", "epochs": 1, "time_steps": n} for n in (1, 1)]
    with pytest.raises(RecipeError, match=r"^compress\[1\] \(steps\): 1 steps are not fewer than the network's 1"):
        train(recipe(*steps), tmp_path)
    half = {"method": "random", "epochs": 1, "scope": "layer", "remove": 0.8}
    with pytest.raises(
        RecipeError, match=r"^compress\[1\] \(random\): removing 0\.8 of the 2 channels of layer 'conv'"
    ):
        train(recipe(half, half), tmp_path)
