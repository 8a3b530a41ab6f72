"""Weights that share a codebook: what k-means finds, what learns and what stays, and what is exported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sw.killed import train_until
from sw.nets import assert_is

from mintaka.artifact import Input, LeakTerm, Network, content_hash, encode, load, run, save
from mintaka.compress import CompressError, Share, Task, cut_channels
from mintaka.compress.sharing import cluster, share_weights
from mintaka.data import load_dataset
from mintaka.snn.errors import LayerError
from mintaka.snn.export import to_artifact
from mintaka.snn.layers import Recorder
from mintaka.snn.network import SNN
from mintaka.snn.specs import DenseSpec, EdgeSpec, NeuronSpec, Spec
from mintaka.train import RecipeError, export, parse_recipe
from mintaka.train import train as train_recipe

NEURON = NeuronSpec(8, (LeakTerm(1, 1),), "zero")
SOURCE = Input("input", (12,), "spikes", 1)
SPECS: list[Spec] = [DenseSpec("hidden", 9, 8, NEURON), DenseSpec("head", 4, 6, None)]
STEPS = 3


def batch(samples: int = 20) -> torch.Tensor:
    return (torch.rand(samples, STEPS, 12, generator=torch.Generator().manual_seed(1)) < 0.4).float()


def quantized(specs: list[Spec] = SPECS) -> SNN:
    """With some negative gammas, after one batch."""
    snn = SNN(SOURCE, STEPS, specs, seed=4)
    snn.layers[0].norm.gamma.data[::3] = -1.0
    snn.quantize()
    snn.train()
    snn(batch())
    return snn


def exported(snn: SNN) -> Network:
    return to_artifact(snn.eval(), "shared")


def weights(network: Network, node: str, edge: int = 0) -> np.ndarray:
    W = network.node(node).inputs[edge].weight
    assert W is not None
    return W.values.astype(int)


def train(snn: SNN, steps: int) -> None:
    snn.train()
    optimizer = torch.optim.Adam(snn.parameters(), lr=0.02)
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(snn.scores(snn(batch())), torch.arange(20) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 2**31))
def test_cluster_gives_each_value_its_nearest_centre(most: int, number: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice(rng.normal(0, 40, rng.integers(1, 30)), number)
    centres, places = cluster(values, most, seed=0)
    assert len(centres) <= most
    assert (np.diff(centres) > 0).all()
    assert sorted(set(places)) == list(range(len(centres)))
    distance = np.abs(values[:, None] - centres)
    assert np.allclose(distance[np.arange(number), places], distance.min(1))
    for place, centre in enumerate(centres):
        assert values[places == place].mean() == pytest.approx(centre, abs=1e-4)


def test_cluster_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    values = np.array([-50.0, -3.0, 8.0, 90.0])[truth] + rng.normal(0, 0.5, 400)
    centres, places = cluster(values, 4, seed=1)
    assert (places == truth).all()
    assert np.allclose(centres, [-50, -3, 8, 90], atol=0.3)
    again = cluster(values, 4, seed=1)
    assert (again[0] == centres).all()
    assert (again[1] == places).all()


def test_the_export_holds_the_nearest_of_few_integers() -> None:
    """Signs of negative gammas included: places are those of the exported weights."""
    snn = quantized()
    before = weights(exported(snn), "hidden")
    network = exported(share_weights(snn, {"hidden": 2}))
    after, codebook = weights(network, "hidden"), network.node("hidden").codebook
    assert codebook is not None
    assert len(codebook) == 4
    assert codebook == tuple(np.unique(after))
    assert network.node("head").codebook is None
    distance = np.abs(before[..., None] - np.array(codebook))
    assert (np.abs(before - after) <= distance.min(-1) + 1).all()  # both were rounded


def test_sharing_is_seeded() -> None:
    both = [exported(share_weights(quantized(), 3, seed=5)) for _ in range(2)]
    assert [n.codebook for n in both[0].nodes] == [n.codebook for n in both[1].nodes]
    assert all((weights(both[0], name) == weights(both[1], name)).all() for name in ("hidden", "head"))


def test_centroids_learn_by_the_sum_over_their_members() -> None:
    """Against the gradient of every weight of a network without sharing that has the same integers."""
    snn = share_weights(quantized(), 3)
    snn.freeze_norms()
    layer = snn.layers[0]
    codebook, unit = layer.codebook, float(layer.unit().detach())
    plain = SNN(SOURCE, STEPS, SPECS)
    state = {key: value for key, value in snn.state_dict().items() if "codebook" not in key}
    plain.load_state_dict(state)
    plain.set_integer(True)
    plain.train()
    plain.freeze_norms()
    with torch.no_grad():
        for index, name in enumerate(("hidden", "head")):
            W = snn.layers[index].integers(0, None)
            sign = layer.norm.sign()[:, None] if name == "hidden" else 1.0
            plain.layers[index].synapses.weight.copy_(W * sign * float(snn.layers[index].unit().detach()))
    losses = []
    for each in (snn, plain):
        logits = each(batch())
        losses.append(float(logits.detach().sum()))
        torch.nn.functional.cross_entropy(each.scores(logits), torch.arange(20) % 4).backward()
    assert losses[0] == losses[1]
    gradient = plain.layers[0].synapses.weight.grad * layer.norm.sign()[:, None]
    inside = codebook.integers(layer.synapses.quantizer, torch.tensor(unit)).abs() < 127
    summed = torch.zeros(len(inside)).index_add(0, codebook.place(0).flatten(), gradient.flatten())
    assert bool(inside.any())
    assert torch.allclose(codebook.centroids.grad[inside], summed[inside], rtol=1e-4, atol=1e-7)
    assert layer.synapses.weight.grad is None


def test_training_moves_centroids_and_keeps_places_and_pruned_weights() -> None:
    snn = quantized()
    pruned = torch.rand(9, 12, generator=torch.Generator().manual_seed(2)) < 0.5
    snn.layers[0].synapses.weight.data[pruned] = 0.0
    share_weights(snn, 3)
    before = exported(snn)
    places = snn.layers[0].codebook.place(0).clone()
    train(snn, 30)
    snn.layers[0].norm.gamma.data[1] *= -1  # a channel changes its sign, as it may in training
    after = exported(snn)
    assert torch.equal(snn.layers[0].codebook.place(0), places)
    assert before.node("hidden").codebook != after.node("hidden").codebook
    assert len(after.node("hidden").codebook or ()) <= 8
    W = weights(after, "hidden")
    assert (W[pruned.numpy()] == 0).all()
    assert (weights(before, "hidden")[pruned.numpy()] == 0).all()
    for place in range(8):  # still one integer each
        assert len(set(W[places.numpy() == place].tolist())) <= 1
    record: Recorder = []
    x = batch(5)
    assert_is(after, snn, record, snn(x, record), x.numpy().astype(np.uint8))


def test_a_network_that_shares_can_be_stored(tmp_path: Path) -> None:
    """Its state goes into a new network of the same layers, and its artifact into a file."""
    snn = share_weights(quantized(), {"head": 1})
    train(snn, 3)
    other = SNN(SOURCE, STEPS, SPECS, seed=9)
    other.load_state_dict(snn.state_dict())
    other.set_integer(True)
    assert torch.equal(other.eval()(batch()), snn.eval()(batch()))
    other.load_state_dict(quantized().state_dict())
    assert other.layers[1].codebook is None
    network = exported(snn)
    save(network, tmp_path / "shared.safetensors")
    assert load(tmp_path / "shared.safetensors").node("head").codebook == network.node("head").codebook
    snn.quantize()
    assert snn.layers[1].codebook is None


def test_layers_of_nothing_but_one_value() -> None:
    """Which a method refuses where it is 0."""
    snn = quantized()
    snn.layers[0].synapses.weight.data.zero_()
    snn.layers[1].synapses.weight.data.fill_(0.25)
    network = exported(share_weights(snn, 2))
    assert network.node("hidden").codebook == (0,)
    assert len(network.node("head").codebook or ()) == 1
    with pytest.raises(CompressError, match=r"^layer 'hidden' shares its weights already$"):
        share_weights(snn, {"hidden": 1})
    snn.quantize()
    (phase,) = Share(method="share", bits=2, epochs=1).phases()
    with pytest.raises(CompressError, match=r"^layer 'hidden': all values of its codebook would be 0; give it more"):
        phase.hooks.begin(snn, Task(lambda _: iter(()), seed=1))


@pytest.mark.parametrize(
    ("bits", "sentence"),
    [
        (
            8,
            "layer 'hidden': weights of 8 bits have 255 values, so a codebook of 8 bits saves nothing: give it wider "
            "weights, or a codebook of at most 7 bits",
        ),
        (
            {"head": 6},
            "layer 'head': weights of 6 bits have 63 values, so a codebook of 6 bits saves nothing: give it "
            "wider weights, or a codebook of at most 5 bits",
        ),
        ({"head": 0}, "layer 'head': the bits of a codebook must be at least 1, got 0"),
        ({"hdden": 2}, "there is no layer 'hdden' whose weights could be shared; there are hidden, head"),
    ],
)
def test_what_cannot_be_shared(bits: int | dict[str, int], sentence: str) -> None:
    snn = quantized()
    with pytest.raises(CompressError) as caught:
        share_weights(snn, bits)
    assert str(caught.value) == sentence
    assert all(layer.codebook is None for layer in snn.layers)


def test_zeros_take_one_value_of_a_codebook() -> None:
    """So of 1 bit one value would be left to all others; 2 bits hold three beside the zero."""
    snn = quantized([DenseSpec("hidden", 9, 8, NEURON), DenseSpec("head", 4, 2, None)])
    for layer in snn.layers:
        layer.synapses.mask = torch.ones_like(layer.synapses.weight, dtype=torch.bool)
    snn.layers[0].synapses.mask[0, 0] = False
    sentence = "layer '{}' has weights that are 0, so a codebook of 1 bit leaves the others one value: give it a "
    for name, advice in (("hidden", ""), ("head", " of weights of 3 bits or more")):
        with pytest.raises(CompressError) as caught:
            share_weights(snn, {name: 1})
        assert str(caught.value) == f"{sentence.format(name)}codebook of 2 bits or more{advice}"
    codebook = exported(share_weights(snn, {"hidden": 2})).node("hidden").codebook
    assert codebook is not None
    assert (0 in codebook, len(codebook)) == (True, 4)


def test_what_is_not_ready() -> None:
    snn = SNN(SOURCE, STEPS, [DenseSpec("hidden", 9, 1, NEURON), DenseSpec("head", 4, 6, None)])
    with pytest.raises(CompressError, match=r"^layer 'head' is in full precision; quantize the network before it"):
        share_weights(snn, {"head": 2})
    with pytest.raises(CompressError, match=r"weights of 1 bit have 2 values, so .* nothing: give it wider weights$"):
        share_weights(snn, 1)
    edges = (EdgeSpec("input"), EdgeSpec("loop", 1))
    graph = SNN(SOURCE, STEPS, [DenseSpec("loop", 9, 4, NEURON, edges=edges), DenseSpec("head", 4, 6, None)])
    graph.quantize()
    with pytest.raises(CompressError, match=r"^layer 'loop' has not seen a batch since it was quantized: train before"):
        share_weights(graph, 2)
    graph.train()
    graph(batch())
    network = exported(share_weights(graph, 2))
    found = set(weights(network, "loop").flat) | set(weights(network, "loop", 1).flat)
    assert tuple(sorted(found)) == network.node("loop").codebook
    assert len(found) <= 4


def test_cutting_channels_keeps_what_is_shared() -> None:
    """Of the hidden layer's rows and the head's columns; the silent channels that go change no logit."""
    snn = share_weights(quantized(), 2)
    with torch.no_grad():
        snn.layers[0].norm.gamma[[2, 5]] = 1e-6
        snn.layers[0].norm.beta[[2, 5]] = -50.0
    kept = [0, 1, 3, 4, 6, 7, 8]
    before, after = exported(snn), exported(cut_channels(snn, {"hidden": kept}))
    assert (weights(after, "hidden") == weights(before, "hidden")[kept]).all()
    assert (weights(after, "head") == weights(before, "head")[:, kept]).all()
    assert after.node("hidden").codebook == tuple(np.unique(weights(after, "hidden")))
    x = batch().numpy().astype(np.uint8)
    assert (run(before, x).logits == run(after, x).logits).all()


def test_methods_for_single_weights_come_first() -> None:
    snn = share_weights(quantized(), 2)
    snn.layers[0].synapses.rule = torch.nn.Identity()
    with pytest.raises(LayerError, match=r"^weights that are shared cannot be changed one by one: share them behind"):
        snn(batch())


def test_a_run_that_shares_resumes_to_the_same_bits(tmp_path: Path) -> None:
    made = parse_recipe(
        {
            "name": "shared",
            "dataset": "digits",
            "seed": 2,
            "network": {"time_steps": 2, "input": "direct", "weight_bits": 8},
            "train": {"float_epochs": 3, "epochs": 2, "batch": 64, "learning_rate": 5e-3},
            "layers": [{"name": "hidden", "op": "dense", "units": 48}, {"name": "out", "op": "dense", "units": 10}],
            "compress": [{"method": "share", "bits": 3, "epochs": 2}],
        }
    )
    result = train_recipe(made, tmp_path / "straight")
    network = export(tmp_path / "straight")
    assert all(2 <= len(node.codebook or ()) <= 8 for node in network.nodes)
    data = load_dataset("digits")
    classes = run(network, encode(network, data.test_x)).classes
    assert float((classes == data.test_y).mean()) == result.integer_accuracy > 0.8

    train_until(made, tmp_path / "killed", ("share", 2, 3))
    train_recipe(made, tmp_path / "killed")
    assert content_hash(export(tmp_path / "killed")) == content_hash(network)


STDS = {"method": "stds", "depth": 1.0, "search_epochs": 1, "epochs": 1}


def test_zeros_of_a_method_before_are_known(tmp_path: Path) -> None:
    form: dict[str, Any] = {
        "name": "x",
        "dataset": "digits",
        "network": {"time_steps": 2},
        "train": {"float_epochs": 1, "epochs": 1},
        "compress": [STDS, {"method": "share", "bits": 1, "epochs": 1}],
        "layers": [{"name": "hidden", "op": "dense", "units": 4}, {"name": "out", "op": "dense", "units": 10}],
    }
    with pytest.raises(
        RecipeError, match=r"^compress\[1\] \(share\): layer 'hidden' has weights that are 0, so a codeb"
    ):
        train_recipe(parse_recipe(form), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("compress", "sentence"),
    [
        ({"bits": 4}, "compress[0] (share): layer 'hidden': weights of 4 bits have 15 values, so a codebook of 4 bits"),
        ({"bits": 2, "layers": ["hiden"]}, "compress[0] (share): there is no layer 'hiden' whose weights could be"),
        ({"bits": 2, "at": "float"}, "'compress[0].at' must be 'qat', got 'float'"),
    ],
)
def test_a_recipe_that_cannot_share_says_so_before_training(
    compress: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    layers = [{"name": "hidden", "op": "dense", "units": 4}, {"name": "out", "op": "dense", "units": 10}]
    form = {"name": "x", "dataset": "digits", "seed": 1, "layers": layers}
    form |= {
        "train": {"float_epochs": 1, "epochs": 1},
        "network": {"time_steps": 2, "input": "direct"},
        "compress": [{"method": "share", "epochs": 1, **compress}],
    }
    with pytest.raises(RecipeError) as caught:
        train_recipe(parse_recipe(form), tmp_path / "run")
    assert str(caught.value).startswith(sentence)
    assert not (tmp_path / "run").exists()
