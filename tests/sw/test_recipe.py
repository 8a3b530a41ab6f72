"""Recipes: what is right loads, what is wrong is named."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mintaka.train.recipe
from mintaka.artifact import ConvGeometry, Encoding, Input, Integrator, LeakTerm, Quantizer, SynapticCurrent
from mintaka.artifact.encoding import encoded
from mintaka.data import Dataset
from mintaka.data.dataset import compact, width
from mintaka.snn.errors import LayerError
from mintaka.snn.specs import (
    ConvSpec,
    DenseSpec,
    EdgeSpec,
    JoinSpec,
    NeuronSpec,
    PoolSpec,
    format_leak,
    parse_leak,
)
from mintaka.train import RecipeError, find_recipe, load_recipe, parse_recipe, to_toml
from mintaka.train.inputs import network_input
from mintaka.train.recipe import network_specs

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
SHAPES = {"digits": (1, 8, 8), "wdbc": (30,), "mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28), "watch": (50, 12)}


def recipe_form() -> dict[str, Any]:
    return {
        "name": "small",
        "dataset": "digits",
        "network": {"time_steps": 3},
        "train": {"float_epochs": 1, "epochs": 1},
        "layers": [
            {"name": "conv", "op": "conv2d", "channels": 4, "kernel": 3, "leak": "V-(V>>3)", "weight_bits": 2},
            {"name": "pool", "op": "pool2d", "kind": "max", "kernel": 2},
            {"name": "out", "op": "dense", "units": 10},
        ],
    }


def data_of(shape: tuple[int, ...], bits: int = 8, classes: int = 10) -> Dataset:
    x, y = np.zeros((classes, *shape), np.uint8), np.arange(classes)
    return Dataset("some", x, y, x, y, bits)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_load_and_fit_their_data(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    bits, classes = {"watch": (1, 7), "wdbc": (8, 2)}.get(recipe.dataset, (8, 10))
    specs = network_specs(recipe, data_of(SHAPES[recipe.dataset], bits, classes))
    assert isinstance(specs[-1], DenseSpec)
    assert specs[-1].units == classes
    assert parse_recipe(tomllib.loads(to_toml(recipe))) == recipe


def test_all_recipes_are_there() -> None:
    assert {path.stem for path in RECIPES} >= {"digits", "mnist-dense", "mnist-conv", "fashion-conv"}


def test_they_are_found_by_name_and_travel_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = RECIPES[0].parent / "digits.toml"
    assert find_recipe("digits") == find_recipe("digits.toml") == find_recipe("recipes/digits.toml") == ours
    assert find_recipe("else/digits.toml") == Path("else/digits.toml")
    (tmp_path / "digits.toml").write_text("mine")
    assert find_recipe("digits.toml") == Path("digits.toml")
    with pytest.raises(
        RecipeError, match=r"digitz: there is no such file, and no recipe of that name comes with .*digits"
    ):
        load_recipe(find_recipe("digitz"))
    wheel = tomllib.loads((ours.parents[1] / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    package = Path(mintaka.train.recipe.__file__).parents[1]
    assert package.parent / wheel["force-include"]["recipes"] == mintaka.train.recipe.INSTALLED
    assert f"sw/{package.name}" in wheel["packages"]


def test_whole_numbers_are_fine_where_fractions_are_wanted() -> None:
    form = recipe_form()
    form["train"] |= {"frozen_share": 1, "learning_rate": 1}
    assert parse_recipe(form).train.frozen_share == 1
    form["layers"][0]["kernel"] = [3, 2]
    assert parse_recipe(form).layers[0].kernel == [3, 2]  # type: ignore[union-attr]


def test_layers_override_the_network() -> None:
    conv, pool, out = network_specs(parse_recipe(recipe_form()), data_of((1, 8, 8)))
    assert isinstance(conv, ConvSpec)
    assert isinstance(pool, PoolSpec)
    assert isinstance(out, DenseSpec)
    assert conv.neuron is not None
    assert (conv.weight_bits, out.weight_bits, conv.neuron.membrane_bits) == (2, 4, 4)
    assert format_leak(conv.neuron.leak) == "V-(V>>3)"
    assert pool.pool.stride == (2, 2)
    assert out.neuron is None


def test_the_written_recipe_reads_back(tmp_path: Path) -> None:
    recipe = parse_recipe(recipe_form() | {"name": 'say "hi" ünï', "dataset": "a\\b.npz"})
    (tmp_path / "r.toml").write_text(to_toml(recipe), encoding="utf-8")
    again = load_recipe(tmp_path / "r.toml")
    assert again == recipe
    assert to_toml(again) == to_toml(recipe)


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ((), "datset", "x", "the key 'datset' is unknown; did you mean 'dataset'?"),
        (("train",), "epoch", 3, "the key 'train.epoch' is unknown; did you mean 'train.epochs'?"),
        (
            ("train",),
            "optimizer",
            "sgd",
            "the key 'train.optimizer' is unknown; possible: float_epochs, epochs, batch, ",
        ),
        (("network",), "batch", 64, "the key 'network.batch' is unknown; did you mean 'train.batch'?"),
        (("train",), "seed", 3, "the key 'train.seed' is unknown; did you mean 'seed'?"),
        (
            (),
            "name",
            "../../x",
            "'name' is '../../x', but it is the name of a folder, too: it must not begin with a dot",
        ),
        ((), "name", "a/b", "it must not begin with a dot, nor hold / or \\"),
        ((), "name", "a\\b", "it must not begin with a dot, nor hold / or \\"),
        ((), "name", ".", "it must not begin with a dot"),
        ((), "name", "gnp.\u202etxt", "but it must be printable characters"),
        ((), "name", "a\x1b]0;x\x07", "but it must be printable characters"),
        ((), "name", " a", "but it must be printable characters without spaces around them"),
        ((), "name", "a\n", "but it must be printable characters"),
        ((), "name", "\U0001f600" * 64, "but it must be at most 64 characters and 200 bytes"),
        (("network",), "membrane_bit", 3, "'network.membrane_bit' is unknown; did you mean 'network.membrane_bits'?"),
        (("layers", 2), "unit", 3, "the key 'layers[2].unit' is unknown; did you mean 'layers[2].units'?"),
        (("layers", 0), "pading", 3, "the key 'layers[0].pading' is unknown; did you mean 'layers[0].padding'?"),
        (("layers", 0), "op", "lstm", "layers[0].op is 'lstm'; possible: dense, conv2d, pool2d, join"),
        (("train",), "batch", 1, "'train.batch' must be at least 2, got 1"),
        (("train",), "batch", "64", "'train.batch' must be an integer, got '64'"),
        (("train",), "learning_rate", -1.0, "'train.learning_rate' must be more than 0, got -1.0"),
        (("network",), "weight_bits", 9, "'network.weight_bits' must be 1 to 8, got 9"),
        (("network",), "membrane_bits", 1, "'network.membrane_bits' must be 2 to 16, got 1"),
        (("network",), "reset", "soft", "'network.reset' must be 'zero' or 'subtract', got 'soft'"),
        (("network",), "leak", "0.9", "'network.leak' is '0.9', but the leak '0.9' is not a sum of shifts"),
        (("layers", 0), "membrane_bits", 17, "'layers[0].membrane_bits' must be 2 to 16, got 17"),
        (("layers", 0), "kernel", [3], "'layers[0].kernel"),
        (("layers", 2), "leak", "V", "layers[2].leak: the last layer is the head, which has no membrane"),
        (("layers", 0), "op", ["dense"], "layers[0].op is ['dense']; possible: dense, conv2d, pool2d, join"),
        (("layers", 2), "name", "Out", "'layers[2].name' is 'Out', but string should match pattern"),
        (("network",), "refractory", 256, "'network.refractory' must be 0 to 255, got 256"),
        (("network",), "current_leak", "J", "'network.current_leak' is 'J', but the leak 'J' is not a sum of shifts"),
        (
            ("network",),
            "current_bits",
            17,
            "'network.current_bits' must be 2 to 16, got 17",
        ),
        (("network",), "current_bits", 8, "'network.current_bits' needs a 'current_leak'"),
        (("layers", 0), "current_bits", 8, "'layers[0].current_bits' needs 'layers[0].current_leak'"),
        (("layers", 0), "read", "count", "layers[0].read: only the last layer, the head, is read"),
        (("layers", 2), "read", "sum", "'layers[2].read' must be 'accumulate', 'count' or 'membrane', got 'sum'"),
        (("layers", 2), "refractory", 1, "layers[2].refractory: the last layer is the head, which has no membrane"),
        (("layers", 0), "padding", [1, -1], "'layers[0].padding"),
        (("layers", 1), "kind", "min", "'layers[1].kind' must be 'max' or 'sum', got 'min'"),
        ((), "seed", -1, "'seed' must be at least 0, got -1"),
        ((), "layers", [], "'layers' is [], but"),
        ((), "layers", 3, "'layers' must be a list, got 3"),
        ((), "train", 3, "'train' must be a table, got 3"),
    ],
)
def test_bad_values_are_named(where: tuple[Any, ...], key: str, value: Any, message: str) -> None:
    form = recipe_form()
    at: Any = form
    for part in where:
        at = at[part]
    at[key] = value
    with pytest.raises(RecipeError, match=re.escape(message)) as caught:
        parse_recipe(form)
    assert "\n" not in str(caught.value)


def newer_form() -> dict[str, Any]:
    """A convolution, one of the same shape with a shortcut, their joins, and a head with neurons."""
    form = recipe_form()
    form["network"] |= {"current_leak": "V>>2", "refractory": 1}
    form["layers"] = [
        {"name": "a", "op": "conv2d", "channels": 4, "kernel": 3, "padding": 1},
        {"name": "b", "op": "conv2d", "channels": 4, "kernel": [1, 3], "padding": [0, 1], "current_leak": "0"},
        {"name": "j", "op": "join", "kind": "or", "from": ["a", "b", {"node": "j", "delay": 1}]},
        {"name": "c", "op": "dense", "units": 8, "refractory": 0, "current_bits": 9},
        {"name": "d", "op": "dense", "units": 8, "from": ["c", {"node": "c", "op": "identity", "delay": 1}]},
        {"name": "out", "op": "dense", "units": 10, "read": "count"},
    ]
    return form


def test_neurons_joins_and_heads() -> None:
    recipe = parse_recipe(newer_form())
    a, b, j, c, d, out = network_specs(recipe, data_of((1, 8, 8)))
    assert isinstance(a, ConvSpec)
    assert isinstance(b, ConvSpec)
    assert isinstance(c, DenseSpec)
    assert isinstance(out, DenseSpec)
    two, lif = (LeakTerm(1, 2),), (4, (LeakTerm(1, 1),), "zero")
    assert a.neuron == out.neuron == NeuronSpec(*lif, 1, SynapticCurrent(two, 4))
    assert b.neuron == NeuronSpec(*lif, 1)
    assert (b.kernel, b.geometry) == ((1, 3), ConvGeometry((1, 1), (0, 1), 1))
    assert c.neuron == NeuronSpec(*lif, 0, SynapticCurrent(two, 9))
    assert j == JoinSpec("j", "or", (EdgeSpec("a"), EdgeSpec("b"), EdgeSpec("j", 1)))
    assert isinstance(d, DenseSpec)
    assert d.edges == (EdgeSpec("c"), EdgeSpec("c", 1, op="identity"))
    assert parse_recipe(tomllib.loads(to_toml(recipe))) == recipe
    form = newer_form()
    form["layers"][-1] |= {"read": "membrane", "leak": "V-(V>>3)", "membrane_bits": 12}
    head = network_specs(parse_recipe(form), data_of((1, 8, 8)))[-1]
    assert isinstance(head, DenseSpec)
    assert head.neuron == Integrator((LeakTerm(1, 0), LeakTerm(-1, 3)), 12)
    del form["layers"][-1]["read"]
    with pytest.raises(RecipeError, match=r"layers\[5\].membrane_bits: the last layer is the head, which has no"):
        parse_recipe(form)
    form["layers"][-1] = {"name": "out", "op": "dense", "units": 10, "read": "membrane", "reset": "zero"}
    with pytest.raises(RecipeError, match=r"layers\[5\].reset: the head is read by its membrane, so it never fires"):
        parse_recipe(form)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "xor"}, "'layers[2].kind' must be 'or', 'and', 'iand' or 'add', got 'xor'"),
        ({"from": "a"}, "'layers[2].from' is"),
        ({"from": ["a", {"node": "b", "shift": 1}]}, "the key 'layers[2].from[1].shift' is unknown"),
        ({"units": 3}, "the key 'layers[2].units' is unknown"),
    ],
)
def test_wrong_joins_are_named(change: dict[str, Any], message: str) -> None:
    form = newer_form()
    form["layers"][2] |= change
    with pytest.raises(RecipeError, match=re.escape(message)):
        parse_recipe(form)
    form = newer_form()
    del form["layers"][2]["from"]
    with pytest.raises(RecipeError, match=r"the key 'layers\[2\].from' is missing"):
        parse_recipe(form)


def test_edges_by_another_op_are_named() -> None:
    form = newer_form()
    form["layers"][4]["from"] = ["c", {"node": "c", "op": "conv2d"}]
    with pytest.raises(RecipeError, match=r"'layers\[4\].from\[1\].op' must be 'identity', got 'conv2d'"):
        parse_recipe(form)
    form["layers"][4]["from"] = ["c", {"node": "j", "op": "identity"}]
    with pytest.raises(LayerError, match="layer 'd' reads 'j' by identity, but"):
        network_specs(parse_recipe(form), data_of((1, 8, 8)))


def test_missing_keys_are_named() -> None:
    form = recipe_form()
    del form["train"]["epochs"]
    with pytest.raises(RecipeError, match=r"the key 'train\.epochs' is missing"):
        parse_recipe(form)
    form = recipe_form()
    del form["layers"][2]["units"]
    with pytest.raises(RecipeError, match=r"the key 'layers\[2\]\.units' is missing"):
        parse_recipe(form)
    form = recipe_form()
    del form["layers"][2]["op"]
    with pytest.raises(RecipeError, match=r"layers\[2\]\.op is missing"):
        parse_recipe(form)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: there is no such file"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="the path of a recipe must be a text or a Path, got 3"):
        load_recipe(3)  # type: ignore[arg-type]
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(RecipeError, match=r"bad\.toml is no TOML file"):
        load_recipe(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"bad\.toml is no TOML file"):
        load_recipe(tmp_path / "bad.toml")


def test_data_that_does_not_fit_is_refused() -> None:
    form = recipe_form()
    with pytest.raises(LayerError, match=r"layer 'conv' convolves pictures \(C, H, W\), but gets \(64,\)"):
        network_specs(parse_recipe(form), data_of((64,)))
    with pytest.raises(LayerError, match="layer 'conv': the kernel 3x3 is larger than its padded input 2x2"):
        network_specs(parse_recipe(form), data_of((1, 2, 2)))
    with pytest.raises(LayerError, match="layer 'pool': the kernel 2x2 is larger than its input 1x1"):
        network_specs(parse_recipe(form), data_of((1, 3, 3)))
    with pytest.raises(RecipeError, match="the head 'out' has 10 outputs, but the data has 11 classes"):
        network_specs(parse_recipe(form), data_of((1, 8, 8), classes=11))
    form["layers"] = form["layers"][1:]
    with pytest.raises(LayerError, match="layer 'pool' pools the direct input"):
        network_specs(parse_recipe(form), data_of((1, 8, 8)))
    form["layers"] = form["layers"][:1]
    with pytest.raises(LayerError, match="layer 'pool'"):
        network_specs(parse_recipe(form | {"network": {"time_steps": 3, "input": "spikes"}}), data_of((1, 8, 8)))


def test_input_kinds() -> None:
    def source(kind: str, shape: tuple[int, ...], bits: int = 8) -> Any:
        form = recipe_form() | {"network": {"time_steps": 3, "input": kind}}
        return network_input(parse_recipe(form), data_of(shape, bits))

    assert (source("direct", (9,)).bits, source("spikes", (9,)).bits) == (8, 1)
    assert source("spikes", (3, 9), 1).shape == (9,)
    assert source("counts", (3, 2, 4, 4)).shape == (2, 4, 4)
    for kind, shape, message in [
        ("direct", (3, 9), "with time steps"),
        ("counts", (9,), "without steps"),
        ("counts", (4, 9), "'network.time_steps' is 3, but the data has 4 steps"),
        ("spikes", (3, 9), "say 'counts'"),
    ]:
        with pytest.raises(RecipeError, match=message):
            source(kind, shape)


FLOAT_MAX = np.finfo(np.float64).max


def numbers(values: Any, **network: Any) -> Input:
    """The input for a training split of these numbers; the test split is far beyond it."""
    x = compact(np.array(values))
    with np.errstate(over="ignore"):
        far = compact(np.clip(100 * x + 3.25, -FLOAT_MAX, FLOAT_MAX)) if x.dtype.kind == "f" else x
    dataset = Dataset("some", x, np.arange(len(x)) % 2, far, np.arange(len(x)) % 2, *width(x, far))
    return network_input(parse_recipe(recipe_form() | {"network": {"time_steps": 2} | network}), dataset)


def quantizer_of(source: Input) -> tuple[list[float], list[float]]:
    assert source.encoding is not None
    assert source.encoding.quantizer is not None
    return list(source.encoding.quantizer.scale), list(source.encoding.quantizer.offset)


REALS = [[-1.5, 4.25], [0.5, 10.25], [2.5, 6.25], [1.5, 4.25]]


def test_integers_are_taken_as_they_are() -> None:
    assert numbers([[0, 5], [3, 1]]) == Input("input", (2,), "direct", 3)
    assert numbers([[0.0, 5.0], [3, 1]]) == Input("input", (2,), "direct", 3)
    assert numbers([[0, -5], [3, 1]]) == Input("input", (2,), "direct", 4, signed=True)
    warm = Input("input", (2,), "spikes", 1, encoding=Encoding("thermometer", 8))
    assert numbers([[0, 5], [3, 1]], input="spikes") == warm
    assert numbers([[0, 1], [1, 1]], input="spikes") == replace(warm, encoding=Encoding("repeat"))
    steps = [[[0, 1], [1, 0]], [[1, 1], [0, 0]]]
    assert numbers(steps, input="spikes") == replace(warm, encoding=None)
    assert numbers(steps, input="counts") == Input("input", (2,), "counts", 1)


@pytest.mark.parametrize(
    ("keys", "signed", "scale", "offset"),
    [
        ({}, True, [2.5 / 127, 10.25 / 127], [0, 0]),
        ({"input_scale": "tensor"}, True, [10.25 / 127], [0]),
        ({"input_offset": "min"}, False, [4 / 255, 6 / 255], [-1.5, 4.25]),
        ({"input_offset": "min", "input_scale": "tensor"}, False, [11.75 / 255], [-1.5]),
        ({"input_offset": "mean"}, True, [2.25 / 127, 4 / 127], [0.75, 6.25]),
        ({"input_offset": "mean", "input_bits": 2}, True, [2.25, 4], [0.75, 6.25]),
    ],
)
def test_scales_and_offsets_fill_the_range(
    keys: dict[str, Any], signed: bool, scale: list[float], offset: list[float]
) -> None:
    """From the training split alone, whose numbers then reach an end of the range and are not clipped."""
    source = numbers(REALS, **{"input_bits": 8} | keys)
    assert (source.kind, source.signed, source.bits) == ("direct", signed, keys.get("input_bits", 8))
    assert quantizer_of(source) == (scale, offset)
    q = encoded(source, 2, REALS).astype(int)
    assert max(abs(q).max() - source.high, 0) == 0 == source.high - abs(q).max()
    assert encoded(source, 2, [[0.0, 0.0]]).tolist() == [[0, 0]] or keys.get("input_offset")


def test_numbers_from_0_stay_unsigned_and_0_stays_0() -> None:
    source = numbers([[0.0, 7], [0.5, 7]], input_bits=4)
    assert not source.signed
    assert quantizer_of(source) == ([0.5 / 15, 7 / 15], [0, 0])
    constant = numbers([[0.25, 0, 3], [0.75, 0, 3]], input_bits=4, input_offset="min")
    assert quantizer_of(constant) == ([0.5 / 15] * 3, [0.25, 0, 3])  # a constant has no scale of its own
    assert quantizer_of(numbers([[0.5], [0.5]], input_bits=4, input_offset="min")) == ([1.0], [0.5])
    by_channel = numbers(np.arange(16).reshape(2, 2, 2, 2) / 4, input_bits=4)
    assert quantizer_of(by_channel) == ([11 / 4 / 15, 15 / 4 / 15], [0, 0])


def test_reals_as_spikes_and_counts() -> None:
    warm = numbers(REALS, input="spikes", input_bits=4, input_offset="min")
    assert warm.encoding == Encoding("thermometer", 16, Quantizer((4 / 15, 6 / 15), (-1.5, 4.25)))
    assert numbers(REALS, input="spikes", input_bits=1, input_offset="min").encoding == Encoding(
        "repeat", None, Quantizer((4.0, 6.0), (-1.5, 4.25))
    )
    counts = numbers([REALS[:2], REALS[2:]], input="counts", input_bits=4, input_offset="min")
    assert (counts.shape, counts.bits, counts.kind) == ((2,), 4, "counts")
    assert quantizer_of(counts) == ([4 / 15, 6 / 15], [-1.5, 4.25])


HUGE = [[1.7e308, 0.5], [-1.7e308, 1.7e308], [1.7e308, 1.7e308]]


def test_numbers_near_the_largest_ones() -> None:
    """Warnings are errors in tests."""
    assert numbers(HUGE, input_bits=8, input_scale="tensor").bits == 8


@pytest.mark.parametrize(
    ("values", "keys", "message"),
    [
        (REALS, {}, r"holds real numbers \(such as -1.5\): give 'network.input_bits', the width to which they are"),
        ([[0, 1], [70000, 0]], {}, "integers of 17 bits, but inputs have at most 16: give 'network.input_bits'"),
        (
            [[0, -1], [1, 0]],
            {"input": "spikes"},
            "negative numbers, but 'network.input' = 'spikes' takes numbers",
        ),
        (REALS, {"input": "spikes", "input_bits": 4}, 'input_offset = "zero" the data goes down to -1.5: give'),
        (REALS, {"input": "spikes", "input_bits": 4, "input_offset": "mean"}, 'give input_offset = "min"'),
        (REALS, {"input_bits": 1}, "'network.input_bits' must be 2 to 16, got 1: the data has negative numbers"),
        ([[0, 1], [1, 0]], {"input_scale": "tensor"}, "'network.input_scale' needs 'network.input_bits'"),
        ([[0, 1], [1, 0]], {"input_offset": "min"}, "'network.input_offset' needs 'network.input_bits'"),
        ([[[0, 1]] * 2] * 2, {"input": "spikes", "input_bits": 4}, "the data has spikes with steps: leave it out"),
        (
            HUGE,
            {"input_bits": 8, "input_offset": "min"},
            "= 'min' cannot be computed in float64 for numbers from -1.7e",
        ),
        (HUGE, {"input_bits": 8, "input_offset": "mean"}, r"= 'mean' cannot be .* -1.7e\+308 to 1.7e\+308: divide the"),
    ],
)
def test_numbers_that_do_not_fit(values: Any, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        numbers(values, **keys)


@pytest.mark.parametrize(
    "text", ["V", "0", "V>>1", "V-(V>>3)", "-(V>>2)+V", "(V>>1)+(V>>2)-(V>>31)+V", " V - ( V >> 3 ) "]
)
def test_leaks(text: str) -> None:
    leak = parse_leak(text)
    assert parse_leak(format_leak(leak)) == leak
    V = 1000
    value = eval(text, {"V": V})
    assert sum(term.sign * (V >> term.shift) for term in leak) == value


@pytest.mark.parametrize("text", ["", "V>>", "V V", "VV", "V>>1>>2", "V*2", "V>>32", "V+V+V+V+V", "0.5", "U>>1", "V-"])
def test_leaks_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="the leak"):
        parse_leak(text)
