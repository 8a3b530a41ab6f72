"""Generated networks in some state of training, for the equality of torch and the reference."""

from dataclasses import dataclass, replace
from itertools import product, takewhile

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from mintaka.artifact import ConvGeometry, Input, Integrator, LeakTerm, Network, Pool, Signal, SynapticCurrent, run
from mintaka.compress.sharing import share_weights, sharing_layers
from mintaka.snn.exact import slope
from mintaka.snn.graph import flow
from mintaka.snn.layers import Head, Recorder, Spiking
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, PoolSpec, Spec

SIZES = st.integers(1, 3)


TERMS = st.builds(LeakTerm, st.sampled_from([1, 1, -1]), st.one_of(st.integers(0, 5), st.integers(0, 31)))
LEAKS = st.one_of(st.just((LeakTerm(1, 1),)), st.lists(TERMS, max_size=4).map(tuple))
BITS = st.integers(2, 16)


@st.composite
def neurons(draw: st.DrawFn, newer: bool = True) -> NeuronSpec:
    if not newer:
        return NeuronSpec(draw(BITS), draw(LEAKS), draw(st.sampled_from(["zero", "subtract"])))
    refractory = draw(st.sampled_from([0, 0, 0, 1, 2, 255]))
    current = draw(st.one_of(st.none(), st.none(), st.builds(SynapticCurrent, LEAKS, BITS)))
    return NeuronSpec(draw(BITS), draw(LEAKS), draw(st.sampled_from(["zero", "subtract"])), refractory, current)


def heads() -> st.SearchStrategy[NeuronSpec | Integrator | None]:
    """Read by accumulating, by counting, by the membrane."""
    return st.one_of(st.none(), st.none(), neurons(), st.builds(Integrator, LEAKS, BITS))


@st.composite
def stacks(draw: st.DrawFn, images: bool, newer: bool = True) -> tuple[Input, list[Spec]]:
    """An input and layers that fit. `images`: convolutions, pools first. `newer`: what format 1.1 brought, too."""
    kind = draw(st.sampled_from(["direct", "direct", "spikes", "counts"]))
    shape = draw(st.tuples(SIZES, st.integers(3, 8), st.integers(3, 8)) if images else st.tuples(st.integers(1, 20)))
    bits = 1 if kind == "spikes" else draw(st.integers(1, 8))
    signed = newer and kind == "direct" and bits > 1 and draw(st.booleans())
    source = Input("input", shape, kind, bits, signed)
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
            specs.append(DenseSpec(name, draw(st.integers(1, 12)), bits, draw(neurons(newer))))
            continue
        H, W = signal.shape[1:]
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        kernel = (draw(st.integers(1, min(3, H))), draw(st.integers(1, min(3, W))))
        if op == "conv2d":
            padding = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
            groups = draw(st.sampled_from([1, signal.shape[0]]))
            channels = groups * draw(SIZES)
            geometry = ConvGeometry(stride, padding, groups)
            specs.append(ConvSpec(name, channels, kernel, geometry, bits, draw(neurons(newer))))
        else:
            kind_of_pool = draw(st.sampled_from(["max", "sum"])) if signal.max_value == 1 else "sum"
            specs.append(PoolSpec(name, Pool(kind_of_pool, kernel, stride)))
    head = draw(heads()) if newer else None
    specs.append(DenseSpec("head", draw(st.integers(1, 5)), draw(st.integers(1, 8)), head))
    return source, specs


@st.composite
def graphs(draw: st.DrawFn, images: bool, newer: bool = True) -> tuple[Input, list[Spec]]:
    """A stack with joins and more edges: shortcuts from any earlier layer, delayed ones, recurrences, stated shifts."""
    source, specs = draw(stacks(images, newer))
    specs = draw(with_joins(source, specs))
    for index, spec in enumerate(specs):
        if isinstance(spec, PoolSpec | JoinSpec):
            continue
        signals = flow(source, specs)
        names = [source.name, *(s.name for s in specs)]
        delay = 0 if signals[index].static else draw(st.sampled_from([0, 0, 1]))
        edges = [EdgeSpec(names[index], delay, shift=_shift(draw))]
        for name, signal in zip(names[: index + 1], signals, strict=False):
            if not signal.static and draw(st.integers(0, 2)) == 0:
                edges += _edge(draw, spec, name, signal, signals[index + 1], draw(st.integers(0, 1)))
            if signal.shape == signals[index + 1].shape and not signal.static and draw(st.integers(0, 1)) == 0:
                edges.append(EdgeSpec(name, draw(st.integers(0, 1)), shift=_shift(draw), op="identity"))
        if index + 1 < len(specs) and draw(st.booleans()):
            out = signals[index + 1]
            own = EdgeSpec(spec.name, 1, shift=_shift(draw), op="identity")
            edges += [own] if draw(st.integers(0, 2)) == 0 else _edge(draw, spec, spec.name, out, out, 1)
        specs[index] = replace(spec, edges=(edges[0], *draw(st.permutations(edges[1:]))))
    return source, specs


@st.composite
def with_joins(draw: st.DrawFn, source: Input, specs: list[Spec]) -> list[Spec]:
    """Joins put between layers: of the layer before, others of its shape, the step before, and the join itself."""
    found: list[Spec] = []
    for index, spec in enumerate(specs):
        found.append(spec)
        if spec is specs[-1] or draw(st.integers(0, 2)):
            continue
        pools = takewhile(lambda s: isinstance(s, PoolSpec), specs[index + 1 :])
        counted = all(isinstance(pool, PoolSpec) and pool.pool.kind == "sum" for pool in pools)
        kinds = ["or", "and", "iand", *(["add"] if counted else [])]
        named = dict(zip([source.name, *(s.name for s in found)], flow(source, [*found, specs[-1]]), strict=False))
        last = named[spec.name]
        if source.kind != "spikes":
            del named[source.name]
        counts = [n for n, s in named.items() if s.shape == last.shape]
        binary = [n for n in counts if named[n].max_value == 1]
        kind = draw(st.sampled_from(kinds)) if last.max_value == 1 else "add"
        name, names = f"join{len(found)}", counts if kind == "add" else binary
        ways = [EdgeSpec(n, delay) for n in names for delay in (0, 1)]
        if kind != "add":
            ways.append(EdgeSpec(name, 1))
        number = 1 if kind == "iand" else draw(st.integers(1, 3))
        edges = [EdgeSpec(spec.name), *(draw(st.sampled_from(ways)) for _ in range(number))]
        found.append(JoinSpec(name, kind, tuple(draw(st.permutations(edges)))))
    return found


def _shift(draw: st.DrawFn) -> int | None:
    return draw(st.sampled_from([None, None, None, 0, 1, 3]))


def _edge(
    draw: st.DrawFn, spec: ConvSpec | DenseSpec, name: str, signal: Signal, out: Signal, delay: int
) -> list[EdgeSpec]:
    """An edge that fits, as a list: empty where none does."""
    if isinstance(spec, DenseSpec):
        return [EdgeSpec(name, delay, shift=_shift(draw))]
    if len(signal.shape) != 3:
        return []
    fitting = []
    for kernel, stride, padding in product((1, 2, 3), (1, 2), (0, 1, 2)):
        sizes = [(n + 2 * padding - kernel) // stride + 1 for n in signal.shape[1:]]
        if padding < kernel and tuple(sizes) == out.shape[1:] and kernel <= min(signal.shape[1:]):
            fitting.append((kernel, stride, padding))
    if not fitting:
        return []
    kernel, stride, padding = draw(st.sampled_from(fitting))
    own = signal.shape[0] if out.shape[0] % signal.shape[0] == 0 else 1
    geometry = ConvGeometry((stride, stride), (padding, padding), draw(st.sampled_from([1, own])))
    return [EdgeSpec(name, delay, (kernel, kernel), geometry, _shift(draw))]


@st.composite
def with_mint(draw: st.DrawFn, spec: Spec) -> Spec:
    """Some layers learn their scale, or store their membranes, as MINT does."""
    if isinstance(spec, PoolSpec | JoinSpec):
        return spec
    scale, neuron = draw(st.sampled_from(["step", "step", "mint"])), spec.neuron
    if isinstance(neuron, NeuronSpec) and slope(neuron.leak) > 0 and draw(st.integers(0, 3)) == 0:
        neuron = replace(neuron, membrane_bits=min(neuron.membrane_bits, 8), membrane_rule="mint")
    return replace(spec, neuron=neuron, weight_scale=scale)


@dataclass
class Case:
    snn: SNN
    inputs: np.ndarray

    @property
    def x(self) -> Tensor:
        return torch.from_numpy(self.inputs.astype(np.float32))


@st.composite
def cases(draw: st.DrawFn, images: bool, graph: bool = False, newer: bool = True, mint: bool = True) -> Case:
    """A quantized network in some state of training, and inputs for it; `graph`: not only a sequence of layers;
    `mint`: its scales and membrane rule, too (for the latter there is no hardware)."""
    source, specs = draw((graphs if graph else stacks)(images, newer))
    if mint:
        specs = [draw(with_mint(spec)) for spec in specs]
    steps = draw(st.one_of(st.integers(1, 6), st.integers(1, 16)))
    snn = SNN(source, steps, specs, seed=draw(st.integers(0, 2**31)))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (source.shape) if source.static else (steps, *source.shape)

    def batch(samples: int) -> Tensor:
        return torch.randint(source.low, source.high + 1, (samples, *shape), generator=rng)

    snn.quantize()
    for layer in snn.layers:
        if isinstance(layer, Spiking):
            spread = draw(st.sampled_from([0.3, 1.0, 1.0, 30.0]))
            layer.norm.gamma.data.normal_(generator=rng).mul_(spread)
            extreme = draw(st.sampled_from([1.0, 1.0, 1.0, 100.0]))  # dead and saturated channels
            layer.norm.beta.data.normal_(generator=rng).mul_(extreme)
        elif isinstance(layer, Head):
            layer.bias.data.normal_(generator=rng)
    snn.train()
    with torch.no_grad():
        for _ in range(draw(st.integers(1, 2))):  # sets the statistics and input_shift
            snn(batch(6).float())
        if newer:
            _share(draw, snn, rng)
        for layer in snn.layers:
            if isinstance(layer, Spiking):  # some channels change their sign afterwards, as in training
                layer.norm.gamma.mul_(torch.where(torch.rand(layer.norm.gamma.shape, generator=rng) < 0.1, -1, 1))
            if isinstance(layer, Spiking | Head):
                for synapses in layer.edges:
                    synapses.weight.mul_(draw(st.sampled_from([0.2, 1, 1, 4])))
    return Case(snn, batch(4).numpy().astype(source.dtype))


def _share(draw: st.DrawFn, snn: SNN, rng: torch.Generator) -> None:
    """Layers that are wide enough share their weights, in some networks; some of those weights are pruned."""
    bits = draw(st.sampled_from([0, 0, 0, 1, 2, 3, 7]))
    wide = [name for name, layer in sharing_layers(snn).items() if 1 <= bits < layer.synapses.quantizer.bits]
    for name in wide:
        for synapses in sharing_layers(snn)[name].edges:
            kept = torch.rand((), generator=rng) < 0.5
            synapses.weight.mul_(kept | (torch.rand(synapses.weight.shape, generator=rng) < 0.5))
    share_weights(snn, dict.fromkeys(wide, bits))


def assert_is(network: Network, snn: SNN, record: Recorder, logits: Tensor, inputs: np.ndarray) -> None:
    """Every number of a recorded forward equals the reference's trace."""
    expected = run(network, inputs, trace=True)
    assert logits.dtype in (torch.float32, torch.float64)
    np.testing.assert_array_equal(logits.detach().double().numpy(), expected.logits)
    names = [spec.name for spec in snn.specs if not isinstance(spec, PoolSpec | JoinSpec)]
    assert list(expected.trace) == names
    for name, scan in zip(names, record, strict=True):
        trace = expected.trace[name]
        for actual, wanted in ((scan.k, trace.k), (scan.s, trace.s), (scan.u, trace.u), (scan.j, trace.j)):
            if wanted is not None:
                assert actual is not None
                np.testing.assert_array_equal(actual.transpose(0, 1).double().numpy(), wanted, err_msg=name)
