"""Who reads whom in a list of layer specs, and what travels on each edge."""

from __future__ import annotations

from difflib import get_close_matches
from math import prod

from mintaka.artifact import ConvGeometry, Input, Signal
from mintaka.snn.errors import LayerError
from mintaka.snn.specs import MAX_LEAK_SHIFT, MAX_LEAK_TERMS, ConvSpec, DenseSpec, EdgeSpec, PoolSpec, Spec

RESETS = ("zero", "subtract")
MAX_SHIFT = 15


def edges_of(source: Input, specs: list[Spec], index: int) -> tuple[EdgeSpec, ...]:
    """What layer `index` reads, the layer before (or the input) where it does not say."""
    spec = specs[index]
    before = EdgeSpec(source.name if index == 0 else specs[index - 1].name)
    if isinstance(spec, PoolSpec):
        return (before if spec.source is None else EdgeSpec(spec.source),)
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
    signals = {source.name: Signal(source.shape, 2**source.bits - 1, "bits", source.static)}
    read = {names[-1]}
    for index, spec in enumerate(specs):
        where = f"layer '{spec.name}'"
        if names.count(spec.name) > 1:
            raise LayerError(f"{where}: the name is used twice")
        edges = edges_of(source, specs, index)
        for edge in edges:
            _check_source(edge, spec.name, names, list(signals), where)
            read.add(edge.source)
        if isinstance(spec, PoolSpec):
            if edges[0].source == source.name and source.kind != "spikes":
                raise LayerError(f"{where} pools the {source.kind} input; only spikes are pooled")
            signals[spec.name] = _pooled(spec, signals[edges[0].source], where)
        else:
            _check_layer(spec, where, head=index == len(specs) - 1)
            signals[spec.name] = _summed(spec, edges, signals, where)
    if isinstance(specs[-1], PoolSpec):
        raise LayerError(f"layer '{specs[-1].name}' is the last, but a pool is no head: it must be dense or conv2d")
    for name in names[1:]:
        if name not in read:
            raise LayerError(f"layer '{name}' is read by no other: name it in a later layer's edges, or remove it")
    return list(signals.values())


def _check_source(edge: EdgeSpec, name: str, names: list[str], earlier: list[str], where: str) -> None:
    if edge.source not in names:
        near = get_close_matches(edge.source, names, n=1)
        raise LayerError(f"{where} reads '{edge.source}', which does not exist" + "".join(f": '{n}'?" for n in near))
    if edge.delay not in (0, 1):
        raise LayerError(f"{where} reads '{edge.source}' with delay {edge.delay}; 0 or 1 are possible")
    if edge.source == name and edge.delay == 0:
        raise LayerError(f"{where} reads itself at the same step: a recurrence needs delay 1")
    if edge.source not in earlier and edge.source != name:
        raise LayerError(
            f"{where} reads the later layer '{edge.source}'; it can read earlier ones, and with delay 1 itself"
        )


def _summed(spec: DenseSpec | ConvSpec, edges: tuple[EdgeSpec, ...], signals: dict[str, Signal], where: str) -> Signal:
    """The signal of a layer that sums the currents of its edges."""
    if not edges or edges[0].source == spec.name:
        raise LayerError(f"{where} reads only itself first: its first edge is what feeds it")
    if [edge.source for edge in edges].count(spec.name) > 1:
        raise LayerError(f"{where} reads itself twice; one recurrence is possible")
    if spec.neuron is None and spec.name in [edge.source for edge in edges]:
        raise LayerError(f"{where} is the head, which emits no spikes: it cannot read itself")
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
        if edge.shift is not None and not 0 <= edge.shift <= MAX_SHIFT:
            raise LayerError(f"{where}: the shift of '{edge.source}' is {edge.shift}; 0 to {MAX_SHIFT} are possible")
        shape = _shape_out(spec, edge, signal, where)
        if shape != out.shape:
            raise LayerError(
                f"{where}: what it reads from '{edge.source}' becomes {list(shape)}, but from '{edges[0].source}' "
                f"{list(out.shape)}: change that edge's kernel, stride or padding"
            )
    return out


def _check_layer(spec: DenseSpec | ConvSpec, where: str, *, head: bool) -> None:
    if head and spec.neuron is not None:
        raise LayerError(f"{where} is the last, so it is the head and has no neuron")
    if not head and spec.neuron is None:
        raise LayerError(f"{where} has no neuron, but is not the last: only the head has none")
    if not 1 <= spec.weight_bits <= 8:
        raise LayerError(f"{where}: weight_bits is {spec.weight_bits}; 1 to 8 are possible")
    neuron = spec.neuron
    if neuron is None:
        return
    if not 2 <= neuron.membrane_bits <= 16:
        raise LayerError(f"{where}: membrane_bits is {neuron.membrane_bits}; 2 to 16 are possible")
    if neuron.reset not in RESETS:
        raise LayerError(f"{where}: reset is '{neuron.reset}'; possible: {', '.join(RESETS)}")
    if len(neuron.leak) > MAX_LEAK_TERMS or any(not 0 <= t.shift <= MAX_LEAK_SHIFT for t in neuron.leak):
        raise LayerError(f"{where}: a leak has at most {MAX_LEAK_TERMS} terms that shift by 0 to {MAX_LEAK_SHIFT}")


def _shape_out(spec: DenseSpec | ConvSpec, edge: EdgeSpec, signal: Signal, where: str) -> tuple[int, ...]:
    if isinstance(spec, DenseSpec):
        if spec.units < 1:
            raise LayerError(f"{where}: units is {spec.units}; at least 1 is needed")
        if edge.kernel is not None:
            raise LayerError(f"{where} is dense: its edge from '{edge.source}' has no kernel")
        return (spec.units,)
    if len(signal.shape) != 3:
        raise LayerError(f"{where} convolves {list(signal.shape)}; (C, H, W) is wanted")
    kernel, g = kernel_of(spec, edge)
    c, h, w = signal.shape
    if spec.channels < 1 or c % g.groups or spec.channels % g.groups:
        raise LayerError(f"{where}: {g.groups} groups divide {c} or {spec.channels} channels unevenly")
    if any(not 0 <= p < k for p, k in zip(g.padding, kernel, strict=True)):
        raise LayerError(f"{where}: padding {list(g.padding)} must be less than the kernel {list(kernel)}")
    (kh, kw), (pv, ph) = kernel, g.padding
    if kh > h + 2 * pv or kw > w + 2 * ph:
        raise LayerError(f"{where}: the kernel {kh}x{kw} is larger than its padded input {h + 2 * pv}x{w + 2 * ph}")
    return (spec.channels, (h + 2 * pv - kh) // g.stride[0] + 1, (w + 2 * ph - kw) // g.stride[1] + 1)


def _pooled(spec: PoolSpec, signal: Signal, where: str) -> Signal:
    pool = spec.pool
    if len(signal.shape) != 3:
        raise LayerError(f"{where} pools {list(signal.shape)}; (C, H, W) is wanted")
    if pool.kind == "max" and signal.max_value > 1:
        raise LayerError(f"{where} takes the maximum of counts; max pooling is an OR of spikes")
    (c, h, w), (kh, kw) = signal.shape, pool.kernel
    if kh > h or kw > w:
        raise LayerError(f"{where}: the kernel {kh}x{kw} is larger than its input {h}x{w}")
    shape = (c, (h - kh) // pool.stride[0] + 1, (w - kw) // pool.stride[1] + 1)
    if pool.kind == "max":
        return Signal(shape, 1, "bits", False)
    return Signal(shape, prod(pool.kernel) * signal.max_value, "spikes", False)
