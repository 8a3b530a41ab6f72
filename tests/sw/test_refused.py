"""What compression refuses, in one sentence: data that are empty, steps that nothing survives, widths too small."""

import re
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import torch

from mintaka.artifact import Input
from mintaka.compress import METHODS, CompressError, Target, Task, prune_inactive, share_weights, small
from mintaka.compress.choose import check_removal
from mintaka.compress.scores import firing_rates, pca_widths, regrowth_scores
from mintaka.compress.steps import check_alive
from mintaka.snn.network import SNN
from mintaka.snn.specs import DenseSpec, NeuronSpec, parse_leak
from mintaka.train import RecipeError, parse_recipe, train

X = (torch.rand(20, 3, 12, generator=torch.Generator().manual_seed(1)) < 0.5).float()
NEURON = NeuronSpec(4, parse_leak("V>>1"), "zero")
CALLS: dict[str, tuple[Callable[[SNN], object], str]] = {
    "rates": (lambda snn: firing_rates(snn, []), "there are no samples to measure firing rates on"),
    "sca": (lambda snn: prune_inactive(snn, Target(0.5), []), "there are no samples to measure firing rates on"),
    "regrowth": (lambda snn: regrowth_scores(snn, []), "there are no samples to measure gradients on"),
    "pca": (lambda snn: pca_widths(snn, [], 0.9), "there are no samples to find principal components of"),
    "steps": (lambda snn: check_alive(snn, []), "there are no samples to measure firing rates on"),
}


def network(head: NeuronSpec | None = None) -> SNN:
    specs = [DenseSpec("hidden", 9, 4, NEURON), DenseSpec("out", 4, 4, head)]
    snn = SNN(Input("input", (12,), "spikes", 1), 3, specs, seed=4)
    snn.quantize()
    snn(X)
    return snn


@pytest.mark.parametrize("name", CALLS)
def test_empty_data_are_named(name: str) -> None:
    call, sentence = CALLS[name]
    snn = network()
    masks = [layer.mask for layer in snn.layers[:1]]
    with pytest.raises(CompressError) as caught:
        call(snn)
    assert str(caught.value) == f"{sentence}: the data set is empty"
    assert [layer.mask for layer in snn.layers[:1]] == masks


def test_a_head_that_no_longer_spikes_is_named() -> None:
    """Only of a head that counts; its hidden layer fires."""
    snn = network(NEURON)
    with torch.no_grad():
        snn.layers[1].norm.beta.fill_(-9.0)
        snn.layers[1].norm.gamma.fill_(0.01)
    batches = [(X, torch.zeros(20, dtype=torch.int64))]
    with pytest.raises(
        CompressError, match=r"^with 3 time steps no neuron of layer 'out' fires at any training sample"
    ):
        check_alive(snn, batches)
    with torch.no_grad():
        snn.layers[1].norm.beta.fill_(9.0)
    check_alive(snn, batches)


def recipe(*methods: dict[str, Any], layers: list[dict[str, Any]] | None = None, steps: int = 3) -> Any:
    plain = [{"name": "hidden", "op": "dense", "units": 8}, {"name": "out", "op": "dense", "units": 10}]
    return parse_recipe(
        {
            "name": "refused",
            "dataset": "digits",
            "network": {"time_steps": steps},
            "train": {"float_epochs": 1, "epochs": 1},
            "compress": list(methods),
            "layers": layers or plain,
        }
    )


DELAYED = [
    {"name": "a", "op": "dense", "units": 8},
    {"name": "out", "op": "dense", "units": 10, "from": {"node": "a", "delay": 1}},
]
MIXED = {"method": "mixed", "search_epochs": 1, "epochs": 1, "memory_bits": 9999}
SHARE = {"method": "share", "bits": 2, "epochs": 0}
BEHIND_SHARING: dict[str, dict[str, Any]] = {
    "stds": {"depth": 1.0, "search_epochs": 1},
    "slats": {"depth": 1.0, "search_epochs": 1},
    "sops": {"strength": 0.1, "search_epochs": 1},
    "sdsnn": {"remove": 0.5, "search_epochs": 8},
    "small": {},
    "pca": {"variance": 0.9},
}


@pytest.mark.parametrize("name", BEHIND_SHARING)
def test_methods_that_shared_weights_do_not_bear(name: str, tmp_path: Path) -> None:
    method = {"method": name, "at": "qat", "epochs": 1, **BEHIND_SHARING[name]}
    sentence = f"compress[1] ({name}): layer 'hidden' shares its weights: put this method before 'share'"
    with pytest.raises(RecipeError, match=f"^{re.escape(sentence)}$"):
        train(recipe(SHARE, method), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_layers_that_develop_are_not_shared() -> None:
    """Others may be."""
    snn = share_weights(network(), {"out": 2})
    method = METHODS["sdsnn"].model_validate({"method": "sdsnn", "epochs": 1} | BEHIND_SHARING["sdsnn"])
    method.check(snn, Task(lambda _: iter(()), 0))
    with pytest.raises(CompressError, match=r"^layer 'out' shares its weights: put this method before 'share'$"):
        small(snn, {"hidden": 3}, 1)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            recipe(layers=DELAYED, steps=1),
            "'network.time_steps': with 1 time step nothing of the input reaches the head 'out', as every way to it is "
            "delayed by 1: keep at least 2 steps",
        ),
        (
            recipe({"method": "steps", "at": "qat", "time_steps": 1, "epochs": 1}, layers=DELAYED),
            "compress[0] (steps): with 1 time step nothing of the input reaches the head 'out'",
        ),
        (
            recipe(MIXED | {"weight_bits": [2, 3]}, {"method": "share", "bits": 3, "epochs": 1}),
            "compress[1] (share): layer 'hidden': weights of 3 bits have 7 values, so a codebook of 3 bits saves",
        ),
        (
            recipe(*[{"method": "slim", "remove": 0.9, "scope": "layer", "sparse_epochs": 0, "epochs": 0}] * 2),
            "compress[1] (slim): removing 0.9 of the 1 channels of layer 'hidden' would leave 0 of them; at least 1",
        ),
        (
            recipe({"method": "random", "remove": 0.5, "multiple": 8, "epochs": 1}),
            "compress[0] (random): removing 0.5 of 8 channels, with widths rounded up to multiples of 8, would remove",
        ),
        (
            recipe({"method": "random", "remove": 0.05, "epochs": 1}),
            "compress[0] (random): removing 0.05 of 8 channels would remove none: raise it",
        ),
        (
            recipe({"method": "pca", "variance": 0.5, "multiple": 8, "epochs": 1}),
            "compress[0] (pca): no layer is wider than a multiple of 8, so all stay as they are: lower 'multiple'",
        ),
    ],
    ids=["time_steps", "steps", "codebook", "pruning", "multiple", "share", "pca"],
)
def test_it_is_said_before_training(made: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(sentence)}"):
        train(made, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pruning_of_several_layers_may_leave_some() -> None:
    """Of both together 2 channels may be of 'b', which leaves 4; of each alone 1 goes, and rounding gives it back."""
    plain = SNN(
        Input("input", (12,), "spikes", 1),
        3,
        [DenseSpec("a", 4, 4, NEURON), DenseSpec("b", 6, 4, NEURON), DenseSpec("out", 4, 4, None)],
    )
    check_removal(plain, Target(0.2, multiple=4))
    with pytest.raises(
        CompressError, match=r"^removing 0\.2 of 10 channels, with .* multiples of 4, would remove none: l"
    ):
        check_removal(plain, Target(0.2, "layer", multiple=4))


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ({"method": "activity", "strength": inf, "epochs": 1}, "strength"),
        ({"method": "slim", "remove": 0.5, "strength": inf, "sparse_epochs": 1, "epochs": 1}, "strength"),
        ({"method": "sops", "strength": nan, "search_epochs": 1, "epochs": 1}, "strength"),
        ({"method": "stds", "depth": inf, "search_epochs": 1, "epochs": 1}, "depth"),
        (MIXED | {"bit_sops": inf}, "bit_sops"),
    ],
)
def test_numbers_are_finite(method: dict[str, Any], key: str) -> None:
    with pytest.raises(RecipeError, match=rf"^'compress\[0\]\.{key}' must be a finite number, got (inf|nan)"):
        recipe(method)
