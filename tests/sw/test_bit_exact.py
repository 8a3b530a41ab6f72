"""The torch forward is the integer network: equal to the reference in every K, spike, membrane and logit.

Over generated networks: layers, shapes, widths, leaks, resets, input kinds, BatchNorm states (negative gamma, too) and
time steps; in eval mode, in training mode with frozen statistics, in the fast engine and in the exported artifact.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sw.same import assert_same
from torch import Tensor

from mintaka.artifact import ConvGeometry, Input, LeakTerm, Network, Pool, run
from mintaka.artifact.document import input_dtype
from mintaka.snn.errors import LayerError
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.snn.layers import Head, Recorder, Spiking
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, NeuronSpec, PoolSpec, Spec, flow

SIZES = st.integers(1, 3)


@st.composite
def neurons(draw: st.DrawFn) -> NeuronSpec:
    term = st.builds(LeakTerm, st.sampled_from([1, 1, -1]), st.integers(0, 5))
    leak = draw(st.one_of(st.just((LeakTerm(1, 1),)), st.lists(term, max_size=4).map(tuple)))
    return NeuronSpec(draw(st.integers(2, 16)), leak, draw(st.sampled_from(["zero", "subtract"])))


@st.composite
def stacks(draw: st.DrawFn, images: bool) -> tuple[Input, list[Spec]]:
    """An input and layers that fit; `images`: convolutions and pools first."""
    kind = draw(st.sampled_from(["direct", "direct", "spikes", "counts"]))
    shape = draw(st.tuples(SIZES, st.integers(3, 8), st.integers(3, 8)) if images else st.tuples(st.integers(1, 20)))
    source = Input("input", shape, kind, 1 if kind == "spikes" else draw(st.integers(1, 8)))
    specs: list[Spec] = []
    for index in range(draw(st.sampled_from([1, 2, 2, 3, 0]))):
        name = f"layer{index}"
        signal = flow(source, [*specs, DenseSpec("head", 1, 2, None)])[-2]
        ops = ["dense"]
        if len(signal.shape) == 3:
            pool = ["pool2d", "pool2d"] if index > 0 or kind == "spikes" else []
            ops = ["conv2d", "conv2d", *pool, *(["dense"] if index > 0 else [])]
        op = draw(st.sampled_from(ops))
        bits = draw(st.integers(1, 8))
        if op == "dense":
            specs.append(DenseSpec(name, draw(st.integers(1, 12)), bits, draw(neurons())))
            continue
        H, W = signal.shape[1:]
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        kernel = (draw(st.integers(1, min(3, H))), draw(st.integers(1, min(3, W))))
        if op == "conv2d":
            padding = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
            groups = draw(st.sampled_from([1, signal.shape[0]]))
            channels = groups * draw(SIZES)
            geometry = ConvGeometry(stride, padding, groups)
            specs.append(ConvSpec(name, channels, kernel, geometry, bits, draw(neurons())))
        else:
            kind_of_pool = draw(st.sampled_from(["max", "sum"])) if signal.max_value == 1 else "sum"
            specs.append(PoolSpec(name, Pool(kind_of_pool, kernel, stride)))
    specs.append(DenseSpec("head", draw(st.integers(1, 5)), draw(st.integers(1, 8)), None))
    return source, specs


@dataclass
class Case:
    snn: SNN
    inputs: np.ndarray

    @property
    def x(self) -> Tensor:
        return torch.from_numpy(self.inputs.astype(np.float32))


@st.composite
def cases(draw: st.DrawFn, images: bool) -> Case:
    """A quantized network in some state of training, and inputs for it."""
    source, specs = draw(stacks(images))
    steps = draw(st.integers(1, 6))
    snn = SNN(source, steps, specs, seed=draw(st.integers(0, 2**31)))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (source.shape) if source.static else (steps, *source.shape)
    high = 2**source.bits

    def batch(samples: int) -> Tensor:
        return torch.randint(0, high, (samples, *shape), generator=rng)

    snn.quantize()
    for layer in snn.layers:
        if isinstance(layer, Spiking):
            spread = draw(st.sampled_from([0.3, 1.0, 1.0, 30.0]))
            layer.norm.gamma.data.normal_(generator=rng).mul_(spread)
            layer.norm.beta.data.normal_(generator=rng)
        elif isinstance(layer, Head):
            layer.bias.data.normal_(generator=rng)
    snn.train()
    with torch.no_grad():
        for _ in range(draw(st.integers(1, 2))):  # sets the statistics and input_shift
            snn(batch(6).float())
        for layer in snn.layers:
            if isinstance(layer, Spiking):  # some channels change their sign afterwards, as in training
                layer.norm.gamma.mul_(torch.where(torch.rand(layer.norm.gamma.shape, generator=rng) < 0.1, -1, 1))
            if isinstance(layer, Spiking | Head):
                layer.synapses.weight.mul_(draw(st.sampled_from([0.2, 1, 1, 4])))
    return Case(snn, batch(4).numpy().astype(input_dtype(source.bits)))


def assert_is(network: Network, snn: SNN, record: Recorder, logits: Tensor, inputs: np.ndarray) -> None:
    """Every number of a recorded forward equals the reference's trace."""
    expected = run(network, inputs, trace=True)
    assert logits.dtype in (torch.float32, torch.float64)
    np.testing.assert_array_equal(logits.detach().double().numpy(), expected.logits)
    names = [spec.name for spec in snn.specs if not isinstance(spec, PoolSpec)]
    assert list(expected.trace) == names
    for name, scan in zip(names, record, strict=True):
        trace = expected.trace[name]
        fields = [(scan.k, trace.k)] if trace.s is None else [(scan.k, trace.k), (scan.s, trace.s), (scan.u, trace.u)]
        for actual, wanted in fields:
            assert actual is not None
            np.testing.assert_array_equal(actual.transpose(0, 1).double().numpy(), wanted, err_msg=name)


@pytest.mark.parametrize("images", [True, False])
@settings(max_examples=120)
@given(data=st.data())
def test_forward_is_the_reference(images: bool, data: st.DataObject) -> None:
    case = data.draw(cases(images))
    snn = case.snn.eval()
    network = to_artifact(snn, "case")
    for training in (False, True):
        snn.train(training)
        snn.freeze_norms(training)
        record: Recorder = []
        logits = snn(case.x, record)
        assert_is(network, snn, record, logits, case.inputs)
    assert_same(run(network, case.inputs, trace=True), run_fast(network, case.inputs, trace=True))


@pytest.mark.parametrize("images", [True, False])
@settings(max_examples=25)
@given(data=st.data())
def test_training_steps_keep_it_so(images: bool, data: st.DataObject) -> None:
    """After real updates with batch statistics the export still equals the frozen and the eval forward."""
    case = data.draw(cases(images))
    snn = case.snn
    optimizer = torch.optim.Adam(snn.parameters(), lr=0.05)
    target = torch.zeros(len(case.inputs), dtype=torch.int64)
    for frozen in (False, True):
        snn.train()
        snn.freeze_norms(frozen)
        loss = torch.nn.functional.cross_entropy(snn.scores(snn(case.x)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network = to_artifact(snn, "case")
    for training in (True, False):
        snn.train(training)
        record: Recorder = []
        assert_is(network, snn, record, snn(case.x, record), case.inputs)


@pytest.mark.parametrize("weight_bits", [1, 2, 4, 8])
@pytest.mark.parametrize("bits", [8, 16])
def test_wide_direct_inputs_stay_exact(weight_bits: int, bits: int) -> None:
    """784 inputs of 8 or 16 bits: beyond 2^24, the product is computed in float64."""
    neuron = NeuronSpec(8, (LeakTerm(1, 0), LeakTerm(-1, 3)), "subtract")
    specs: list[Spec] = [DenseSpec("hidden", 40, weight_bits, neuron), DenseSpec("head", 10, 8, None)]
    snn = SNN(Input("input", (784,), "direct", bits), 5, specs)
    snn.quantize()
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 2**bits, (16, 784)).astype(input_dtype(bits))
    inputs[0] = 2**bits - 1
    x = torch.from_numpy(inputs.astype(np.float32))
    snn.train()
    snn(x)
    snn.eval()
    record: Recorder = []
    with torch.no_grad():
        snn.layers[0].synapses.weight.abs_()
        logits = snn(x, record)
    assert_is(to_artifact(snn, "wide"), snn, record, logits, inputs)


def _small() -> SNN:
    neuron = NeuronSpec(4, (LeakTerm(1, 1),), "zero")
    return SNN(Input("input", (6,), "direct", 4), 2, [DenseSpec("hid", 5, 4, neuron), DenseSpec("head", 3, 4, None)])


def test_export_refuses_by_name() -> None:
    snn = _small()
    with pytest.raises(LayerError, match="layer 'hid' is in full precision"):
        to_artifact(snn, "x")
    snn.quantize()
    with pytest.raises(LayerError, match="layer 'hid' has not seen a batch"):
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
    with pytest.raises(LayerError, match=r"node 'head' needs an accumulator of \d+ bits; at most 40"):
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
