"""Networks that are no sequence: what is read, how scales are aligned, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mintaka.artifact import ConvGeometry, Input, Integrator, LeakTerm, Pool, SynapticCurrent
from mintaka.data import load_dataset
from mintaka.snn import (
    SNN,
    ConvSpec,
    DenseSpec,
    EdgeSpec,
    JoinSpec,
    LayerError,
    NeuronSpec,
    PoolSpec,
    Spec,
    to_artifact,
)
from mintaka.train import RecipeError, parse_recipe
from mintaka.train.recipe import network_specs

NEURON = NeuronSpec(4, (LeakTerm(1, 1),), "zero")
SPIKES = Input("input", (6,), "spikes", 1)
PICTURE = Input("input", (2, 6, 6), "spikes", 1)
HEAD = DenseSpec("head", 3, 4, None)


def hidden(*edges: EdgeSpec, name: str = "hidden") -> DenseSpec:
    return DenseSpec(name, 5, 4, NEURON, edges=edges or None)


def conv(name: str, channels: int = 2, stride: int = 1, edges: tuple[EdgeSpec, ...] | None = None) -> ConvSpec:
    return ConvSpec(name, channels, (3, 3), ConvGeometry((stride, stride), (1, 1), 1), 4, NEURON, edges=edges)


def same(source: str, delay: int = 0) -> EdgeSpec:
    return EdgeSpec(source, delay, op="identity")


def join(kind: str, *sources: str | tuple[str, int], name: str = "j") -> JoinSpec:
    return JoinSpec(name, kind, tuple(EdgeSpec(s) if isinstance(s, str) else EdgeSpec(*s) for s in sources))


def neural(**changes: Any) -> DenseSpec:
    return DenseSpec("n", 5, 4, replace(NEURON, **changes))


def counting(*edges: EdgeSpec) -> DenseSpec:
    return DenseSpec("head", 3, 4, NEURON, edges=edges or None)


def trained(source: Input, specs: list[Spec], steps: int = 4) -> SNN:
    snn = SNN(source, steps, specs, seed=1)
    snn.quantize()
    rng = torch.Generator().manual_seed(0)
    snn(torch.randint(0, 2**source.bits, (8, steps, *source.shape), generator=rng).float())
    return snn.eval()


def test_edges_reach_the_artifact() -> None:
    shortcut = EdgeSpec("first", 0, (1, 1), ConvGeometry((2, 2), (0, 0), 2), shift=1)
    specs: list[Spec] = [
        conv("first"),
        conv("second", stride=2, edges=(EdgeSpec("first", 1), shortcut)),
        PoolSpec("pool", Pool("max", (2, 2), (2, 2)), source="first"),
        DenseSpec("last", 4, 4, NEURON, edges=(EdgeSpec("pool"), EdgeSpec("last", 1), EdgeSpec("second"))),
        HEAD,
    ]
    network = to_artifact(trained(PICTURE, specs), "net")
    read = {node.name: [(edge.node, edge.delay) for edge in node.inputs] for node in network.nodes}
    assert read == {
        "first": [("input", 0)],
        "second": [("first", 1), ("first", 0)],
        "pool": [("first", 0)],
        "last": [("pool", 0), ("last", 1), ("second", 0)],
        "head": [("last", 0)],
    }
    first, second = network.node("second").inputs
    assert (first.shift, second.shift) == (0, 1)
    assert second.conv == ConvGeometry((2, 2), (0, 0), 2)
    assert second.weight is not None
    assert second.weight.values.shape == (2, 1, 1, 1)


@pytest.mark.parametrize(("factor", "shifts"), [(1, (0, 0)), (8, (0, 3)), (0.25, (2, 0)), (1e9, (0, 15))])
def test_scales_meet_at_a_power_of_two(factor: float, shifts: tuple[int, int]) -> None:
    """The shifts follow the weights' sizes, and the integers, shifted, are the real weights on one grid."""
    snn = SNN(SPIKES, 3, [hidden(name="first"), hidden(EdgeSpec("first"), EdgeSpec("first", 1)), HEAD])
    layer = snn.layers[1]
    layer.extra[0].weight.data.copy_(layer.synapses.weight.data * factor)
    snn.quantize()
    snn(torch.ones(4, 3, 6))
    edges = to_artifact(snn, "net").node("hidden").inputs
    assert tuple(edge.shift for edge in edges) == shifts
    if factor > 100:
        return
    unit = float(layer.unit().detach())
    for edge, synapses in zip(edges, layer.edges, strict=True):
        assert edge.weight is not None
        step = unit * 2.0**edge.shift
        w = synapses.weight.detach().numpy()
        inside = np.abs(w) < 7 * step
        assert inside.mean() > 0.5
        assert np.abs(w - step * edge.weight.values)[inside].max() <= step * 0.5001


def test_joins_identity_and_neurons_reach_the_artifact() -> None:
    current = SynapticCurrent((LeakTerm(1, 2),), 6)
    specs: list[Spec] = [
        hidden(name="a"),
        replace(neural(refractory=2, current=current), edges=(EdgeSpec("a"), same("a", 1), same("n", 1))),
        join("iand", ("j", 1), "n"),
        join("add", "j", "a", ("a", 1), name="sum"),
        DenseSpec("head", 3, 4, Integrator((LeakTerm(1, 3),), 12)),
    ]
    snn = trained(SPIKES, specs)
    network = to_artifact(snn, "net")
    n = network.node("n")
    assert [(e.node, e.delay, e.op) for e in n.inputs] == [("a", 0, None), ("a", 1, "identity"), ("n", 1, "identity")]
    assert [None if e.weight is None else e.weight.values.shape for e in n.inputs] == [(5, 5), (5,), (5,)]
    assert n.neuron is not None
    assert (n.neuron.refractory, n.neuron.current) == (2, current)
    assert [(e.node, e.delay) for e in network.node("j").inputs] == [("j", 1), ("n", 0)]
    assert (network.node("j").join, network.node("sum").join) == ("iand", "add")
    assert (snn.signals["sum"].max_value, snn.signals["sum"].units, snn.signals["j"].max_value) == (3, "spikes", 1)
    assert network.head.integrator == Integrator((LeakTerm(1, 3),), 12)
    assert network.output.read == snn.read == "membrane"
    assert to_artifact(trained(SPIKES, [hidden(), counting()]), "net").output.read == "count"


def test_identity_edges_begin_with_passing_on() -> None:
    """Weights between 0 and 1, so that a shortcut is one from the start."""
    snn = SNN(SPIKES, 3, [hidden(name="a"), hidden(EdgeSpec("a"), same("a")), HEAD])
    weight = snn.layers[1].extra[0].weight.detach()
    assert weight.shape == (5,)
    assert 0 <= float(weight.min()) < float(weight.max()) <= 1


@pytest.mark.parametrize("read", ["accumulate", "count", "membrane"])
def test_scores_are_means_over_the_steps(read: str) -> None:
    """A head that sees the same at every step has the same scores for any number of steps, however it is read."""
    neurons = {"accumulate": None, "count": replace(NEURON, leak=()), "membrane": Integrator((LeakTerm(1, 1),), 8)}
    scores = []
    for steps in (1, 7):
        snn = SNN(SPIKES, steps, [DenseSpec("head", 3, 4, neurons[read])]).eval()
        assert snn.read == read
        x = torch.tensor([[1.0, 0, 1, 1, 0, 1]]).expand(1, steps, 6)
        if read == "count":
            snn.head.norm.beta.data.copy_(torch.tensor([-4.0, 4, 4]))
        scores.append(snn.scores(snn(x)).detach())
    assert float(scores[0].abs().sum()) > 0
    torch.testing.assert_close(scores[0], scores[1])


def test_a_sequence_has_no_new_state() -> None:
    """Checkpoints of sequential networks from before stay loadable."""
    keys = set(SNN(SPIKES, 2, [hidden(), HEAD]).state_dict())
    assert {key for key in keys if not key.startswith(("layers.0.synapses.", "layers.0.norm.", "layers.1."))} == set()
    assert not any("shifts" in key for key in keys)


def test_a_stated_shift_leaves_the_others_at_zero() -> None:
    own = EdgeSpec("hidden", 1, shift=2)
    network = to_artifact(trained(SPIKES, [hidden(EdgeSpec("input"), own), HEAD]), "net")
    assert [edge.shift for edge in network.node("hidden").inputs] == [0, 2]


def test_recurrence_learns_what_no_feed_forward_layer_can() -> None:
    """Which of two inputs spiked first: without memory the sums over the steps are the same for both classes."""
    accuracy = {}
    y = torch.arange(64) % 2
    x = torch.zeros(64, 6, 2)
    for sample, label in enumerate(y.tolist()):
        x[sample, 1, label] = x[sample, 3, 1 - label] = 1
    for recurrent in (True, False):
        neuron = NeuronSpec(6, (), "zero")
        edges = (EdgeSpec("input"), EdgeSpec("hidden", 1)) if recurrent else None
        specs: list[Spec] = [DenseSpec("hidden", 16, 4, neuron, edges=edges), DenseSpec("head", 2, 4, None)]
        snn = SNN(Input("input", (2,), "spikes", 1), 6, specs, seed=2)
        snn.quantize()
        optimizer = torch.optim.Adam(snn.parameters(), lr=0.01)
        for _ in range(150):
            loss = torch.nn.functional.cross_entropy(snn.scores(snn(x)), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        accuracy[recurrent] = float((snn.eval()(x).argmax(1) == y).double().mean())
    assert accuracy == {True: 1.0, False: 0.5}


POINT = EdgeSpec("input", 0, (1, 1), ConvGeometry((1, 1), (0, 0), 1))
DIRECT = Input("input", (6,), "direct", 8)
REFUSED: list[tuple[Input, list[Spec], str]] = [
    (SPIKES, [hidden(EdgeSpec("inptu")), HEAD], "layer 'hidden' reads 'inptu', which does not exist: 'input'?"),
    (SPIKES, [hidden(EdgeSpec("input", 2)), HEAD], "reads 'input': delay must be 0 or 1, got 2"),
    (SPIKES, [hidden(EdgeSpec("input"), EdgeSpec("hidden")), HEAD], "itself at the same step: a recurrence needs"),
    (SPIKES, [hidden(EdgeSpec("hidden", 1)), HEAD], "reads only itself first"),
    (SPIKES, [hidden(EdgeSpec("input"), *[EdgeSpec("hidden", 1)] * 2), HEAD], "reads itself twice"),
    (SPIKES, [hidden(EdgeSpec("input"), EdgeSpec("b", 1)), hidden(name="b"), HEAD], "reads the later layer 'b'"),
    (SPIKES, [hidden(), DenseSpec("head", 3, 4, None, edges=(EdgeSpec("hidden"), EdgeSpec("head", 1)))], "is the head"),
    (SPIKES, [hidden(), hidden(EdgeSpec("input"), name="b"), HEAD], "layer 'hidden' is read by no other"),
    (DIRECT, [hidden(EdgeSpec("input", 1)), HEAD], "a direct input is always the same"),
    (DIRECT, [hidden(), hidden(EdgeSpec("hidden"), EdgeSpec("input"), name="b"), HEAD], "name it first"),
    (SPIKES, [hidden(EdgeSpec("input", shift=16)), HEAD], "the shift of 'input' must be 0 to 15, got 16"),
    (
        PICTURE,
        [conv("a"), conv("b", 2, 2, (EdgeSpec("a"), POINT)), HEAD],
        r"what it reads from 'input' becomes \(2, 6, 6\), but from 'a' \(2, 3, 3\)",
    ),
    (SPIKES, [hidden(POINT), HEAD], "is dense: its edge"),
    (SPIKES, [hidden(*[EdgeSpec("input")] * 65), HEAD], "layer 'hidden': the number of edges must be 1 to 64, got 65"),
    (SPIKES, [hidden(same("input")), HEAD], "reads 'input' first by identity; its first edge is dense"),
    (SPIKES, [hidden(EdgeSpec("input"), same("input")), HEAD], r"identity, but \(6,\) is not .* own shape \(5,\)"),
    (SPIKES, [hidden(EdgeSpec("input"), EdgeSpec("input", op="skip")), HEAD], "by 'skip'; possible: identity"),
    (SPIKES, [hidden(EdgeSpec("input"), replace(POINT, op="identity")), HEAD], "identity, which has no kernel"),
    (SPIKES, [hidden(), join("or", "hidden", "hidden")], "the last, but a join is no head"),
    (SPIKES, [hidden(), join("xor", "hidden", "hidden"), HEAD], "layer 'j' joins by 'xor'; possible: or, and, iand"),
    (SPIKES, [hidden(), join("or", "hidden"), HEAD], "joins 1 by 'or', which takes at least 2"),
    (SPIKES, [hidden(), join("iand", *["hidden"] * 3), HEAD], "joins 3 by 'iand', which takes exactly 2"),
    (
        SPIKES,
        [hidden(), join("or", "hidden", "input"), HEAD],
        r"joins 'input' of shape \(6,\) and 'hidden' of .*\(5,\)",
    ),
    (DIRECT, [hidden(), join("or", "input", "input"), HEAD], "layer 'j' joins the direct input; only spikes"),
    (SPIKES, [join("or", ("j", 1), ("j", 1)), HEAD], "layer 'j' reads only itself: name what it joins"),
    (SPIKES, [hidden(), join("add", "hidden", ("j", 1)), HEAD], "adds its own count of the step before"),
    (SPIKES, [hidden(), join("or", "hidden", "j"), HEAD], "itself at the same step"),
    (
        SPIKES,
        [hidden(), join("add", "hidden", "hidden", name="a"), join("and", "hidden", "a"), HEAD],
        "layer 'j' joins the counts of 'a' by 'and'; only 'add' takes counts",
    ),
    (
        SPIKES,
        [hidden(), JoinSpec("j", "or", (EdgeSpec("hidden"), EdgeSpec("hidden", shift=1))), HEAD],
        "layer 'j' is a join: its edge from 'hidden' has no kernel, no shift and no op",
    ),
    (
        SPIKES,
        [hidden(), *[join("add", *["hidden" if i == 0 else f"a{i - 1}"] * 64, name=f"a{i}") for i in range(3)], HEAD],
        "layer 'a2': its largest count must be 1 to 65,535, got 262,144",
    ),
    (SPIKES, [hidden(), DenseSpec("b", 3, 4, Integrator((), 4)), HEAD], "layer 'b' is a leaky integrator, which never"),
    (SPIKES, [DenseSpec("b", 3, 4, None), HEAD], "layer 'b' has no neuron, but is not the last"),
    (SPIKES, [DenseSpec("head", 3, 4, Integrator((), 17))], "layer 'head': membrane_bits must be 2 to 16, got 17"),
    (
        SPIKES,
        [DenseSpec("head", 3, 4, Integrator((LeakTerm(1, 32),), 8))],
        "layer 'head': the shift of a term of leak must be 0 to 31",
    ),
    (SPIKES, [neural(refractory=256), HEAD], "layer 'n': refractory must be 0 to 255, got 256"),
    (SPIKES, [neural(current=SynapticCurrent((), 1)), HEAD], "layer 'n': current_bits must be 2 to 16, got 1"),
    (
        SPIKES,
        [neural(current=SynapticCurrent((LeakTerm(1, 1),) * 5, 8)), HEAD],
        "layer 'n': the number of terms of current_leak must be 0 to 4, got 5",
    ),
    (SPIKES, [hidden(), counting(EdgeSpec("hidden"), EdgeSpec("head", 1))], "is the head, which emits nothing to read"),
]


@pytest.mark.parametrize(("source", "specs", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_is_refused_by_name(source: Input, specs: list[Spec], message: str) -> None:
    with pytest.raises(LayerError, match=message):
        SNN(source, 3, specs)


def form(edges: Any, op: str = "conv2d") -> dict[str, Any]:
    size = {"channels": 4, "kernel": 3, "padding": 1} if op == "conv2d" else {"units": 4}
    return {
        "name": "small",
        "dataset": "digits",
        "network": {"time_steps": 3},
        "train": {"float_epochs": 1, "epochs": 1},
        "layers": [
            {"name": "a", "op": "conv2d", "channels": 4, "kernel": 3, "padding": 1},
            {"name": "b", "op": op, "from": edges, **size},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }


def test_recipe_edges_become_specs() -> None:
    edges = ["a", {"node": "b", "delay": 1, "kernel": 1, "padding": 0, "shift": 1}]
    spec = network_specs(parse_recipe(form(edges)), load_dataset("digits"))[1]
    assert isinstance(spec, ConvSpec)
    assert spec.edges == (EdgeSpec("a"), EdgeSpec("b", 1, (1, 1), ConvGeometry((1, 1), (0, 0), 1), 1))
    assert parse_recipe(form("a")) == parse_recipe(form(["a"])) == parse_recipe(form([{"node": "a"}]))


@pytest.mark.parametrize(
    ("edges", "op", "message"),
    [
        ([{"node": "a", "kernl": 1}], "conv2d", r"the key 'layers\[1\].from\[0\].kernl' is unknown; .*kernel"),
        (
            [{"node": "a", "stride": 2}],
            "conv2d",
            r"'layers\[1\].from\[0\].stride' needs 'layers\[1\].from",
        ),
        ([{"node": "a", "kernel": 1}], "dense", r"the key 'layers\[1\].from\[0\].kernel' is unknown"),
        ([{"node": "a", "delay": 2}], "dense", r"'layers\[1\].from\[0\].delay' must be 0 or 1, got 2"),
        ([], "dense", r"'layers\[1\].from' is \[\]"),
        (3, "dense", r"'layers\[1\].from' must be a list, got 3"),
        ([{"delay": 1}], "dense", r"the key 'layers\[1\].from\[0\].node' is missing"),
    ],
)
def test_wrong_edges_in_a_recipe_are_named(edges: Any, op: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(form(edges, op))
