"""The one comparison: nothing that a trace can hold may differ, be missing or be too much without being told."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace

import numpy as np
import pytest
from contract import samples
from handmade import neuron_network
from strategies import random_inputs

from mintaka.artifact import Result, run
from mintaka.artifact.compare import COUNTED, FIELDS, Counts, compare, shown, trace_of, unequal

NETWORK = neuron_network(seed=6)  # conv1 is LIF, conv2 CUBA-LIF, the head counts spikes
EXPECTED = run(NETWORK, random_inputs(NETWORK, 3, seed=1), trace=True)


def test_what_is_equal() -> None:
    found = compare(deepcopy(EXPECTED), EXPECTED, "head", traces=True)
    assert (found.differences, found.first) == (0, None)
    sizes = {name: sum(v[name].size for t in EXPECTED.trace.values() if name in (v := shown(t))) for name in FIELDS}
    assert sizes["j"] > 0
    assert found.counts == Counts(3, sizes["s"], sizes["u"], sizes["j"], sizes["k"], EXPECTED.logits.size)
    assert compare(EXPECTED, EXPECTED, "head", traces=False).counts == Counts(3, logits=EXPECTED.logits.size)


@pytest.mark.parametrize(
    ("layer", "field"), [(name, field) for name, trace in EXPECTED.trace.items() for field in shown(trace)]
)
def test_every_value_of_every_field_counts(layer: str, field: str) -> None:
    values = shown(EXPECTED.trace[layer])
    place = tuple(n - 1 for n in values[field].shape)
    other = deepcopy(EXPECTED)
    getattr(other.trace[layer], field)[place] += 1
    found = compare(other, EXPECTED, "head", traces=True, first=10)
    assert found.differences == 1
    assert found.first is not None
    assert (found.first.sample, found.first.step, found.first.layer) == (12, place[1], layer)
    assert found.first.neuron == np.prod(values[field].shape[2:]) - 1
    wrong = {symbol for symbol, value in found.first.expected.items() if found.first.actual[symbol] != value}
    assert wrong == {{"k": "K", "s": "s", "u": "U", "j": "Js"}[field]}
    right = compare(EXPECTED, EXPECTED, "head", traces=True).counts
    assert asdict(right + found.counts) == {
        **{name: 2 * number for name, number in asdict(right).items()},
        "samples": 3 + 2,
        COUNTED[field]: 2 * getattr(right, COUNTED[field]) - 1,
    }
    assert compare(EXPECTED, other, "head", traces=True).differences == 1


@pytest.mark.parametrize("field", ["s", "u", "j"])
def test_a_field_that_only_one_side_has_differs_everywhere(field: str) -> None:
    values = shown(EXPECTED.trace["conv2"])
    rest = trace_of({name: array for name, array in values.items() if name != field})
    less = replace(EXPECTED, trace=EXPECTED.trace | {"conv2": rest})
    for mine, theirs in ((less, EXPECTED), (EXPECTED, less)):
        found = compare(mine, theirs, "head", traces=True)
        assert found.differences == values["k"].size
        assert found.counts.samples == 0
    text = str(compare(less, EXPECTED, "head", traces=True).first)
    assert text.startswith("sample 0, step 0, layer 'conv2', neuron 0: expected K = ")


def test_a_layer_that_only_one_side_has() -> None:
    less = replace(EXPECTED, trace={name: trace for name, trace in EXPECTED.trace.items() if name != "conv2"})
    number = EXPECTED.trace["conv2"].k.size
    assert compare(less, EXPECTED, "head", traces=True).differences == number
    found = compare(EXPECTED, less, "head", traces=True)
    assert (found.differences, found.counts.samples) == (number, 0)


def changed(change: Callable[[Result], None]) -> Result:
    other = deepcopy(EXPECTED)
    change(other)
    return other


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("layer 'head', neuron 1: expected logit", lambda r: r.logits.__setitem__((1, 1), 99)),
        ("layer 'head': expected class", lambda r: r.classes.__setitem__(1, 99)),
        ("layer 'head': expected steps", lambda r: r.steps.__setitem__(1, 99)),
        ("layer 'conv1': expected SOPs", lambda r: r.sops["conv1"].__setitem__(1, 99999)),
        ("layer 'conv2': expected spikes", lambda r: r.spikes["conv2"].__setitem__(1, 99999)),
    ],
)
def test_the_rest_of_a_result(what: str, change: Callable[[Result], None]) -> None:
    found = compare(changed(change), EXPECTED, "head", traces=True)
    assert found.differences == 1
    assert str(found.first).startswith(f"sample 1, {what} = ")
    assert found.counts.samples == 2


def test_counts_that_are_missing() -> None:
    for name in ("sops", "spikes"):
        less = replace(EXPECTED, **{name: dict(list(getattr(EXPECTED, name).items())[1:])})
        assert compare(less, EXPECTED, "head", traces=True).differences == 3
        assert compare(EXPECTED, less, "head", traces=True).differences == 3


def test_the_first_difference_is_the_cause() -> None:
    """By sample; of a sample its traces by step and layer, before the logits, before what follows from them."""

    def worse(result: Result) -> None:
        result.classes[0] = 99
        result.logits[0, 2] += 1
        result.trace["head"].k[0, 1] += 1
        result.trace["conv2"].u[0, 1] += 1  # type: ignore[index]
        result.trace["conv1"].k[0, 2] += 1
        result.trace["conv1"].k[1, 0] += 1

    first = compare(changed(worse), EXPECTED, "head", traces=True).first
    assert first is not None
    assert (first.sample, first.step, first.layer) == (0, 1, "conv2")
    first = compare(changed(worse), EXPECTED, "head", traces=False).first
    assert first is not None
    assert "logit" in first.expected


def test_steps_behind_a_samples_last_one_do_not_count() -> None:
    network = samples.early()
    expected = run(network, random_inputs(network, 24, seed=3), trace=True)
    sample = int(np.argmin(expected.steps))
    steps = int(expected.steps[sample])
    assert steps < network.time_steps
    name = next(iter(expected.trace))
    for step, differences in ((steps, 0), (steps - 1, 1)):
        other = deepcopy(expected)
        other.trace[name].k[sample, step, 0] += 1
        assert compare(other, expected, network.output.node, traces=True).differences == differences


def test_results_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"logits have the shape \(2, \d+\) instead of \(3, \d+\)"):
        compare(replace(EXPECTED, logits=EXPECTED.logits[:2]), EXPECTED, "head", traces=False)
    values = shown(EXPECTED.trace["conv2"])
    with pytest.raises(ValueError, match="values of Js have the shape"):
        unequal({**values, "j": values["j"][:, :1]}, values)
