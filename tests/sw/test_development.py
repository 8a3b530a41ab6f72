"""SD-SNN: how ranges develop, which channels go by them, and which come back."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mintaka.artifact import ConvGeometry, Input
from mintaka.compress import SDSNN, CompressError, Task, families, mask_channels
from mintaka.compress.development import Ranges, develop, masked, range_scores, regrow, signed_sums
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, parse_leak

NEURON = NeuronSpec(4, parse_leak("V>>1"), "zero")
TASK = Task(lambda _: iter(()), seed=0)


def dense(*widths: int) -> SNN:
    specs = [DenseSpec(f"h{i}", width, 4, NEURON) for i, width in enumerate(widths)]
    return SNN(Input("input", (8,), "spikes", 1), 3, [*specs, DenseSpec("head", 3, 4, None)], seed=1)


def method(**changes: object) -> SDSNN:
    return SDSNN.model_validate({"method": "sdsnn", "remove": 0.5, "search_epochs": 10, "epochs": 1} | changes)


def begun(snn: SNN, made: SDSNN) -> SNN:
    (hooks, _) = [phase.hooks for phase in made.phases()]
    hooks.attach(snn)
    return snn


def test_ranges_by_hand() -> None:
    """One weight that shrinks, one that leaves its range above, one below; patience 2."""
    ranges = Ranges(torch.tensor([0.5, 1.0, -1.0]))
    assert ranges.high.tolist() == [1, 1, 1]
    assert ranges.low.tolist() == [-1, -1, -1]
    ranges.follow(torch.tensor([0.4, 1.5, -1.25]), 2)  # once is not enough
    assert ranges.high.tolist() == [1, 1, 1]
    ranges.follow(torch.tensor([0.3, 1.25, -1.75]), 2)
    assert ranges.high.tolist() == [0.75, 1 + (0.5 + 0.25) / 2, 1]
    assert ranges.low.tolist() == [-0.75, -1, -1 - (0.25 + 0.75) / 2]
    ranges.follow(torch.tensor([0.2, 0.5, -0.5]), 2)  # the first count began anew; the second weight shrank twice
    assert ranges.high.tolist() == [0.75, 1.375 * 0.75, 1]
    assert ranges.low.tolist() == [-0.75, -0.75, -1.5]
    ranges.follow(torch.tensor([0.3, 1.5, -1.0]), 2)  # no streak goes on
    ranges.follow(torch.tensor([0.2, 1.0, -1.0]), 2)
    assert ranges.high.tolist() == [0.75, 1.03125, 1]
    assert ranges.widths().tolist() == [0, 1.78125 - 1.5, 1]


@given(seed=st.integers(0, 2**31), patience=st.integers(1, 4), epochs=st.integers(1, 12))
def test_ranges_are_those_of_a_plain_loop(seed: int, patience: int, epochs: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    weights = torch.randn(epochs + 1, 7, generator=rng).cumsum(0) / 2
    ranges = Ranges(weights[0])
    for w in weights[1:]:
        ranges.follow(w, patience)
    most = float(weights[0].abs().max())
    for i in range(7):
        high, low, above, below, shrunk = most, -most, [], [], 0
        for before, w in zip(weights[:-1, i].tolist(), weights[1:, i].tolist(), strict=True):
            above = [*above, w - high] if w >= high else []
            below = [*below, w - low] if w <= low else []
            shrunk = shrunk + 1 if abs(w) < abs(before) else 0
            if len(above) == patience:
                high, above = high + sum(above) / patience, []
            if len(below) == patience:
                low, below = low + sum(below) / patience, []
            if shrunk == patience:
                high, low, shrunk = high * 0.75, low * 0.75, 0
        assert float(ranges.high[i]) == pytest.approx(high, rel=1e-4, abs=1e-5)
        assert float(ranges.low[i]) == pytest.approx(low, rel=1e-4, abs=1e-5)


def test_weights_are_held_in_their_ranges() -> None:
    snn = begun(dense(4), method())
    own = snn.development.ranges["h0"][0]
    own.high[0], own.low[1] = 0.01, -0.02
    before = snn.layers[0].synapses.weight.detach().clone()
    develop(snn, 3, hold=False)
    assert torch.equal(snn.layers[0].synapses.weight, before)
    develop(snn, 3, hold=True)
    held = snn.layers[0].synapses.weight.detach()
    assert float(held[0].max()) <= 0.0101
    assert float(held[1].min()) >= -0.0201
    assert torch.equal(held[2:], before[2:])


def test_scores_are_means_over_all_edges_of_a_channel() -> None:
    edges = (EdgeSpec("input"), EdgeSpec("h0", 1, op="identity"))
    specs = [DenseSpec("h0", 3, 4, NEURON, edges=edges), DenseSpec("head", 3, 4, None)]
    snn = begun(SNN(Input("input", (2,), "spikes", 1), 3, specs), method())
    main, loop = snn.development.ranges["h0"]
    main.high.copy_(torch.tensor([[1.0, 2], [3, 5], [1, 1]]))
    main.low.fill_(-1.0)
    loop.high.copy_(torch.tensor([4.0, 2, 3]))
    loop.low.fill_(0.0)
    expected = torch.tensor([[0, 0.25, 1], [0.5, 1, 0], [0, 0, 0.5]], dtype=torch.float64).mean(1)
    torch.testing.assert_close(range_scores(snn)["h0"], expected)


def test_signed_sums() -> None:
    edges = (EdgeSpec("input"), EdgeSpec("h0", 1))
    snn = SNN(
        Input("input", (2,), "spikes", 1), 3, [DenseSpec("h0", 2, 4, NEURON, edges=edges), DenseSpec("out", 2, 4, None)]
    )
    snn.layers[0].edges[0].weight.data = torch.tensor([[1.0, 2], [3, -1]])
    snn.layers[0].edges[1].weight.data = torch.tensor([[0.5, 0], [0, 0.25]])
    snn.layers[0].norm.gamma.data[1] = -1.0
    assert signed_sums(snn)["h0"].tolist() == [3.5, -2 + 0.25]


def test_masked_channels_come_back_when_they_are_strong_for_long() -> None:
    """Above the percentile for more than `patience` epochs on end; the weak one stays masked."""
    snn = begun(dense(4), method())
    (family,) = families(snn)
    for channel, value in enumerate((0.5, 0.1, 0.2, -0.5)):
        snn.layers[0].synapses.weight.data[channel] = value
    mask_channels(snn, {"h0": [1, 2]})
    returned = snn.development.returns["h0"].returned
    for _ in range(2):
        regrow(snn, family, 65, 2)
        assert not returned.any()
    snn.layers[0].synapses.weight.data[0] = 0.0  # one weak epoch, and the count begins anew
    regrow(snn, family, 65, 2)
    snn.layers[0].synapses.weight.data[0] = 0.5
    for _ in range(2):
        regrow(snn, family, 65, 2)
        assert not returned.any()
    regrow(snn, family, 65, 2)
    assert snn.development.returns["h0"].returned.tolist() == [True, False, False, False]


def test_masks_grow_and_what_came_back_is_not_masked_again() -> None:
    snn, made = dense(20), method(patience=1, remove=0.5)
    (hooks, _) = [phase.hooks for phase in made.phases()]
    hooks.attach(snn)
    (family,) = families(snn)
    snn.development.ranges["h0"][0].high.copy_(torch.arange(20.0)[:, None].expand(20, 8) + 5)  # the first would go
    snn.development.ranges["h0"][0].low.copy_(-snn.development.ranges["h0"][0].high)
    numbers = []
    for done in range(1, 10):
        hooks.after_epoch(snn, TASK, done, 10)
        numbers.append(int(masked(snn, family).sum()))
        if done == 4:
            first = masked(snn, family)
            snn.layers[0].synapses.weight.data[0] = 9.0
    assert numbers[:2] == [0, 0]
    assert numbers[2:] == sorted(numbers[2:])
    assert numbers[2] > 0
    assert bool(first[0])
    assert not masked(snn, family)[0]
    assert bool(snn.development.returns["h0"].returned[0])
    new = hooks.finish(snn, TASK)
    assert new.signals["h0"].shape == (10,)
    assert not hasattr(new, "development")


def test_tied_layers_share_masks() -> None:
    geometry = ConvGeometry((1, 1), (0, 0), 1)
    specs = [
        ConvSpec("a", 6, (1, 1), geometry, 4, NEURON),
        ConvSpec("b", 6, (1, 1), geometry, 4, NEURON),
        JoinSpec("join", "or", (EdgeSpec("a"), EdgeSpec("b"))),
        DenseSpec("head", 3, 4, None),
    ]
    snn, made = SNN(Input("input", (1, 3, 3), "direct", 4), 2, specs), method(patience=1, search_epochs=3)
    (hooks, _) = [phase.hooks for phase in made.phases()]
    hooks.attach(snn)
    for done in (1, 2):
        hooks.after_epoch(snn, TASK, done, 5)
    hooks.after_epoch(snn, TASK, 3, 5)
    a, b = snn.layers[0].mask, snn.layers[1].mask
    assert a is not None
    assert torch.equal(a, b)
    assert 0 < int(a.sum()) < 6
    new = hooks.finish(snn, TASK)
    assert [new.signals[name].shape[0] for name in ("a", "b", "join")] == [3, 3, 3]


def test_too_few_epochs() -> None:
    sentence = "6 search epochs are too few for a patience of 3: channels are masked from epoch 7 on"
    with pytest.raises(CompressError, match=f"^{re.escape(sentence)}$"):
        method(search_epochs=6).check(dense(4), TASK)
    with pytest.raises(CompressError, match="would leave 0 of them"):
        method(remove=0.9, scope="layer").check(dense(4), TASK)


def test_only_these_layers() -> None:
    snn, made = dense(8, 6), method(patience=1, search_epochs=4, layers=["h1"])
    (hooks, _) = [phase.hooks for phase in made.phases()]
    hooks.attach(snn)
    assert list(snn.development.ranges) == ["h1"]
    for done in (1, 2, 3):
        hooks.after_epoch(snn, TASK, done, 4)
    assert snn.layers[0].mask is None
    assert snn.layers[1].mask is not None
    new = hooks.finish(snn, TASK)
    assert [new.signals[name].shape for name in ("h0", "h1")] == [(8,), (3,)]
