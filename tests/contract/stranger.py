"""A second implementation of the artifact, written from the reference pages artifact.md and semantics.md alone.

It knows nothing of Mintaka's code: it walks over single neurons and single synapses in plain Python integers, slow and
literal, so that it cannot share a mistake with the vectorized reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

Json = dict[str, Any]
Place = tuple[int, ...]
Values = dict[Place, int]  # value by position; positions outside the shape are absent
Trace = dict[str, list[dict[str, list[int]]]]  # node -> step -> "k", "s", "u", "j" -> flat list, empty if there is none


@dataclass
class Outcome:
    """One sample's results; `logits`, `sops` and `steps` of the steps it took, `trace` of all.

    `sums` holds, by node and edge, the smallest and largest sum seen before any shift, and
    `currents`, by node, the smallest and largest synaptic current J before it is stored."""

    logits: list[int] = field(default_factory=list)
    steps: int = 0
    sops: dict[str, int] = field(default_factory=dict)
    trace: Trace = field(default_factory=dict)
    sums: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    currents: dict[str, tuple[int, int]] = field(default_factory=dict)


def positions(shape: list[int]) -> list[Place]:
    """All positions of a shape in C order."""
    return list(product(*(range(extent) for extent in shape)))


class Simulator:
    """Runs single samples of one artifact."""

    def __init__(self, document: Json, tensors: dict[str, np.ndarray]):
        self.steps: int = document["time_steps"]
        self.input: Json = document["input"]
        self.nodes: list[Json] = document["nodes"]
        self.head: str = document["output"]["node"]
        self.read: str = document["output"]["read"]
        self.margins: list[int | None] = document["output"].get("margins", [])
        self.shapes = {self.input["name"]: self.input["shape"]} | {n["name"]: n["shape_out"] for n in self.nodes}
        self.tensors = {name: values.tolist() for name, values in tensors.items()}
        self.wires = {
            n["name"]: [self.synapses(n, edge) for edge in n["inputs"]]
            for n in self.nodes
            if "weight" in n["inputs"][0]
        }
        self.pooled = {self.input["name"]: False}  # does a value stand for that many spikes?
        for n in self.nodes:
            self.pooled[n["name"]] = n.get("join") == "add" or ("pool" in n and n["pool"]["kind"] == "sum")

    def per_channel(self, reference: Json | None, place: Place) -> int:
        return 0 if reference is None else self.tensors[reference["tensor"]][place[0]]

    def synapses(self, node: Json, edge: Json) -> dict[Place, list[tuple[Place, int]]]:
        """For each neuron of `node`, the (source position, weight) of each synapse that exists."""
        W = self.tensors[edge["weight"]["tensor"]]
        shape = self.shapes[edge["node"]]
        found: dict[Place, list[tuple[Place, int]]] = {}
        if edge.get("op") == "identity":
            assert shape == node["shape_out"]
            return {place: [(place, W[place[0]])] if W[place[0]] else [] for place in positions(shape)}
        if node["op"] == "dense":
            for place in positions(node["shape_out"]):
                row = zip(positions(shape), W[place[0]], strict=True)
                found[place] = [(source, w) for source, w in row if w]
            return found
        C_out, kernel = len(W), (len(W[0][0]), len(W[0][0][0]))
        per_group, out_per_group = len(W[0]), C_out // edge["groups"]
        assert per_group == shape[0] // edge["groups"]
        (sv, sh), (pv, ph) = edge["stride"], edge["padding"]
        for o, r, c in positions(node["shape_out"]):
            found[o, r, c] = []
            for i, a, b in positions([per_group, *kernel]):
                y, x = r * sv + a - pv, c * sh + b - ph
                if 0 <= y < shape[1] and 0 <= x < shape[2] and W[o][i][a][b]:
                    source = (o // out_per_group * per_group + i, y, x)
                    found[o, r, c].append((source, W[o][i][a][b]))
        return found

    def pool(self, node: Json, x: Values) -> Values:
        (kh, kw), (sv, sh) = node["pool"]["kernel"], node["pool"]["stride"]
        how = max if node["pool"]["kind"] == "max" else sum
        return {
            (ch, r, c): how([x[ch, r * sv + a, c * sh + b] for a, b in positions([kh, kw])])
            for ch, r, c in positions(node["shape_out"])
        }

    def join(self, node: Json, x: list[Values]) -> Values:
        kind = node["join"]
        found: Values = {}
        for place in positions(node["shape_out"]):
            values = [source[place] for source in x]
            if kind == "or":
                found[place] = int(any(values))
            elif kind == "and":
                found[place] = int(all(values))
            elif kind == "iand":
                a, b = values
                found[place] = int(not a and bool(b))
            else:
                found[place] = sum(values)
        return found

    def run(self, sample: np.ndarray) -> Outcome:
        """sample: (*shape) for direct input, (T, *shape) otherwise."""
        name, direct = self.input["name"], self.input["kind"] == "direct"
        before: dict[str, Values] = {n: dict.fromkeys(positions(shape), 0) for n, shape in self.shapes.items()}
        U = {n["name"]: dict.fromkeys(positions(n["shape_out"]), 0) for n in self.nodes}
        J = {n["name"]: dict.fromkeys(positions(n["shape_out"]), 0) for n in self.nodes}
        fired: dict[tuple[str, Place], int] = {}  # the step of the last spike
        total = dict.fromkeys(positions(self.shapes[self.head]), 0)
        sops: dict[str, int] = {}
        out = Outcome(sops=dict.fromkeys(self.wires, 0), trace={n: [] for n in self.wires})
        for t in range(self.steps):
            x = (sample if direct else sample[t]).tolist()
            now: dict[str, Values] = {name: {place: at(x, place) for place in positions(self.input["shape"])}}
            for node in self.nodes:
                if "pool" in node:
                    now[node["name"]] = self.pool(node, now[node["inputs"][0]["node"]])
                    continue
                if "join" in node:
                    sources = [(before if e["delay"] else now)[e["node"]] for e in node["inputs"]]
                    now[node["name"]] = self.join(node, sources)
                    continue
                log: dict[str, list[int]] = {"k": [], "s": [], "u": [], "j": []}
                spikes: Values = {}
                name_, neuron = node["name"], node["neuron"]
                kind = "sum" if neuron is None else neuron.get("kind", "lif")
                for place in positions(node["shape_out"]):
                    I = self.current(node, place, before, now, out, first=t == 0)  # noqa: E741
                    B = self.per_channel(node["bias"], place)
                    if kind == "sum":
                        total[place] += I + B
                        log["k"].append(total[place])
                        continue
                    if kind == "li":
                        K = U[name_][place] + I + B
                        total[place] = K
                        U[name_][place] = store(K, neuron["leak"], neuron["membrane_bits"])
                        log["k"].append(K)
                        log["u"].append(U[name_][place])
                        continue
                    if kind == "cuba":
                        synapse = neuron["current"]
                        I += leaked(J[name_][place], synapse["leak"])  # noqa: E741
                        J[name_][place] = clipped(I, synapse["bits"])
                        low, high = out.currents.get(name_, (0, 0))
                        out.currents[name_] = (min(low, I), max(high, I))
                        log["j"].append(J[name_][place])
                    last = fired.get((name_, place))
                    refractory = last is not None and t - last <= neuron.get("refractory", 0)
                    K = U[name_][place] if refractory else U[name_][place] + I + B
                    spikes[place], U[name_][place] = self.fire(neuron, place, K, refractory=refractory)
                    if spikes[place]:
                        fired[name_, place] = t
                    if name_ == self.head:
                        total[place] += spikes[place]
                    log["k"].append(K)
                    log["s"].append(spikes[place])
                    log["u"].append(U[name_][place])
                now[name_] = spikes
                out.trace[name_].append(log)
            before = now
            if not out.steps:
                margin = self.margins[t] if t < len(self.margins) else None
                ordered = sorted(total.values(), reverse=True)
                if t == self.steps - 1 or (margin is not None and ordered[0] - ordered[1] >= margin):
                    out.logits = [total[place] for place in positions(self.shapes[self.head])]
                    out.steps, sops = t + 1, dict(out.sops)
        out.sops = sops
        return out

    def current(
        self,
        node: Json,
        place: Place,
        before: dict[str, Values],
        now: dict[str, Values],
        out: Outcome,
        *,
        first: bool,
    ) -> int:
        total = 0
        for index, edge in enumerate(node["inputs"]):
            x = (before if edge["delay"] else now)[edge["node"]]
            count_now = first or not (edge["node"] == self.input["name"] and self.input["kind"] == "direct")
            exact = 0
            for source, w in self.wires[node["name"]][index][place]:
                exact += w * x[source]
                if count_now:
                    pooled = self.pooled[edge["node"]]
                    out.sops[node["name"]] += x[source] if pooled else self.set_bits(x[source])
            low, high = out.sums.get((node["name"], index), (0, 0))
            out.sums[node["name"], index] = (min(low, exact), max(high, exact))
            total += exact // 2 ** edge["input_shift"] * 2 ** edge["shift"]
        return total

    def set_bits(self, x: int) -> int:
        """Of a negative number those of its two's complement: Python's own has ones without end ahead of it."""
        return bin(x % 2 ** self.input["bits"] if x < 0 else x).count("1")

    def encode(self, sample: Any) -> np.ndarray:
        """One sample of what a user has, nested lists of numbers, as `run` takes it."""
        encoding = self.input.get("encoding", {"code": "none", "levels": None, "quantizer": None})
        bits = self.input["bits"]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if self.input.get("signed") else (0, 2**bits - 1)
        if encoding["code"] == "thermometer":
            low, high = 0, encoding["levels"] - 1
        static = self.input["kind"] == "direct" or encoding["code"] != "none"
        ahead = [] if static else [self.steps]
        found = np.zeros((self.steps, *self.input["shape"]) if encoding["code"] != "none" else np.shape(sample), int)
        for place in positions([*ahead, *self.input["shape"]]):
            x = at(sample, place)
            if encoding["quantizer"] is None:
                q = int(x)
                assert q == x
            else:
                index = place[len(ahead)]
                scale, offset = (
                    values[index if len(values) > 1 else 0]
                    for values in (encoding["quantizer"]["scale"], encoding["quantizer"]["offset"])
                )
                ratio = (float(x) - offset) / scale
                q = high if ratio > high else low if ratio < low else round(ratio)
            assert low <= q <= high
            if encoding["code"] == "none":
                found[place] = q
                continue
            for t in range(self.steps):
                repeated = encoding["code"] == "repeat"
                found[(t, *place)] = q if repeated else q * (self.steps + 1) >= (t + 1) * encoding["levels"]
        return found

    def fire(self, neuron: Json, place: Place, K: int, *, refractory: bool) -> tuple[int, int]:
        s = int(self.per_channel(neuron["threshold"], place) < K and not refractory)
        V = K
        if s:
            V = 0 if neuron["reset"] == "zero" else K - self.per_channel(neuron["reset_by"], place)
        if "boundaries" in neuron:
            row = self.tensors[neuron["boundaries"]["tensor"]][place[0]]
            return s, sum(1 for b in row if b <= V) - len(row) // 2
        return s, store(V, neuron["leak"], neuron["membrane_bits"])


def leaked(value: int, leak: list[Json]) -> int:
    return sum(t["sign"] * (value // 2 ** t["shift"]) for t in leak)


def clipped(value: int, bits: int) -> int:
    most = 2 ** (bits - 1) - 1
    return min(max(value, -most), most)


def store(value: int, leak: list[Json], bits: int) -> int:
    return clipped(leaked(value, leak), bits)


def at(values: Any, place: Place) -> int:
    """An element of nested lists."""
    for index in place:
        values = values[index]
    return values


def first_of_the_largest(logits: list[int]) -> int:
    return logits.index(max(logits))
