"""The generated networks are what the other tests believe them to be."""

from collections import Counter
from collections.abc import Sequence
from itertools import product

import hypothesis
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EVERYTHING, FEATURES, dense_chains, inputs_for, networks, numbers_for

from mintaka.artifact import Network, Result, check_inputs, clipped, run, signals
from mintaka.artifact.document import format_version

ROUNDS = 15


@given(st.data())
def test_a_dense_chain_is_one(data: st.DataObject) -> None:
    network = data.draw(dense_chains(max_hidden=3, kinds=("spikes",), max_steps=4, weight_bits=(2, 4)))
    before = network.input.name
    for node in network.nodes:
        assert (node.op, [(e.node, e.delay, e.shift) for e in node.inputs]) == ("dense", [(before, 0, 0)])
        assert node.inputs[0].weight is not None
        assert 2 <= node.inputs[0].weight.bits <= 4
        before = node.name
    assert network.input.kind == "spikes"
    assert network.time_steps <= 4
    assert network.output.node == before


@given(networks(delays=False))
def test_without_delays_there_are_none(network: Network) -> None:
    assert not any(edge.delay for node in network.nodes for edge in node.inputs)


@given(networks(ops=("conv2d",)))
def test_ops_restrict(network: Network) -> None:
    assert {node.op for node in network.nodes} == {"conv2d"}


@given(networks(), networks(features=("join",), chain=True))
def test_nothing_new_unless_asked(network: Network, chain: Network) -> None:
    assert format_version(network) == format_version(chain) == (1, 0)


def count_network(network: Network, seen: Counter[object]) -> None:
    """What its format allows."""
    seen[network.input.kind] += 1
    seen[network.output.read] += 1
    seen["newer"] += format_version(network) > (1, 0)
    seen["exit"] += bool(network.output.margins)
    index = {node.name: i for i, node in enumerate(network.nodes)}
    for i, node in enumerate(network.nodes):
        seen[node.op, node.pool.kind if node.pool else None] += 1
        seen["edges", len(node.inputs)] += 1
        seen["bias", node.bias is not None] += 1
        seen["identity"] += any(edge.op == "identity" for edge in node.inputs)
        seen["identity conv"] += node.op == "conv2d" and any(edge.op == "identity" for edge in node.inputs)
        for edge in node.inputs:
            seen["delay", edge.delay] += 1
            seen["self"] += edge.node == node.name
            seen["shift", edge.shift > 0] += 1
            seen["input_shift", edge.input_shift > 0] += 1
            seen["weight", edge.weight.bits if edge.weight else None] += 1
            seen["counts cross synapses"] += (
                edge.weight is not None and edge.node in index and (network.node(edge.node).join == "add")
            )
        if node.join is not None:
            seen[node.join] += 1
            seen["join", len(node.inputs)] += 1
            seen["join of the step before"] += any(edge.delay for edge in node.inputs)
            seen["latch"] += any(edge.node == node.name for edge in node.inputs)
            seen["join of a later node"] += any(index.get(edge.node, -1) > i for edge in node.inputs)
            seen["count of counts"] += signals(network)[node.name].max_value > len(node.inputs)
        if node.codebook is not None:
            seen["codebook with 0" if 0 in node.codebook else "codebook without 0"] += 1
            seen["full codebook"] += len(node.codebook) in (2, 4, 8, 16)
            used = {int(w) for edge in node.inputs if edge.weight is not None for w in edge.weight.values.flat}
            seen["entry that no weight is"] += used < set(node.codebook)
            seen["more than 16 entries"] += len(node.codebook) > 16
            seen["one entry"] += len(node.codebook) == 1
        neuron = node.neuron
        if neuron is not None:
            seen[neuron.kind] += 1
            seen["reset", neuron.reset] += 1
            seen["leak", len(neuron.leak)] += 1
            if neuron.boundaries is not None:
                seen["boundaries", neuron.kind] += 1
                seen["boundaries", neuron.reset] += 1
                seen["boundaries, refractory"] += neuron.refractory > 0
                seen["equal boundaries"] += bool((np.diff(neuron.boundaries.values, axis=1) == 0).any())
                seen["boundaries of 32 bits"] += neuron.boundaries.bits == 32


def count_inputs(network: Network, seed: int, seen: Counter[object]) -> None:
    source = network.input
    seen["signed"] += source.signed
    if source.encoding is not None:
        code, quantizer = source.encoding.code, source.encoding.quantizer
        seen[code, quantizer is not None] += 1
        seen["signed reals"] += source.signed
        if quantizer is not None:
            seen["clipped"] += clipped(network, numbers_for(network, 3, seed)) > 0
            seen["by channel"] += len(quantizer.scale) > 1


def count_result(network: Network, samples: int, result: Result, seen: Counter[object]) -> None:
    """What it does: most layers neither sleep nor fire all the time."""
    margins = bool(network.output.margins)
    seen["stops early"] += int((result.steps < network.time_steps).sum())
    seen["goes on with margins"] += margins and int((result.steps == network.time_steps).sum())
    for node in network.nodes:
        if node.neuron is None:
            continue
        spikes = result.spikes[node.name].sum()
        seen["refractory"] += bool(node.neuron.refractory and spikes)
        seen["cuba spikes"] += bool(node.neuron.current is not None and spikes)
        share = spikes / (samples * network.time_steps * node.size_out)
        if not margins:
            seen["dead" if share == 0 else "saturated" if share == 1 else "alive"] += 1


def test_variety() -> None:
    """Everything the format knows occurs within some hundreds of networks."""
    seen: Counter[object] = Counter()
    wanted: set[object] = {"spikes", "direct", "counts", "self", "alive", "dead", "saturated"}
    wanted |= {("dense", None), ("conv2d", None), ("pool2d", "max"), ("pool2d", "sum"), ("delay", 1)}
    wanted |= {("weight", bits) for bits in range(1, 9)} | {("leak", n) for n in range(5)} | {("edges", 3)}
    wanted |= {("reset", "zero"), ("reset", "subtract"), ("bias", True), ("bias", False), ("shift", True)}
    wanted |= {"accumulate", "count", "membrane", "or", "and", "iand", "add", "identity", "identity conv", "lif"}
    wanted |= {"join of the step before", "latch", "join of a later node", "count of counts", "counts cross synapses"}
    wanted |= {"cuba", "refractory", "cuba spikes", ("join", 2), ("join", 3), ("join", 4)}
    wanted |= {"codebook with 0", "codebook without 0", "full codebook", "entry that no weight is"}
    wanted |= {"more than 16 entries", "one entry", "exit", "stops early", "goes on with margins"}
    wanted |= {"signed", "signed reals", "clipped", "by channel", ("none", True)}
    wanted |= set(product(("thermometer", "repeat"), (True, False)))
    wanted |= {("boundaries", what) for what in ("lif", "cuba", "zero", "subtract")}
    wanted |= {"boundaries, refractory", "equal boundaries", "boundaries of 32 bits"}

    def look(data: st.DataObject, features: Sequence[str], seed: int) -> None:
        network = data.draw(networks(features=features))
        x = data.draw(inputs_for(network))
        check_inputs(network, x)
        count_network(network, seen)
        count_inputs(network, seed, seen)
        count_result(network, len(x), run(network, x), seen)

    features = st.sampled_from([(), FEATURES, EVERYTHING, EVERYTHING])
    for number in range(ROUNDS):  # a round's networks resemble one another
        if all(seen[name] for name in wanted):
            break
        draw = given(st.data(), features, st.integers(0, 2**32 - 1))(look)
        hypothesis.seed(number)(settings(max_examples=100, database=None)(draw))()
    assert {name: seen[name] for name in wanted if not seen[name]} == {}
    assert seen["newer"] > 120
    assert seen["alive"] > np.mean([seen["dead"], seen["saturated"]])
