"""Hypothesis strategies that draw whole valid artifacts, and inputs for them.

The structure (graph, shapes, widths, leaks) is drawn choice by choice, so that it shrinks; the big tensors come from a
drawn seed and a drawn style, so that drawing stays fast and the extremes (all zero, all at the limit) do occur.

    @given(networks(), st.integers(0, 2**32 - 1))
    def test_something(network, seed):
        x = random_inputs(network, samples=3, seed=seed)

    @given(st.data())
    def test_other(data):
        network = data.draw(dense_chains(max_hidden=2))
        x = data.draw(inputs_for(network))
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from mintaka.artifact import (
    ConvGeometry,
    Edge,
    Encoding,
    Input,
    Integrator,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    Pool,
    Quantizer,
    SynapticCurrent,
    check,
)
from mintaka.artifact.document import storage_dtype

Shape = tuple[int, ...]

SEEDS = st.integers(0, 2**32 - 1)
WEIGHT_STYLES = ("normal", "normal", "normal", "uniform", "sparse", "zero", "max", "min", "ends")
THRESHOLD_STYLES = ("near", "near", "near", "near", "zero", "dead", "saturated", "ends")
FEATURES = (
    "join",
    "identity",
    "count",
    "membrane",
    "cuba",
    "refractory",
    "codebook",
    "exit",
    "signed",
    "encoding",
)  # what came behind format 1.0
MARGINS = (None, 0, 1, 3, 10, 30, 100, 1000)  # of early exit
UNBUILT = ("boundaries",)  # what there is no hardware for
EVERYTHING = (*FEATURES, *UNBUILT)
INPUT_STYLES = ("random", "random", "random", "zero", "max", "one", "ends")
SCALES = (1.0, 0.5, 2.0**-7, 0.1, 1 / 3, 1e-30, 1e30)
OFFSETS = (0.0, 1.0, -0.25, 0.1, 1e5, -1e-3)


def examples(number: int) -> settings:
    """So many examples in `make test`; other profiles take more in proportion."""
    usual = settings.get_profile("ci").max_examples
    return settings(max_examples=max(1, number * settings().max_examples // usual))


@dataclass(frozen=True)
class Limits:
    """What `networks` may draw; see there."""

    ops: frozenset[str]
    delays: bool
    chain: bool
    kinds: tuple[str, ...]
    max_hidden: int
    max_size: int
    max_steps: int
    max_input_bits: int
    weight_bits: tuple[int, int]
    membrane_bits: tuple[int, int]
    max_shift: int
    features: frozenset[str]


@dataclass
class Plan:
    """A node before its edges are known."""

    name: str
    op: str
    source: str
    shape_in: Shape
    shape_out: Shape
    geometry: ConvGeometry | None = None
    kernel: tuple[int, int] = (1, 1)
    pool: Pool | None = None
    join: str | None = None
    others: tuple[tuple[str, int], ...] = ()  # of a join: name and delay of the inputs behind the first


def _head(plans: list[Plan]) -> int:
    """Place of the head."""
    return next(index for index, plan in enumerate(plans) if plan.name == "head")


def leaks() -> st.SearchStrategy[tuple[LeakTerm, ...]]:
    """No leak, V >> k, V - (V >> k), nothing kept, and arbitrary sums of up to four terms."""
    shift = st.one_of(st.integers(0, 5), st.integers(0, 31))
    term = st.builds(LeakTerm, st.sampled_from((1, -1)), shift)
    return st.one_of(
        st.just((LeakTerm(1, 0),)),
        st.builds(lambda k: (LeakTerm(1, k),), st.integers(1, 6)),
        st.builds(lambda k: (LeakTerm(1, 0), LeakTerm(-1, k)), st.integers(1, 6)),
        st.just(()),
        st.lists(term, min_size=1, max_size=4).map(tuple),
    )


@st.composite
def networks(
    draw: st.DrawFn,
    *,
    ops: Collection[str] = ("dense", "conv2d", "pool2d"),
    delays: bool = True,
    chain: bool = False,
    kinds: Collection[str] = ("spikes", "direct", "counts"),
    max_hidden: int = 4,
    max_size: int = 24,
    max_steps: int = 16,
    max_input_bits: int = 10,
    weight_bits: tuple[int, int] = (1, 8),
    membrane_bits: tuple[int, int] = (2, 16),
    max_shift: int = 3,
    features: Collection[str] = (),
) -> Network:
    """A valid network, of format 1.0 unless `features` are asked for.

    ops : which ops may occur (the head is never a pool, so "dense" or "conv2d" is among them).
    delays : whether delayed edges (recurrence, also to later nodes) may occur.
    chain : every node reads only the node before it, by one edge without delay and with `shift` 0.
    kinds : kinds of input. max_input_bits : widest direct or count input, at most 16.
    max_hidden : nodes besides the head. max_size : most elements of a flat shape (a (C, H, W) has at most
    3 x 7 x 7). max_steps : largest T.
    weight_bits, membrane_bits : smallest and largest width. max_shift : largest `shift` of an edge.
    features : which of `FEATURES` and `UNBUILT` may occur (in a chain, neither joins nor identity edges do).
    """
    limits = Limits(
        frozenset(ops),
        delays and not chain,
        chain,
        tuple(kinds),
        max_hidden,
        max_size,
        max_steps,
        max_input_bits,
        weight_bits,
        membrane_bits,
        0 if chain else max_shift,
        frozenset(features) - ({"join", "identity"} if chain else set()),
    )
    source = _draw_input(draw, limits)
    plans = _draw_plans(draw, limits, source)
    rng = np.random.default_rng(draw(SEEDS))
    reads = ["accumulate", *sorted(limits.features & {"count", "membrane"})]
    read = draw(st.sampled_from(reads)) if len(reads) > 1 else reads[0]
    nodes = tuple(_draw_node(draw, limits, source, plans, i, rng, read) for i in range(len(plans)))
    steps = draw(st.one_of(st.integers(1, min(5, max_steps)), st.integers(1, max_steps)))
    margins: tuple[int | None, ...] = ()
    if "exit" in limits.features and steps > 1 and nodes[_head(plans)].size_out > 1 and draw(st.booleans()):
        drawn = [draw(st.sampled_from(MARGINS)) for _ in range(steps - 1)]
        margins = tuple(drawn) if drawn != [None] * len(drawn) else ()
    network = Network(
        name=draw(st.sampled_from(("net", "generated network", "W4U4"))),
        time_steps=steps,
        input=source,
        nodes=nodes,
        output=Output("head", read, margins=margins),
        provenance=draw(st.sampled_from(({}, {"recipe": {"seed": 1, "rate": 0.5}, "note": 'π, \n, "quoted"'}))),
    )
    check(network)
    return network


def dense_chains(**limits: object) -> st.SearchStrategy[Network]:
    """Feedforward networks of dense layers only, one edge per node: `networks` restricted."""
    return networks(**{"ops": ("dense",), "chain": True, **limits})  # type: ignore[arg-type]


# ---------------------------------------------------------------- inputs


def random_inputs(network: Network, samples: int, seed: int, rate: float = 0.5, style: str = "random") -> np.ndarray:
    """A batch for `network` in its stored dtype.

    style : "random" (a share `rate` of the elements is non-zero, uniform over the others), "zero", "max", "min" (of a
    signed input), "one" (one element per sample and step), "ends" (0, max or min).
    """
    rng = np.random.default_rng(seed)
    source, shape = network.input, network.input_shape(samples)
    low, most = source.low, source.high

    def some(size: int | Shape) -> np.ndarray:
        """Any number but 0."""
        found = rng.integers(low + 1, most + 1, size) if source.signed else rng.integers(1, most + 1, size)
        return np.where(found <= 0, found - 1, found) if source.signed else found

    if style == "zero":
        x = np.zeros(shape, np.int64)
    elif style == "max":
        x = np.full(shape, most)
    elif style == "min":
        x = np.full(shape, low)
    elif style == "one":
        rows = np.zeros((prod(shape) // prod(source.shape), prod(source.shape)), np.int64)
        rows[np.arange(len(rows)), rng.integers(0, rows.shape[1], len(rows))] = some(len(rows))
        x = rows.reshape(shape)
    elif style == "ends":
        x = (rng.choice([low, most], shape) if source.signed else most) * (rng.random(shape) < rate)
    else:
        x = some(shape) * (rng.random(shape) < rate)
    return x.astype(source.dtype)


def numbers_for(network: Network, samples: int, seed: int) -> np.ndarray:
    """What a user could have for `network`, as `encode` takes it: with a quantizer real numbers in float64, halfway
    between two integers and beyond the range among them; else integers, in a dtype that may be wider than needed."""
    rng, source, encoding = np.random.default_rng(seed), network.input, network.input.encoding
    if encoding is None or encoding.code == "none":
        shape, (low, high) = network.input_shape(samples), (source.low, source.high)
    else:
        shape = (samples, *source.shape)
        low, high = 0, 1 if encoding.levels is None else encoding.levels - 1
    q = rng.integers(low, high + 1, shape)
    if encoding is None or encoding.quantizer is None:
        dtypes = [np.dtype(name) for name in ("int64", "float64", "uint16", "int32", "float32")]
        return q.astype(rng.choice([dtype for dtype in dtypes if low >= 0 or dtype.kind != "u"]))
    per_index = (-1, *[1] * (len(source.shape) - 1))
    scale, offset = (np.reshape(v, per_index) for v in (encoding.quantizer.scale, encoding.quantizer.offset))
    far = 3.0 * (high - low)
    between = rng.choice([0.0, 0.5, -0.5, 0.3, far, -far], shape, p=[0.3, 0.2, 0.2, 0.2, 0.05, 0.05])
    return (q + between) * scale + offset


@st.composite
def inputs_for(draw: st.DrawFn, network: Network, samples: int | tuple[int, int] = (1, 3)) -> np.ndarray:
    """A batch for `network`: random at several rates, or extreme. samples : how many, or (fewest, most)."""
    number = samples if isinstance(samples, int) else draw(st.integers(*samples))
    rate = draw(st.sampled_from((0.5, 0.2, 0.05, 0.9)))
    styles = (*INPUT_STYLES, "min") if network.input.signed else INPUT_STYLES
    return random_inputs(network, number, draw(SEEDS), rate, draw(st.sampled_from(styles)))


# ---------------------------------------------------------------- structure


def _draw_input(draw: st.DrawFn, limits: Limits) -> Input:
    spatial = bool(limits.ops & {"conv2d", "pool2d"}) and ("dense" not in limits.ops or draw(st.booleans()))
    if spatial or draw(st.integers(0, 9)) == 9:
        shape: Shape = (draw(st.integers(1, 3)), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    else:
        shape = (draw(st.integers(1, limits.max_size)),)
    kind = draw(st.sampled_from(limits.kinds))
    widest = limits.max_input_bits
    bits = 1 if kind == "spikes" else draw(st.one_of(st.integers(1, widest), st.just(min(8, widest))))
    signed = "signed" in limits.features and kind == "direct" and bits > 1 and draw(st.booleans())
    source = Input(draw(st.sampled_from(("input", "x"))), shape, kind, bits, signed)
    if "encoding" in limits.features and draw(st.booleans()):
        source = replace(source, encoding=_draw_encoding(draw, source))
    return source


def _draw_encoding(draw: st.DrawFn, source: Input) -> Encoding | None:
    """Codes that the input's kind allows; where there is a quantizer, one scale and offset for all or one each."""
    codes = ("thermometer", "thermometer", "repeat", "repeat", "none") if source.kind == "spikes" else ("none",)
    code = draw(st.sampled_from(codes))
    levels = draw(st.sampled_from((3, 4, 5, 16, 17, 100, 256, 65536))) if code == "thermometer" else None
    if code != "none" and draw(st.booleans()):
        return Encoding(code, levels)

    def numbers(possible: tuple[float, ...]) -> tuple[float, ...]:
        count = draw(st.sampled_from((1, source.shape[0])))
        return tuple(draw(st.lists(st.sampled_from(possible), min_size=count, max_size=count)))

    return Encoding(code, levels, Quantizer(numbers(SCALES), numbers(OFFSETS)))


def _draw_plans(draw: st.DrawFn, limits: Limits, source: Input) -> list[Plan]:
    """Ops, first sources and shapes, in topological order; the head is last but for a rare swap."""
    shapes: dict[str, Shape] = {source.name: source.shape}
    counts: dict[str, int] = {source.name: 1}  # largest value, to know where an OR may stand
    plans: list[Plan] = []
    hidden = draw(st.integers(0, limits.max_hidden))
    for index in range(hidden + 1):
        last = index == hidden
        before = list(shapes)[::-1]
        name = before[0] if limits.chain or draw(st.integers(0, 3)) else draw(st.sampled_from(before))
        shape = shapes[name]
        possible = [op for op in ("dense", "conv2d", "pool2d") if op in limits.ops]
        if len(shape) != 3:
            possible = [op for op in possible if op == "dense"]
        if last or (name == source.name and source.kind != "spikes"):
            possible = [op for op in possible if op != "pool2d"]
        if not possible:  # flat, but no dense layers: take the input, which is spatial then
            name, shape, possible = source.name, source.shape, ["conv2d"]
        spikes = [n for n in shapes if n != source.name or source.kind == "spikes"]
        if "join" in limits.features and not last and spikes and draw(st.integers(0, 2)) == 0:
            plan = _draw_join(draw, limits, f"n{index}", spikes, shapes, counts)
            plans.append(plan)
            shapes[plan.name] = plan.shape_out
            continue
        if limits.ops >= {"dense", "conv2d"} and len(shape) == 3 and not last:
            possible = [op for op in possible if op != "dense" or draw(st.integers(0, 3)) == 0] or possible
        op = draw(st.sampled_from(possible))
        plan = Plan("head" if last else f"n{index}", op, name, shape, (1,))
        if op == "dense":
            plan.shape_out = (draw(st.integers(1, 10 if last else limits.max_size)),)
            flat = [other for other in shapes.values() if len(other) == 1]
            if limits.features & {"join", "identity"} and flat and draw(st.booleans()):
                plan.shape_out = draw(st.sampled_from(flat))
        elif op == "conv2d":
            _draw_conv(draw, plan, same=bool(limits.features & {"join", "identity"}) and draw(st.booleans()))
        else:
            _draw_pool(draw, plan, counts[name])
        plans.append(plan)
        if not last:
            shapes[plan.name] = plan.shape_out
            summed = plan.pool is not None and plan.pool.kind == "sum"
            counts[plan.name] = counts[name] * prod(plan.kernel) if summed else 1
    if "join" in limits.features and limits.delays:
        _draw_later_inputs(draw, plans)
    if not limits.chain and hidden and draw(st.integers(0, 9)) == 9:
        plans[-2], plans[-1] = plans[-1], plans[-2]
        if plans[-2].source == plans[-1].name:
            plans[-2], plans[-1] = plans[-1], plans[-2]
    return plans


def _draw_join(
    draw: st.DrawFn, limits: Limits, name: str, spikes: list[str], shapes: dict[str, Shape], counts: dict[str, int]
) -> Plan:
    """A join of earlier nodes of one shape; a binary one may read itself. `counts` gets its largest value."""
    first = draw(st.sampled_from(spikes[::-1]))
    shape = shapes[first]
    kinds = ("or", "and", "iand", "add") if counts[first] == 1 else ("add",)
    kind = draw(st.sampled_from(kinds))
    same = [n for n in spikes if shapes[n] == shape and (kind == "add" or counts[n] == 1)]
    ways = [(n, 0) for n in same] + [(n, 1) for n in same if limits.delays]
    if kind != "add" and limits.delays:
        ways.append((name, 1))
    number = 1 if kind == "iand" else draw(st.integers(1, 3))
    others = tuple(draw(st.sampled_from(ways)) for _ in range(number))
    counts[name] = counts[first] + sum(counts[n] for n, _ in others) if kind == "add" else 1
    return Plan(name, "join", first, shape, shape, join=kind, others=others)


def _draw_later_inputs(draw: st.DrawFn, plans: list[Plan]) -> None:
    """Delayed edges from later spiking nodes of the same shape into joins that take any number of inputs."""
    for index, plan in enumerate(plans):
        later = [p.name for p in plans[index + 1 : -1] if p.op in ("dense", "conv2d") and p.shape_out == plan.shape_out]
        if plan.join in ("or", "and", "add") and later and draw(st.integers(0, 3)):
            plan.others += ((draw(st.sampled_from(later)), 1),)


def _draw_conv(draw: st.DrawFn, plan: Plan, *, same: bool = False) -> None:
    """same : as many channels, rows and columns as the source has."""
    c, h, w = plan.shape_in
    if same:
        pads = draw(st.integers(0, 1)), draw(st.integers(0, 1))
        plan.geometry = ConvGeometry((1, 1), pads, draw(st.sampled_from((1, c))))
        plan.kernel, plan.shape_out = (2 * pads[0] + 1, 2 * pads[1] + 1), plan.shape_in
        return
    padding = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    kernel = tuple(draw(st.integers(p + 1, min(p + 3, n + 2 * p))) for n, p in zip((h, w), padding, strict=True))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if c % g == 0]))
    c_out = groups * draw(st.integers(1, 3 if groups == 1 else 2))
    plan.geometry, plan.kernel = ConvGeometry(stride, padding, groups), (kernel[0], kernel[1])
    plan.shape_out = (c_out, *_extents((h, w), kernel, stride, padding))


def _extents(size: Shape, kernel: Shape, stride: Shape, padding: Shape) -> Shape:
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True))


def _draw_pool(draw: st.DrawFn, plan: Plan, count: int) -> None:
    c, h, w = plan.shape_in
    kernel = draw(st.integers(1, min(3, h))), draw(st.integers(1, min(3, w)))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kind = draw(st.sampled_from(("max", "sum"))) if count == 1 else "sum"
    plan.pool, plan.kernel = Pool(kind, kernel, stride), kernel
    plan.shape_out = (c, *_extents((h, w), kernel, stride, (0, 0)))


def _conv_to(draw: st.DrawFn, shape: Shape, shape_out: Shape) -> tuple[ConvGeometry, Shape] | None:
    """A geometry and kernel that bring `shape` to the extents of `shape_out`, where a small one exists."""

    def ways(n: int, wanted: int) -> list[tuple[int, int, int]]:
        tries = product((1, 2, 3, 4), (1, 2, 3), (0, 1, 2))
        return [(k, s, p) for k, s, p in tries if p < k <= n + 2 * p and (n + 2 * p - k) // s + 1 == wanted]

    rows, cols = ways(shape[1], shape_out[1]), ways(shape[2], shape_out[2])
    if not rows or not cols:
        return None
    (kh, sv, pv), (kw, sh, ph) = draw(st.sampled_from(rows)), draw(st.sampled_from(cols))
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[0] % g == 0 and shape_out[0] % g == 0]))
    return ConvGeometry((sv, sh), (pv, ph), groups), (kh, kw)


# ---------------------------------------------------------------- nodes


def _draw_node(
    draw: st.DrawFn, limits: Limits, source: Input, plans: list[Plan], index: int, rng: np.random.Generator, read: str
) -> Node:
    plan = plans[index]
    if plan.join is not None:
        inputs = tuple(Edge(*way) for way in ((plan.source, 0), *plan.others))
        return Node(plan.name, plan.op, inputs, plan.shape_in, plan.shape_out, join=plan.join)
    if plan.pool is not None:
        return Node(plan.name, plan.op, (Edge(plan.source, 0),), plan.shape_in, plan.shape_out, pool=plan.pool)
    edges, scale = [], 1.0
    for name, delay, geometry, kernel in _draw_sources(draw, limits, source, plans, index):
        edge, deviation = _draw_edge(draw, limits, source, plans, plan, (name, delay, geometry, kernel), rng)
        edges.append(edge)
        scale += deviation
    bias = None
    if draw(st.booleans()):
        bias = _near(draw, rng, plan.shape_out[0], 0.0, scale / 2)
    neuron = integrator = None
    if plan.name != "head" or read == "count":
        neuron = _draw_neuron(draw, limits, plan, scale, rng)
    elif read == "membrane":
        integrator = Integrator(draw(leaks()), draw(st.integers(*limits.membrane_bits)))
    if "identity" in limits.features:
        edges += _draw_identities(draw, limits, source, plans, plan, rng)
    codebook = None
    if "codebook" in limits.features and draw(st.booleans()):
        edges, codebook = _draw_codebook(draw, edges, rng)
    shapes = plan.shape_in, plan.shape_out
    return Node(plan.name, plan.op, tuple(edges), *shapes, bias, neuron, integrator=integrator, codebook=codebook)


def _draw_codebook(draw: st.DrawFn, edges: list[Edge], rng: np.random.Generator) -> tuple[list[Edge], tuple[int, ...]]:
    """The edges with each weight moved to the nearest entry that its width holds, and a codebook: full or not, some
    entries unused, with and without 0."""
    tensors = [edge.weight for edge in edges if edge.weight is not None]
    Q = max(1, *(2 ** (W.bits - 1) - 1 for W in tensors))
    values = np.arange(-Q, Q + 1)
    if draw(st.booleans()):
        values = values[values != 0]
    size = min(len(values), draw(st.sampled_from((1, 2, 3, 4, 7, 8, 16, 31, 255))))
    codebook = set(rng.choice(values, size, replace=False).tolist())
    if any(not _allowed(codebook, W.bits) for W in tensors):
        codebook.add(draw(st.sampled_from((-1, 1))))  # every width holds it
    found = []
    for edge in edges:
        assert edge.weight is not None
        W, allowed = edge.weight.values, np.array(_allowed(codebook, edge.weight.bits), np.int8)
        nearest = np.abs(W[..., None].astype(int) - allowed).argmin(-1)
        found.append(replace(edge, weight=IntTensor(allowed[nearest], edge.weight.bits)))
    return found, tuple(sorted(codebook))


def _allowed(codebook: set[int], bits: int) -> list[int]:
    """The entries that a weight of so many bits can be."""
    return sorted(v for v in codebook if (abs(v) == 1 if bits == 1 else abs(v) < 2 ** (bits - 1)))


def _draw_identities(
    draw: st.DrawFn, limits: Limits, source: Input, plans: list[Plan], plan: Plan, rng: np.random.Generator
) -> list[Edge]:
    """Identity edges from whatever has the shape of the node, itself included."""
    order = [source.name, *(p.name for p in plans)]
    names = [n for n in order if n != "head" and _shape_of(source, plans, n) == plan.shape_out]
    ways = [(n, 0) for n in names if order.index(n) < order.index(plan.name)]
    ways += [(n, 1) for n in names if limits.delays and (n != source.name or not source.static)]
    if not ways:
        return []
    found = []
    for name, delay in draw(st.lists(st.sampled_from(ways), max_size=2)):
        bits = draw(st.integers(*limits.weight_bits))
        W = weights(rng, plan.shape_out[:1], bits, draw(st.sampled_from(WEIGHT_STYLES)))
        input_shift = draw(st.integers(0, source.bits)) if name == source.name and source.static else 0
        shift = draw(st.integers(0, limits.max_shift))
        found.append(Edge(name, delay, IntTensor(W, bits), input_shift, shift, op="identity"))
    return found


def _draw_sources(
    draw: st.DrawFn, limits: Limits, source: Input, plans: list[Plan], index: int
) -> list[tuple[str, int, ConvGeometry | None, Shape]]:
    """Name, delay, geometry and kernel of each edge; the first is the planned one and gives shape_in."""
    plan = plans[index]
    found: list[tuple[str, int, ConvGeometry | None, Shape]] = [(plan.source, 0, plan.geometry, plan.kernel)]
    if limits.chain:
        return found
    order = [source.name, *(p.name for p in plans)]
    here = order.index(plan.name)
    names = [n for n in order if n != "head"]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        late = [(n, 1) for n in names if n != source.name or not source.static] if limits.delays else []
        early = [(n, 0) for n in names if order.index(n) < here]
        name, delay = draw(st.sampled_from(late + early))
        if plan.op == "dense":
            found.append((name, delay, None, (1, 1)))
            continue
        shape = _shape_of(source, plans, name)
        conv = _conv_to(draw, shape, plan.shape_out) if len(shape) == 3 else None
        if conv is not None:
            found.append((name, delay, *conv))
    return found


def _shape_of(source: Input, plans: list[Plan], name: str) -> Shape:
    return source.shape if name == source.name else next(p.shape_out for p in plans if p.name == name)


def _draw_edge(
    draw: st.DrawFn,
    limits: Limits,
    source: Input,
    plans: list[Plan],
    plan: Plan,
    way: tuple[str, int, ConvGeometry | None, Shape],
    rng: np.random.Generator,
) -> tuple[Edge, float]:
    """The edge, and about how far its current deviates from 0 (to place thresholds sensibly)."""
    name, delay, geometry, kernel = way
    shape = _shape_of(source, plans, name)
    if geometry is None:
        wanted: Shape = (plan.shape_out[0], prod(shape))
    else:
        wanted = (plan.shape_out[0], shape[0] // geometry.groups, *kernel)
    bits = draw(st.integers(*limits.weight_bits))
    W = weights(rng, wanted, bits, draw(st.sampled_from(WEIGHT_STYLES)))
    direct = name == source.name and source.static
    input_shift = draw(st.one_of(st.integers(0, source.bits), st.just(0), st.just(31))) if direct else 0
    shift = draw(st.one_of(st.just(0), st.integers(0, limits.max_shift)))
    value = 2.0**source.bits / 2 if name == source.name else 1.0
    fan_in = prod(wanted[1:])
    deviation = float(np.sqrt(fan_in * 0.3 * np.mean(W.astype(float) ** 2))) * value * 2.0 ** (shift - input_shift)
    return Edge(name, delay, IntTensor(W, bits), input_shift, shift, geometry), deviation


def weights(rng: np.random.Generator, shape: Shape, bits: int, style: str) -> np.ndarray:
    """int8 weights in [-Q, Q], or -1 and +1 for one bit."""
    if bits == 1:
        ones = {"max": 1, "min": -1}.get(style)
        return np.full(shape, ones, np.int8) if ones else rng.choice(np.array([-1, 1], np.int8), shape)
    Q = 2 ** (bits - 1) - 1
    if style == "normal":
        W = np.clip(np.rint(rng.normal(0, max(Q / 2, 0.7), shape)), -Q, Q)
    elif style == "uniform":
        W = rng.integers(-Q, Q + 1, shape)
    elif style == "sparse":
        W = rng.integers(-Q, Q + 1, shape) * (rng.random(shape) < 0.2)
    elif style == "ends":
        W = rng.choice([-Q, Q], shape)
    else:
        W = np.full(shape, {"zero": 0, "max": Q, "min": -Q}[style])
    return np.asarray(W, np.int8)


def _draw_neuron(draw: st.DrawFn, limits: Limits, plan: Plan, scale: float, rng: np.random.Generator) -> Neuron:
    channels = plan.shape_out[0]
    style = draw(st.sampled_from(THRESHOLD_STYLES))
    if style == "near":
        threshold = _near(draw, rng, channels, scale / 2, scale / 2)
    elif style == "zero":
        threshold = IntTensor(np.zeros(channels, np.int8), draw(st.integers(1, 8)))
    else:
        bits = draw(st.sampled_from((16, 8, 2, 24, 32)))
        ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1])
        chosen = {"dead": ends[1:], "saturated": ends[:1], "ends": ends}[style]
        threshold = IntTensor(rng.choice(chosen, channels).astype(storage_dtype(bits)), bits)
    reset = draw(st.sampled_from(("zero", "subtract")))
    reset_by = None
    if reset == "subtract":
        same = draw(st.booleans())
        reset_by = threshold if same else _near(draw, rng, channels, scale / 2, scale / 2)
    leak, bits = draw(leaks()), draw(st.integers(*limits.membrane_bits))
    refractory, current = 0, None
    if "refractory" in limits.features:
        refractory = draw(st.one_of(st.just(0), st.integers(1, 4), st.just(255)))
    if "cuba" in limits.features and draw(st.booleans()):
        current = SynapticCurrent(draw(leaks()), draw(st.integers(*limits.membrane_bits)))
    boundaries = None
    if "boundaries" in limits.features and draw(st.booleans()):
        leak, bits = (), min(bits, draw(st.integers(2, 8)))
        boundaries = _draw_boundaries(draw, channels, 2**bits - 2, scale, rng)
    return Neuron(threshold, ">", reset, reset_by, leak, bits, refractory, current, boundaries)


def _draw_boundaries(draw: st.DrawFn, channels: int, steps: int, scale: float, rng: np.random.Generator) -> IntTensor:
    """Ascending rows: near what membranes are, all alike, or at the ends of 32 bits."""
    style = draw(st.sampled_from(("near", "near", "near", "wide", "same", "ends")))
    if style == "ends":
        values = rng.choice([-(2**31), -1, 0, 1, 2**31 - 1], (channels, steps))
    elif style == "same":
        values = np.repeat(rng.integers(-2, 3, (channels, 1)), steps, 1)
    else:
        values = np.rint(rng.normal(0, scale * (1 if style == "near" else 10) + 0.5, (channels, steps)))
    values = np.sort(values.clip(-(2**31), 2**31 - 1).astype(np.int64), axis=1)
    narrowest = max(int(values.max()), int(-values.min() - 1), 0).bit_length() + 1
    bits = min(32, narrowest + draw(st.integers(0, 3)))
    return IntTensor(values.astype(storage_dtype(bits)), bits)


def _near(draw: st.DrawFn, rng: np.random.Generator, size: int, centre: float, spread: float) -> IntTensor:
    """Numbers around `centre`, in the narrowest width that holds them or some bits more."""
    values = np.rint(rng.normal(centre, spread + 0.5, size)).clip(-(2**30), 2**30 - 1).astype(np.int64)
    narrowest = max(int(values.max()), int(-values.min() - 1), 0).bit_length() + 1
    bits = min(31, narrowest + draw(st.integers(0, 3)))
    return IntTensor(values.astype(storage_dtype(bits)), bits)


def with_zeros(network: Network, share: float, seed: int) -> Network:
    """The network with so many of its single weights at 0, and every other element's in a third of the neurons."""
    rng = np.random.default_rng(seed)

    def pruned(edge: Edge) -> Edge:
        if edge.weight is None or edge.weight.bits == 1:
            return edge
        gone = rng.random(edge.weight.values.shape) < share
        if gone.ndim > 1:
            gone[: -(-len(gone) // 3), rng.integers(2) :: 2] = True
        return replace(edge, weight=replace(edge.weight, values=np.where(gone, 0, edge.weight.values)))

    nodes = [
        node
        if node.codebook is not None and 0 not in node.codebook
        else replace(node, inputs=tuple(map(pruned, node.inputs)))
        for node in network.nodes
    ]
    found = replace(network, nodes=tuple(nodes), vectors=None)
    check(found)
    return found
