"""What format 1.1 brought, against numbers worked out by hand: joins, identity edges, heads, CUBA, refractory steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import samples
from contract.samples import HALF, KEEP, lif, one_neuron, tensor, wired

from mintaka.artifact import (
    ArtifactError,
    ConvGeometry,
    Edge,
    Integrator,
    Interval,
    LeakTerm,
    Network,
    Node,
    Pool,
    SynapticCurrent,
    Trace,
    check,
    logit_bounds,
    network_bounds,
    run,
    signals,
)

TRUTH = [[[0, 0], [0, 1], [1, 0], [1, 1]]]  # one sample, four steps, two spikes


def column(values: np.ndarray | None) -> list[int]:
    """Of the only neuron of the only sample, its value at every step."""
    assert values is not None
    return [int(v) for v in values.ravel()]


def traced(network: Network, inputs: Any, node: str = "a") -> Trace:
    check(network)
    return run(network, np.array(inputs, np.uint8), trace=True).trace[node]


# ---------------------------------------------------------------- joins


def head(source: str, *sources: str, size: int = 1) -> Node:
    """A head that adds what its sources emit."""
    edges = tuple(Edge(name, 0, tensor(np.ones((1, size)))) for name in (source, *sources))
    return Node("head", "dense", edges, (size,), (1,))


def relay(name: str, weights: Any) -> Node:
    """A neuron that repeats its input."""
    return Node(name, "dense", (Edge("x", 0, tensor(weights)),), (2,), (1,), None, lif([0], leak=()))


@pytest.mark.parametrize(
    ("kind", "values", "largest"),
    [("or", [0, 1, 1, 1], 1), ("and", [0, 0, 0, 1], 1), ("iand", [0, 1, 0, 0], 1), ("add", [0, 1, 1, 2], 2)],
)
def test_joins(kind: str, values: list[int], largest: int) -> None:
    """iand is (not the first) and the second: 1 only where the first is silent."""
    join = Node("j", "join", (Edge("a", 0), Edge("b", 0)), (1,), (1,), join=kind)
    network = wired(relay("a", [[1, 0]]), relay("b", [[0, 1]]), join, head("j"), shape=(2,))
    steps = column(traced(network, TRUTH, "head").k)
    assert np.diff([0, *steps]).tolist() == values
    result = run(network, np.array(TRUTH, np.uint8))
    assert {name: int(n[0]) for name, n in result.sops.items()} == {"a": 2, "b": 2, "head": sum(values)}
    assert set(result.spikes) == {"a", "b"}
    signal = signals(network)["j"]
    assert (signal.max_value, signal.units) == (largest, "spikes" if kind == "add" else "bits")
    assert network_bounds(network)["head"].sums == (Interval(0, largest),)
    assert set(network_bounds(network)) == {"a", "b", "head"}


@pytest.mark.parametrize(
    ("kind", "values"), [("or", [0, 1, 1, 1]), ("and", [0, 0, 0, 1]), ("add", [0, 1, 2, 1 + 1 + 1])]
)
def test_joins_of_three(kind: str, values: list[int]) -> None:
    """b, a and a again: a source that is named twice counts twice."""
    join = Node("j", "join", (Edge("b", 0), Edge("a", 0), Edge("a", 0)), (1,), (1,), join=kind)
    network = wired(relay("a", [[1, 0]]), relay("b", [[0, 1]]), join, head("j"), shape=(2,))
    assert np.diff([0, *column(traced(network, TRUTH, "head").k)]).tolist() == values


def test_a_join_of_this_step_and_the_one_before() -> None:
    """x = 1 1 0 1: the AND with the step before is 0 1 0 0 (nothing came before step 0), the OR 1 1 1 1."""
    both = Node("both", "join", (Edge("x", 0), Edge("x", 1)), (1,), (1,), join="and")
    either = Node("either", "join", (Edge("x", 0), Edge("x", 1)), (1,), (1,), join="or")
    x = [[[1], [1], [0], [1]]]
    assert column(traced(wired(both, head("both"), shape=(1,)), x, "head").k) == [0, 1, 1, 1]
    assert column(traced(wired(either, head("either"), shape=(1,)), x, "head").k) == [1, 2, 3, 4]


def test_an_or_of_itself_is_a_latch_and_a_later_node_may_be_joined() -> None:
    latch = Node("latch", "join", (Edge("x", 0), Edge("latch", 1)), (1,), (1,), join="or")
    assert column(traced(wired(latch, head("latch"), shape=(1,)), [[[0], [1], [0], [0]]], "head").k) == [0, 1, 2, 3]
    # a = x and not what b emitted at the step before; b repeats a: 1 0 1 0 (iand: not the first).
    veto = Node("veto", "join", (Edge("b", 1), Edge("x", 0)), (1,), (1,), join="iand")
    b = Node("b", "dense", (Edge("veto", 0, tensor([[1]])),), (1,), (1,), None, lif([0], leak=()))
    network = wired(
        Node("r", "dense", (Edge("x", 0, tensor([[1]])),), (1,), (1,), None, lif([0])), veto, b, head("b"), shape=(1,)
    )
    assert column(traced(network, [[[1]] * 4], "b").s) == [1, 0, 1, 0]


def test_counts_add_up_through_joins_and_pools_and_each_spike_costs() -> None:
    """A 2x2 picture of ones: the sum pool gives 4, the join with itself 8, three times that 24. 8 SOPs per synapse."""
    pool = Node("p", "pool2d", (Edge("x", 0),), (1, 2, 2), (1, 1, 1), pool=Pool("sum", (2, 2), (1, 1)))
    join = Node("j", "join", (Edge("p", 0), Edge("p", 0)), (1, 1, 1), (1, 1, 1), join="add")
    end = Node("head", "dense", (Edge("j", 0, tensor([[3], [0], [-1]])),), (1, 1, 1), (3,))
    network = wired(pool, join, end, steps=1, shape=(1, 2, 2))
    check(network)
    result = run(network, np.ones((1, 1, 1, 2, 2), np.uint8))
    assert result.logits.tolist() == [[24, 0, -8]]
    assert result.sops["head"].tolist() == [8 * 2]
    assert signals(network)["j"].max_value == 8
    assert network_bounds(network)["head"].k == Interval(-8, 24)


def test_counts_end_at_65535() -> None:
    """16 inputs of 16 of 16 of 15 spikes are 61,440; one join more passes the end."""

    def joins(*numbers: int) -> Network:
        nodes, source = [], "x"
        for i, number in enumerate(numbers):
            nodes.append(Node(f"j{i}", "join", (Edge(source, 0),) * number, (1,), (1,), join="add"))
            source = f"j{i}"
        return wired(*nodes, head(source), steps=1, shape=(1,))

    check(joins(16, 16, 16, 15))
    assert run(joins(16, 16, 16, 15), np.ones((1, 1, 1), np.uint8)).logits.tolist() == [[61440]]
    with pytest.raises(ArtifactError, match="node 'j3': its largest count must be 1 to 65,535, got 65,536"):
        check(joins(16, 16, 16, 16))


def test_a_count_may_go_round_through_a_spiking_node() -> None:
    """j = x + a one step late, a fires where j > 1: never bounded by j itself, but by a."""
    join = Node("j", "join", (Edge("x", 0), Edge("a", 1), Edge("j2", 1)), (1,), (1,), join="add")
    a = Node("a", "dense", (Edge("j", 0, tensor([[1]])),), (1,), (1,), None, lif([0], leak=()))
    j2 = Node("j2", "join", (Edge("a", 0), Edge("a", 1)), (1,), (1,), join="add")
    network = wired(join, a, j2, head("j"), shape=(1,))
    check(network)
    assert {name: signals(network)[name].max_value for name in ("j", "j2")} == {"j": 4, "j2": 2}
    # j: 1; then 1 + a 1 + j2 1 = 3; then 1 + 1 + 2 = 4 for ever.
    assert column(traced(network, [[[1]] * 4], "head").k) == [1, 4, 8, 12]


def test_what_a_join_cannot_have() -> None:
    def refused(sentence: str, **changes: Any) -> None:
        fields = {"inputs": (Edge("x", 0), Edge("x", 1)), "join": "or"} | changes
        node = Node("j", "join", shape_in=(1,), shape_out=(1,), **fields)
        with pytest.raises(ArtifactError, match=sentence):
            check(wired(node, head("j"), shape=(1,)))

    refused("node 'j' is a join: it has no neuron and no bias", neuron=lif([1]))
    refused("node 'j' is a join: it has no neuron and no bias", bias=tensor([1]))
    refused("node 'j' joins by 'None'; possible", join=None)
    refused("node 'j', input 1 belongs to a join: it has no weight", inputs=(Edge("x", 0), Edge("x", 0, tensor([[1]]))))
    refused("node 'j', input 0 belongs to a join: it has no weight", inputs=(Edge("x", 0, op="identity"), Edge("x", 0)))
    with pytest.raises(ArtifactError, match="node 'a' is no join, but has the join 'or'"):
        check(wired(Node("a", "dense", (Edge("x", 0, tensor([[1]])),), (1,), (1,), join="or"), shape=(1,)))
    join = Node("j", "join", (Edge("x", 0), Edge("a", 1)), (2,), (2,), join="or")
    with pytest.raises(ArtifactError, match=r"node 'j', input 1 has the shape \(1,\), not \(2,\) as the first"):
        check(wired(join, relay("a", [[1, 0]]), head("j", size=2), shape=(2,)))


# ---------------------------------------------------------------- identity edges


def test_an_identity_edge_by_hand() -> None:
    """Channel 0: 1 x + (2 x << 1), channel 1: -1 x + (-3 x << 1); a weight of 0 is no synapse."""
    W = tensor([[1, 0, 0], [0, -1, 0], [0, 0, 1]])
    straight = Edge("x", 0, tensor([2, -3, 0]), shift=1, op="identity")
    network = wired(Node("head", "dense", (Edge("x", 0, W), straight), (3,), (3,)), steps=1, shape=(3,))
    check(network)
    result = run(network, np.array([[[1, 1, 1]], [[0, 1, 0]]], np.uint8))
    assert result.logits.tolist() == [[1 + 4, -1 - 6, 1], [0, -7, 0]]
    assert result.sops["head"].tolist() == [3 + 2, 1 + 1]
    assert network_bounds(network)["head"].sums == (Interval(-1, 1), Interval(-3, 2))
    assert network_bounds(network)["head"].k == Interval(-7, 5)


def test_an_identity_edge_of_a_convolution_has_one_weight_per_channel() -> None:
    """Channel 0 keeps its two pixels twice (from the step before), channel 1 negated; one synapse per element."""
    W = tensor(np.zeros((2, 2, 1, 1)))
    conv = ConvGeometry((1, 1), (0, 0), 1)
    straight = Edge("x", 1, tensor([2, -1]), op="identity")
    node = Node("head", "conv2d", (Edge("x", 0, W, conv=conv), straight), (2, 1, 2), (2, 1, 2))
    network = wired(node, steps=2, shape=(2, 1, 2))
    check(network)
    x = np.array([1, 0, 1, 1, 0, 1, 0, 0], np.uint8).reshape(1, 2, 2, 1, 2)
    result = run(network, x)
    assert result.logits.tolist() == [[2, 0, -1, -1]]
    assert result.sops["head"].tolist() == [3]


def test_an_identity_edge_from_a_direct_input_is_floored_once_and_counted_once() -> None:
    """-3 * 5 = -15, >> 2 = -4; 5 = 101b costs 2 additions per sample, and again 2 by the dense edge."""
    straight = Edge("x", 0, tensor([-3]), input_shift=2, op="identity")
    node = Node("head", "dense", (Edge("x", 0, tensor([[1]])), straight), (1,), (1,))
    network = wired(node, steps=3, shape=(1,), kind="direct", bits=3)
    check(network)
    result = run(network, np.array([[5]], np.uint8))
    assert result.logits.tolist() == [[3 * (5 - 4)]]
    assert result.sops["head"].tolist() == [4]


def test_identity_edges_that_do_not_fit() -> None:
    conv = ConvGeometry((1, 1), (0, 0), 1)
    for edge, sentence in [
        (Edge("x", 0, tensor([1, 1]), op="identity"), r"identity edge from \(3,\) to \(2,\), which differ"),
        (Edge("x", 0, tensor([1, 1, 1]), op="identity"), r"weight has shape \(3,\), not \(2,\)"),
        (Edge("x", 0, tensor([1, 1]), conv=conv, op="identity"), "but an identity edge has none"),
        (Edge("x", 0, tensor([1, 1]), op="dense"), "has the op 'dense'; possible: dense, identity"),
        (Edge("x", 0, op="identity"), "node 'head', input 1 has no weight"),
    ]:
        node = Node("head", "dense", (Edge("x", 0, tensor(np.ones((2, 3)))), edge), (3,), (2,))
        with pytest.raises(ArtifactError, match=sentence):
            check(wired(node, shape=(3,)))


# ---------------------------------------------------------------- heads


def reading(read: str, **parts: Any) -> Network:
    """Two neurons behind weights 3 and -2."""
    return wired(
        Node("head", "dense", (Edge("x", 0, tensor([[3], [-2]])),), (1,), (2,), **parts), read=read, shape=(1,)
    )


def test_a_head_that_counts() -> None:
    """Neuron 0: 3 > 2 at every spike; neuron 1 never. The trace is that of a spiking node."""
    network = reading("count", neuron=lif([2, 2], leak=()))
    check(network)
    result = run(network, np.array([[[1], [0], [1], [1]], [[0]] * 4], np.uint8), trace=True)
    assert result.logits.tolist() == [[3, 0], [0, 0]]
    assert result.classes.tolist() == [0, 0]
    assert result.spikes["head"].tolist() == [3, 0]
    trace = result.trace["head"]
    assert trace.k[0, :, 0].tolist() == [3, 0, 3, 3]
    assert trace.s is not None
    assert trace.s[0, :, 0].tolist() == [1, 0, 1, 1]
    assert logit_bounds(network) == Interval(0, 4)
    assert logit_bounds(reading("count", neuron=lif([2, 2], refractory=1))) == Interval(0, 2)
    assert logit_bounds(reading("count", neuron=lif([2, 2], refractory=2))) == Interval(0, 2)
    assert logit_bounds(reading("count", neuron=lif([2, 2], refractory=3))) == Interval(0, 1)


def test_ties_of_counts_go_to_the_lowest_index() -> None:
    network = reading("count", neuron=lif([-128, -128]))
    result = run(network, np.zeros((1, 4, 1), np.uint8))
    assert result.logits.tolist() == [[4, 4]]
    assert result.classes.tolist() == [0]


def test_a_head_read_by_its_membrane() -> None:
    """K = U + 3 x + 1 with half kept in 4 bits (at most 7), and the logit is K of the last step, beyond those 7.

    K: 4, 2 + 4 = 6, 3 + 4 = 7, 3 + 4 = 7; the other -5, -3 - 5 = -8, -4 - 5 = -9, -5 - 5 = -10.
    """
    network = reading("membrane", integrator=Integrator(HALF, 4), bias=tensor([1, -3]))
    check(network)
    result = run(network, np.ones((1, 4, 1), np.uint8), trace=True)
    trace = result.trace["head"]
    assert trace.k[0].T.tolist() == [[4, 6, 7, 7], [-5, -8, -9, -10]]
    assert trace.u is not None
    assert trace.u[0].T.tolist() == [[2, 3, 3, 3], [-3, -4, -5, -5]]
    assert trace.s is trace.j is None
    assert result.logits.tolist() == [[7, -10]]
    assert result.spikes == {}
    assert logit_bounds(network) == network_bounds(network)["head"].k == Interval(-5 - 7, 4 + 7)


def test_the_stored_membrane_of_a_head_is_clipped_but_its_logit_is_not() -> None:
    network = reading("membrane", integrator=Integrator(KEEP, 2))
    assert run(network, np.ones((1, 4, 1), np.uint8)).logits.tolist() == [[1 + 3, -1 - 2]]


def test_heads_that_do_not_fit_their_reading() -> None:
    li = Integrator(HALF, 4)
    for network, sentence in [
        (reading("count"), "must have a neuron of kind lif or cuba, as it is read by 'count'"),
        (reading("count", integrator=li), "must have a neuron of kind lif or cuba"),
        (reading("membrane"), "must have a neuron of kind 'li', as it is read by 'membrane'"),
        (reading("membrane", neuron=lif([1, 1])), "must have a neuron of kind 'li'"),
        (reading("accumulate", neuron=lif([1, 1])), "must have no neuron, as it is read by 'accumulate'"),
        (reading("accumulate", integrator=li), "must have no neuron, as it is read by 'accumulate'"),
        (reading("membrane", integrator=li, neuron=lif([1, 1])), "has both a neuron and an integrator"),
        (reading("last", integrator=li), "the output reads 'last'; possible: accumulate, count, membrane"),
    ]:
        with pytest.raises(ArtifactError, match=sentence):
            check(network)


# ---------------------------------------------------------------- refractory steps


def test_refractory_steps_take_in_nothing() -> None:
    """5 a step, 1 by bias, T = 5, reset to zero, r = 2: 6 fires, two silent steps at 0, and again."""
    network = one_neuron(lif([5], refractory=2), [[5]], bias=[1], steps=7)
    trace = traced(network, [[[1]] * 7])
    assert column(trace.k) == [6, 0, 0, 6, 0, 0, 6]
    assert column(trace.s) == [1, 0, 0, 1, 0, 0, 1]
    assert column(trace.u) == [0] * 7
    # The spikes cross the synapse all the same.
    assert run(network, np.ones((1, 7, 1), np.uint8)).sops["a"].tolist() == [7]


def test_what_a_reset_by_subtraction_leaves_leaks_while_refractory() -> None:
    """K = 20 > 4, V = 16, half is 8 (16 > T never fires while silent); K = 8 -> 4, K = 4 -> 2; then 2 + 20 = 22."""
    network = one_neuron(lif([4], reset_by=[4], leak=HALF, refractory=2), [[20]], steps=4)
    trace = traced(network, [[[1]] * 4])
    assert column(trace.k) == [20, 8, 4, 22]
    assert column(trace.s) == [1, 0, 0, 1]
    assert column(trace.u) == [8, 4, 2, 9]


def test_refractory_for_longer_than_the_sample() -> None:
    trace = traced(one_neuron(lif([-1], refractory=255), [[5]], steps=4), [[[1]] * 4])
    assert column(trace.s) == [1, 0, 0, 0]


def test_each_neuron_and_each_sample_has_its_own_refractory_steps() -> None:
    network = one_neuron(lif([4, 4], refractory=1), [[5, 0], [0, 5]], steps=3)
    x = np.array([[[1, 0], [1, 1], [1, 1]], [[0, 1], [1, 1], [1, 1]]], np.uint8)
    s = run(network, x, trace=True).trace["a"].s
    assert s is not None
    assert s.tolist() == [[[1, 0], [0, 1], [1, 0]], [[0, 1], [1, 0], [0, 1]]]


def test_the_bound_of_k_holds_the_membrane_alone() -> None:
    """With B = 100 an awake K is at least 100 - 7; while refractory K = U may be anything from -7 to 7."""
    awake = network_bounds(one_neuron(lif([5], membrane_bits=4), [[5]], bias=[100]))["a"].k
    refractory = network_bounds(one_neuron(lif([5], membrane_bits=4, refractory=1), [[5]], bias=[100]))["a"].k
    assert (awake, refractory) == (Interval(93, 112), Interval(-7, 112))


# ---------------------------------------------------------------- CUBA


def test_a_synaptic_current_by_hand() -> None:
    """W = 6, J keeps half in 4 bits (at most 7), no membrane leak, T = 20, reset to zero.

    J: 6; 3 + 6 = 9, stored 7; 7 >> 1 = 3; 3 >> 1 = 1. K: 6, 6 + 9 = 15, 15 + 3 = 18, 18 + 1 = 19.
    """
    network = one_neuron(lif([20], current=SynapticCurrent(HALF, 4)), [[6]], steps=4)
    trace = traced(network, [[[1], [1], [0], [0]]])
    assert column(trace.k) == [6, 15, 18, 19]
    assert column(trace.j) == [6, 7, 3, 1]
    assert column(trace.s) == [0] * 4
    assert column(trace.u) == [6, 15, 18, 19]
    assert run(network, np.array([[[1], [1], [0], [0]]], np.uint8)).sops["a"].tolist() == [2]


def test_the_reset_leaves_the_synaptic_current_and_the_bias_is_no_part_of_it() -> None:
    """J: 8, 4 + 0 = 4, 2. K = 8 + 1 > 8 fires; then 0 + 4 + 1 = 5; 5 + 2 + 1 = 8, not more than 8."""
    network = one_neuron(lif([8], current=SynapticCurrent(HALF, 8)), [[8]], bias=[1], steps=3)
    trace = traced(network, [[[1], [0], [0]]])
    assert (column(trace.k), column(trace.j), column(trace.s)) == ([9, 5, 8], [8, 4, 2], [1, 0, 0])


def test_a_synaptic_current_goes_on_while_the_neuron_is_refractory() -> None:
    """J keeps all: 5, 10, 15. The neuron fires at 5, sleeps one step at K = U = 0, and wakes to J = 15."""
    network = one_neuron(lif([4], refractory=1, current=SynapticCurrent(KEEP, 8)), [[5]], steps=3)
    trace = traced(network, [[[1]] * 3])
    assert (column(trace.k), column(trace.j), column(trace.s)) == ([5, 0, 15], [5, 10, 15], [1, 0, 1])


def test_negative_synaptic_currents_floor_and_clip() -> None:
    """-6; -6 >> 1 = -3, - 6 = -9, stored -7; -7 >> 1 = -4; -2; -1; -1 for ever."""
    network = one_neuron(lif([20], leak=(), current=SynapticCurrent(HALF, 4)), [[-6]], steps=6)
    trace = traced(network, [[[1], [1], [0], [0], [0], [0]]])
    assert column(trace.k) == [-6, -9, -4, -2, -1, -1]
    assert column(trace.j) == [-6, -7, -4, -2, -1, -1]


def test_the_bound_of_a_synaptic_current_is_reached() -> None:
    """W = 6 and -4, Qj = 7, half kept: J in -4 - 4 .. 6 + 3; K adds Qu = 3 and B = 2."""
    network = one_neuron(lif([127], membrane_bits=3, current=SynapticCurrent(HALF, 4)), [[6, -4]], bias=[2], steps=6)
    bounds = network_bounds(network)["a"]
    assert bounds.sums == (Interval(-4, 6),)
    assert bounds.j == Interval(-8, 9)
    assert bounds.k == Interval(-8 + 2 - 3, 9 + 2 + 3)
    up, down = (traced(network, [[x] * 6]) for x in ([1, 0], [0, 1]))
    assert max(column(up.k)) == bounds.k.hi
    assert min(column(down.k)) == bounds.k.lo


def test_the_leak_of_a_synaptic_current_is_bounded_by_trying_every_value() -> None:
    """v - (v >> 1) over -7..7 is -3..4 (each term alone would only give -7 - 3 = -10 to 7 + 4 = 11)."""
    current = SynapticCurrent((LeakTerm(1, 0), LeakTerm(-1, 1)), 4)
    network = one_neuron(lif([127], current=current), [[1]], steps=6)
    assert network_bounds(network)["a"].j == Interval(-3, 4 + 1)
    assert network_bounds(one_neuron(lif([127], current=SynapticCurrent((), 16)), [[1]]))["a"].j == Interval(0, 1)


def test_a_trace_has_j_only_where_there_is_one() -> None:
    network = samples.newer()
    assert network.vectors is not None
    traces = run(network, network.vectors.inputs, trace=True).trace
    assert {name: trace.j is not None for name, trace in traces.items()} == {"lif": False, "cuba": True, "head": False}


# ---------------------------------------------------------------- boundaries


def test_boundaries_by_hand() -> None:
    """U is -3 plus the number of boundaries that V has reached; one at which V stands is reached."""
    neuron = samples.lif([9], leak=(), membrane_bits=3, boundaries=samples.tensor([[-4, -2, -1, 1, 3, 8]]))
    network = samples.one_neuron(neuron, [[7, -2, 1]], steps=7)
    x = [[1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]]
    trace = run(network, np.array([x], np.uint8), trace=True).trace["a"]
    assert trace.s is not None
    assert trace.u is not None
    assert trace.k[0, :, 0].tolist() == [7, 3, 10, -2, -3, 6, 3]
    assert trace.s[0, :, 0].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert trace.u[0, :, 0].tolist() == [2, 2, 0, -1, -2, 2, 2]


def test_boundaries_behind_a_reset_by_subtraction() -> None:
    """V = K - R of a spike: 10 - 4 = 6 reaches two of three boundaries above 0 and all below."""
    neuron = samples.lif(
        [5], reset_by=[4], leak=(), membrane_bits=3, boundaries=samples.tensor([[-9, -8, -7, 2, 6, 7]])
    )
    trace = run(samples.one_neuron(neuron, [[10]], steps=2), np.ones((1, 2, 1), np.uint8), trace=True).trace["a"]
    assert trace.u is not None
    assert trace.u[0, :, 0].tolist() == [2, 3]
