"""The torch forward is the integer network: equal to the reference in every K, spike, membrane and logit.

Over generated networks: layers, shapes, widths, leaks, resets, input kinds, BatchNorm states (negative gamma, too) and
time steps; in eval mode, in training mode with frozen statistics, in the fast engine and in the exported artifact.
"""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import examples
from sw.nets import assert_is, cases
from sw.same import assert_same

from mintaka.artifact import Input, Integrator, LeakTerm, Network, Result, SynapticCurrent, run
from mintaka.snn.errors import LayerError
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.snn.layers import Recorder, Spiking
from mintaka.snn.network import SNN
from mintaka.snn.specs import DenseSpec, NeuronSpec, Spec


def count(network: Network, result: Result, seen: Counter[object]) -> None:
    seen[network.output.read] += 1
    seen["steps", network.time_steps if network.time_steps <= 6 else "more"] += 1
    for node in network.nodes:
        seen[node.join or node.op] += 1
        seen["shared"] += node.codebook is not None
        seen["shared by several edges"] += node.codebook is not None and len(node.inputs) > 1
        seen["shared, without 0"] += node.codebook is not None and 0 not in node.codebook
        for edge in node.inputs:
            seen[edge.op, "own" if edge.node == node.name else "", edge.delay] += 1
            seen["join", "own"] += node.join is not None and edge.node == node.name
            if edge.weight is not None:
                seen["weight", edge.weight.bits] += 1
                seen["count"] += edge.node != "input" and network.node(edge.node).join == "add"
        neuron = node.neuron
        if neuron is None:
            continue
        share = result.spikes[node.name].sum() / (len(result.logits) * network.time_steps * node.size_out)
        seen["dead" if share == 0 else "saturated" if share == 1 else "alive"] += 1
        seen["membrane", neuron.membrane_bits] += 1
        seen["reset", neuron.reset] += 1
        seen["boundaries", neuron.reset, neuron.kind] += neuron.boundaries is not None
        seen["refractory", neuron.kind] += bool(neuron.refractory and result.spikes[node.name].any())
        seen[neuron.kind] += 1


def test_forward_is_the_reference() -> None:
    """In networks that have all that can be trained; most layers neither sleep nor fire all the time."""
    seen: Counter[object] = Counter()

    @settings(examples(220), database=None)
    @given(data=st.data(), images=st.booleans(), graph=st.booleans() | st.just(True))
    def holds(data: st.DataObject, images: bool, graph: bool) -> None:
        case = data.draw(cases(images, graph))
        snn = case.snn.eval()
        network = to_artifact(snn, "case")
        for training in (False, True):
            snn.train(training)
            snn.freeze_norms(training)
            record: Recorder = []
            logits = snn(case.x, record)
            assert_is(network, snn, record, logits, case.inputs)
        expected = run(network, case.inputs, trace=True)
        assert_same(expected, run_fast(network, case.inputs, trace=True))
        count(network, expected, seen)

    holds()
    wanted: set[object] = {"accumulate", "count", "membrane", "or", "and", "iand", "add", "pool2d", "cuba", "lif"}
    wanted |= {"alive", "dead", "saturated", ("join", "own"), ("refractory", "lif"), ("refractory", "cuba")}
    wanted |= {("identity", "", 0), ("identity", "", 1), ("identity", "own", 1), (None, "own", 1), (None, "", 1)}
    wanted |= {("weight", bits) for bits in range(1, 9)} | {("membrane", bits) for bits in range(2, 17)}
    wanted |= {("boundaries", reset, kind) for reset in ("zero", "subtract") for kind in ("lif", "cuba")}
    wanted |= {"shared", "shared by several edges", "shared, without 0"}
    wanted |= {("steps", T) for T in (1, 2, 3, 4, 5, 6, "more")} | {("reset", "zero"), ("reset", "subtract")}
    assert {name for name in wanted if not seen[name]} == set()
    assert seen["alive"] > seen["dead"] + seen["saturated"]


@pytest.mark.parametrize("graph", [False, True], ids=["sequence", "graph"])
@pytest.mark.parametrize("images", [True, False])
@examples(12)
@given(data=st.data())
def test_training_steps_keep_it_so(images: bool, graph: bool, data: st.DataObject) -> None:
    """After real updates with batch statistics the export still equals the frozen and the eval forward."""
    case = data.draw(cases(images, graph))
    snn = case.snn
    optimizer = torch.optim.Adam(snn.parameters(), lr=0.05)
    target = torch.zeros(len(case.inputs), dtype=torch.int64)
    for frozen in (False, True):
        snn.train()
        snn.freeze_norms(frozen)
        loss = torch.nn.functional.cross_entropy(snn.scores(snn(case.x)), target)
        optimizer.zero_grad()
        loss.backward()
        # Through many steps of a recurrence too, where gains are extreme.
        assert all(bool(p.grad.isfinite().all()) for p in snn.parameters() if p.grad is not None)
        optimizer.step()
    network = to_artifact(snn, "case")
    for training in (True, False):
        snn.train(training)
        record: Recorder = []
        assert_is(network, snn, record, snn(case.x, record), case.inputs)


@pytest.mark.parametrize("weight_bits", [1, 2, 4, 8])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (16, False), (8, True), (16, True)])
def test_wide_direct_inputs_stay_exact(weight_bits: int, bits: int, signed: bool) -> None:
    """784 inputs of 8 or 16 bits: beyond 2^24, the product is computed in float64."""
    neuron = NeuronSpec(8, (LeakTerm(1, 0), LeakTerm(-1, 3)), "subtract")
    specs: list[Spec] = [DenseSpec("hidden", 40, weight_bits, neuron), DenseSpec("head", 10, 8, None)]
    snn = SNN(Input("input", (784,), "direct", bits, signed), 5, specs)
    snn.quantize()
    rng = np.random.default_rng(0)
    inputs = rng.integers(snn.source.low, snn.source.high + 1, (16, 784)).astype(snn.source.dtype)
    inputs[0], inputs[1] = snn.source.high, snn.source.low
    Q = max(1, 2 ** (weight_bits - 1) - 1)
    assert snn.layers[0].synapses.most_sum == 784 * Q * max(snn.source.high, -snn.source.low)  # decides on the dtype
    x = torch.from_numpy(inputs.astype(np.float32))
    snn.train()
    snn(x)
    snn.eval()
    record: Recorder = []
    with torch.no_grad():
        snn.layers[0].synapses.weight.abs_()
        logits = snn(x, record)
    assert_is(to_artifact(snn, "wide"), snn, record, logits, inputs)


def test_wide_currents_stay_exact() -> None:
    """A leak that doubles 16-bit synaptic currents, on top of sums near 2^24: float32 would round."""
    doubled = SynapticCurrent((LeakTerm(1, 0), LeakTerm(1, 0), LeakTerm(1, 0), LeakTerm(1, 0)), 16)
    neuron = NeuronSpec(16, (LeakTerm(1, 0),) * 4, "subtract", 1, doubled)
    head = Integrator((LeakTerm(1, 0),) * 4, 16)
    snn = SNN(
        Input("input", (64,), "counts", 16), 6, [DenseSpec("hidden", 8, 8, neuron), DenseSpec("head", 3, 8, head)]
    )
    snn.quantize()
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 2**16, (4, 6, 64)).astype(np.uint16)
    inputs[0] = 2**16 - 1
    x = torch.from_numpy(inputs.astype(np.float32))
    snn(x)
    snn.eval()
    with torch.no_grad():
        snn.layers[0].synapses.weight.abs_()
        record: Recorder = []
        logits = snn(x, record)
    assert abs(int(record[0].k.max())) > 2**24
    assert_is(to_artifact(snn, "wide"), snn, record, logits, inputs)


@pytest.mark.parametrize(("current", "dtype"), [(None, torch.float32), (SynapticCurrent, torch.float64)])
def test_currents_count_for_the_dtype(current: type[SynapticCurrent] | None, dtype: torch.dtype) -> None:
    """Just below 2^24 without a synaptic current, above with one whose leak keeps four times 2^15."""
    keep = (LeakTerm(1, 0),)
    neuron = NeuronSpec(8, keep, "zero", 0, None if current is None else current(keep * 4, 16))
    specs: list[Spec] = [DenseSpec("hidden", 1, 8, neuron), DenseSpec("head", 1, 4, None)]
    snn = SNN(Input("input", (1,), "counts", 16), 2, specs)
    snn.quantize()
    hidden = snn.layers[0]
    assert isinstance(hidden, Spiking)
    assert hidden.dtype == dtype


def _small() -> SNN:
    neuron = NeuronSpec(4, (LeakTerm(1, 1),), "zero")
    return SNN(Input("input", (6,), "direct", 4), 2, [DenseSpec("hid", 5, 4, neuron), DenseSpec("head", 3, 4, None)])


def test_export_refuses_by_name() -> None:
    snn = _small()
    with pytest.raises(LayerError, match="layer 'hid' is in full precision"):
        to_artifact(snn, "x")
    snn.quantize()
    with pytest.raises(LayerError, match="layer 'hid' has not seen a batch yet, so its input_shift"):
        to_artifact(snn, "x")
    snn(torch.ones(4, 6))
    to_artifact(snn, "x")
    snn.head.bias.data[1] = float("nan")
    with pytest.raises(LayerError, match="layer 'head' holds a value in 'bias' that is not finite"):
        to_artifact(snn, "x")


def test_export_refuses_accumulators_beyond_the_contract() -> None:
    """1024 steps of 16-bit inputs through many wide weights: more than 40 bits at the head."""
    source = Input("input", (4000,), "direct", 16)
    snn = SNN(source, 1024, [DenseSpec("head", 2, 8, None, input_shift=0)])
    snn.quantize()
    snn.head.synapses.weight.data.fill_(1.0)
    with pytest.raises(LayerError, match=r"node 'head': the bits of its accumulator must be 1 to 40, got \d+"):
        to_artifact(snn, "x")


def test_float_network_is_not_integer() -> None:
    """The same modules, in full precision, before `quantize`; `set_integer` switches back."""
    snn = _small()
    x = torch.arange(24.0).reshape(4, 6)
    before = snn(x)
    assert not torch.equal(before, before.round())
    snn.quantize()
    integers = snn(x)
    assert torch.equal(integers, integers.round())
    snn.set_integer(False)
    torch.testing.assert_close(snn(x), before)


def test_seed_decides_the_weights() -> None:
    first, second = _small().state_dict(), _small().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    other = SNN(Input("input", (6,), "direct", 4), 2, [DenseSpec("head", 3, 4, None)], seed=1).state_dict()
    again = SNN(Input("input", (6,), "direct", 4), 2, [DenseSpec("head", 3, 4, None)], seed=2).state_dict()
    assert not torch.equal(other["layers.0.synapses.weight"], again["layers.0.synapses.weight"])
