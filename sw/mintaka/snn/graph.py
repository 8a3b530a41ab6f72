"""Who reads whom in a list of layer specs, and what travels on each edge."""

from __future__ import annotations

from difflib import get_close_matches
from math import prod

from mintaka.artifact import ConvGeometry, Input, LeakTerm, Signal, limits
from mintaka.artifact.file import MAX_FILE_BYTES
from mintaka.artifact.schema import EDGE_OPS, JOIN_KINDS, POOL_KINDS
from mintaka.artifact.signals import input_signal
from mintaka.errors import is_integer
from mintaka.snn.errors import LayerError
from mintaka.snn.specs import (
    ConvSpec,
    DenseSpec,
    EdgeSpec,
    JoinSpec,
    NeuronSpec,
    PoolSpec,
    Spec,
)

RESETS = ("zero", "subtract")
SCALES = ("step", "mint")
MEMBRANE_RULES = ("shift", "mint")


def within(value: int, limit: limits.Range, what: str) -> None:
    limit.require(value, what, LayerError)


def edges_of(source: Input, specs: list[Spec], index: int) -> tuple[EdgeSpec, ...]:
    """What layer `index` reads, the layer before (or the input) where it does not say."""
    spec = specs[index]
    before = EdgeSpec(source.name if index == 0 else specs[index - 1].name)
    if isinstance(spec, PoolSpec):
        return (before if spec.source is None else EdgeSpec(spec.source),)
    if isinstance(spec, JoinSpec):
        return spec.edges
    return (before,) if spec.edges is None else spec.edges


def kernel_of(spec: ConvSpec, edge: EdgeSpec) -> tuple[tuple[int, int], ConvGeometry]:
    """Kernel and geometry of one edge of a convolution: the layer's own unless the edge has others."""
    if edge.kernel is None or edge.geometry is None:
        return spec.kernel, spec.geometry
    return edge.kernel, edge.geometry


def flow(source: Input, specs: list[Spec]) -> list[Signal]:
    """The input's signal, then what each layer emits: len(specs) + 1 of them.

    Raises LayerError where a layer does not fit to what it reads, or the last is not the only head.
    """
    if not specs:
        raise LayerError("the network has no layers")
    names = [source.name, *(spec.name for spec in specs)]
    signals = {source.name: input_signal(source)}
    read = {names[-1]}
    for index, spec in enumerate(specs):
        where = f"layer '{spec.name}'"
        if names.count(spec.name) > 1:
            raise LayerError(f"{where}: the name is used twice")
        edges = edges_of(source, specs, index)
        if edges:
            within(len(edges), limits.EDGES, f"{where}: the number of edges")
        for edge in edges:
            _check_source(edge, spec.name, names, list(signals), where)
            read.add(edge.source)
        if isinstance(spec, PoolSpec):
            if edges[0].source == source.name and source.kind != "spikes":
                raise LayerError(f"{where} pools the {source.kind} input; only spikes are pooled")
            signals[spec.name] = _pooled(spec, signals[edges[0].source], where)
        elif isinstance(spec, JoinSpec):
            if source.name in [edge.source for edge in edges] and source.kind != "spikes":
                raise LayerError(f"{where} joins the {source.kind} input; only spikes are joined")
            signals[spec.name] = _joined(spec, signals, where)
        else:
            head = index == len(specs) - 1
            _check_layer(spec, where, head=head)
            signals[spec.name] = _summed(spec, edges, signals, where, head=head)
        within(signals[spec.name].max_value, limits.COUNT, f"{where}: its largest count")
    if isinstance(specs[-1], PoolSpec | JoinSpec):
        kind = "pool" if isinstance(specs[-1], PoolSpec) else "join"
        raise LayerError(f"layer '{specs[-1].name}' is the last, but a {kind} is no head: it must be dense or conv2d")
    for name in names[1:]:
        if name not in read:
            raise LayerError(f"layer '{name}' is read by no other: name it in a later layer's edges, or remove it")
    _check_size(source, specs, signals)
    return list(signals.values())


def _check_size(source: Input, specs: list[Spec], signals: dict[str, Signal]) -> None:
    """Before any tensor exists: an artifact could not hold it, nor a computer train it."""
    total = 0
    for index, spec in enumerate(specs):
        where, shape = f"layer '{spec.name}'", signals[spec.name].shape
        within(prod(shape), limits.ELEMENTS, f"{where}: the number of elements")
        if isinstance(spec, PoolSpec | JoinSpec):
            continue
        for edge in edges_of(source, specs, index):
            each, times = shape[0], 1
            if edge.op is None and isinstance(spec, ConvSpec):
                kernel, geometry = kernel_of(spec, edge)
                each *= signals[edge.source].shape[0] // geometry.groups * prod(kernel)
                times = prod(shape[1:])
            elif edge.op is None:
                each *= signals[edge.source].size
            if each > MAX_FILE_BYTES:
                raise LayerError(f"{where} has {each:,} weights; an artifact holds at most {MAX_FILE_BYTES:,}")
            total += each * times
            within(total, limits.CONNECTIONS, f"{where}: the number of connections per time step up to here")


def _check_source(edge: EdgeSpec, name: str, names: list[str], earlier: list[str], where: str) -> None:
    if edge.source not in names:
        near = get_close_matches(edge.source, names, n=1)
        raise LayerError(f"{where} reads '{edge.source}', which does not exist" + "".join(f": '{n}'?" for n in near))
    within(edge.delay, limits.DELAY, f"{where} reads '{edge.source}': delay")
    if edge.source == name and edge.delay == 0:
        raise LayerError(f"{where} reads itself at the same step: a recurrence needs delay 1")
    if edge.source not in earlier and edge.source != name:
        raise LayerError(
            f"{where} reads the later layer '{edge.source}'; it can read earlier ones, and with delay 1 itself"
        )


def _summed(
    spec: DenseSpec | ConvSpec, edges: tuple[EdgeSpec, ...], signals: dict[str, Signal], where: str, *, head: bool
) -> Signal:
    """The signal of a layer that sums the currents of its edges."""
    if not edges or edges[0].source == spec.name:
        raise LayerError(f"{where} reads only itself first: its first edge is what feeds it")
    if [edge.source for edge in edges].count(spec.name) > 1:
        raise LayerError(f"{where} reads itself twice; one recurrence is possible")
    if head and spec.name in [edge.source for edge in edges]:
        raise LayerError(f"{where} is the head, which emits nothing to read: it cannot read itself")
    if edges[0].op is not None:
        raise LayerError(f"{where} reads '{edges[0].source}' first by {edges[0].op}; its first edge is {spec.op}")
    main = signals[edges[0].source]
    if spec.input_shift is not None and not main.static:
        raise LayerError(f"{where}: input_shift is for the first layer behind a direct input")
    out = Signal(_shape_out(spec, edges[0], main, where), 1, "bits", False)
    for index, edge in enumerate(edges):
        signal = out if edge.source == spec.name else signals[edge.source]
        if signal.static and edge.delay:
            raise LayerError(f"{where} reads '{edge.source}' with a delay, but a direct input is always the same")
        if signal.static and index > 0:
            raise LayerError(f"{where} reads the direct input '{edge.source}' behind another edge: name it first")
        if edge.shift is not None:
            within(edge.shift, limits.SHIFT, f"{where}: the shift of '{edge.source}'")
        if edge.op is not None:
            _check_identity(edge, signal, out, where)
            continue
        shape = _shape_out(spec, edge, signal, where)
        if shape != out.shape:
            raise LayerError(
                f"{where}: what it reads from '{edge.source}' becomes {shape}, but from '{edges[0].source}' "
                f"{out.shape}: change that edge's kernel, stride or padding"
            )
    return out


def _check_identity(edge: EdgeSpec, signal: Signal, out: Signal, where: str) -> None:
    if edge.op not in EDGE_OPS:
        raise LayerError(f"{where} reads '{edge.source}' by '{edge.op}'; possible: {', '.join(EDGE_OPS)}")
    if edge.kernel is not None:
        raise LayerError(f"{where} reads '{edge.source}' by identity, which has no kernel")
    if signal.shape != out.shape:
        shapes = f"{signal.shape} is not the layer's own shape {out.shape}"
        raise LayerError(f"{where} reads '{edge.source}' by identity, but {shapes}")


def _joined(spec: JoinSpec, signals: dict[str, Signal], where: str) -> Signal:
    """The signal of a join; those of all that it reads but itself are known."""
    number, others = len(spec.edges), [edge for edge in spec.edges if edge.source != spec.name]
    if spec.kind not in JOIN_KINDS:
        raise LayerError(f"{where} joins by '{spec.kind}'; possible: {', '.join(JOIN_KINDS)}")
    if number < 2 or (spec.kind == "iand" and number > 2):
        wanted = "exactly 2" if spec.kind == "iand" else "at least 2"
        raise LayerError(f"{where} joins {number} by '{spec.kind}', which takes {wanted}")
    if not others:
        raise LayerError(f"{where} reads only itself: name what it joins")
    if spec.kind == "add" and len(others) < number:
        raise LayerError(f"{where} adds its own count of the step before, which would grow without bound")
    shape = signals[others[0].source].shape
    for edge in others:
        signal = signals[edge.source]
        if signal.shape != shape:
            raise LayerError(
                f"{where} joins '{edge.source}' of shape {signal.shape} and '{others[0].source}' of shape "
                f"{shape}, which differ"
            )
        if spec.kind != "add" and signal.max_value > 1:
            raise LayerError(f"{where} joins the counts of '{edge.source}' by '{spec.kind}'; only 'add' takes counts")
    for edge in spec.edges:
        if (edge.kernel, edge.shift, edge.op) != (None, None, None):
            raise LayerError(f"{where} is a join: its edge from '{edge.source}' has no kernel, no shift and no op")
    if spec.kind == "add":
        return Signal(shape, sum(signals[edge.source].max_value for edge in others), "spikes", False)
    return Signal(shape, 1, "bits", False)


def _check_layer(spec: DenseSpec | ConvSpec, where: str, *, head: bool) -> None:
    neuron = spec.neuron
    within(spec.weight_bits, limits.WEIGHT_BITS, f"{where}: weight_bits")
    if spec.weight_scale not in SCALES:
        raise LayerError(f"{where}: weight_scale is '{spec.weight_scale}'; possible: {', '.join(SCALES)}")
    if not head and not isinstance(neuron, NeuronSpec):
        what = "has no neuron" if neuron is None else "is a leaky integrator, which never fires"
        raise LayerError(f"{where} {what}, but is not the last: only the head may be so")
    if neuron is None:
        return
    within(neuron.membrane_bits, limits.MEMBRANE_BITS, f"{where}: membrane_bits")
    _check_leak(neuron.leak, "leak", where)
    if not isinstance(neuron, NeuronSpec):
        return
    if neuron.reset not in RESETS:
        raise LayerError(f"{where}: reset is '{neuron.reset}'; possible: {', '.join(RESETS)}")
    if neuron.membrane_rule not in MEMBRANE_RULES:
        raise LayerError(f"{where}: membrane_rule is '{neuron.membrane_rule}'; possible: {', '.join(MEMBRANE_RULES)}")
    if neuron.membrane_rule == "mint":
        within(neuron.membrane_bits, limits.BOUNDARY_BITS, f"{where}: membrane_bits with the membrane_rule 'mint'")
        if sum(term.sign * 2.0**-term.shift for term in neuron.leak) <= 0:
            raise LayerError(f"{where}: the membrane_rule 'mint' needs a leak that keeps a share of V above 0")
    within(neuron.refractory, limits.REFRACTORY, f"{where}: refractory")
    if neuron.current is not None:
        within(neuron.current.bits, limits.MEMBRANE_BITS, f"{where}: current_bits")
        _check_leak(neuron.current.leak, "current_leak", where)


def _check_leak(leak: tuple[LeakTerm, ...], what: str, where: str) -> None:
    within(len(leak), limits.LEAK_TERMS, f"{where}: the number of terms of {what}")
    for term in leak:
        if term.sign not in (-1, 1):
            raise LayerError(f"{where}: the sign of a term of {what} must be -1 or 1, got {term.sign!r:.60}")
        within(term.shift, limits.LEAK_SHIFT, f"{where}: the shift of a term of {what}")


def _shape_out(spec: DenseSpec | ConvSpec, edge: EdgeSpec, signal: Signal, where: str) -> tuple[int, ...]:
    if isinstance(spec, DenseSpec):
        if spec.units < 1:
            raise LayerError(f"{where}: units must be at least 1, got {spec.units}")
        if edge.kernel is not None:
            raise LayerError(f"{where} is dense: its edge from '{edge.source}' has no kernel")
        return (spec.units,)
    if len(signal.shape) != 3:
        raise LayerError(f"{where} convolves pictures (C, H, W), but gets {signal.shape}")
    kernel, g = kernel_of(spec, edge)
    c, h, w = signal.shape
    if not all(map(is_integer, (*g.stride, *g.padding, g.groups))) or min(*g.stride, g.groups) < 1:
        raise LayerError(
            f"{where}: stride and groups must be integers from 1, got {g.stride!r:.40} and {g.groups!r:.40}"
        )
    if spec.channels < 1 or c % g.groups or spec.channels % g.groups:
        raise LayerError(f"{where}: {g.groups} groups divide {c} or {spec.channels} channels unevenly")
    if any(not 0 <= p < k for p, k in zip(g.padding, kernel, strict=True)):
        raise LayerError(f"{where}: padding {g.padding} must be less than the kernel {kernel}")
    (kh, kw), (pv, ph) = kernel, g.padding
    if kh > h + 2 * pv or kw > w + 2 * ph:
        raise LayerError(f"{where}: the kernel {kh}x{kw} is larger than its padded input {h + 2 * pv}x{w + 2 * ph}")
    return (spec.channels, (h + 2 * pv - kh) // g.stride[0] + 1, (w + 2 * ph - kw) // g.stride[1] + 1)


def _pooled(spec: PoolSpec, signal: Signal, where: str) -> Signal:
    pool = spec.pool
    if len(signal.shape) != 3:
        raise LayerError(f"{where} pools pictures (C, H, W), but gets {signal.shape}")
    if pool.kind not in POOL_KINDS:
        raise LayerError(f"{where}: the pool's kind must be one of {', '.join(POOL_KINDS)}, got {pool.kind!r:.40}")
    if not all(map(is_integer, (*pool.kernel, *pool.stride))) or min(*pool.kernel, *pool.stride) < 1:
        sizes = f"{pool.kernel!r:.40} and {pool.stride!r:.40}"
        raise LayerError(f"{where}: kernel and stride of a pool must be integers from 1, got {sizes}")
    if pool.kind == "max" and signal.max_value > 1:
        raise LayerError(f"{where} takes the maximum of counts; max pooling is an OR of spikes")
    (c, h, w), (kh, kw) = signal.shape, pool.kernel
    if kh > h or kw > w:
        raise LayerError(f"{where}: the kernel {kh}x{kw} is larger than its input {h}x{w}")
    shape = (c, (h - kh) // pool.stride[0] + 1, (w - kw) // pool.stride[1] + 1)
    if pool.kind == "max":
        return Signal(shape, 1, "bits", False)
    return Signal(shape, prod(pool.kernel) * signal.max_value, "spikes", False)
