"""Every method as a plain function call: from a network in a program of one's own to an artifact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional as F

from mintaka.artifact import Input, run
from mintaka.compress import (
    METHODS,
    AnyMethod,
    CompressError,
    Exit,
    Method,
    Phase,
    PhaseHooks,
    Task,
    apply,
    calibrate,
    with_margins,
)
from mintaka.snn import SNN, DenseSpec, NeuronSpec, parse_leak, to_artifact
from mintaka.snn.network import ForwardRecord
from mintaka.train import loop, parse_recipe
from mintaka.train.phases import phases

FRACTION = {"remove": 0.5, "epochs": 1}
ASKED: dict[str, dict[str, Any]] = {
    "slim": {**FRACTION, "sparse_epochs": 1},
    "sca": {**FRACTION, "search_epochs": 2},
    "sdsnn": {**FRACTION, "search_epochs": 8, "patience": 1},
    "random": FRACTION,
    "pca": {"epochs": 1, "variance": 0.9},
    "small": {"epochs": 1, "widths": {"hidden": 6}},
    "stds": {"epochs": 1, "depth": 0.5, "search_epochs": 2},
    "slats": {"epochs": 1, "depth": 0.5, "search_epochs": 2},
    "sops": {"epochs": 1, "strength": 0.1, "search_epochs": 2},
    "activity": {"epochs": 2, "strength": 0.1, "of": "membrane"},
    "steps": {"epochs": 1, "time_steps": 2},
    "share": {"epochs": 1, "bits": 2},
    "binary": {"epochs": 1},
    "mixed": {"epochs": 1, "search_epochs": 1, "memory_bits": 1200},
}


def network() -> SNN:
    neuron = NeuronSpec(membrane_bits=4, leak=parse_leak("V>>1"), reset="zero")
    specs = [DenseSpec("hidden", 12, 4, neuron), DenseSpec("out", 3, 4, None)]
    return SNN(Input("input", (20,), "direct", 4), 4, specs, seed=1)


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 96)
    return np.clip(rng.integers(0, 8, (96, 20)) + 4 * (np.arange(20) % 3 == y[:, None]), 0, 15).astype(np.uint8), y


def task() -> Task:
    x, y = samples()

    def batches(_: SNN) -> Iterator[tuple[Tensor, Tensor]]:
        for at in range(0, 96, 32):
            yield torch.from_numpy(x[at : at + 32].astype(np.float32)), torch.from_numpy(y[at : at + 32])

    return Task(batches, seed=1)


def test_all_are_here() -> None:
    assert set(ASKED) == set(METHODS)


@pytest.mark.parametrize("name", ASKED)
def test_a_method_as_a_function(name: str) -> None:
    method = asked(name)
    snn = network()
    if method.at == "qat":
        snn.quantize()
    snn = apply(method, snn, task())
    if not snn.integer:
        snn.quantize()
    x, _ = samples()
    with torch.no_grad():
        snn.train()(torch.from_numpy(x.astype(np.float32)))  # the BatchNorm's averages, of the integer sums
        logits = snn.eval()(torch.from_numpy(x.astype(np.float32)))
    found = to_artifact(snn, "case")
    assert np.array_equal(run(found, x).logits, logits.numpy())
    plain = to_artifact(_plain(), "case")
    weights = [[edge.weight.values for node in net.nodes for edge in node.inputs] for net in (found, plain)]
    zeros = [sum(int((each == 0).sum()) for each in net) for net in weights]
    sizes = [sum(each.size for each in net) for net in weights]
    if name in ("slim", "sca", "sdsnn", "random", "pca", "small"):
        assert sizes[0] < sizes[1]
    elif name in ("stds", "slats", "sops"):
        assert zeros[0] > zeros[1] or sizes[0] < sizes[1]
    elif name == "steps":
        assert found.time_steps == 2
    elif name == "share":
        assert all(len(np.unique(each)) <= 4 for each in weights[0])
    elif name == "binary":
        assert all(set(np.unique(each)) <= {-1, 1} for each in weights[0])
    elif name == "mixed":
        assert sum(edge.weight.values.size * edge.weight.bits for n in found.nodes for edge in n.inputs) < 1200


def _plain() -> SNN:
    snn = network()
    snn.quantize()
    x, _ = samples()
    with torch.no_grad():
        snn.train()(torch.from_numpy(x.astype(np.float32)))
    return snn.eval()


def asked(name: str, **keys: Any) -> Method:
    method: Method = TypeAdapter(AnyMethod).validate_python({"method": name, **ASKED.get(name, {}), **keys})
    return method


def test_what_cannot_be_is_refused_first() -> None:
    with pytest.raises(CompressError, match="9"):
        apply(asked("steps", time_steps=9), network(), task())


def test_exit_is_not_applied_but_calibrated() -> None:
    with pytest.raises(CompressError, match=r"^early exit trains nothing: call `calibrate` and `with_margins` on the"):
        apply(Exit(method="exit"), network(), task())  # type: ignore[arg-type]
    found, (x, y) = to_artifact(_plain(), "case"), samples()
    early = with_margins(found, calibrate(found, x, y, 0.1))
    assert run(early, x).logits.shape == run(found, x).logits.shape


@pytest.mark.parametrize("name", ["slim", "activity"])
def test_without_data_nothing_is_trained(name: str) -> None:
    with pytest.raises(CompressError, match=r"^there are no samples to train with: the data set is empty$"):
        apply(asked(name), network(), Task(lambda _: iter(()), seed=1))


@pytest.mark.parametrize("name", ["mixed", "binary", "share"])
def test_methods_behind_quantization_need_a_quantized_network(name: str) -> None:
    with pytest.raises(CompressError, match=rf"^'{name}' works behind quantization \(at = \"qat\"\), but the network"):
        apply(asked(name), network(), task())


@dataclass(frozen=True)
class Teaching(PhaseHooks):
    """What another family needs: a teacher's answer to the batch, and a step of the size of the learning rate."""

    teacher: SNN
    rates: list[tuple[float, float]] = field(default_factory=list)
    batches: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def before_step(self, snn: SNN, progress: float, rate: float) -> None:
        self.rates.append((progress, rate))
        with torch.no_grad():
            for weight in snn.parameters():
                weight -= rate * 1e-3 * torch.sign(weight)

    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor:
        assert torch.equal(seen.logits, seen.emitted["out"])
        self.batches.append((seen.inputs, seen.labels))
        with torch.no_grad():
            wanted = self.teacher.scores(self.teacher(seen.inputs)).softmax(1)
        return F.cross_entropy(snn.scores(seen.logits), wanted)


class Toy(Method):
    method: Literal["toy"]
    hooks: Any

    def phases(self) -> list[Phase]:
        return [Phase("toy", self.epochs, self.hooks)]


def falls_as_a_cosine(rates: list[tuple[float, float]], first: float) -> None:
    assert len(rates) == 6
    for progress, rate in rates:
        assert rate == pytest.approx(first * (1 + np.cos(np.pi * progress)) / 2, abs=1e-8)


def test_a_stage_is_told_the_batch_and_the_learning_rate() -> None:
    hooks = Teaching(network().eval())
    apply(Toy(method="toy", epochs=2, hooks=hooks), network(), task(), learning_rate=0.01)
    falls_as_a_cosine(hooks.rates, 0.01)
    for (x, y), (seen_x, seen_y) in zip(list(task().batches(network())) * 2, hooks.batches, strict=True):
        assert torch.equal(x, seen_x)
        assert torch.equal(y, seen_y)


class Diverging(PhaseHooks):
    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor:  # noqa: ARG002
        return seen.logits.sum() * float("nan")


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    snn = network()
    before = {name: value.clone() for name, value in snn.named_parameters()}
    sentence = r"^the loss is not finite in toy epoch 1: lower 'learning_rate' \(0\.01\)$"
    with pytest.raises(CompressError, match=sentence):
        apply(Toy(method="toy", epochs=2, hooks=Diverging()), snn, task(), learning_rate=0.01)
    assert all(torch.equal(before[name], value) for name, value in snn.named_parameters())


def test_and_so_it_is_by_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = samples()
    np.savez(tmp_path / "own.npz", x=x, y=y, x_test=x, y_test=y)
    form = {
        "name": "toy",
        "dataset": str(tmp_path / "own.npz"),
        "network": {"time_steps": 4},
        "train": {"float_epochs": 1, "epochs": 1, "batch": 32, "learning_rate": 0.01},
        "layers": [{"name": "hidden", "op": "dense", "units": 12}, {"name": "out", "op": "dense", "units": 3}],
    }
    hooks = Teaching(network().eval())
    monkeypatch.setattr(loop, "phases", lambda recipe: [*phases(recipe), Phase("toy", 2, hooks)])
    assert loop.train(parse_recipe(form), tmp_path / "run").history[-1].phase == "toy"
    falls_as_a_cosine(hooks.rates, 0.01)
    assert all(len(seen_x) == len(seen_y) == 32 for seen_x, seen_y in hooks.batches)


PAGE = Path(__file__).parents[2] / "docs" / "guide" / "adding-a-method.md"


def test_the_page_for_new_methods_lists_all_there_are() -> None:
    table = PAGE.read_text().split("## How a run is put together")[0]
    named = [name for row in table.splitlines() for name in re.findall(r'`method = "(\w+)"`', row)]
    assert sorted(named) == sorted([*METHODS, "exit"])


def test_the_page_has_a_method_that_says_beforehand_what_cannot_be() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[:2]:
        exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
    magnitude = names["Magnitude"](method="magnitude", remove=0.5, epochs=1)
    magnitude.check(network(), task())
    with pytest.raises(CompressError, match="layer 'hidden' has weights that are 0, which 1 bit cannot say"):
        asked("binary").check(magnitude.predict_structure(network()), task())
    with pytest.raises(CompressError, match=r"no synapse of layer 'hidden' would be left; 'remove' less than 0\.999"):
        names["Magnitude"](method="magnitude", remove=0.999, epochs=1).check(network(), task())
