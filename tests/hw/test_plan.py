"""Plans: lanes, what is refused, and that the memory list is what is built."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment, MemoryInstance, Shape
from handmade import conv_network, dense_network, graph_network, neuron_network
from hw.test_accelerator import assert_equal
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import FEATURES, dense_chains, examples, networks, random_inputs

from mintaka.artifact import (
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
    SynapticCurrent,
    TestVectors,
    check,
    run,
)
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import LayerPlan, MemoryPlan, PlanError, StreamLayout, WindowPlan, make_plan
from mintaka_hw.plan.memory import BLOCK_BITS, BLOCK_ROWS, REGISTER_STATES
from mintaka_hw.rtl.layer import LayerCore
from mintaka_hw.rtl.pipeline import PipelineTiming
from mintaka_hw.rtl.windows import WindowReader
from mintaka_hw.verilog.generate import texts_of
from mintaka_hw.verilog.hierarchy import modules_of

SMALL = dense_network([12, 8, 3])


def size_of(component: Any) -> int:
    """Characters of the netlists of a component and of what is in it."""
    return sum(len(module.rtlil) for module in modules_of(component, "top"))


def with_first_edge(network: Network, **changes: object) -> Network:
    first = network.nodes[0]
    edge: Edge = replace(first.inputs[0], **changes)  # type: ignore[arg-type]
    return replace(network, nodes=(replace(first, inputs=(edge,)), *network.nodes[1:]))


def test_one_number_is_a_limit_for_every_layer() -> None:
    assert make_plan(SMALL, 5).lanes == {"hidden1": 5, "head": 3}


def test_lanes_by_name_leave_the_others_to_auto() -> None:
    plan = make_plan(SMALL, {"hidden1": 2})
    assert plan.lanes["hidden1"] == 2
    assert 1 <= plan.lanes["head"] <= 3


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        (0, "lanes must be 1 to 1,024, got 0"),
        (99_999_999, "lanes must be 1 to 1,024, got 99,999,999"),
        (2.5, "lanes must be an integer, 1 to 1,024, got 2.5"),
        (None, "lanes must be an integer, 1 to 1,024, got None"),
        ({"head": 2.5}, "layer 'head': lanes must be an integer, 1 to 1,024, got 2.5"),
        ({"hiden": 2}, "lanes are given for 'hiden', but the layers are hidden1, head"),
        ({"head": 4}, "layer 'head' has 4 lanes for 3 neurons; give it at most 3"),
        ("many", "lanes must be a number, 'auto' or a number per layer, got 'many'"),
    ],
)
def test_lanes_that_make_no_sense(lanes: Any, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(SMALL, lanes)
    assert str(caught.value) == message


def test_arguments_of_other_kinds() -> None:
    with pytest.raises(PlanError, match=r"^sparse layers must be 'auto' or names of layers, got 2\.5$"):
        make_plan(SMALL, 1, 2.5)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"^the network must be a Network, as mintaka\.artifact\.load\(path\) gives it"):
        make_plan("a/path")  # type: ignore[arg-type]
    assert make_plan(SMALL, np.int64(2)).lanes == make_plan(SMALL, 2).lanes


def test_nodes_and_inputs_that_nothing_reads_are_refused_by_name() -> None:
    dead = replace(SMALL.nodes[0], name="dead")
    loop = tuple(
        replace(n, inputs=(Edge("hidden1", 1, IntTensor(np.ones((n.channels, 8), np.int8), 2)),)) for n in SMALL.nodes
    )
    loop = (replace(loop[0], shape_in=(8,)), loop[1])
    hidden, head = SMALL.nodes
    late = replace(SMALL, nodes=(hidden, replace(head, inputs=(replace(head.inputs[0], delay=1),))))
    steps = f"in a sample of {SMALL.time_steps} steps"
    cases = {
        f"node 'dead' is read by nothing {steps}: remove it": replace(SMALL, nodes=(dead, *SMALL.nodes)),
        f"the input 'input' is read by nothing {steps}: let a node read it": replace(SMALL, nodes=loop),
        "node 'hidden1' is read by nothing in a sample of one step: remove it": replace(late, time_steps=1),
    }
    for message, network in cases.items():
        check(network)
        with pytest.raises(PlanError) as caught:
            make_plan(network)
        assert str(caught.value) == message
    make_plan(late)


def test_logits_that_do_not_depend_on_the_input_are_refused() -> None:
    """Nothing would hold the head, which would give the logits of samples that are still to come."""
    head = SMALL.nodes[1]
    again = replace(head, inputs=(Edge("hidden1", 1, IntTensor(np.ones((head.channels, 8), np.int8), 2)),))
    network = replace(SMALL, nodes=(with_first_edge(SMALL, delay=1).nodes[0], again))
    check(network)
    make_plan(replace(network, time_steps=3))
    with pytest.raises(PlanError, match=r"^the logits of 'head' do not depend on the input in a sample of 2 steps: no"):
        make_plan(replace(network, time_steps=2))


@pytest.mark.parametrize(
    ("changes", "merged", "passes"),
    [
        ({}, True, ()),
        ({"input_shift": 2}, True, ()),
        ({"shift": 2}, True, ()),
        ({"input_shift": 2, "shift": 1}, False, (0,)),
    ],
)
def test_a_lone_direct_input_is_summed_in_the_first_step_where_that_is_exact(
    changes: dict[str, int], merged: bool, passes: tuple[int, ...]
) -> None:
    network = with_first_edge(dense_network([12, 8, 3], kind="direct", bits=4), **changes)
    layer = make_plan(network).layers[0]
    assert (layer.schedule.preloads_in_first_step, layer.schedule.preloads, layer.schedule.phases) == (
        merged,
        passes,
        4 + len(passes),
    )
    neuron = network.nodes[0].neuron
    assert neuron is not None
    cuba = replace(network.nodes[0], neuron=replace(neuron, current=SynapticCurrent((LeakTerm(1, 1),), 4)))
    assert make_plan(replace(network, nodes=(cuba, network.nodes[1]))).layers[0].schedule.preloads == (0,)


def test_what_a_layer_does_not_have_it_does_not_pay_for() -> None:
    """State fields and cycles of the plain layer, and of one with everything."""
    plain = make_plan(SMALL).layers[0]
    assert (plain.datapath.state_fields, PipelineTiming.of(plain).result, plain.schedule.sum_shifts) == (
        {"u": 4},
        6,
        ((0, 0),),
    )
    plan = make_plan(neuron_network())
    assert {layer.name: layer.datapath.state_fields for layer in plan.layers} == {
        "conv1": {"u": 5, "silent": 2},
        "conv2": {"u": 5, "j": 5, "silent": 1},
        "head": {"u": 5, "silent": 1, "count": 2},
    }
    assert {layer.name: (PipelineTiming.of(layer).result, layer.schedule.sum_shifts) for layer in plan.layers} == {
        "conv1": (6, ((1, 0),)),
        "conv2": (7, ((3, 2), (2, 1), (0, 0))),
        "head": (6, ((3, 0), (0, 0))),
    }
    assert make_plan(neuron_network(time_steps=1)).layers[0].datapath.state_fields == {}


def test_one_step_needs_no_membranes() -> None:
    """With T = 1 nothing outlives a step, neither in layers nor in heads of any kind: no memory of the state is built,
    and none of a lone direct input's current."""
    direct = dense_network([12, 8, 3], kind="direct", bits=4)
    for network in (SMALL, neuron_network(), direct):
        several, one = (make_plan(replace(network, time_steps=steps)) for steps in (3, 1))
        assert any(memory.name == "state" for layer in several.layers for memory in layer.memories)
        assert not any(memory.name == "state" for layer in one.layers for memory in layer.memories)
        assert one.memory_bits < several.memory_bits
    names = {memory.name for memory in make_plan(replace(direct, time_steps=1)).layers[0].memories}
    assert names == {memory.name for memory in make_plan(replace(direct, time_steps=3)).layers[0].memories} - {
        "state",
        "current",
    }


def test_membranes_by_boundaries_are_refused() -> None:
    network = SMALL
    neuron = network.nodes[0].neuron
    assert neuron is not None
    steps = IntTensor(np.zeros((network.nodes[0].channels, 2 * neuron.membrane_max), np.int8), 2)
    first = replace(network.nodes[0], neuron=replace(neuron, leak=(), boundaries=steps))
    sentence = (
        f"node '{first.name}' stores its membranes by boundaries, for which there is no hardware: each lane would need "
        f'{2 * neuron.membrane_max} comparators; train it with membrane_rule = "shift"'
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        make_plan(replace(network, nodes=(first, *network.nodes[1:])))


def test_deep_chains_are_predicted() -> None:
    """A core asks the one before it: 600 of them are more calls than Python allows unasked."""
    network = dense_network([2] * 600, time_steps=1)
    assert predict_cycles(make_plan(network), random_inputs(network, samples=1, seed=0)).result[0] > 600


@given(networks(features=FEATURES))
def test_any_network_is_planned_or_refused_in_one_sentence(network: Network) -> None:
    refusal = ""
    try:
        plan = make_plan(network)
    except PlanError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert any(f"'{name}'" in refusal for name in (network.input.name, *(node.name for node in network.nodes)))
    else:
        assert [stage.name for stage in plan.stages] == [node.name for node in network.nodes]
        assert len(plan.links) == sum(len(node.inputs) for node in network.nodes)


def test_auto_lanes_keep_pace_with_the_largest_layer() -> None:
    network = dense_network([100, 64, 40, 10], seed=3)
    x = random_inputs(network, samples=4, seed=1, rate=0.2)
    network = replace(network, vectors=TestVectors(x, run(network, x).logits))
    plan = make_plan(network, "auto")
    assert plan.lanes["hidden1"] == 32
    busy = {name: values.mean() for name, values in predict_cycles(plan, x).busy.items()}
    assert max(busy, key=lambda name: busy[name]) == "hidden1"
    assert plan.lanes["head"] < 10


def built_bits(layer: LayerPlan) -> int:
    """Bits of all memories in the elaborated core."""
    bits = 0
    todo = [Fragment.get(LayerCore(layer), None)]
    while todo:
        fragment = todo.pop()
        if isinstance(fragment, MemoryInstance):
            data = fragment._data
            bits += data._depth * Shape.cast(data._shape).width
        todo += [sub for sub, *_ in fragment.subfragments]
    return bits


def in_parts(depth: int, width: int) -> int:
    """Words of a constant memory that is block RAM as a whole: each part of it is, or is not, or is a constant."""
    parts = [min(BLOCK_ROWS, depth - first) for first in range(0, depth, BLOCK_ROWS)]
    return sum(0 if n == 1 else 1 << (n - 1).bit_length() if n * width >= BLOCK_BITS else n for n in parts)


def assert_listed_as_built(layer: LayerPlan) -> None:
    """A memory of one word is a register or a constant, so only deeper ones are looked for, but for those of rows.

    Constants in block RAM are built with a power of two of words, stored rows of a sparse memory as two memories where
    these have fewer, and all of them in parts of `BLOCK_ROWS`. A codebook is gates.
    """
    least = {"rows": 1, "flags": 1, "state": REGISTER_STATES + 1, "current": REGISTER_STATES + 1}
    constants = ("weights", "index", "fanout", "bias", "threshold", "reset_by")
    deep = [m.name in constants and m.bits >= BLOCK_BITS for m in layer.memories]

    def words(memory: MemoryPlan) -> int:
        whole = 1 << (memory.depth - 1).bit_length()
        rest = memory.depth - whole // 2
        if memory.name == "index":
            return whole
        if layer.weights.sparse is None or memory.name != "weights" or 1 << (rest - 1).bit_length() > whole // 4:
            return in_parts(memory.depth, memory.width)
        return in_parts(whole // 2, memory.width) + in_parts(rest, memory.width)

    bits = [m.width * words(m) if d else m.bits for m, d in zip(layer.memories, deep, strict=True)]
    built = [m.depth >= least.get(m.name, 2) and m.name != "codebook" for m in layer.memories]
    assert built_bits(layer) == sum(b for b, is_built in zip(bits, built, strict=True) if is_built)


@examples(20)
@given(data=st.data(), network=dense_chains(features=FEATURES))
def test_listed_memories_are_the_built_ones(data: st.DataObject, network: Network) -> None:
    lanes = {node.name: data.draw(st.integers(1, node.size_out)) for node in network.nodes}
    for layer in make_plan(network, lanes).layers:
        assert_listed_as_built(layer)


@settings(max_examples=20)
@given(data=st.data(), network=networks(max_size=8, features=("join", "identity", "codebook")))
def test_listed_memories_are_the_built_ones_of_graphs(data: st.DataObject, network: Network) -> None:
    names = [node.name for node in network.nodes if node.has_synapses]
    lanes = {name: data.draw(st.integers(1, network.node(name).channels)) for name in names}
    try:
        plan = make_plan(network, lanes)
    except PlanError:
        assume(False)
    for layer in plan.layers:
        assert_listed_as_built(layer)


@pytest.mark.parametrize("groups", [1, 2, 4, 12])
@pytest.mark.parametrize("lanes", [1, 2, 3, 6, 12])
def test_grouped_convolutions_store_no_zeros(groups: int, lanes: int) -> None:
    """Lanes that reach into part of a conv group, into one and into several: all store the weights and nothing else."""
    network = conv_network([12, 12, 2], groups=[groups])
    layer = make_plan(network, {"conv1": lanes, "head": 1}).layer("conv1")
    weights = next(memory for memory in layer.memories if memory.name == "weights")
    assert weights.bits == 12 * (12 // groups) * 9 * 3


def test_identity_edges_store_a_weight_per_neuron() -> None:
    hidden = SMALL.nodes[0]
    loop = Edge(hidden.name, 1, IntTensor(np.full(8, 3, np.int8), 4), op="identity")
    network = replace(SMALL, nodes=(replace(hidden, inputs=(*hidden.inputs, loop)), SMALL.nodes[1]))
    check(network)
    layer = make_plan(network, {"hidden1": 4, "head": 1}).layers[0]
    weights = next(memory for memory in layer.memories if memory.name == "weights")
    assert weights.bits == (12 + 1) * 8 * 4


@given(network=dense_chains(), seed=st.integers(0, 2**32 - 1))
def test_proven_intervals_hold_every_k(network: Network, seed: int) -> None:
    plan = make_plan(network, 4)
    for style in ("random", "max"):
        result = run(network, random_inputs(network, samples=2, seed=seed, style=style), trace=True)
        for layer in plan.layers:
            k = result.trace[layer.name].k
            assert layer.datapath.ranges.k.lo <= k.min()
            assert k.max() <= layer.datapath.ranges.k.hi
            if layer.datapath.fires:
                decided = layer.datapath.threshold.reshape(1, 1, -1)
                np.testing.assert_equal(k > decided, result.trace[layer.name].s == 1)


def test_links_have_names_of_their_own() -> None:
    """Whatever the nodes are called: names that join source and target by a word would meet here."""
    network = graph_network()
    renamed = {"conv1": "a", "conv2": "b_to_head", "loop": "a_to_b"}
    nodes = tuple(
        replace(
            node,
            name=renamed.get(node.name, node.name),
            inputs=tuple(replace(edge, node=renamed.get(edge.node, edge.node)) for edge in node.inputs),
        )
        for node in network.nodes
    )
    links = make_plan(replace(network, nodes=nodes)).links
    assert len({link.name for link in links}) == len(links)


@given(data=st.data())
def test_windows_free_only_rows_that_are_held(data: st.DataObject) -> None:
    """Also where the stride is larger than the kernel; and every window's rows fit into the buffer at once."""
    kernel, stride, padding, rows = (data.draw(st.integers(*r)) for r in ((1, 5), (1, 9), (0, 3), (1, 20)))
    assume(padding < kernel <= rows + 2 * padding)
    frame = StreamLayout(rows, 1, 1, 1, 1)
    given = WindowPlan(frame, (kernel, 1), (stride, 1), (padding, 0), ((rows + 2 * padding - kernel) // stride + 1, 1))
    window, freed = given.kept, 0
    for row in range(window.shape_out[0]):
        assert window.rows_freed(row) <= window.rows_needed(row) <= freed + window.buffer_rows
        assert window.inside(0, row) == given.inside(0, row)
        freed = window.rows_freed(row)
    assert freed == window.incoming.rows == len(given.positions(0))
    assert stride > kernel or window is given


@settings(max_examples=15)
@given(data=st.data())
def test_what_lies_between_windows_costs_nothing(data: st.DataObject) -> None:
    """A buffer as small as with a stride of the kernel's size and as many windows; the rest are counters."""

    def side(name: str) -> tuple[int, int, int]:
        kernel = data.draw(st.integers(1, 3), label=f"{name} kernel")
        stride = data.draw(st.integers(kernel, 12) | st.sampled_from((64, 5000)), label=f"{name} stride")
        return kernel, stride, data.draw(st.integers(1, 3), label=f"{name} windows")

    (kv, sv, rows), (kh, sh, cols) = side("vertical"), side("horizontal")

    def plan(strides: tuple[int, int]) -> WindowPlan:
        size = (strides[0] * (rows - 1) + kv, strides[1] * (cols - 1) + kh)
        return WindowPlan(StreamLayout(*size, 3, 3, 1), (kv, kh), strides, (0, 0), (rows, cols))

    far, near = plan((sv, sh)), plan((kv, kh))
    assert far.memories == near.memories
    more = size_of(WindowReader(far)) - size_of(WindowReader(near))
    assert more == 0 if far.kept is far else 0 < more < 15_000


@pytest.mark.parametrize("stride", [(1, 1), (64, 3), (3, 5000)])
def test_the_verilog_of_a_stride_beyond_the_kernel(stride: tuple[int, int]) -> None:
    size = (stride[0] + 1, stride[1] + 1)
    window = WindowPlan(StreamLayout(*size, 3, 3, 1), (1, 1), stride, (0, 0), (2, 2))
    text = "".join(texts_of(WindowReader(window), make_plan(SMALL), "top").values())
    assert len(text) < 11_000 + (0 if window.kept is window else 5_000)


@pytest.mark.parametrize(
    ("picture", "kernel", "stride", "padding"),
    [
        ((9, 7), (2, 3), (64, 64), (0, 0)),
        ((7, 9), (1, 1), (3, 4), (0, 0)),
        ((8, 5), (3, 2), (4, 5000), (1, 1)),
        ((6, 9), (2, 2), (2, 3), (1, 0)),
    ],
)
def test_strides_beyond_the_kernel_stay_exact(
    picture: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    """Every value and every cycle, of a convolution and of a pool, whatever lies between their windows."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> IntTensor:
        return IntTensor(rng.integers(-3, 4, shape).astype(np.int8), 3)

    def extents(pads: tuple[int, int], steps: tuple[int, int]) -> tuple[int, int]:
        rows, cols = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip(picture, pads, kernel, steps, strict=True))
        return rows, cols

    neuron = Neuron(IntTensor(np.full(4, 2, np.int8), 5), ">", "zero", None, (LeakTerm(1, 1),), 4)
    steps = min(64, stride[0]), min(64, stride[1])  # of a pool
    conv, pooled = extents(padding, stride), extents((0, 0), steps)
    edge = Edge("input", 0, weights(4, 3, *kernel), conv=ConvGeometry(stride, padding, 1))
    seen = Edge("pool", 0, weights(4, 3 * pooled[0] * pooled[1]))
    ends = Edge("conv", 0, weights(2, 4 * conv[0] * conv[1])), Edge("seen", 0, weights(2, 4))
    nodes = (
        Node("conv", "conv2d", (edge,), (3, *picture), (4, *conv), None, neuron),
        Node("pool", "pool2d", (Edge("input", 0),), (3, *picture), (3, *pooled), pool=Pool("sum", kernel, steps)),
        Node("seen", "dense", (seen,), (3, *pooled), (4,), None, neuron),
        Node("head", "dense", ends, (4, *conv), (2,)),
    )
    network = Network("apart", 2, Input("input", (3, *picture), "spikes", 1), nodes, Output("head"))
    check(network)
    plan = make_plan(network, 3)
    inputs = random_inputs(network, samples=4, seed=1, rate=0.4)
    assert_equal(plan, inputs, simulate_amaranth(plan, inputs), stalled=False)


def test_kernels_of_more_pixels_than_python_recurses() -> None:
    """Elaborated: 20 x 64 pixels."""
    Fragment.get(WindowReader(WindowPlan(StreamLayout(20, 64, 1, 1, 1), (20, 64), (1, 1), (0, 0), (1, 1))), None)


def test_what_is_too_large_to_be_generated_is_refused_by_name() -> None:
    """At once, and before the test vectors are run for the lanes."""
    cases: dict[str, tuple[Network, int | str]] = {
        r"at least 75,0.{6} bits of weights and membranes, 75,0.{6} of them in 'hidden1'; at most 67,108,864": (
            dense_network([5000, 5000, 3], weight_bits=3),
            "auto",
        ),
        r"9,003 lanes, 1,000 of them in 'hidden1'; at most 8,192": (dense_network([4, *[1000] * 9, 3]), 1000),
        r"windows with 2,286,144 inputs of multiplexers, 254,016 of them in 'conv1'; at most 2,097,152": (
            conv_network([1] * 10 + [2], picture=(64, 64), kernel=63, time_steps=1),
            1,
        ),
        r"[\d,]+ cores, buffers and links, 129 of them in 'join0'; at most 4,096": (wide_join(64, 60), 1),
    }
    for said, (network, lanes) in cases.items():
        with pytest.raises(PlanError, match=f"^the accelerator would have {said} are generated: "):
            make_plan(network, lanes)


def test_wide_pixels_are_refused_as_soon_as_narrow_ones() -> None:
    """The largest artifact of this kind: what is only counted is not listed for each of 3,600 inputs."""
    network = wide_join(60, 60, channels=2**17)
    begin = time.process_time()
    with pytest.raises(PlanError, match=r"^the accelerator would have [\d,]+ bits of memory"):
        make_plan(network, 1)
    assert time.process_time() - begin < 2


def wide_join(inputs: int, joins: int, *, channels: int = 2) -> Network:
    """Joins of the input with itself, so many times each, one behind the other."""
    nodes, source = [], "input"
    for number in range(joins):
        edges = tuple(Edge(source, 0) for _ in range(inputs))
        nodes.append(Node(f"join{number}", "join", edges, (channels,), (channels,), join="or"))
        source = f"join{number}"
    weight = IntTensor(np.ones((2, channels), np.int8), 2)
    nodes.append(Node("head", "dense", (Edge(source, 0, weight),), (channels,), (2,)))
    network = Network("joins", 1, Input("input", (channels,), "spikes", 1), tuple(nodes), Output("head"))
    check(network)
    return network
