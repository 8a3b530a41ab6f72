"""Fewer synapses, fewer spikes, fewer steps: what each method promises is in the integer network that is exported."""

import re
from dataclasses import replace
from math import pi, sin
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sw.killed import train_until
from sw.nets import assert_is, cases

from mintaka.artifact import Input, Network, content_hash, encode, run
from mintaka.compress import METHODS, SLATS, STDS, CompressError, Task, with_steps, zero_share
from mintaka.compress.activity import mean_membrane, mean_rate
from mintaka.compress.scores import spiking_layers
from mintaka.compress.soft import fix_zeros, soft, sparse_edges
from mintaka.compress.sops import attach_gates, close_gates, open_share
from mintaka.compress.steps import check_alive
from mintaka.data import load_dataset
from mintaka.snn.export import to_artifact
from mintaka.snn.layers import Head, Recorder, Spiking
from mintaka.snn.network import SNN, ForwardRecord
from mintaka.snn.specs import ConvSpec, DenseSpec, NeuronSpec, parse_leak
from mintaka.train import Recipe, RecipeError, Step, export, parse_recipe, train

NEURON = NeuronSpec(4, parse_leak("V>>1"), "zero")


# ---- soft thresholds


def at_least_two_bits(snn: SNN) -> None:
    """1 bit has no zero."""
    for index, (spec, layer) in enumerate(zip(snn.specs, snn.layers, strict=True)):
        if isinstance(spec, DenseSpec | ConvSpec):
            snn.specs[index] = replace(spec, weight_bits=max(2, spec.weight_bits))
            for edge in layer.edges:
                edge.quantizer.bits = max(2, edge.quantizer.bits)


def test_soft_threshold_and_its_gradient() -> None:
    theta = torch.tensor([-3.0, -0.5, 0.0, 0.4, 2.0], requires_grad=True)
    w = soft(theta, 0.5)
    assert w.tolist() == [-2.5, 0, 0, 0, 1.5]
    (w * torch.arange(5.0)).sum().backward()
    assert theta.grad is not None
    assert theta.grad.tolist() == [0, 1, 2, 3, 4]  # in the dead zone, too


def test_schedules() -> None:
    """From 0 to 1, as the papers write them; S-LATS rises with the cosine learning rate."""
    form = {"depth": 1.0, "search_epochs": 2, "epochs": 1}
    stds, slats = STDS.model_validate({"method": "stds"} | form), SLATS.model_validate({"method": "slats"} | form)
    for progress in (0.0, 0.25, 0.5, 1.0):
        assert stds.share(progress) == pytest.approx((1 + sin(pi * (progress - 0.5))) / 2)
        slope = (slats.share(progress + 1e-6) - slats.share(progress)) / 1e-6
        assert slope == pytest.approx(1 + np.cos(pi * progress), abs=1e-4)
    assert (slats.share(0.0), slats.share(1.0)) == (0, pytest.approx(1))


@pytest.mark.parametrize("graph", [False, True], ids=["sequence", "graph"])
@settings(max_examples=20)
@given(data=st.data())
def test_zeros_survive_quantization(graph: bool, data: st.DataObject) -> None:
    """On any network: masked weights are 0 in the artifact, which still equals the forward in every number."""
    case = data.draw(cases(images=data.draw(st.booleans()), graph=graph))
    snn = case.snn
    snn.set_integer(False)
    for layer in snn.layers:
        if isinstance(layer, Spiking | Head):
            layer.codebook = None  # shared weights are not changed one by one
    at_least_two_bits(snn)
    edges = [edge for found in sparse_edges(snn).values() for edge in found]
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    for edge in edges:
        edge.weight.data *= torch.rand(edge.weight.shape, generator=rng) < 0.5
        edge.weight.data.flatten()[0] = 0.1
    fix_zeros(snn)
    snn.quantize()
    snn.train()
    optimizer = torch.optim.Adam(snn.parameters(), lr=0.05)
    loss = snn.scores(snn(case.x)).square().mean()
    loss.backward()
    optimizer.step()
    snn.eval()
    network, record = to_artifact(snn, "case"), Recorder()
    assert_is(network, snn, record, snn(case.x, record), case.inputs)
    for spec, reads, layer in zip(snn.specs, snn.edges, snn.layers, strict=True):
        for read, edge, built in zip(reads, getattr(layer, "edges", []), network.node(spec.name).inputs, strict=False):
            assert built.weight is not None
            assert read.source == built.node
            if edge.mask is not None:
                assert not built.weight.values[~edge.mask.numpy()].any()


def test_a_layer_without_synapses_is_named() -> None:
    snn = SNN(Input("input", (6,), "spikes", 1), 3, [DenseSpec("a", 5, 4, NEURON), DenseSpec("head", 3, 4, None)])
    snn.layers[0].synapses.weight.data.zero_()
    with pytest.raises(CompressError, match="no synapse of layer 'a' would be left"):
        fix_zeros(snn)


# ---- learned masks


@pytest.mark.parametrize("images", [True, False])
@settings(max_examples=20)
@given(data=st.data())
def test_open_gates_change_nothing_and_closed_ones_cut(images: bool, data: st.DataObject) -> None:
    """On any graph: all gates fully open are the network; hard ones are the network that is left."""
    case = data.draw(cases(images=images, graph=True))
    snn = case.snn.eval()
    assume(all(getattr(layer, "codebook", None) is None for layer in snn.layers))  # shared weights keep their places
    at_least_two_bits(snn)
    for found in sparse_edges(snn).values():
        for edge in found:
            edge.weight.data.flatten()[0] = 0.1
    before = snn(case.x)
    attach_gates(snn)
    assert 0 < float(open_share(snn).detach()) < 2
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    for edge in (edge for layer in snn.layers for edge in getattr(layer, "edges", [])):
        edge.rule.beta = 1e9  # sigma is exactly 0 or 1
    assert torch.equal(snn(case.x), before)
    for parameter in {p for name, p in snn.named_parameters() if ".rule." in name}:
        parameter.data = torch.where(torch.rand(parameter.shape, generator=rng) < 0.3, -1.0, 1.0)
        parameter.data.flatten()[0] = 1.0
    gated = snn(case.x)
    assert torch.equal(close_gates(snn)(case.x), gated)


def test_closed_neurons_stay_to_fill_lanes() -> None:
    """Those with the largest a_n; beyond the layer's width all of them."""
    a = torch.tensor([0.5, -0.3, -0.1, 0.2, -0.2, -0.4])
    for multiple, kept in ((1, [0, 3]), (2, [0, 3]), (3, [0, 2, 3]), (4, [0, 2, 3, 4]), (7, [0, 1, 2, 3, 4, 5])):
        specs = [DenseSpec("a", 6, 4, NEURON), DenseSpec("head", 3, 4, None)]
        snn = SNN(Input("input", (5,), "spikes", 1), 3, specs)
        attach_gates(snn)
        snn.layers[1].synapses.rule.units.a.data = a
        weight = snn.layers[0].synapses.weight.detach().clone()
        assert torch.equal(close_gates(snn, multiple).layers[0].synapses.weight, weight[kept])


# ---- activity


def test_rates_and_membranes_are_those_of_the_forward() -> None:
    """The measures from a record of the same forward, and gradients where the surrogate has none."""
    snn = SNN(
        Input("input", (6,), "spikes", 1),
        4,
        [
            DenseSpec("a", 5, 4, NeuronSpec(4, parse_leak("V>>1"), "subtract", refractory=2)),
            DenseSpec("b", 7, 4, NEURON),
            DenseSpec("head", 3, 4, None),
        ],
    )
    snn.quantize()
    x = torch.randint(0, 2, (9, 4, 6), generator=torch.Generator().manual_seed(1)).float()
    snn(x)
    snn.layers[1].norm.beta.data.fill_(9.0)  # far above its threshold
    snn.eval()
    seen, record = ForwardRecord(membranes={}), Recorder()
    torch.testing.assert_close(snn(x, seen=seen), snn(x, record))
    rate, membrane = mean_rate(snn, seen), mean_membrane(snn, seen)
    spikes = sum(float(scan.s.sum()) for scan in record[:2])
    assert float(rate.detach()) == pytest.approx(spikes / (9 * 4 * 12))
    wanted = 0.0
    for scan, layer in zip(record[:2], spiking_layers(snn).values(), strict=True):
        v = scan.k * layer.norm.folded().gain.float().detach()
        if layer.neuron.refractory:
            for t in range(4):
                v[t] *= scan.s[max(0, t - 2) : t].sum(0) == 0
        wanted += float(v.clamp(min=0).sum())
    assert float(membrane.detach()) == pytest.approx(wanted / (9 * 4 * 12), rel=1e-5)
    (none,) = torch.autograd.grad(rate, [snn.layers[1].norm.beta], retain_graph=True)
    (some,) = torch.autograd.grad(membrane, [snn.layers[1].norm.beta])
    assert not none.any()
    assert (some > 0).all()


# ---- steps


def test_fewer_steps_are_another_network() -> None:
    snn = SNN(Input("input", (6,), "direct", 4), 4, [DenseSpec("a", 5, 4, NEURON), DenseSpec("head", 3, 4, None)])
    new = with_steps(snn, 1)
    assert (snn.time_steps, new.time_steps) == (4, 1)
    assert torch.equal(new.layers[0].synapses.weight, snn.layers[0].synapses.weight)
    for steps in (4, 5, 0):
        with pytest.raises(CompressError, match=f"{steps} steps are not fewer than the network's 4, or less than 1"):
            with_steps(snn, steps)
    snn.eval()
    snn.layers[0].norm.beta.data.fill_(-100.0)
    x = torch.ones(3, 6)
    with pytest.raises(CompressError, match="with 4 time steps no neuron of layer 'a' fires at any training sample"):
        check_alive(snn, [(x, torch.zeros(3, dtype=torch.int64))])


def test_data_with_steps_keep_them() -> None:
    method = METHODS["steps"].model_validate({"method": "steps", "time_steps": 2, "epochs": 1})
    snn = SNN(Input("input", (6,), "spikes", 1), 4, [DenseSpec("head", 3, 4, None)])
    method.check(snn, Task(lambda _: iter([]), 0))
    with pytest.raises(CompressError, match="the data have time steps of their own"):
        method.check(snn, Task(lambda _: iter([]), 0, temporal=True))


# ---- in a run


def recipe(*methods: dict[str, Any], **changes: Any) -> Recipe:
    form: dict[str, Any] = {
        "name": "sparse",
        "dataset": "digits",
        "seed": 5,
        "network": {"time_steps": 4},
        "train": {"float_epochs": 3, "epochs": 3, "batch": 64, "learning_rate": 5e-3},
        "compress": list(methods),
        "layers": [{"name": "hidden", "op": "dense", "units": 48}, {"name": "out", "op": "dense", "units": 10}],
    }
    return parse_recipe(form | changes)


def counts(network: Network) -> tuple[float, float, float, float]:
    """Share of zero weights, hidden spikes and SOPs per sample, accuracy."""
    data = load_dataset("digits")
    result = run(network, encode(network, data.test_x))
    weights = [edge.weight.values for node in network.nodes for edge in node.inputs if edge.weight is not None]
    zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)
    right = float((result.classes == data.test_y).mean())
    return zeros, float(result.spikes["hidden"].mean()), float(result.total_sops.mean()), right


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float, float, float]:
    folder = tmp_path_factory.mktemp("plain")
    train(recipe(), folder)
    return counts(export(folder))


SOFT = {"depth": 2.0, "search_epochs": 4, "epochs": 2}
RUNS: dict[str, list[dict[str, Any]]] = {
    "stds": [{"method": "stds", **SOFT}],
    "slats": [{"method": "slats", **SOFT, "at": "qat"}],
    "sops": [{"method": "sops", "strength": 1.0, "search_epochs": 8, "epochs": 3}],
    "rate": [{"method": "activity", "strength": 5.0, "epochs": 6, "at": "qat"}],
    "membrane": [{"method": "activity", "strength": 1.0, "epochs": 6, "of": "membrane", "at": "qat"}],
    "steps": [{"method": "steps", "time_steps": t, "epochs": 2, "at": at} for t, at in ((2, "float"), (1, "qat"))],
}


@pytest.mark.parametrize("name", RUNS)
def test_runs_save_what_they_promise_and_resume(
    name: str, plain: tuple[float, float, float, float], tmp_path: Path
) -> None:
    made, seen = recipe(*RUNS[name]), list[Step]()
    result = train(made, tmp_path / "straight", progress=seen.append)
    network = export(tmp_path / "straight")
    zeros, spikes, sops, accuracy = counts(network)
    assert accuracy == result.integer_accuracy > plain[3] - 0.06
    if name in ("stds", "slats"):
        assert zeros > 0.6 > plain[0]
        assert sops < 0.6 * plain[2]
    elif name == "sops":
        assert zeros > 1.3 * plain[0]
        assert sops < 0.7 * plain[2]
        assert network.node("hidden").shape_out[0] < 48
    elif name in ("rate", "membrane"):
        assert spikes < 0.7 * plain[1]
    else:
        assert network.time_steps == 1
        assert spikes < 0.5 * plain[1]
    for place in {step.phase: (step.phase, step.epoch, 5) for step in seen}.values():
        train_until(made, tmp_path / "killed", place)
    train(made, tmp_path / "killed")
    assert content_hash(export(tmp_path / "killed")) == content_hash(network)


def test_zeros_are_those_of_the_training(tmp_path: Path) -> None:
    """All that the soft threshold left out is 0 in the artifact, and the trained network says the same share."""
    train(recipe(*RUNS["slats"]), tmp_path)
    network = export(tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    for index, name in enumerate(("hidden", "out")):
        weight = network.node(name).inputs[0].weight
        mask = state[f"layers.{index}.synapses.mask"].numpy()
        assert weight is not None
        assert not weight.values[~mask].any()
        assert mask.mean() < 0.5


def test_zero_share() -> None:
    snn = SNN(Input("input", (4,), "spikes", 1), 3, [DenseSpec("a", 2, 4, NEURON), DenseSpec("head", 2, 4, None)])
    snn.layers[0].synapses.weight.data[0] = 0
    assert zero_share(snn) == 4 / 12


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ({"method": "stds", **SOFT}, "compress[0] (stds): layer 'hidden' has weights of 1 bit, which cannot be 0"),
        ({"method": "steps", "time_steps": 4, "epochs": 1}, "compress[0] (steps): 4 steps are not fewer"),
    ],
)
def test_what_cannot_be_is_said_before_training(method: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        train(recipe(method, network={"time_steps": 4, "weight_bits": 1}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
