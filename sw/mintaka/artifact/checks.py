"""Which networks mean something: every rule of `docs/reference/artifact.md` that the types alone do not hold."""

from __future__ import annotations

import re
from itertools import pairwise
from math import isfinite, prod

import numpy as np

from mintaka.artifact import limits
from mintaka.artifact.bounds import network_bounds
from mintaka.artifact.document import storage_dtype
from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.numbers import batch_shape
from mintaka.artifact.schema import (
    CODES,
    EDGE_OPS,
    INPUT_KINDS,
    JOIN_KINDS,
    OPS,
    POOL_KINDS,
    READS,
    RESETS,
    Edge,
    Encoding,
    Input,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Shape,
)
from mintaka.artifact.signals import Signal, signals
from mintaka.errors import quoted

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def require(condition: object, sentence: str) -> None:
    if not condition:
        raise ArtifactError(sentence)


def require_network(network: object, error: type[Exception] = ArtifactError) -> None:
    """Raise `error` where this is no network, as for example a path is none."""
    if not isinstance(network, Network):
        raise error(f"the network must be a Network, as mintaka.artifact.load(path) gives it, got {quoted(network)}")


def within(value: int, limit: limits.Range, what: str) -> None:
    limit.require(value, what, ArtifactError)


def check(network: Network) -> None:
    """Raise ArtifactError with one sentence at the first rule that `network` breaks."""
    name = network.name
    fits = name.isprintable() and name.strip() == name and 1 <= len(name) <= 100
    require(fits, f"the network's name {name!r:.60} is not 1 to 100 printable characters")
    within(network.time_steps, limits.TIME_STEPS, "time_steps")
    _check_input(network)
    _check_graph(network)
    found = signals(network)
    for node in network.nodes:
        where = f"node '{node.name}'"
        if node.op == "pool2d":
            _check_pool(network, node, found, where)
        elif node.op == "join":
            _check_join(network, node, found, where)
        else:
            _check_synapses(network, node, where)
        if node.codebook is not None:
            _check_codebook(node, node.codebook, where)
    _check_size(network)
    _check_output(network)
    for name, bounds in network_bounds(network).items():
        bits = max(i.signed_bits for i in (bounds.k, *bounds.sums, *([] if bounds.j is None else [bounds.j])))
        within(bits, limits.ACCUMULATOR_BITS, f"node '{name}': the bits of its accumulator")
    _check_vectors(network)


def _check_shape(shape: Shape, what: str) -> None:
    require(len(shape) in (1, 3), f"{what} must be (N,) or (C, H, W), got {shape}")
    require(all(n >= 1 for n in shape), f"{what} is {shape}, but every extent is at least 1")
    within(prod(shape), limits.ELEMENTS, f"{what} is {shape}: the number of elements")


def _check_input(network: Network) -> None:
    source = network.input
    require(NAME.fullmatch(source.name), f"the input's name {source.name!r:.60} does not match [a-z][a-z0-9_]*")
    _check_shape(source.shape, "the input's shape")
    kinds = ", ".join(INPUT_KINDS)
    require(source.kind in INPUT_KINDS, f"the input's kind is '{source.kind}'; possible: {kinds}")
    if source.kind == "spikes":
        require(source.bits == 1, f"the input is spikes, so its bits are 1, not {source.bits}")
    within(source.bits, limits.INPUT_BITS, "the input's bits")
    if source.signed:
        require(source.kind == "direct", f"the {source.kind} input is signed; only a direct input can be")
        within(source.bits, limits.SIGNED_INPUT_BITS, "the bits of a signed input")
    if source.encoding is not None:
        _check_encoding(source, source.encoding)


def _check_encoding(source: Input, encoding: Encoding) -> None:
    where, code, levels = "the input's encoding", encoding.code, encoding.levels
    require(code in CODES, f"{where} has the code '{code:.40}'; possible: {', '.join(CODES)}")
    if code == "thermometer":
        if levels is None:
            raise ArtifactError(f"{where} is a thermometer without levels")
        within(levels, limits.THERMOMETER_LEVELS, f"{where}: the levels of a thermometer (for 2 take 'repeat')")
    else:
        require(levels is None, f"{where} has levels, but its code is '{code}'; only a thermometer has levels")
    if code == "none":
        require(encoding.quantizer is not None, f"{where} changes nothing: leave it out")
    else:
        kind = source.kind
        require(kind == "spikes", f"{where} makes spikes by the code '{code}', but the input's kind is '{kind}'")
    if encoding.quantizer is not None:
        for key in ("scale", "offset"):
            values = getattr(encoding.quantizer, key)
            fits = len(values) in (1, source.shape[0])
            require(fits, f"{where} has {len(values)} numbers as {key}; 1 or {source.shape[0]} are possible")
            least = min(values) if key == "scale" else 1.0
            finite = all(map(isfinite, values))
            require(finite and least > 0, f"{where} has a {key} that is not finite" + " and above 0" * (key == "scale"))


def _check_graph(network: Network) -> None:
    within(len(network.nodes), limits.NODES, "the number of nodes")
    within(sum(len(node.inputs) for node in network.nodes), limits.ALL_EDGES, "the number of inputs of all nodes")
    names = {network.input.name}
    for node in network.nodes:
        require(NAME.fullmatch(node.name), f"the node name {node.name!r:.60} does not match [a-z][a-z0-9_]*")
        require(node.name not in names, f"the name '{node.name}' is used twice")
        names.add(node.name)
        where = f"node '{node.name}'"
        require(node.op in OPS, f"{where} has the unknown op '{node.op}'; known: {', '.join(OPS)}")
        within(len(node.inputs), limits.EDGES, f"{where}: the number of inputs")
        if node.op == "pool2d":
            require(node.pool is not None, f"{where} is a pool2d without pooling parameters")
            require(len(node.inputs) == 1, f"{where} has {len(node.inputs)} inputs; a pool has one")
            require(node.inputs[0].delay == 0, f"{where} reads with a delay; put the delay behind the pool")
        else:
            require(node.pool is None, f"{where} is no pool2d, but has pooling parameters")
        if node.op == "join":
            _check_join_inputs(node, where)
        else:
            require(node.join is None, f"{where} is no join, but has the join '{node.join}'")
    seen = {network.input.name}
    for node in network.nodes:
        for edge in node.inputs:
            where = f"node '{node.name}' reads '{edge.node}'"
            require(edge.node in names, f"{where}, which does not exist")
            within(edge.delay, limits.DELAY, f"{where}: delay")
            require(
                edge.delay == 1 or edge.node in seen,
                f"{where} at the same step before it exists: a cycle needs an edge of delay 1",
            )
            require(edge.node != network.output.node, f"{where}, but the head emits no spikes for others to read")
            static = edge.node == network.input.name and network.input.static
            require(
                not (static and edge.delay),
                f"{where} with a delay, but a direct input is the same at every step",
            )
        seen.add(node.name)


def source_shape(network: Network, edge: Edge) -> Shape:
    """Shape of what `edge` carries."""
    return network.input.shape if edge.node == network.input.name else network.node(edge.node).shape_out


def _check_join_inputs(node: Node, where: str) -> None:
    require(node.join in JOIN_KINDS, f"{where} joins by '{node.join}'; possible: {', '.join(JOIN_KINDS)}")
    number = len(node.inputs)
    require(number >= 2, f"{where} is a join and must have at least 2 inputs, got {number}")
    wanted = "(not the first) and the second"
    require(node.join != "iand" or number == 2, f"{where} is an iand of {number} inputs; it has 2: {wanted}")


def _check_join(network: Network, node: Node, found: dict[str, Signal], where: str) -> None:
    nothing = node.neuron is None and node.integrator is None and node.bias is None
    require(nothing, f"{where} is a join: it has no neuron and no bias")
    _check_shape_in(network, node, node.inputs[0], where)
    for index, edge in enumerate(node.inputs):
        which, shape = f"{where}, input {index}", source_shape(network, edge)
        bare = edge.weight is None and edge.conv is None and edge.op is None and edge.shift == edge.input_shift == 0
        require(bare, f"{which} belongs to a join: it has no weight, no shift and no op")
        if edge.node == network.input.name:
            kind = network.input.kind
            require(kind == "spikes", f"{which} is the {kind} input; only spikes are joined")
        require(shape == node.shape_in, f"{which} has the shape {shape}, not {node.shape_in} as the first")
        if node.join != "add":
            require(found[edge.node].max_value == 1, f"{which} is a count; '{node.join}' joins spikes only")
    same = node.shape_out == node.shape_in
    require(same, f"{where} declares shape_out {node.shape_out}, not {node.shape_in}")
    within(found[node.name].max_value, limits.COUNT, f"{where}: its largest count")


def _check_pool(network: Network, node: Node, found: dict[str, Signal], where: str) -> None:
    pool, edge = node.pool, node.inputs[0]
    assert pool is not None
    bare = edge.weight is None and edge.conv is None and edge.op is None and edge.shift == edge.input_shift == 0
    require(bare, f"{where} is a pool: its input has no weight, no shift and no stride")
    require(pool.kind in POOL_KINDS, f"{where} has the kind '{pool.kind}'; possible: {', '.join(POOL_KINDS)}")
    nothing = node.neuron is None and node.integrator is None and node.bias is None
    require(nothing, f"{where} is a pool: it has no neuron and no bias")
    _check_shape_in(network, node, edge, where)
    require(len(node.shape_in) == 3, f"{where} pools pictures (C, H, W), but gets {node.shape_in}")
    for what, sizes in (("kernel", pool.kernel), ("stride", pool.stride)):
        for size in sizes:
            within(size, limits.KERNEL, f"{where}: the {what} of a pool")
    if edge.node == network.input.name:
        require(
            network.input.kind == "spikes",
            f"{where} pools the {network.input.kind} input; only spikes are pooled",
        )
    if pool.kind == "max":
        require(found[edge.node].max_value == 1, f"{where} takes the maximum of counts; max pooling is an OR of spikes")
    c, h, w = node.shape_in
    (kh, kw), (sv, sh) = pool.kernel, pool.stride
    require(kh <= h and kw <= w, f"{where}: the kernel {kh}x{kw} is larger than its input {h}x{w}")
    wanted = (c, (h - kh) // sv + 1, (w - kw) // sh + 1)
    require(node.shape_out == wanted, f"{where} declares shape_out {node.shape_out}, not {wanted}")
    within(found[node.name].max_value, limits.COUNT, f"{where}: its largest count")


def connections(network: Network) -> int:
    """Pairs of a source's element and a node's that the network visits in one time step."""
    found = 0
    for node in network.nodes:
        for edge in node.inputs:
            op = "join" if node.join is not None else "pool2d" if node.pool is not None else node.edge_op(edge)
            each = 1  # per element of the output
            if node.pool is not None:
                each = prod(node.pool.kernel)
            elif edge.weight is not None and op != "identity":
                each = edge.weight.values.size // node.channels
            found += each * node.size_out
    return found


def _check_size(network: Network) -> None:
    """What the parts allow together may still be more than any hardware, and any computer that simulates it, can do."""
    neurons = sum(node.size_out for node in network.nodes)
    within(neurons, limits.NEURONS, "the number of elements of all nodes")
    within(connections(network), limits.CONNECTIONS, "the number of connections per time step")


def _check_shape_in(network: Network, node: Node, edge: Edge, where: str) -> None:
    shape = source_shape(network, edge)
    _check_shape(node.shape_in, f"{where}: shape_in")
    _check_shape(node.shape_out, f"{where}: shape_out")
    same = node.shape_in == shape
    require(same, f"{where} declares shape_in {node.shape_in}, but '{edge.node}' has {shape}")


def _check_synapses(network: Network, node: Node, where: str) -> None:
    _check_shape_in(network, node, node.inputs[0], where)
    if node.op == "dense":
        require(len(node.shape_out) == 1, f"{where} is dense, so shape_out is (N,), not {node.shape_out}")
    first = node.inputs[0].op
    require(first is None, f"{where}, input 0 is an {first} edge; the first input is by the node's own op, {node.op}")
    for index, edge in enumerate(node.inputs):
        _check_edge(network, node, edge, f"{where}, input {index}")
    if node.bias is not None:
        _check_tensor(node.bias, (node.channels,), f"{where}, bias", signed=True)
    require(node.neuron is None or node.integrator is None, f"{where} has both a neuron and an integrator")
    if node.neuron is not None:
        _check_neuron(node, node.neuron, where)
    if node.integrator is not None:
        _check_leak(node.integrator.leak, where)
        _check_membrane_bits(node.integrator.membrane_bits, where)


def _check_edge(network: Network, node: Node, edge: Edge, where: str) -> None:
    shape = source_shape(network, edge)
    if edge.weight is None:
        raise ArtifactError(f"{where} has no weight")
    W = edge.weight
    within(W.bits, limits.WEIGHT_BITS, f"{where}: the weights' bits")
    static = edge.node == network.input.name and network.input.static
    within(edge.input_shift, limits.INPUT_SHIFT, f"{where}: input_shift")
    require(edge.input_shift == 0 or static, f"{where}: input_shift is for edges from a direct input")
    within(edge.shift, limits.SHIFT, f"{where}: shift")
    if edge.op is not None:
        require(edge.op in EDGE_OPS, f"{where} has the op '{edge.op}'; possible: {node.op}, {', '.join(EDGE_OPS)}")
        require(edge.conv is None, f"{where} has a stride, padding and groups, but an identity edge has none")
        _check_tensor(W, (node.channels,), f"{where}, weight", signed=False)
        same = shape == node.shape_out
        require(same, f"{where} is an identity edge from {shape} to {node.shape_out}, which differ")
        return
    if node.op == "dense":
        require(edge.conv is None, f"{where} has a stride, padding and groups, but a dense layer has none")
        _check_tensor(W, (node.shape_out[0], prod(shape)), f"{where}, weight", signed=False)
        return
    geometry = edge.conv
    if geometry is None:
        raise ArtifactError(f"{where} has no stride, padding and groups")
    require(len(shape) == 3, f"{where} convolves pictures (C, H, W), but gets {shape}")
    require(len(node.shape_out) == 3, f"{where}: shape_out must be (C, H, W), got {node.shape_out}")
    (sv, sh), (pv, ph), groups = geometry.stride, geometry.padding, geometry.groups
    within(sv, limits.STRIDE, f"{where}: stride")
    within(sh, limits.STRIDE, f"{where}: stride")
    require(groups >= 1, f"{where} has {groups} groups; at least 1 is needed")
    require(W.values.ndim == 4, f"{where}: a conv2d weight has 4 dimensions, not {W.values.ndim}")
    kh, kw = W.values.shape[2:]
    within(kh, limits.KERNEL, f"{where}: the kernel's height")
    within(kw, limits.KERNEL, f"{where}: the kernel's width")
    require(0 <= pv < kh and 0 <= ph < kw, f"{where}: padding is 0 to the kernel's size less one")
    (c, h, w), c_out = shape, node.shape_out[0]
    require(
        c % groups == 0 and c_out % groups == 0,
        f"{where}: {groups} groups divide {c} or {c_out} channels unevenly",
    )
    _check_tensor(W, (c_out, c // groups, kh, kw), f"{where}, weight", signed=False)
    require(h + 2 * pv >= kh and w + 2 * ph >= kw, f"{where}: the kernel is larger than the padded input")
    wanted = (c_out, (h + 2 * pv - kh) // sv + 1, (w + 2 * ph - kw) // sh + 1)
    require(node.shape_out == wanted, f"{where} gives the shape {wanted}, not {node.shape_out}")


def _check_codebook(node: Node, codebook: tuple[int, ...], where: str) -> None:
    require(node.has_synapses, f"{where} has a codebook, but no weights")
    require(codebook, f"{where} has an empty codebook; leave it out, or give the integers that its weights are")
    ascending = all(a < b for a, b in pairwise(codebook))
    require(ascending, f"{where}: the codebook {list(codebook)!s:.60} is not ascending; each integer stands there once")
    weights = [edge.weight for edge in node.inputs if edge.weight is not None]
    bits = max(W.bits for W in weights)
    Q = max(1, 2 ** (bits - 1) - 1)
    bad = codebook[0] if codebook[0] < -Q else codebook[-1]
    fits = codebook[0] >= -Q and codebook[-1] <= Q
    require(fits, f"{where}: the codebook holds {bad}, outside {-Q}..{Q} of weights of {bits} bits")
    for index, W in enumerate(weights):
        absent = W.values[~np.isin(W.values, codebook)]
        if absent.size:
            raise ArtifactError(f"{where}, input {index}: the weight {absent.flat[0]} is not in the node's codebook")


def _check_tensor(tensor: IntTensor, shape: Shape, where: str, *, signed: bool) -> None:
    """Shape, dtype and range. signed: all of two's complement; otherwise a weight, symmetric in [-Q, Q]."""
    values, bits = tensor.values, tensor.bits
    within(bits, limits.TENSOR_BITS, f"{where}: bits")
    dtype = storage_dtype(bits)
    require(values.dtype == dtype, f"{where} has dtype {values.dtype}; {bits} bits are stored as {dtype}")
    require(values.shape == shape, f"{where} has shape {values.shape}, not {shape}")
    if bits == 1 and not signed:
        require(bool((np.abs(values) == 1).all()), f"{where}: 1-bit weights are -1 or +1 only")
        return
    high = 2 ** (bits - 1) - 1
    low = -high - 1 if signed else -high
    least, most = int(values.min()), int(values.max())
    bad = least if least < low else most
    fits = low <= least and most <= high
    require(fits, f"{where} holds {bad}, outside {low}..{high} of its {bits} bits")


def _check_neuron(node: Node, neuron: Neuron, where: str) -> None:
    shape = (node.channels,)
    _check_tensor(neuron.threshold, shape, f"{where}, threshold", signed=True)
    require(neuron.fire == ">", f"{where} fires at '{neuron.fire}'; only '>' is possible (for >= export T - 1)")
    require(neuron.reset in RESETS, f"{where} has the reset '{neuron.reset}'; possible: {', '.join(RESETS)}")
    if neuron.reset == "subtract":
        if neuron.reset_by is None:
            raise ArtifactError(f"{where} resets by subtraction, but reset_by is null")
        _check_tensor(neuron.reset_by, shape, f"{where}, reset_by", signed=True)
    else:
        require(neuron.reset_by is None, f"{where} resets to zero, so reset_by must be null")
    _check_leak(neuron.leak, where)
    _check_membrane_bits(neuron.membrane_bits, where)
    within(neuron.refractory, limits.REFRACTORY, f"{where}: refractory")
    if neuron.current is not None:
        _check_leak(neuron.current.leak, f"{where}, current")
        within(neuron.current.bits, limits.MEMBRANE_BITS, f"{where}: the bits of synaptic currents")
    if neuron.boundaries is not None:
        _check_boundaries(node, neuron, neuron.boundaries, where)


def _check_boundaries(node: Node, neuron: Neuron, boundaries: IntTensor, where: str) -> None:
    within(neuron.membrane_bits, limits.BOUNDARY_BITS, f"{where}: the bits of membranes with boundaries")
    require(not neuron.leak, f"{where} has boundaries, which say what the membrane keeps, so its leak must be empty")
    _check_tensor(boundaries, (node.channels, 2 * neuron.membrane_max), f"{where}, boundaries", signed=True)
    falling = np.diff(boundaries.values.astype(np.int64), axis=1) < 0
    if falling.any():
        channel = int(np.argwhere(falling)[0][0])
        raise ArtifactError(f"{where}: the boundaries of channel {channel} are not ascending")


def _check_leak(leak: tuple[LeakTerm, ...], where: str) -> None:
    within(len(leak), limits.LEAK_TERMS, f"{where}: the number of leak terms")
    for term in leak:
        require(term.sign in (-1, 1), f"{where}: the sign of a leak term must be -1 or 1, got {term.sign}")
        within(term.shift, limits.LEAK_SHIFT, f"{where}: the shift of a leak term")


def _check_membrane_bits(bits: int, where: str) -> None:
    within(bits, limits.MEMBRANE_BITS, f"{where}: the bits of membranes")


def _check_output(network: Network) -> None:
    output = network.output
    if output.node not in [node.name for node in network.nodes]:
        raise ArtifactError(f"the output names the node '{output.node}', which does not exist")
    require(output.read in READS, f"the output reads '{output.read}'; possible: {', '.join(READS)}")
    require(output.decide == "argmax", f"the output decides by '{output.decide}'; possible: argmax")
    require(output.ties == "lowest", f"the output breaks ties by '{output.ties}'; possible: lowest")
    _check_margins(network, output.margins)
    for node in network.nodes:
        if node.name == output.node:
            _check_head(node, output.read)
        elif node.has_synapses:
            where = f"node '{node.name}'"
            require(node.integrator is None, f"{where} has a neuron of kind 'li', which is for the head only")
            require(node.neuron is not None, f"{where} has no neuron and is not the output")


def _check_margins(network: Network, margins: tuple[int | None, ...]) -> None:
    if not margins:
        return
    most = network.time_steps - 1
    require(
        len(margins) == most, f"the output has {len(margins)} margins; of {most + 1} time steps {most} can end early"
    )
    require(network.classes > 1, "the output has margins, but a single logit has no second to be ahead of")
    for step, margin in enumerate(margins):
        if margin is not None:
            within(margin, limits.MARGIN, f"the output's margin of step {step}")
    require(any(m is not None for m in margins), "the output's margins are all null: leave them out")


def _check_head(node: Node, read: str) -> None:
    where = f"the head '{node.name}'"
    require(node.pool is None, f"{where} is a pool; it must sum a current")
    require(node.join is None, f"{where} is a join; it must sum a current")
    if read == "accumulate":
        bare = node.neuron is None and node.integrator is None
        require(bare, f"{where} must have no neuron, as it is read by 'accumulate'")
    elif read == "count":
        spikes = node.neuron is not None
        require(spikes, f"{where} must have a neuron of kind lif or cuba, as it is read by 'count'")
    else:
        require(node.integrator is not None, f"{where} must have a neuron of kind 'li', as it is read by 'membrane'")


def _check_vectors(network: Network) -> None:
    vectors = network.vectors
    if vectors is None:
        return
    N = len(vectors.inputs) if vectors.inputs.ndim else 0
    check_inputs(network, vectors.inputs, "the test vectors' inputs")
    logits = vectors.logits
    require(logits.dtype == np.int64, f"the test vectors' logits have dtype {logits.dtype}, not int64")
    wanted = (N, network.classes)
    require(
        logits.shape == wanted,
        f"the test vectors' logits have shape {logits.shape}, not {wanted}",
    )


def check_inputs(network: Network, inputs: np.ndarray, what: str = "the input") -> None:
    """Raise ArtifactError unless `inputs` is a batch for `network`: dtype, shape and range.

    `mintaka.artifact.encode` makes such a batch of the numbers that a user has.
    """
    require_network(network)
    is_array = isinstance(inputs, np.ndarray)
    require(is_array, f"{what} must be a numpy array, as encode(network, x) makes it, got {quoted(inputs)}")
    source = network.input
    signed = "signed " * source.signed
    require(
        inputs.dtype == source.dtype,
        f"{what} must be {source.dtype}, as {signed}{source.kind} of {source.bits} bits are, got {inputs.dtype}",
    )
    wanted = network.input_shape(len(inputs) if inputs.ndim else 0)
    require(inputs.shape == wanted, f"{what} must have the shape {batch_shape(wanted[1:])}, got {inputs.shape}")
    require(len(inputs) > 0, f"{what} holds no sample")
    least, most = int(inputs.min()) if source.signed else 0, int(inputs.max())
    fits = source.low <= least and most <= source.high
    bad = most if most > source.high else least
    ends = f"are {source.low} to {source.high}" if source.signed else f"end at {source.high}"
    require(fits, f"{what} holds {bad}; {source.bits} {signed}bits {ends}")
