"""The reference against numbers worked out by hand, and against an implementation written from the pages alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import files, samples
from contract.samples import HALF, KEEP, lif, one_neuron, tensor
from contract.stranger import Simulator, first_of_the_largest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import EVERYTHING, inputs_for, networks

from mintaka.artifact import (
    ArtifactError,
    ConvGeometry,
    Edge,
    Input,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    Pool,
    Result,
    check,
    load,
    logit_bounds,
    network_bounds,
    run,
    save,
)
from mintaka.artifact.reference import conv2d, leaked, pool2d

ON = [[[1]]]


def traced(network: Network, inputs: object, node: str = "a") -> list[tuple[int, ...]]:
    """K, s, U of the only neuron of a node at every step of the only sample."""
    check(network)
    dtype = np.uint8 if network.input.bits <= 8 else np.uint16
    found = run(network, np.array(inputs, dtype), trace=True).trace[node]
    assert found.s is not None
    assert found.u is not None
    return [(int(k), int(s), int(u)) for k, s, u in zip(*(a.ravel() for a in (found.k, found.s, found.u)), strict=True)]


# ---------------------------------------------------------------- one neuron, K, s and U by hand


def test_the_worked_example_of_the_page() -> None:
    """semantics.md: strict comparison, reset by subtraction, floor of negative numbers, clipping on both sides."""
    leak = (LeakTerm(1, 0), LeakTerm(-1, 2))
    network = one_neuron(
        lif([4], reset_by=[4], leak=leak, membrane_bits=3), [[5, -2, 3]], bias=[-1], steps=6, kind="spikes"
    )
    x = [[[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]]]
    assert traced(network, x) == [(4, 0, 3), (10, 1, 3), (0, 0, 0), (-3, 0, -2), (-5, 0, -3), (-6, 0, -3)]
    result = run(network, np.array(x, np.uint8))
    assert result.logits.tolist() == [[1]]
    assert result.spikes["a"].tolist() == [1]
    assert {name: n.tolist() for name, n in result.sops.items()} == {"a": [7], "head": [1]}
    assert result.total_sops.tolist() == [8]


def test_reset_to_zero_and_half_leak() -> None:
    """K = U + 5: 5, 2+5=7, 3+5=8 > 7 fires and forgets, 5 again. 5>>1=2, 7>>1=3."""
    network = one_neuron(lif([7], leak=HALF), [[5]], steps=5)
    assert traced(network, [[[1]] * 5]) == [(5, 0, 2), (7, 0, 3), (8, 1, 0), (5, 0, 2), (7, 0, 3)]


def test_a_negative_membrane_never_leaks_to_zero_by_a_floored_half() -> None:
    """-5, then only the leak: -5>>1=-3, -3>>1=-2, -2>>1=-1, -1>>1=-1, for ever -1."""
    network = one_neuron(lif([7], leak=HALF), [[-5]], steps=5)
    x = [[[1], [0], [0], [0], [0]]]
    assert traced(network, x) == [(-5, 0, -3), (-3, 0, -2), (-2, 0, -1), (-1, 0, -1), (-1, 0, -1)]


def test_no_leak_integrates_and_an_empty_leak_forgets() -> None:
    assert traced(one_neuron(lif([9]), [[5]], steps=3), [[[1]] * 3]) == [(5, 0, 5), (10, 1, 0), (5, 0, 5)]
    assert traced(one_neuron(lif([9], leak=()), [[5]], steps=3), [[[1]] * 3]) == [(5, 0, 0), (5, 0, 0), (5, 0, 0)]


def test_subtraction_leaves_the_rest_and_may_exceed_the_membrane() -> None:
    """R = -3 adds: K=5 > 2 fires, V=8, clipped to 7 (4 bits). Then K=12, V=15, clipped to 7."""
    network = one_neuron(lif([2], reset_by=[-3], membrane_bits=4), [[5]], steps=2)
    assert traced(network, [[[1]] * 2]) == [(5, 1, 7), (12, 1, 7)]


def test_bias_comes_every_step_without_any_input() -> None:
    network = one_neuron(lif([6]), [[5]], bias=[3], steps=4)
    assert traced(network, [[[0]] * 4]) == [(3, 0, 3), (6, 0, 6), (9, 1, 0), (3, 0, 3)]


def test_thresholds_at_the_ends() -> None:
    dead = one_neuron(lif([2**31 - 1], bits=32), [[127]], steps=2)
    assert traced(dead, [[[1]] * 2]) == [(127, 0, 127), (254, 0, 127)]
    saturated = one_neuron(lif([-(2**31)], bits=32), [[-127]], steps=2)
    assert traced(saturated, [[[1]] * 2]) == [(-127, 1, 0), (-127, 1, 0)]


def test_the_widest_and_the_narrowest_membrane() -> None:
    narrow = one_neuron(lif([100], membrane_bits=2), [[9]], steps=2)
    assert traced(narrow, [[[1]] * 2]) == [(9, 0, 1), (10, 0, 1)]
    wide = one_neuron(lif([2**31 - 1], bits=32, membrane_bits=16), [[127]], steps=2, kind="counts", bits=16)
    assert traced(wide, [[[65535]] * 2]) == [(8322945, 0, 32767), (8355712, 0, 32767)]


@pytest.mark.parametrize(
    ("V", "leak", "U"),
    [
        (-1, ((1, 7),), -1),
        (-1, ((1, 31),), -1),
        (5, ((1, 1),), 2),
        (-5, ((1, 1),), -3),
        (-5, ((1, 0), (-1, 1)), -2),
        (-5, ((1, 1), (1, 2)), -3 - 2),
        (7, ((1, 1), (1, 2), (-1, 3)), 3 + 1 - 0),
        (-7, ((1, 1), (1, 2), (-1, 3)), -4 - 2 + 1),
        (6, ((-1, 0),), -6),
        (6, (), 0),
    ],
)
def test_each_leak_term_is_floored_on_its_own(V: int, leak: tuple[tuple[int, int], ...], U: int) -> None:
    assert leaked(np.array([V]), tuple(LeakTerm(*term) for term in leak)).tolist() == [U]


# ---------------------------------------------------------------- edges


def test_input_shift_floors_the_whole_sum_once() -> None:
    """3*5 - 2*11 = -7; -7 >> 2 = -2 (each product on its own would give 3 - 6 = -3). Then shift: -2 << 1 = -4."""
    edge = Edge("input", 0, tensor([[3, -2]]), input_shift=2, shift=1)
    network = Network(
        "n",
        2,
        Input("input", (2,), "direct", 4),
        (
            Node("a", "dense", (edge,), (2,), (1,), None, lif([0])),
            Node("head", "dense", (Edge("a", 0, tensor([[1]])),), (1,), (1,)),
        ),
        Output("head"),
    )
    assert traced(network, [[5, 11]]) == [(-4, 0, -4), (-8, 0, -8)]
    # 5 = 101b and 11 = 1011b: 2 + 3 set bits, once per sample
    assert run(network, np.array([[5, 11]], np.uint8)).sops["a"].tolist() == [5]


def test_a_delayed_edge_brings_the_step_before() -> None:
    """The neuron fires at t = 0 by its input and inhibits itself one step later: K = 5, 5 - 4 = 1, 1 + 5 = 6, ..."""
    own = Edge("a", 1, tensor([[-4]]))
    network = Network(
        "n",
        4,
        Input("input", (1,), "spikes", 1),
        (
            Node("a", "dense", (Edge("input", 0, tensor([[5]])), own), (1,), (1,), None, lif([4])),
            Node("head", "dense", (Edge("a", 0, tensor([[1]])),), (1,), (1,)),
        ),
        Output("head"),
    )
    assert traced(network, [[[1]] * 4]) == [(5, 1, 0), (1, 0, 1), (6, 1, 0), (1, 0, 1)]
    # 4 input spikes, and the own spikes of steps 0 and 2 delivered at 1 and 3
    assert run(network, np.ones((1, 4, 1), np.uint8)).sops["a"].tolist() == [6]


def test_a_delayed_edge_may_point_forward() -> None:
    """a -> b at the same step, b -> a one step later; what b emits at the last step is never delivered."""
    network = Network(
        "n",
        3,
        Input("input", (1,), "spikes", 1),
        (
            Node(
                "a", "dense", (Edge("input", 0, tensor([[1]])), Edge("b", 1, tensor([[8]]))), (1,), (1,), None, lif([0])
            ),
            Node("b", "dense", (Edge("a", 0, tensor([[2]])),), (1,), (1,), None, lif([1])),
            Node("head", "dense", (Edge("b", 0, tensor([[1], [3]])),), (1,), (2,)),
        ),
        Output("head"),
    )
    x = np.array([[[1], [0], [0]]], np.uint8)
    assert traced(network, x) == [(1, 1, 0), (8, 1, 0), (8, 1, 0)]
    assert traced(network, x, "b") == [(2, 1, 0)] * 3
    result = run(network, x)
    assert result.logits.tolist() == [[3, 9]]
    assert {k: v.tolist() for k, v in result.sops.items()} == {"a": [3], "b": [3], "head": [6]}


def test_a_delayed_edge_from_an_input_and_from_a_pool() -> None:
    network = Network(
        "n",
        3,
        Input("input", (1, 1, 2), "spikes", 1),
        (
            Node("p", "pool2d", (Edge("input", 0),), (1, 1, 2), (1, 1, 1), pool=Pool("sum", (1, 2), (1, 1))),
            Node(
                "a",
                "dense",
                (Edge("input", 1, tensor([[1, 10]])), Edge("p", 1, tensor([[50]]))),
                (1, 1, 2),
                (1,),
                None,
                lif([127], leak=()),
            ),
            Node("head", "dense", (Edge("a", 0, tensor([[1]])),), (1,), (1,)),
        ),
        Output("head"),
    )
    x = np.array([[[[[1, 0]]], [[[1, 1]]], [[[0, 1]]]]], np.uint8)
    assert traced(network, x) == [(0, 0, 0), (51, 0, 0), (111, 0, 0)]
    assert run(network, x).sops["a"].tolist() == [1 + 1 + 2 + 2]


# ---------------------------------------------------------------- conv, pool, head


def naive_conv(x: np.ndarray, W: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    (sv, sh), (pv, ph), g = geometry.stride, geometry.padding, geometry.groups
    n, c, h, w = x.shape
    o, per, kh, kw = W.shape
    out = np.zeros((n, o, (h + 2 * pv - kh) // sv + 1, (w + 2 * ph - kw) // sh + 1), np.int64)
    for b, oc, r, q in np.ndindex(*out.shape):
        for i, a, e in np.ndindex(per, kh, kw):
            y, z = r * sv + a - pv, q * sh + e - ph
            if 0 <= y < h and 0 <= z < w:
                out[b, oc, r, q] += W[oc, i, a, e] * x[b, oc // (o // g) * (c // g) + i, y, z]
    return out


@given(st.data())
def test_conv2d_equals_loops(data: st.DataObject) -> None:
    def pair(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.integers(low, high)), data.draw(st.integers(low, high))

    kernel = pair(1, 4)
    padding = data.draw(st.integers(0, kernel[0] - 1)), data.draw(st.integers(0, kernel[1] - 1))
    geometry = ConvGeometry(pair(1, 3), padding, data.draw(st.integers(1, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    c, o = geometry.groups * data.draw(st.integers(1, 2)), geometry.groups * data.draw(st.integers(1, 3))
    h, w = kernel[0] + data.draw(st.integers(0, 4)), kernel[1] + data.draw(st.integers(0, 4))
    x = rng.integers(0, 256, (2, c, h, w))
    W = rng.integers(-127, 128, (o, c // geometry.groups, *kernel))
    assert (conv2d(x, W, geometry) == naive_conv(x, W, geometry)).all()


def test_a_conv_by_hand_with_padding_and_its_operations() -> None:
    """A 1x3 picture 1 1 0, kernel (2, 0, -3), padding 1: sums 0-3=-3, 2+0=2, 2+0=2.

    Operations: the kernel has 2 synapses where both neighbours are inside, 1 at either edge of the picture. Spike 0
    reaches output 1 by weight 2; spike 1 reaches output 0 by -3 and output 2 by 2. The weight 0 counts nowhere.
    """
    W = np.array([2, 0, -3], np.int8).reshape(1, 1, 1, 3)
    edge = Edge("input", 0, IntTensor(W, 3), conv=ConvGeometry((1, 1), (0, 1), 1))
    network = Network(
        "n",
        1,
        Input("input", (1, 1, 3), "spikes", 1),
        (Node("head", "conv2d", (edge,), (1, 1, 3), (1, 1, 3)),),
        Output("head"),
    )
    check(network)
    result = run(network, np.array([1, 1, 0], np.uint8).reshape(1, 1, 1, 1, 3))
    assert result.logits.tolist() == [[-3, 2, 2]]
    assert result.sops["head"].tolist() == [3]
    assert result.classes.tolist() == [1]


def test_pools_by_hand() -> None:
    x = np.array([[1, 0, 0, 1, 1], [0, 0, 0, 1, 1], [1, 1, 1, 1, 1]]).reshape(1, 1, 3, 5)
    assert pool2d(x, Pool("max", (2, 2), (2, 2))).tolist() == [[[[1, 1]]]]
    assert pool2d(x, Pool("sum", (2, 2), (2, 2))).tolist() == [[[[1, 2]]]]
    assert pool2d(x, Pool("sum", (2, 2), (1, 1))).tolist() == [[[[1, 0, 2, 4], [2, 2, 3, 4]]]]
    assert pool2d(x, Pool("sum", (3, 1), (1, 2))).tolist() == [[[[2, 1, 3]]]]


def test_a_pooled_count_costs_its_spikes_and_a_number_its_set_bits() -> None:
    """The same 3 = 11b: three spikes behind a sum pool, two set bits as an input count."""
    pool = Node("p", "pool2d", (Edge("input", 0),), (1, 1, 3), (1, 1, 1), pool=Pool("sum", (1, 3), (1, 1)))
    head = Node("head", "dense", (Edge("p", 0, tensor([[5], [0]])),), (1, 1, 1), (2,))
    pooled = Network("n", 1, Input("input", (1, 1, 3), "spikes", 1), (pool, head), Output("head"))
    check(pooled)
    result = run(pooled, np.ones((1, 1, 1, 1, 3), np.uint8))
    assert (result.logits.tolist(), result.sops["head"].tolist()) == ([[15, 0]], [3])
    assert set(result.sops) == {"head"}
    head = Node("head", "dense", (Edge("input", 0, tensor([[5], [0]])),), (1,), (2,))
    counted = Network("n", 1, Input("input", (1,), "counts", 2), (head,), Output("head"))
    result = run(counted, np.array([[[3]]], np.uint8))
    assert (result.logits.tolist(), result.sops["head"].tolist()) == ([[15, 0]], [2])


def test_a_direct_head_counts_operations_once_but_adds_every_step() -> None:
    head = Node("head", "dense", (Edge("input", 0, tensor([[5], [1]])),), (1,), (2,), tensor([1, -1]))
    network = Network("n", 3, Input("input", (1,), "direct", 3), (head,), Output("head"))
    result = run(network, np.array([[7]], np.uint8), trace=True)
    assert result.logits.tolist() == [[3 * 36, 3 * 6]]
    assert result.sops["head"].tolist() == [2 * 3]
    assert result.trace["head"].k.tolist() == [[[36, 6], [72, 12], [108, 18]]]
    assert result.trace["head"].s is result.trace["head"].u is None


def test_ties_go_to_the_lowest_index() -> None:
    head = Node("head", "dense", (Edge("input", 0, tensor([[1], [3], [3], [-1], [3]])),), (1,), (5,))
    network = Network("n", 1, Input("input", (1,), "spikes", 1), (head,), Output("head"))
    result = run(network, np.array([[[1]], [[0]]], np.uint8))
    assert result.classes.tolist() == [1, 0]


def test_channels_of_a_conv_share_threshold_bias_and_reset() -> None:
    W = np.ones((2, 1, 1, 1), np.int8)
    conv = ConvGeometry((1, 1), (0, 0), 1)
    neuron = Neuron(tensor([0, 1]), ">", "subtract", tensor([1, 5]), KEEP, 4)
    network = Network(
        "n",
        1,
        Input("input", (1, 1, 2), "spikes", 1),
        (
            Node(
                "a",
                "conv2d",
                (Edge("input", 0, IntTensor(W, 2), conv=conv),),
                (1, 1, 2),
                (2, 1, 2),
                tensor([0, 1]),
                neuron,
            ),
            Node("head", "dense", (Edge("a", 0, tensor(np.ones((1, 4)))),), (2, 1, 2), (1,)),
        ),
        Output("head"),
    )
    x = np.array([1, 0], np.uint8).reshape(1, 1, 1, 1, 2)
    assert traced(network, x) == [(1, 1, 0), (0, 0, 0), (2, 1, -3), (1, 0, 1)]


def test_samples_are_independent() -> None:
    network = samples.everything()
    assert network.vectors is not None
    x = network.vectors.inputs
    together = run(network, x)
    for i in range(len(x)):
        alone = run(network, x[i : i + 1])
        assert (alone.logits[0] == together.logits[i]).all()
        assert alone.total_sops[0] == together.total_sops[i]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (np.zeros((1, 2), np.int64), "the input must be uint8, as direct of 3 bits are, got int64"),
        (np.zeros((1, 3), np.uint8), r"the input must have the shape \(N, 2\), got \(1, 3\)"),
        (np.zeros((1, 4, 2), np.uint8), r"the input must have the shape \(N, 2\), got \(1, 4, 2\)"),
        (np.zeros((0, 2), np.uint8), "the input holds no sample"),
        (np.full((1, 2), 8, np.uint8), "the input holds 8; 3 bits end at 7"),
        (np.array(3, np.uint8), r"the input must have the shape \(N, 2\), got \(\)"),
        ([[0, 1]], r"the input must be a numpy array, as encode\(network, x\) makes it, got \[\[0, 1\]\]"),
        (None, "the input must be a numpy array"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: Any, reason: str) -> None:
    network = one_neuron(lif([4]), [[1, 2]], kind="direct", bits=3)
    with pytest.raises(ArtifactError, match=reason):
        run(network, inputs)
    with pytest.raises(ArtifactError, match=r"the network must be a Network, as mintaka\.artifact\.load\(path\) gives"):
        run("a/path", inputs)  # type: ignore[arg-type]


def test_no_trace_unless_asked() -> None:
    network = samples.everything()
    assert network.vectors is not None
    assert run(network, network.vectors.inputs).trace == {}


# ---------------------------------------------------------------- the stranger's implementation


def simulated(network: Network, path: Path) -> Simulator:
    save(network, path)
    return Simulator(*files.pull_apart(path))


def assert_equal(network: Network, x: np.ndarray, simulator: Simulator) -> None:
    result: Result = run(network, x, trace=True)
    bounds = network_bounds(network)
    for i, sample in enumerate(x):
        other = simulator.run(sample)
        assert other.logits == result.logits[i].tolist()
        assert other.steps == result.steps[i]
        assert first_of_the_largest(other.logits) == result.classes[i]
        assert other.sops == {name: int(n[i]) for name, n in result.sops.items()}
        assert set(other.trace) == set(result.trace)
        for name, trace in result.trace.items():
            for t, log in enumerate(other.trace[name]):
                assert log["k"] == trace.k[i, t].ravel().tolist(), (name, t, "K")
                for key, values in (("s", trace.s), ("u", trace.u), ("j", trace.j)):
                    assert log[key] == ([] if values is None else values[i, t].ravel().tolist()), (name, t, key)
            assert bounds[name].k.lo <= trace.k.min()
            assert trace.k.max() <= bounds[name].k.hi
            spikes = 0 if trace.s is None else trace.s[i, : other.steps].sum()
            assert name not in result.spikes or result.spikes[name][i] == spikes
        for name, (low, high) in other.currents.items():
            j = bounds[name].j
            assert j is not None
            assert j.lo <= low <= high <= j.hi
        logits = logit_bounds(network)
        assert logits.lo <= min(other.logits) <= max(other.logits) <= logits.hi
        for (name, edge), (low, high) in other.sums.items():
            assert bounds[name].sums[edge].lo <= low
            assert high <= bounds[name].sums[edge].hi


@settings(suppress_health_check=[*HealthCheck], max_examples=3 * settings().max_examples)
@given(st.data())
def test_the_stranger_agrees(tmp_path: Path, data: st.DataObject) -> None:
    """Every K, s, U, logit, class and operation count, on generated networks; all within the proven intervals."""
    network = data.draw(networks())
    x = data.draw(inputs_for(network, (1, 2)))
    assert_equal(network, x, simulated(network, tmp_path / "net.safetensors"))


@settings(suppress_health_check=[*HealthCheck], max_examples=4 * settings().max_examples)
@given(st.data())
def test_the_stranger_agrees_on_what_1_1_brings(tmp_path: Path, data: st.DataObject) -> None:
    network = data.draw(networks(features=EVERYTHING, max_hidden=5, max_size=12))
    x = data.draw(inputs_for(network, (1, 2)))
    assert_equal(network, x, simulated(network, tmp_path / "net.safetensors"))


def test_the_stranger_agrees_on_the_test_vectors(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    simulator = simulated(samples.everything(), path)
    vectors = load(path).vectors
    assert vectors is not None
    assert_equal(load(path), vectors.inputs, simulator)
    assert [simulator.run(sample).logits for sample in vectors.inputs] == vectors.logits.tolist()
