"""Between the dataclasses and the file's two halves: a JSON document and a dictionary of named tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.limits import TENSOR_BITS
from mintaka.artifact.schema import (
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
    Shape,
    SynapticCurrent,
    TestVectors,
)

Tensors = dict[str, np.ndarray]
Json = dict[str, Any]


def storage_dtype(bits: int) -> np.dtype[Any]:
    """The smallest signed numpy dtype that holds `bits`: int8, int16 or int32."""
    return np.dtype(np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32)


# ---------------------------------------------------------------- writing


def format_version(network: Network) -> tuple[int, int]:
    """The oldest format version that can say `network`: it is the one that is written, so that bytes stay the same."""
    newer = network.output.read != "accumulate"
    for node in network.nodes:
        newer |= node.join is not None or node.integrator is not None or any(edge.op for edge in node.inputs)
        newer |= node.neuron is not None and (node.neuron.refractory != 0 or node.neuron.current is not None)
    if network.input.signed or network.input.encoding is not None:
        return (1, 4)
    later = any(node.neuron is not None and node.neuron.boundaries is not None for node in network.nodes)
    if later or network.output.margins:
        return (1, 3)
    if any(node.codebook is not None for node in network.nodes):
        return (1, 2)
    return (1, 1) if newer else (1, 0)


def to_document(network: Network) -> tuple[Json, Tensors]:
    """The JSON document (without its hash) and the tensors of `network`."""
    tensors: Tensors = {}

    def put(name: str, tensor: IntTensor | None) -> Json | None:
        if tensor is None:
            return None
        tensors[name] = np.ascontiguousarray(tensor.values, storage_dtype(tensor.bits))
        return {"tensor": name, "bits": tensor.bits}

    def edge(node: Node, index: int, e: Edge) -> Json:
        form: Json = {"node": e.node, "delay": e.delay}
        if not node.has_synapses:
            return form
        if e.op is not None:
            form["op"] = e.op
        name = f"{node.name}.weight" + (f".{index}" if index else "")
        form |= {"weight": put(name, e.weight), "input_shift": e.input_shift, "shift": e.shift}
        if e.conv is not None:
            form |= {"stride": list(e.conv.stride), "padding": list(e.conv.padding), "groups": e.conv.groups}
        return form

    def leak(terms: tuple[LeakTerm, ...]) -> list[Json]:
        return [{"sign": term.sign, "shift": term.shift} for term in terms]

    def neuron(node: Node, n: Neuron | None) -> Json | None:
        if node.integrator is not None:
            li = node.integrator
            return {"kind": "li", "leak": leak(li.leak), "membrane_bits": li.membrane_bits}
        if n is None:
            return None
        form: Json = {} if n.current is None else {"kind": n.kind}
        form |= {
            "threshold": put(f"{node.name}.threshold", n.threshold),
            "fire": n.fire,
            "reset": n.reset,
            "reset_by": put(f"{node.name}.reset_by", n.reset_by),
            "leak": leak(n.leak),
            "membrane_bits": n.membrane_bits,
        }
        if n.refractory:
            form["refractory"] = n.refractory
        if n.current is not None:
            form["current"] = {"leak": leak(n.current.leak), "bits": n.current.bits}
        if n.boundaries is not None:
            form["boundaries"] = put(f"{node.name}.boundaries", n.boundaries)
        return form

    def one(node: Node) -> Json:
        form: Json = {
            "name": node.name,
            "op": node.op,
            "inputs": [edge(node, i, e) for i, e in enumerate(node.inputs)],
            "shape_in": list(node.shape_in),
            "shape_out": list(node.shape_out),
        }
        if node.pool is not None:
            pool = node.pool
            form["pool"] = {"kind": pool.kind, "kernel": list(pool.kernel), "stride": list(pool.stride)}
        elif node.join is not None:
            form["join"] = node.join
        else:
            form |= {"bias": put(f"{node.name}.bias", node.bias), "neuron": neuron(node, node.neuron)}
            if node.codebook is not None:
                form["codebook"] = list(node.codebook)
        return form

    def entering(source: Input) -> Json:
        form: Json = {"name": source.name, "shape": list(source.shape), "kind": source.kind, "bits": source.bits}
        if source.signed:
            form["signed"] = True
        if source.encoding is not None:
            code, quantizer = source.encoding, source.encoding.quantizer
            reals = None
            if quantizer is not None:
                reals = {key: list(map(float, getattr(quantizer, key))) for key in ("scale", "offset")}
            form["encoding"] = {"code": code.code, "levels": code.levels, "quantizer": reals}
        return form

    output = network.output
    head: Json = {"node": output.node, "read": output.read, "decide": output.decide, "ties": output.ties}
    if output.margins:
        head["margins"] = list(output.margins)
    document: Json = {
        "format": ".".join(map(str, format_version(network))),
        "name": network.name,
        "time_steps": network.time_steps,
        "input": entering(network.input),
        "nodes": [one(node) for node in network.nodes],
        "output": head,
        "provenance": network.provenance,
        "vectors": None,
    }
    if network.vectors is not None:
        tensors["vectors.inputs"] = np.ascontiguousarray(network.vectors.inputs, network.input.dtype)
        tensors["vectors.logits"] = np.ascontiguousarray(network.vectors.logits, np.int64)
        document["vectors"] = {"inputs": "vectors.inputs", "logits": "vectors.logits"}
    return document, tensors


# ---------------------------------------------------------------- reading


class Fields:
    """A JSON object being read: every field is asked for once, by name and type, and none may be left over.

    minor : minor version of the file; what came later is not known to it.
    """

    def __init__(self, value: Any, where: str, tensors: Tensors, minor: int):
        if not isinstance(value, dict):
            raise ArtifactError(f"{where} is {type(value).__name__}, not an object")
        self.left = dict(value)
        self.where = where
        self.tensors = tensors
        self.minor = minor

    def inner(self, value: Any, where: str) -> Fields:
        """Another object of the same file."""
        return Fields(value, where, self.tensors, self.minor)

    def since(self, minor: int, key: str) -> bool:
        """True where the field is there and the file's version knows it: without it, things are as before `minor`."""
        return self.minor >= minor and key in self.left

    def take(self, key: str, kind: type | tuple[type, ...]) -> Any:
        if key not in self.left:
            raise ArtifactError(f"{self.where} lacks the field '{key}'")
        value = self.left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ArtifactError(f"{self.where}: '{key}' is {value!r:.60}, which has the wrong type")
        return value

    def integer(self, key: str) -> int:
        return int(self.take(key, int))

    def text(self, key: str) -> str:
        return str(self.take(key, str))

    def list(self, key: str) -> list[Any]:
        return list(self.take(key, list))

    def integers(self, key: str) -> Shape:
        values = self.list(key)
        if not all(type(v) is int for v in values):
            raise ArtifactError(f"{self.where}: '{key}' is {values!r:.60}, not a list of integers")
        return tuple(values)

    def reals(self, key: str) -> tuple[float, ...]:
        values = self.list(key)
        if not all(type(v) in (int, float) for v in values):
            raise ArtifactError(f"{self.where}: '{key}' is {values!r:.60}, not a list of numbers")
        return tuple(map(float, values))

    def pair(self, key: str) -> tuple[int, int]:
        values = self.integers(key)
        if len(values) != 2:
            raise ArtifactError(f"{self.where}: '{key}' has {len(values)} numbers, not 2")
        return values[0], values[1]

    def object(self, key: str) -> Fields:
        return self.inner(self.take(key, dict), f"{self.where}, '{key}'")

    def optional(self, key: str) -> Fields | None:
        if key in self.left and self.left[key] is None:
            del self.left[key]
            return None
        return self.object(key)

    def tensor(self, name: str) -> np.ndarray:
        """The stored tensor of that name; each is used once, so that none is left unexplained."""
        if name not in self.tensors:
            raise ArtifactError(f"{self.where} names the tensor '{name}', which is missing or used twice")
        return self.tensors.pop(name)

    def int_tensor(self, key: str) -> IntTensor | None:
        form = self.optional(key)
        if form is None:
            return None
        name, bits = form.text("tensor"), form.integer("bits")
        form.end()
        values = self.tensor(name)
        TENSOR_BITS.require(bits, f"{form.where}: bits", ArtifactError)
        if values.dtype != storage_dtype(bits):
            wanted = storage_dtype(bits)
            raise ArtifactError(f"tensor '{name}' has dtype {values.dtype}; {bits} bits are stored as {wanted}")
        return IntTensor(values, bits)

    def end(self) -> None:
        if self.left:
            raise ArtifactError(f"{self.where} has the unknown field '{next(iter(self.left))}'")


def required(tensor: IntTensor | None, what: str) -> IntTensor:
    if tensor is None:
        raise ArtifactError(f"{what} is null, but a tensor is needed")
    return tensor


def from_document(document: Any, tensors: Tensors) -> Network:
    """The network of a document and its tensors; `checks.check` judges what it means.

    Raises ArtifactError where a field is missing, unknown or of the wrong type, or a tensor is missing or left over.
    """
    f = Fields(document, "the document", dict(tensors), 0)
    version = f.text("format")
    f.minor = int(version.partition(".")[2])
    name, steps = f.text("name"), f.integer("time_steps")
    source = _input(f.object("input"))
    nodes = tuple(_node(f.inner(value, f"node {_label(value, index)}")) for index, value in enumerate(f.list("nodes")))
    o = f.object("output")
    output = Output(o.text("node"), o.text("read"), o.text("decide"), o.text("ties"), _margins(o))
    o.end()
    if output.read in ("count", "membrane"):
        _came_with(1, f, f"the output reads '{output.read}'")
    provenance = f.take("provenance", dict)
    v = f.optional("vectors")
    vectors = None
    if v is not None:
        vectors = TestVectors(v.tensor(v.text("inputs")), v.tensor(v.text("logits")))
        v.end()
    f.left.pop("hash", None)
    f.end()
    if f.tensors:
        raise ArtifactError(f"the tensor '{min(f.tensors)}' is used by nothing")
    return Network(name, steps, source, nodes, output, provenance, vectors)


def _input(f: Fields) -> Input:
    form = f.text("name"), f.integers("shape"), f.text("kind"), f.integer("bits")
    signed = bool(f.take("signed", bool)) if f.since(4, "signed") else False
    encoding = None
    if f.since(4, "encoding"):
        e = f.object("encoding")
        code, levels = e.text("code"), e.take("levels", (int, type(None)))
        q, quantizer = e.optional("quantizer"), None
        if q is not None:
            quantizer = Quantizer(q.reals("scale"), q.reals("offset"))
            q.end()
        encoding = Encoding(code, levels, quantizer)
        e.end()
    f.end()
    return Input(*form, signed, encoding)


def _margins(f: Fields) -> tuple[int | None, ...]:
    if not f.since(3, "margins"):
        return ()
    values = f.list("margins")
    if not values or not all(v is None or type(v) is int for v in values):
        raise ArtifactError(f"{f.where}: 'margins' is {values!r:.60}, not a list of integers and nulls")
    return tuple(values)


def _label(value: Any, index: int) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    return f"'{name}'" if isinstance(name, str) else f"number {index}"


def _came_with(minor: int, f: Fields, what: str) -> None:
    if f.minor < minor:
        raise ArtifactError(f"{what}, which came with format 1.{minor}, but the file says 1.{f.minor}")


def _node(f: Fields) -> Node:
    name, op = f.text("name"), f.text("op")
    if op == "join":
        _came_with(1, f, f"{f.where} is a join")
    edges = []
    for index, value in enumerate(f.list("inputs")):
        e = f.inner(value, f"{f.where}, input {index}")
        source, delay = e.text("node"), e.integer("delay")
        if op in ("pool2d", "join"):
            edges.append(Edge(source, delay))
        else:
            own = e.text("op") if e.since(1, "op") else op
            weight = required(e.int_tensor("weight"), f"{e.where}, 'weight'")
            input_shift, shift = e.integer("input_shift"), e.integer("shift")
            conv = None
            if own == "conv2d":
                conv = ConvGeometry(e.pair("stride"), e.pair("padding"), e.integer("groups"))
            edges.append(Edge(source, delay, weight, input_shift, shift, conv, None if own == op else own))
        e.end()
    shapes = f.integers("shape_in"), f.integers("shape_out")
    bias = neuron = integrator = pool = join = codebook = None
    if op == "pool2d":
        p = f.object("pool")
        pool = Pool(p.text("kind"), p.pair("kernel"), p.pair("stride"))
        p.end()
    elif op == "join":
        join = f.text("join")
    else:
        bias = f.int_tensor("bias")
        n = f.optional("neuron")
        if n is not None:
            kind = n.text("kind") if n.since(1, "kind") else "lif"
            if kind == "li":
                integrator = Integrator(_leak(n), n.integer("membrane_bits"))
            elif kind in ("lif", "cuba"):
                neuron = _neuron(n, kind)
            else:
                raise ArtifactError(f"{n.where} is of the unknown kind '{kind:.60}'; known: lif, cuba, li")
            n.end()
        codebook = f.integers("codebook") if f.since(2, "codebook") else None
    f.end()
    return Node(name, op, tuple(edges), *shapes, bias, neuron, pool, integrator, join, codebook)


def _neuron(f: Fields, kind: str) -> Neuron:
    threshold = required(f.int_tensor("threshold"), f"{f.where}, 'threshold'")
    fire, reset, reset_by = f.text("fire"), f.text("reset"), f.int_tensor("reset_by")
    leak, bits = _leak(f), f.integer("membrane_bits")
    refractory = f.integer("refractory") if f.since(1, "refractory") else 0
    current = None
    if kind == "cuba":
        c = f.object("current")
        current = SynapticCurrent(_leak(c), c.integer("bits"))
        c.end()
    boundaries = None
    if f.since(3, "boundaries"):
        boundaries = required(f.int_tensor("boundaries"), f"{f.where}, 'boundaries'")
    return Neuron(threshold, fire, reset, reset_by, leak, bits, refractory, current, boundaries)


def _leak(f: Fields) -> tuple[LeakTerm, ...]:
    leak = []
    for value in f.list("leak"):
        term = f.inner(value, f"{f.where}, 'leak'")
        leak.append(LeakTerm(term.integer("sign"), term.integer("shift")))
        term.end()
    return tuple(leak)
