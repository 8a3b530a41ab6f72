"""Cutting channels off is masking their spikes: generated networks, in every K, spike and membrane that stays."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import examples
from sw.nets import Case, assert_is, cases

from mintaka.artifact import ConvGeometry, Input, IntTensor, Network, Pool, run
from mintaka.compress import CompressError, cut_channels, families, mask_channels
from mintaka.snn.errors import LayerError
from mintaka.snn.export import to_artifact
from mintaka.snn.layers import Head, Recorder, Spiking
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, PoolSpec, parse_leak

NEURON = NeuronSpec(4, parse_leak("V>>1"), "zero")


def draw_keep(data: st.DataObject, snn: SNN) -> dict[str, list[int]]:
    """Some units of some families, named by one of their layers."""
    keep = {}
    for family in families(snn):
        number = len(family.units)
        chosen = data.draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=number))
        name = data.draw(st.sampled_from(family.layers))
        keep[name] = sorted(c for index in chosen for c in family.units[index][name])
    return keep


def kept_by(snn: SNN, keep: dict[str, list[int]]) -> dict[str, list[int]]:
    """What stays of each layer, worked out here once more: by units."""
    kept = {name: list(range(signal.shape[0])) for name, signal in snn.signals.items()}
    for family in families(snn):
        (name,) = [n for n in family.layers if n in keep]
        units = [unit for unit in family.units if set(unit[name]) <= set(keep[name])]
        for layer in family.layers:
            kept[layer] = sorted(c for unit in units for c in unit[layer])
    return kept


def silenced(network: Network, kept: dict[str, list[int]]) -> Network:
    """The artifact in which other channels' thresholds are out of reach."""
    nodes = []
    for node in network.nodes:
        if node.neuron is not None and len(kept[node.name]) < node.shape_out[0]:
            T = np.full(node.shape_out[0], 2**31 - 1, np.int32)
            T[kept[node.name]] = node.neuron.threshold.values[kept[node.name]]
            node = replace(node, neuron=replace(node.neuron, threshold=IntTensor(T, 32)))
        nodes.append(node)
    return replace(network, nodes=tuple(nodes))


@pytest.mark.parametrize("graph", [False, True], ids=["sequence", "graph"])
@pytest.mark.parametrize("images", [True, False])
@examples(25)
@given(data=st.data())
def test_cutting_is_masking(images: bool, graph: bool, data: st.DataObject) -> None:
    case: Case = data.draw(cases(images, graph))
    snn = case.snn.eval()
    for layer in snn.layers:
        if isinstance(layer, Spiking | Head):  # a learned step moves, the shifts that were chosen from it stay
            layer.synapses.quantizer.learned.data += data.draw(st.sampled_from([0.0, 1.5]))
    keep = draw_keep(data, snn)
    kept = kept_by(snn, keep)
    if not data.draw(st.booleans()):  # the float network: with these weights its sums are exact in any order, too
        snn.set_integer(False)
        for layer in snn.layers:
            for synapses in layer.edges if isinstance(layer, Spiking | Head) else []:
                synapses.weight.data.mul_(16).round_().div_(16)
    small = cut_channels(snn, keep)
    reference = to_artifact(snn, "case") if snn.integer else None
    mask_channels(snn, keep)
    records: list[Recorder] = [[], []]
    masked, cut = (net(case.x, record) for net, record in zip((snn, small), records, strict=True))
    assert torch.equal(masked, cut)
    names = [spec.name for spec in snn.specs if not isinstance(spec, PoolSpec | JoinSpec)]
    for name, before, after in zip(names, *records, strict=True):
        for a, b in ((before.k, after.k), (before.s, after.s), (before.u, after.u), (before.j, after.j)):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                assert torch.equal(a[:, :, kept[name]].double(), b.double()), name
        gone = [c for c in range(before.s.shape[2]) if c not in kept[name]]
        assert not before.s[:, :, gone].any()
    if reference is not None:
        assert_is(to_artifact(small, "case"), small, records[1], cut, case.inputs)
        expected = run(silenced(reference, kept), case.inputs)
        np.testing.assert_array_equal(cut.detach().double().numpy(), expected.logits)
        assert {n: list(v) for n, v in expected.spikes.items()} == {
            n: list(v) for n, v in run(to_artifact(small, "case"), case.inputs).spikes.items()
        }


def test_variety() -> None:
    """Families of one and of several layers, groups, and real cuts occur in these networks."""
    seen: Counter[object] = Counter()

    @settings(max_examples=250, database=None)
    @given(cases(images=True, graph=True))
    def look(case: Case) -> None:
        for family in families(case.snn):
            seen["layers", min(3, len(family.layers))] += 1
            seen["grouped"] += any(len(unit[name]) > 1 for unit in family.units for name in family.layers)
            seen["several"] += len(family.units) > 1

    look()
    assert min(seen["layers", 1], seen["layers", 2], seen["layers", 3], seen["grouped"], seen["several"]) > 0, seen


def test_a_cut_network_learns_and_keeps_its_masks() -> None:
    """Gradients, masks of weights, and the running statistics of what stays."""
    source = Input("input", (6,), "spikes", 1)
    snn = SNN(source, 3, [DenseSpec("a", 5, 4, NEURON), DenseSpec("head", 3, 4, None)])
    synapses = snn.layers[0].synapses
    synapses.mask = torch.rand(5, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    snn(torch.ones(4, 3, 6))
    snn.quantize()
    snn(torch.ones(4, 3, 6))
    small = cut_channels(snn, {"a": [4, 1]})
    assert small.training
    assert torch.equal(small.layers[0].synapses.mask, synapses.mask[[1, 4]])
    assert torch.equal(small.layers[0].norm.running_mean, snn.layers[0].norm.running_mean[[1, 4]])
    again = SNN(source, 3, small.specs)
    again.load_state_dict(small.state_dict())
    assert torch.equal(again.layers[0].synapses.mask, synapses.mask[[1, 4]])
    small.scores(small(torch.ones(4, 3, 6))).square().sum().backward()
    weight = to_artifact(small.eval(), "net").node("a").inputs[0].weight
    assert weight is not None
    assert not weight.values[~synapses.mask[[1, 4]].numpy()].any()
    grad = small.layers[0].synapses.weight.grad
    assert grad is not None
    assert not grad[~synapses.mask[[1, 4]]].any()


def test_masked_channels_are_not_exported() -> None:
    snn = SNN(Input("input", (6,), "spikes", 1), 3, [DenseSpec("a", 5, 4, NEURON), DenseSpec("head", 3, 4, None)])
    snn.quantize()
    snn(torch.ones(4, 3, 6))
    mask_channels(snn, {"a": [0, 2]})
    again = SNN(snn.source, 3, snn.specs)
    again.load_state_dict(snn.state_dict())
    assert again.layers[0].mask.tolist() == [True, False, True, False, False]
    with pytest.raises(LayerError, match="layer 'a' has masked channels, which no artifact can say: cut them off"):
        to_artifact(snn, "net")


def residual() -> SNN:
    source = Input("input", (2, 6, 6), "direct", 4)
    same = ConvGeometry((1, 1), (1, 1), 1)
    specs = [
        ConvSpec("a", 4, (3, 3), same, 4, NEURON),
        ConvSpec("b", 4, (3, 3), replace(same, groups=2), 4, NEURON),
        JoinSpec("join", "add", (EdgeSpec("a"), EdgeSpec("b"))),
        PoolSpec("pool", Pool("sum", (2, 2), (2, 2))),
        DenseSpec("c", 7, 4, NEURON),
        DenseSpec("head", 3, 4, None, edges=(EdgeSpec("c"),)),
    ]
    return SNN(source, 2, specs)


def test_ties() -> None:
    """Two channels are one group of 'b', and all that follows them; 'c' stands alone."""
    first, second = families(residual())
    assert first.layers == ("a", "b", "join", "pool")
    assert [unit["pool"] for unit in first.units] == [(0, 1), (2, 3)]
    assert (second.layers, len(second.units)) == (("c",), 7)
    small = cut_channels(residual(), {"join": [2, 3], "c": [0]})
    assert [signal.shape[0] for signal in small.signals.values()] == [2, 2, 2, 2, 2, 1, 3]
    assert small.layers[4].synapses.weight.shape == (1, 18)


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ({"a": [0]}, r"the channels \[0, 1\] of 'a'; \[0, 1\] of 'b'; .* are tied: they stay or go together"),
        ({"a": [0, 1], "b": [2, 3]}, "are tied: they stay or go together"),
        ({"c": []}, "layer 'c' would be left without channels"),
        ({"c": [7]}, "layer 'c' has the channels 0 to 6; channel 7 cannot be kept"),
        ({"c": [1, 1]}, "a channel twice cannot be kept"),
        ({"d": [1]}, "there is no layer 'd' to cut"),
        ({"input": [1]}, "there is no layer 'input' to cut"),
        ({"head": [1]}, "layer 'head' cannot be cut: it is the head, or tied to the head or the input"),
    ],
)
def test_impossible_cuts_are_named(keep: dict[str, list[int]], sentence: str) -> None:
    with pytest.raises(CompressError, match=sentence):
        cut_channels(residual(), keep)
