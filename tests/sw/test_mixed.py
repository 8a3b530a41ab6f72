"""Mixed precision: what candidates cost, how the search goes, and runs that search."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sw.killed import train_until

from mintaka.artifact import Input, LeakTerm, SynapticCurrent, content_hash, encode, run
from mintaka.compress import METHODS, Budget, CompressError, Space, Task, Widths, mixed, search_widths, share_weights
from mintaka.compress.cost import bit_sops, memory_bits
from mintaka.compress.mixed import Judged, judge
from mintaka.compress.steps import delay_to_head
from mintaka.compress.widths import membrane_widths, weight_widths, with_widths
from mintaka.data import load_dataset
from mintaka.snn.export import to_artifact
from mintaka.snn.network import SNN
from mintaka.snn.specs import DenseSpec, EdgeSpec, NeuronSpec, parse_leak
from mintaka.train import Recipe, RecipeError, export, parse_recipe, train

NEURON = NeuronSpec(4, parse_leak("V>>1"), "zero")
SPACE = Space((1, 2, 4), (2, 4), (1, 3))


def network(*widths: int) -> SNN:
    specs = [DenseSpec(f"h{i}", width, 4, NEURON) for i, width in enumerate(widths)]
    snn = SNN(Input("input", (8,), "direct", 3), 3, [*specs, DenseSpec("head", 3, 4, None)], seed=1)
    snn.quantize()
    snn.train()
    for x, _ in batches(snn):
        snn(x)
    return snn


def batches(_: SNN) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    rng = torch.Generator().manual_seed(2)
    for _ in range(2):
        yield torch.randint(0, 8, (30, 8), generator=rng).float(), torch.arange(30) % 3


def test_memory_by_hand() -> None:
    neuron = NeuronSpec(4, parse_leak("V>>1"), "zero", 5, SynapticCurrent((LeakTerm(1, 1),), 6))
    edges = (EdgeSpec("input"), EdgeSpec("a", 1, op="identity"))
    specs = [DenseSpec("a", 10, 4, neuron, edges=edges), DenseSpec("head", 3, 4, None)]
    snn = SNN(Input("input", (8,), "spikes", 1), 3, specs)
    weights = 2 * (80 + 10) + 3 * 30
    assert memory_bits(snn, {"a": 2, "head": 3}, {"a": 5}, 3) == weights + 10 * (5 + 3 + 6)
    assert memory_bits(snn, {"a": 2, "head": 3}, {"a": 5}, 1) == weights


def test_a_candidate_is_judged_as_it_would_be_exported() -> None:
    """Cross-entropy and bit-SOPs from the reference on the exported candidate; the network itself stays as it was."""
    snn = network(12)
    before = {key: value.clone() for key, value in snn.state_dict().items()}
    widths = Widths((("h0", 2), ("head", 5)), (("h0", 3),), 2)
    found = judge(snn, widths, batches, 45)
    assert all(torch.equal(value, before[key]) for key, value in snn.state_dict().items())
    assert (snn.time_steps, weight_widths(snn), membrane_widths(snn)) == (3, {"h0": 4, "head": 4}, {"h0": 4})

    new = with_widths(snn, widths.weight_bits, widths.membrane_bits, 2).train()
    (x1, y1), (x2, y2) = batches(snn)
    x2, y2 = x2[:15], y2[:15]
    with torch.no_grad():
        new(x1)
        new(x2)
    artifact = to_artifact(new.eval(), "net")
    assert [node.inputs[0].weight.bits for node in artifact.nodes] == [2, 5]  # type: ignore[union-attr]
    assert (artifact.time_steps, artifact.nodes[0].neuron.membrane_bits) == (2, 3)  # type: ignore[union-attr]
    result = run(artifact, torch.cat([x1, x2]).numpy().astype(np.uint8))
    scores = new.scores(torch.from_numpy(result.logits))
    scores, y = scores.detach(), torch.cat([y1, y2])
    losses = [float(torch.nn.functional.cross_entropy(scores * 2.0 ** (n / 2), y)) for n in range(-8, 9)]
    assert found.loss == pytest.approx(min(losses))
    sops = 2 * result.sops["h0"].mean() + 5 * result.sops["head"].mean()
    assert found.bit_sops == pytest.approx(sops)
    assert bit_sops(result, {"h0": 2, "head": 5}) == pytest.approx(sops)
    assert found.memory_bits == 2 * 96 + 5 * 36 + 3 * 12


def test_steps_of_the_search() -> None:
    space = Space((1, 2, 4), (2, 4), (1, 3))
    now = Widths((("a", 2), ("head", 4)), (("a", 2),), 3)
    lower = space.beside(now, up=False)
    assert [w.weights for w in lower] == [(("a", 1), ("head", 4)), (("a", 2), ("head", 2)), now.weights]
    assert [w.time_steps for w in lower] == [3, 3, 1]
    higher = space.beside(now, up=True)
    assert [(w.weights, w.membranes) for w in higher] == [
        ((("a", 4), ("head", 4)), now.membranes),
        (now.weights, (("a", 4),)),
    ]


@given(seed=st.integers(0, 2**31), memory=st.integers(0, 100), sops=st.booleans())
def test_the_search_keeps_budgets_and_leaves_nothing_that_fits(seed: int, memory: int, sops: bool) -> None:
    """On made-up losses: the budgets are kept, and no single width could be larger for a lower loss."""
    rng = np.random.default_rng(seed)
    snn = network(6, 5)
    worth, noise = rng.random(6) * 4, rng.normal(0, 0.02, 1000)

    def made(_: SNN, widths: Widths, *__: Any) -> Judged:
        bits = [*widths.weight_bits.values(), *widths.membrane_bits.values(), widths.time_steps]
        loss = float((worth * 2.0 ** -np.array(bits)).sum() + noise[hash(widths) % 1000])
        cost = memory_bits(snn, widths.weight_bits, widths.membrane_bits, widths.time_steps)
        return Judged(widths, loss, cost, float(sum(bits[:3]) * widths.time_steps))

    least = made(snn, SPACE.all(snn, 0)).memory_bits
    most = made(snn, SPACE.all(snn, -1)).memory_bits
    budget = Budget(least + (most - least) * memory // 100, 12.0 if sops else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed, "judge", made)
        found = search_widths(snn, SPACE, budget, batches)
    assert budget.excess(found) == 0
    for other in SPACE.beside(found.widths, up=True):
        judged = made(snn, other)
        assert budget.excess(judged) > 0 or judged.loss >= found.loss


def test_the_search_is_near_the_best_of_all() -> None:
    """Against every candidate of a small network, really judged."""
    snn = network(12)
    space = Space((1, 2, 4), (2, 4), (1, 2, 3))
    budget = Budget(memory_bits=450, bit_sops=900.0)
    found = search_widths(snn, space, budget, batches, 60)
    every = []
    for a, head, u, steps in product(space.weight_bits, space.weight_bits, space.membrane_bits, space.time_steps):
        every.append(judge(snn, Widths((("h0", a), ("head", head)), (("h0", u),), steps), batches, 60))
    fitting = sorted(j.loss for j in every if budget.excess(j) == 0)
    assert budget.excess(found) == 0
    assert 1 < len(fitting) < len(every)
    assert found.loss <= fitting[len(fitting) // 4]


def test_a_budget_that_cannot_be_kept() -> None:
    snn = network(12)
    with pytest.raises(CompressError) as caught:
        search_widths(snn, SPACE, Budget(memory_bits=100), batches)
    fewest = 8 * 12 + 12 * 3  # one step: no membranes
    assert str(caught.value) == (
        f"no widths keep the budget of 100 memory bits, and {fewest} are the fewest: raise it, or offer smaller widths"
    )
    with pytest.raises(CompressError, match=r"budget of 1 bit-SOPs per sample, and \d+ are the fewest found: raise it"):
        search_widths(snn, SPACE, Budget(bit_sops=1.0), batches)
    with pytest.raises(CompressError, match=r"^there are no samples to compare widths with: the data set is empty$"):
        search_widths(snn, SPACE, Budget(memory_bits=200), lambda _: iter(()))
    with pytest.raises(CompressError, match=r"^layer 'h0' shares its weights"):
        with_widths(share_weights(snn, 2), {"h0": 3})


# ---- in a run


def recipe(*methods: dict[str, Any], **changes: Any) -> Recipe:
    form: dict[str, Any] = {
        "name": "mixed",
        "dataset": "digits",
        "seed": 5,
        "network": {"time_steps": 3, "weight_bits": 6},
        "train": {"float_epochs": 2, "epochs": 2, "batch": 128, "learning_rate": 0.01},
        "compress": list(methods),
        "layers": [
            {"name": "conv", "op": "conv2d", "channels": 8, "kernel": 3, "stride": 2, "padding": 1},
            {"name": "hidden", "op": "dense", "units": 32, "reset": "subtract"},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }
    return parse_recipe(form | changes)


MIXED = {"method": "mixed", "search_epochs": 2, "epochs": 2, "samples": 300}


@pytest.mark.parametrize(
    "budget", [{"memory_bits": 12_000}, {"bit_sops": 40_000, "time_steps": [1, 2, 3], "weight_bits": [2, 4]}], ids=str
)
def test_a_run_searches_trains_and_resumes(budget: dict[str, Any], tmp_path: Path) -> None:
    """The found widths are those of the artifact, within the budget; a killed run finds and trains the same."""
    made = recipe(MIXED | budget)
    result = train(made, tmp_path / "straight")
    network = export(tmp_path / "straight")
    bits = {node.name: node.inputs[0].weight.bits for node in network.nodes}  # type: ignore[union-attr]
    state = {node.name: node.neuron.membrane_bits for node in network.nodes if node.neuron is not None}
    memory = sum(node.inputs[0].weight.values.size * bits[node.name] for node in network.nodes)  # type: ignore[union-attr]
    if network.time_steps > 1:
        memory += sum(node.size_out * state[node.name] for node in network.nodes if node.neuron is not None)
    assert memory <= budget.get("memory_bits", memory)
    assert network.time_steps in budget.get("time_steps", [3])
    assert set(bits.values()) <= set(budget.get("weight_bits", [1, 2, 3, 4, 6, 8]))
    assert len(set(bits.values()) | set(state.values())) > 1 or network.time_steps < 3
    data = load_dataset("digits")
    classes = run(network, encode(network, data.test_x)).classes
    assert float((classes == data.test_y).mean()) == result.integer_accuracy > 0.6
    for place in (("mixed", 1, 3), ("mixed", 2, 4), ("mixed-tune", 1, 5)):
        train_until(made, tmp_path / "killed", place)
    train(made, tmp_path / "killed")
    assert content_hash(export(tmp_path / "killed")) == content_hash(network)


def test_another_seed_draws_other_widths(tmp_path: Path) -> None:
    runs = [recipe(MIXED | {"memory_bits": 12_000}, seed=seed) for seed in (1, 2)]
    for made, name in zip(runs, ("one", "two"), strict=True):
        train_until(made, tmp_path / name, ("mixed", 1, 1))
    hooks = runs[0].compress[0].phases()[0].hooks  # type: ignore[index]
    drawn = []
    for seed in (1, 1, 2):
        snn = network(12)
        snn.register_buffer("search_seed", torch.tensor(seed))
        hooks.before_step(snn, 0.25, 1e-3)
        drawn.append((weight_widths(snn), membrane_widths(snn)))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


STDS = {"method": "stds", "depth": 1.0, "search_epochs": 1, "epochs": 1}


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        ([MIXED], "compress[0] (mixed): it needs a budget: say 'memory_bits', 'bit_sops' or both"),
        (
            [MIXED | {"memory_bits": 4807}],  # 72 + 4096 + 320 weights of 1 bit, 128 + 32 membranes of 2 bits
            "compress[0] (mixed): no widths keep the budget of 4,807 memory bits, and 4,808 are the fewest",
        ),
        ([STDS, MIXED | {"memory_bits": 20_000}], "compress[1] (mixed): layer 'conv' has weights that are 0, which 1"),
        (
            [{"method": "share", "bits": 2, "epochs": 1}, MIXED | {"memory_bits": 20_000}],
            "compress[1] (mixed): layer 'conv' shares its weights: change widths before it does",
        ),
        ([MIXED | {"memory_bits": 9000, "weight_bits": [0]}], "'compress[0].weight_bits[0]' must be 1 to 8, got 0"),
        ([MIXED | {"memory_bits": 9000, "epochs": 0}], "'compress[0].epochs' must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_said_before_training(methods: list[dict[str, Any]], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        train(recipe(*methods), tmp_path / "run")
    assert not (tmp_path / "run").exists()


SLIM = {"method": "slim", "remove": 0.5, "sparse_epochs": 0, "epochs": 0}
STEPS = {"method": "steps", "time_steps": 2, "epochs": 0}
HALVED, ONE_HALVED = 6 * 8 + 6 * 5 + 3 * 5 + 2 * (6 + 5), 12 * 8 + 12 * 5 + 3 * 5 + 2 * (12 + 5)  # of 12 and 10 neurons


@pytest.mark.parametrize(
    ("methods", "fewest"),
    [
        ([SLIM | {"scope": "layer"}], HALVED),
        ([SLIM | {"layers": ["h0"]}, STEPS, SLIM | {"layers": ["h1"]}], HALVED),
        ([SLIM | {"layers": ["h1"]}], ONE_HALVED),
        ([SLIM], None),
        ([SLIM, STEPS, SLIM | {"scope": "layer", "remove": 0.1}], None),
        ([SLIM, {"method": "small", "epochs": 0, "widths": {"h0": 6}}], None),
        ([{"method": "pca", "variance": 0.9, "epochs": 0}], None),
        ([{"method": "sops", "strength": 1.0, "search_epochs": 1, "epochs": 0}], None),
    ],
)
def test_a_budget_for_what_pruning_leaves(methods: list[dict[str, Any]], fewest: int | None) -> None:
    """Exact where sizes are known, not yet judged where training decides about them."""
    specs = [DenseSpec("h0", 12, 4, NEURON), DenseSpec("h1", 10, 4, NEURON), DenseSpec("head", 3, 4, None)]
    snn, task = SNN(Input("input", (8,), "direct", 3), 3, specs), Task(batches, seed=1)
    before = list(snn.state_dict())
    predicted = snn
    for method in methods:
        made = METHODS[method["method"]].model_validate(method)
        made.check(predicted, task)
        predicted = made.predict_structure(predicted)
    assert list(snn.state_dict()) == before
    bits = [2, 4] if methods[0]["method"] == "sops" else [1, 4]
    tried = [
        METHODS["mixed"].model_validate(MIXED | {"memory_bits": budget, "weight_bits": bits})
        for budget in ([1] if fewest is None else [fewest, fewest - 1])
    ]
    tried[0].check(predicted, task)
    if fewest is not None:
        with pytest.raises(CompressError, match=f"{fewest} are the fewest: raise it"):
            tried[1].check(predicted, task)


def test_memory_that_cannot_be_kept_behind_pruning_is_said_before_the_search(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=r"budget of 900 memory bits, and [\d,]+ are the fewest: raise it"):
        train(recipe(SLIM, MIXED | {"memory_bits": 900}), tmp_path)
    assert "mixed" not in (tmp_path / "history.csv").read_text()


def test_sops_that_cannot_be_kept_are_said_before_the_search(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=r"budget of 10 bit-SOPs per sample, and [\d,]+ are the fewest found"):
        train(recipe(MIXED | {"bit_sops": 10}), tmp_path)
    assert "mixed" not in (tmp_path / "history.csv").read_text()


def test_steps_that_nothing_crosses(tmp_path: Path) -> None:
    layers = [
        {"name": "a", "op": "dense", "units": 8},
        {"name": "b", "op": "dense", "units": 8, "from": {"node": "a", "delay": 1}},
        {"name": "out", "op": "dense", "units": 10, "from": [{"node": "b", "delay": 1}]},
    ]
    sentence = (
        "with 2 time steps nothing of the input reaches the head 'out', as every way to it is delayed by 2: "
        "keep at least 3 steps"
    )
    steps = {"method": "steps", "at": "qat", "time_steps": 2, "epochs": 1}
    searched = MIXED | {"memory_bits": 99_999, "time_steps": [2, 3]}
    for method in (steps, searched):
        with pytest.raises(RecipeError, match=re.escape(sentence)):
            train(recipe(method, layers=layers), tmp_path)


def test_the_shortest_way_counts() -> None:
    specs = [
        DenseSpec("a", 4, 4, NEURON, edges=(EdgeSpec("input"), EdgeSpec("a", 1))),
        DenseSpec("b", 4, 4, NEURON, edges=(EdgeSpec("a", 1),)),
        DenseSpec("head", 3, 4, None, edges=(EdgeSpec("b", 1), EdgeSpec("a", 1))),
    ]
    assert delay_to_head(SNN(Input("input", (8,), "spikes", 1), 5, specs)) == 1
