"""Structured pruning: what goes, what stays, and runs that prune on their way."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sw.killed import train_until

from mintaka.artifact import ConvGeometry, Input, content_hash, encode, run
from mintaka.compress import CompressError, Target, choose, cut_channels, families, mask_channels, small
from mintaka.compress.method import Task
from mintaka.compress.scores import firing_rates, gamma_scores, pca_widths, regrowth_scores
from mintaka.compress.structured import fitting, prune_random, remask, slim
from mintaka.data import load_dataset
from mintaka.snn.export import to_artifact
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, parse_leak
from mintaka.train import Recipe, RecipeError, Step, export, parse_recipe, to_toml, train

NEURON = NeuronSpec(4, parse_leak("V>>1"), "zero")


def dense(*widths: int) -> SNN:
    specs = [DenseSpec(f"h{i}", width, 4, NEURON) for i, width in enumerate(widths)]
    return SNN(Input("input", (8,), "spikes", 1), 3, [*specs, DenseSpec("head", 3, 4, None)], seed=1)


def batches(snn: SNN, samples: int = 40) -> list[tuple[torch.Tensor, torch.Tensor]]:
    rng = torch.Generator().manual_seed(2)
    x = torch.randint(0, 2, (samples, snn.time_steps, *snn.source.shape), generator=rng).float()
    return [(x[: samples // 2], torch.arange(samples // 2) % 3), (x[samples // 2 :], torch.arange(samples // 2) % 3)]


def test_the_lowest_scores_go() -> None:
    snn = dense(6, 4)
    scores = {"h0": torch.tensor([5.0, 0, 4, 1, 3, 2]), "h1": torch.tensor([0.5, 9, 8, 7])}
    assert choose(snn, scores, Target(0.3)) == {"h0": [0, 2, 4, 5], "h1": [1, 2, 3]}
    assert choose(snn, scores, Target(0.5, "layer")) == {"h0": [0, 2, 4], "h1": [1, 2]}
    assert choose(snn, scores, Target(0.5, "layer", layers=("h1",))) == {"h1": [1, 2]}
    assert choose(snn, scores, Target(0.6, least=2)) == {"h0": [0, 2], "h1": [1, 2]}
    assert choose(snn, scores, Target(0.6, multiple=4)) == {"h0": [0, 2, 4, 5], "h1": [0, 1, 2, 3]}
    assert choose(snn, scores, Target(0.3, multiple=5))["h1"] == [0, 1, 2, 3]  # there are no five


def test_tied_layers_go_together() -> None:
    """A unit's score is the mean of its channels; one group of a depthwise convolution goes with what it reads."""
    source = Input("input", (1, 4, 4), "direct", 4)
    geometry = ConvGeometry((1, 1), (0, 0), 1)
    specs = [
        ConvSpec("a", 3, (1, 1), geometry, 4, NEURON),
        ConvSpec("deep", 6, (1, 1), ConvGeometry((1, 1), (0, 0), 3), 4, NEURON),
        ConvSpec("b", 3, (1, 1), geometry, 4, NEURON),
        JoinSpec("join", "or", (EdgeSpec("a"), EdgeSpec("b"))),
        DenseSpec("head", 3, 4, None),
    ]
    snn = SNN(source, 2, specs)
    scores = {
        "a": torch.tensor([0.0, 9, 9]),
        "deep": torch.tensor([9.0, 9, 0, 0, 9, 9]),
        "b": torch.tensor([9.0, 0, 9]),
    }
    keep = choose(snn, scores, Target(0.3))
    assert [family.layers for family in families(snn)] == [("a", "deep", "b", "join")]
    new = cut_channels(snn, keep)
    assert [signal.shape[0] for signal in new.signals.values()] == [1, 2, 4, 2, 2, 3]
    assert torch.equal(new.layers[0].synapses.weight, snn.layers[0].synapses.weight[[0, 2]])


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (Target(1.0), "a share of 1.0 cannot be removed"),
        (Target(0.95), "removing 0.95 of all 10 channels would empty a layer: at most 0.8 can go"),
        (Target(0.9, "layer"), "removing 0.9 of the 4 channels of layer 'h1' would leave 0 of them; at least 1"),
        (Target(0.5, "layer", least=3), "of layer 'h1' would leave 2 of them; at least 3 must stay"),
        (Target(0.5, layers=("h2",)), "layer 'h2' cannot be pruned: it does not exist"),
        (Target(0.5, layers=("head",)), "layer 'head' cannot be pruned: it is the head"),
    ],
)
def test_impossible_targets_are_named(target: Target, sentence: str) -> None:
    with pytest.raises(CompressError, match=re.escape(sentence)):
        slim(dense(6, 4), target)


def test_nothing_to_prune() -> None:
    with pytest.raises(CompressError, match="there is nothing to prune"):
        slim(dense(), Target(0.5))


def test_gamma_with_beta() -> None:
    """Small gammas go first, but also large ones that can never fire; one that always fires is constant, too."""
    snn = dense(5)
    snn.layers[0].norm.gamma.data = torch.tensor([-1.0, 0.01, 0.5, 1.0, 0.01])
    snn.layers[0].norm.beta.data = torch.tensor([0.0, 0, 0, -9, 2])
    order = gamma_scores(snn)["h0"].argsort(stable=True).tolist()
    assert set(order[:3]) == {1, 3, 4}
    assert order[3:] == [2, 0]
    assert slim(snn, Target(0.6)).layers[0].norm.gamma.tolist() == [-1.0, 0.5]


def test_rates_are_exact_counts() -> None:
    """Of the integer network: the reference's numbers of spikes."""
    snn = dense(6, 4)
    snn.quantize()
    snn(batches(snn)[0][0])
    rates = firing_rates(snn, batches(snn))
    assert snn.training
    x = torch.cat([x for x, _ in batches(snn)]).numpy().astype(np.uint8)
    trace = run(to_artifact(snn.eval(), "net"), x, trace=True).trace
    for name, rate in rates.items():
        spikes = trace[name].s
        assert spikes is not None
        assert rate.tolist() == (spikes.sum((0, 1)) / (len(x) * 3)).tolist()


def test_regrowth_sees_masked_channels() -> None:
    """Without masks it is the gradient; a masked channel has one, too, though training gives it none."""
    snn = dense(6)
    snn(batches(snn)[0][0])
    loss = sum(
        torch.nn.functional.cross_entropy(snn.scores(snn(x)), y, reduction="sum") for x, y in batches(snn.eval())
    )
    (grad,) = torch.autograd.grad(loss, [snn.layers[0].norm.gamma])
    torch.testing.assert_close(regrowth_scores(snn, batches(snn))["h0"], grad.abs().double())
    mask_channels(snn, {"h0": [0, 1, 2, 3]})
    snn.train()
    torch.nn.functional.cross_entropy(snn.scores(snn(batches(snn)[0][0])), batches(snn)[0][1]).backward()
    assert snn.layers[0].norm.gamma.grad[4:].tolist() == [0, 0]
    assert (regrowth_scores(snn, batches(snn))["h0"][4:] > 0).all()
    assert snn.layers[0].mask.tolist() == [True] * 4 + [False] * 2


def test_remasking_lets_the_best_come_back() -> None:
    snn = dense(8)
    snn(batches(snn)[0][0])
    task = Task(batches, 0)
    remask(snn, Target(0.5), task, 0.0)
    first = snn.layers[0].mask.clone()
    rates = firing_rates(snn, batches(snn))["h0"]
    gain = regrowth_scores(snn, batches(snn))["h0"]
    remask(snn, Target(0.5), task, 0.25)
    second = snn.layers[0].mask
    assert (int(first.sum()), int(second.sum())) == (4, 4)
    back = (second & ~first).nonzero().flatten().tolist()
    assert back == [int(torch.where(first, -1.0, gain).argmax())]
    gone = (first & ~second).nonzero().flatten().tolist()
    assert gone == [int(torch.where(first, rates, 9.0).argmin())]


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
def test_pca_widths_are_those_of_sklearn(variance: float) -> None:
    geometry = ConvGeometry((1, 1), (1, 1), 1)
    specs = [
        ConvSpec("conv", 7, (3, 3), geometry, 4, NEURON),
        DenseSpec("hid", 9, 4, NEURON),
        DenseSpec("head", 3, 4, None),
    ]
    snn = SNN(Input("input", (2, 4, 4), "spikes", 1), 3, specs, seed=3)
    snn(batches(snn)[0][0])
    record: list[Any] = []
    snn.eval()(torch.cat([x for x, _ in batches(snn)]), record)
    widths = pca_widths(snn, batches(snn), variance)
    K = record[0].k.mean(0).permute(0, 2, 3, 1).flatten(0, 2).numpy()
    assert widths["conv"] == PCA(variance, svd_solver="full").fit(K).n_components_
    assert widths["hid"] == PCA(variance, svd_solver="full").fit(record[1].k.mean(0).numpy()).n_components_
    assert fitting(snn, widths) == widths
    rounded = {name: min(most, -(-widths[name] // 4) * 4) for name, most in (("conv", 7), ("hid", 9))}
    assert fitting(snn, widths, 4) == rounded


def test_the_small_network_has_fresh_weights() -> None:
    snn = dense(6, 4)
    new = small(snn, {"h0": 3}, seed=7)
    assert [signal.shape[0] for signal in new.signals.values()] == [8, 3, 4, 3]
    other = small(snn, {"h0": 3}, seed=8)
    assert not torch.equal(new.layers[0].synapses.weight, other.layers[0].synapses.weight)
    assert torch.equal(small(snn, {}, seed=1).layers[0].synapses.weight, snn.layers[0].synapses.weight)
    for widths, sentence in (({"h0": 7}, "from 1 to 6 are possible"), ({"head": 2}, "cannot get another width")):
        with pytest.raises(CompressError, match=sentence):
            small(snn, widths, seed=1)


def test_random_is_the_seeds() -> None:
    weights = [prune_random(dense(30), Target(0.5), seed).layers[0].synapses.weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# ---- in a run


def recipe(*methods: dict[str, Any], **changes: Any) -> Recipe:
    form: dict[str, Any] = {
        "name": "pruned",
        "dataset": "digits",
        "seed": 5,
        "network": {"time_steps": 2},
        "train": {"float_epochs": 2, "epochs": 2, "batch": 128, "learning_rate": 0.01},
        "compress": list(methods),
        "layers": [
            {"name": "conv", "op": "conv2d", "channels": 8, "kernel": 3, "stride": 2, "padding": 1},
            {"name": "hidden", "op": "dense", "units": 24, "reset": "subtract"},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }
    return parse_recipe(form | changes)


SLIM = {"method": "slim", "remove": 0.5, "sparse_epochs": 2, "epochs": 1, "strength": 1e-2}
SCA = {"method": "sca", "remove": 0.5, "search_epochs": 3, "epochs": 1, "at": "qat", "scope": "layer"}
SDSNN = {"method": "sdsnn", "remove": 0.5, "search_epochs": 6, "patience": 1, "epochs": 1, "scope": "layer"}
METHODS: dict[str, list[dict[str, Any]]] = {
    "slim": [SLIM],
    "slim-then-small": [SLIM | {"scope": "layer", "sparse_epochs": 1}, {"method": "small", "epochs": 3}],
    "random": [{"method": "random", "remove": 0.5, "epochs": 2, "multiple": 4}],
    "sca": [SCA],
    "sca-rounded": [SCA | {"multiple": 5}],
    "sdsnn": [SDSNN],
    "sdsnn-rounded": [SDSNN | {"multiple": 5}],
    "pca": [{"method": "pca", "variance": 0.8, "epochs": 3}],
    "pca-rounded": [{"method": "pca", "variance": 0.6, "epochs": 3, "multiple": 5}],
    "twice": [SLIM | {"remove": 0.3}, SCA | {"remove": 0.3}],
}


@pytest.mark.parametrize("name", METHODS)
def test_runs_prune_learn_and_resume(name: str, tmp_path: Path) -> None:
    """Every run is killed once in the middle of each of its phases; the bits are those of an undisturbed one."""
    made = recipe(*METHODS[name])
    seen: list[Step] = []
    result = train(made, tmp_path / "straight", progress=seen.append)
    network = export(tmp_path / "straight")
    names = list(dict.fromkeys(step.phase for step in seen))
    assert names[0] == "float"
    assert names.index("qat") == len(names) - 1 - (2 if name in ("sca", "sca-rounded", "twice") else 0)
    before = {"conv": 8, "hidden": 24}
    after = {node.name: node.shape_out[0] for node in network.nodes[:-1]}
    if name.endswith("-rounded"):
        assert all(width % 5 == 0 for width in after.values())
        if name != "pca-rounded":
            assert after == {"conv": 5, "hidden": 15}  # of 4 and 12 that would be left; masked ones are among them
    elif name != "pca":
        share = 0.3 if name == "twice" else 0.5
        left = round((1 - share) * 32) if name != "twice" else sum(after.values())
        assert sum(after.values()) == left if name != "random" else all(v % 4 == 0 for v in after.values())
    assert all(after[layer] <= width for layer, width in before.items())
    assert sum(after.values()) < 32
    assert result.integer_accuracy > 0.5
    data = load_dataset("digits")
    integer = run(network, encode(network, data.test_x)).classes == data.test_y
    assert integer.mean() == result.integer_accuracy == network.provenance["integer_accuracy"]
    assert network.provenance["recipe"]["compress"][0]["method"] == METHODS[name][0]["method"]

    places = {step.phase: (step.phase, step.epoch, 5) for step in seen}
    for place in places.values():
        train_until(made, tmp_path / "killed", place)
    train(made, tmp_path / "killed")
    assert content_hash(export(tmp_path / "killed")) == content_hash(network)


def test_methods_of_one_kind_have_names_of_their_own(tmp_path: Path) -> None:
    half = {"method": "random", "remove": 0.5, "epochs": 1}
    result = train(recipe(half, half), tmp_path)
    phases = [epoch.phase for epoch in result.history]
    assert phases == ["float", "float", "random", "random-2", "qat", "qat"]
    assert [node.shape_out[0] for node in export(tmp_path).nodes[:-1]][1] < 24
    assert all(a.phase != b.phase or a.epoch + 1 == b.epoch for a, b in pairwise(result.history))


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (
            [{"method": "slin", "epochs": 1}],
            "compress[0].method is 'slin'; possible: slim, sca, sdsnn, pca, random, small",
        ),
        ([{"epochs": 1}], "compress[0].method is missing; possible: slim"),
        ([SLIM | {"streng": 1}], "the key 'compress[0].streng' is unknown; did you mean 'compress[0].strength'?"),
        ([SLIM | {"remove": 1.0}], "'compress[0].remove' must be less than 1, got 1.0"),
        ([SLIM | {"epochs": -1}], "'compress[0].epochs' must be at least 0, got -1"),
        ([SCA, SLIM], "compress[1].at is 'float', but it stands behind compress[0], which is at 'qat'"),
    ],
)
def test_wrong_tables_are_named(methods: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        recipe(*methods)


def test_what_cannot_be_is_said_before_training(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    sentence = "compress[1] (slim): removing 0.95 of the 8 channels of layer 'conv' would leave 0 of them"
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        train(recipe(SLIM, SLIM | {"remove": 0.95, "scope": "layer"}), folder)
    with pytest.raises(RecipeError, match=r"looks at a trained network, but 'train\.float_epochs' is 0"):
        train(recipe(SLIM, train={"float_epochs": 0, "epochs": 1}), folder)
    with pytest.raises(RecipeError, match=re.escape("layer 'hidden' cannot have 25 channels: from 1 to 24")):
        train(recipe({"method": "small", "epochs": 1, "widths": {"hidden": 25}}), folder)
    assert not folder.exists()


def test_recipes_with_methods_are_written_and_read() -> None:
    made = recipe(SLIM, {"method": "small", "epochs": 1, "widths": {"hidden": 12}}, SCA)
    assert parse_recipe(tomllib.loads(to_toml(made))) == made
