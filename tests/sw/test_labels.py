"""Data as people have them: classes, groups and layouts are read, or what is wrong is said with what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintaka.artifact import ArtifactError, Input
from mintaka.artifact.encoding import encoded, encoding_of
from mintaka.compress import Exit
from mintaka.data import DataError, Dataset, load_dataset, look, read_labels, read_npz, split, stratified_split
from mintaka.data.recall import class_results, never_predicted
from mintaka.train import RecipeError, build, parse_recipe
from mintaka.train.data import class_weights, fitted
from mintaka.train.holdout import parts_of
from mintaka.train.whereabouts import data_digest

X = np.arange(60 * 6).reshape(60, 6) % 16
CASES = Path(__file__).parents[3] / "shared" / "cases"


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


# ---- classes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3], 'the classes in y are 1, 2, 3, so that 0 never occurs: labels = "map" in the recipe numbers the'),
        ([0, 500, 1000], "500 -> 1, 1000 -> 2); labels = \"keep\" leaves outputs for those that never occur"),
        ([-1, 0, 1], 'the classes in y are -1, 0, 1, which do not begin at 0: labels = "map" in the recipe numbers'),
        (["a", "b", "c"], 'the classes in y are texts (a, b, c): labels = "map" in the recipe numbers them (a -> 0'),
        ([b"a", b"b", b"c"], "the classes in y are texts (a, b, c): "),
        ([np.uint64(0), np.uint64(2**63 + 5)], "y holds 9223372036854775813; classes are integers below 2^63"),
        ([0.5, 1.5, 2.5], "y has the dtype float64; classes must be integers from 0, or texts"),
        ([0, 1, np.inf], "y has the dtype float64"),
        ([0j, 1j, 2j], "y has the dtype complex128"),
        (list(range(20, 40)), "20, 21, 22, 23, 24, 25, 26, 27, ... (20 in all), so that 0 never occurs"),
    ],
)  # fmt: skip
def test_other_classes_are_refused_and_the_mapping_is_shown(values: list[Any], message: str, tmp_path: Path) -> None:
    y = np.array((values * 60)[:60])
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_dataset(saved(tmp_path / "own.npz", x=X, y=y))
    assert "\n" not in str(caught.value)


def test_classes_are_mapped_or_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    index = np.arange(60) % 3
    for values in (["b", "a", "c"], [30, 7, 500], [7, -1, 30]):
        data = load_dataset(saved(tmp_path / "own.npz", x=X, y=np.array(values)[index]), labels="map")
        order = sorted(values)
        assert (data.class_names, data.classes) == (tuple(map(str, order)), 3)
        plain = load_dataset(saved(tmp_path / "plain.npz", x=X, y=np.array([order.index(v) for v in values])[index]))
        assert plain.class_names is None
        for name in ("train_x", "train_y", "test_x", "test_y"):  # the split is that of the numbers
            np.testing.assert_array_equal(getattr(data, name), getattr(plain, name))
        assert data_digest(data) != data_digest(plain)  # whose artifact names no classes
    assert load_dataset(tmp_path / "plain.npz", labels="map").class_names is None  # nothing to map
    gaps = load_dataset(saved(tmp_path / "own.npz", x=X, y=np.array([0, 2, 5])[index]), labels="keep")
    assert (gaps.classes, gaps.class_names, set(gaps.train_y)) == (6, None, {0, 2, 5})
    for bad in (-1, 2**16):
        with pytest.raises(DataError, match=f"y holds the class {bad}, but classes are kept from 0 to 65,535"):
            load_dataset(saved(tmp_path / "own.npz", x=X, y=np.array([0, 1, bad])[index]), labels="keep")
    assert load_dataset(saved(tmp_path / "own.npz", x=X, y=index.astype(float))).classes == 3  # whole numbers


def test_classes_by_the_names_of_a_network() -> None:
    (y,), names = read_labels("f", (np.array(["cat", "ant", "cat"]),), ("ant", "bee", "cat"))
    assert (y.tolist(), names) == ([2, 0, 2], ("ant", "bee", "cat"))
    (y,), _ = read_labels("f", (np.array([7, 3]),), ("3", "7"))
    assert y.tolist() == [1, 0]
    with pytest.raises(DataError, match="f: y holds the class 'dog', but the network's classes are ant, bee"):
        read_labels("f", (np.array(["dog"]),), ("ant", "bee"))
    with pytest.raises(DataError, match="the classes are numbers in one split and texts in the other"):
        read_labels("f", (np.array([1]), np.array(["1"])), "map")
    with pytest.raises(DataError, match="y holds more than 65,536 different classes; is it a measure"):
        read_labels("f", (np.arange(70_000),), None)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 3], "y holds the class 3, but the network has the classes 0 to 2"),
        ([0, -1, 2], "y holds the class -1, but the network has the classes 0 to 2"),
        (["a", "b", "b"], "y holds texts (a, b), but the network's classes have no names: give their numbers, 0 to 2"),
    ],
)
def test_classes_that_a_network_does_not_have(y: list[Any], message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "own.npz", x=X, y=np.array(y)[np.arange(60) % 3])
    for judge in (lambda: load_dataset(path, labels=3), lambda: read_labels("f", (np.array(y),), 3)):
        with pytest.raises(DataError, match=re.escape(message)) as caught:
            judge()
        assert "recipe" not in str(caught.value)
    (fits,), names = read_labels("f", (np.array([2, 0], np.uint8),), 3)
    assert (fits.tolist(), fits.dtype, names) == ([2, 0], np.dtype(np.int64), None)
    for labels in (9, tuple("abcdefghi")):  # known by name: ten classes
        with pytest.raises(DataError, match="digits: y holds the class 9, but the network has the classes 0 to 8"):
            load_dataset("digits", labels=labels)
    assert load_dataset("digits", labels=10).classes == 10


# ---- arrays of other kinds


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.eye(3)[np.arange(60) % 3]}, "'y' has shape (60, 3), a row per sample: give its class, y.argmax(1)"),
        ({"y": np.zeros((60, 1), int)}, "'y' has shape (60, 1), not one class for each of 60 samples"),
        (
            {"group": np.zeros(59, int)},
            "'group' has shape (59,), not a number or a text for each of 60 samples",
        ),
        (
            {"group": np.zeros(60)},
            "'group' has the dtype float64; groups are integers or texts: write group.astype(int), or group.ast",
        ),
        ({"group": np.zeros(60, int)}, "no test can be split off: 1 group cannot be split"),
    ],
)
def test_arrays_of_other_shapes_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(saved(tmp_path / "own.npz", **{"x": X, "y": np.arange(60) % 3, **arrays}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.csv", "t.csv is a table in text: write it as an .npz, for example by numpy: t = np.loadtxt("),
        ("t.h5", "t.h5 is no .npz file: write x and y with numpy.savez"),
        ("t.npy", "t.npy is an .npy file, a single array; an .npz with 'x' and 'y' is needed"),
        ("none.csv", "none.csv: there is no such file"),
    ],
)
def test_files_of_other_kinds_are_no_names_of_data_sets(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "t.h5").touch()
    np.save(tmp_path / "t.npy", X)
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(tmp_path / name)
    only_x = message.replace("x and y", "x").replace("'x' and 'y'", "'x'")  # every reader names the kind
    with pytest.raises(DataError, match=re.escape(only_x)):
        read_npz(tmp_path / name, ("x",), ("y",))


# ---- splits


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 5), st.data())
def test_groups_stay_together_and_no_class_is_lost(groups: int, classes: int, seed: int, data: st.DataObject) -> None:
    N = 60
    of = np.array(data.draw(st.lists(st.integers(0, groups - 1), min_size=N, max_size=N)))
    y = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=N, max_size=N)))
    count = data.draw(st.integers(1, N - 1))
    try:
        stay, out = split(y, count, seed, of)
    except DataError:  # each group has all of some class
        whole = [any((of[y == k] == g).all() for k in np.unique(y)) for g in np.unique(of)]
        assert all(whole)
        return
    assert len(stay) > 0
    assert len(out) > 0
    assert sorted([*stay, *out]) == list(range(N))
    assert not set(of[stay]) & set(of[out])
    assert set(y[stay]) == set(y)
    again = split(y, count, seed, of)
    assert np.array_equal(again[0], stay)
    assert np.array_equal(again[1], out)


def test_groups_are_split_in_proportion() -> None:
    """40 groups of different sizes and classes: near the count, and near the share of each class."""
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(40), rng.integers(5, 30, 40))
    y = rng.integers(0, 3, 40)[of]
    for seed in range(5):
        stay, out = split(y, round(0.2 * len(y)), seed, of)
        assert abs(len(out) / len(y) - 0.2) < 0.05
        assert np.abs(np.bincount(y[out]) / np.bincount(y) - 0.2).max() < 0.12
        assert len(stay) + len(out) == len(y)
    assert not np.array_equal(split(y, 100, 0, of)[1], split(y, 100, 1, of)[1])


def test_without_groups_the_split_is_the_stratified_one() -> None:
    y = np.arange(50) % 4
    for mine, known in zip(split(y, 11, 3), stratified_split(y, 11, 3), strict=True):
        np.testing.assert_array_equal(mine, known)


def test_the_test_split_is_of_whole_groups(tmp_path: Path) -> None:
    of = np.array([f"person {n // 6}" for n in range(60)])
    data = load_dataset(saved(tmp_path / "own.npz", x=np.arange(60)[:, None] * [1, 0], y=np.arange(60) % 3, group=of))
    assert len(data.test_x) == 12
    assert data.train_groups is not None
    assert not set(data.train_x[:, 0] // 6) & set(data.test_x[:, 0] // 6)
    assert len(np.unique(data.train_groups)) == 8
    np.testing.assert_array_equal(
        data.train_groups[:-1] == data.train_groups[1:], np.diff(data.train_x[:, 0] // 6) == 0
    )


# ---- what a recipe makes of them


def recipe(kind: str = "direct", op: str = "dense", **train: Any) -> Any:
    first: dict[str, Any] = {"dense": {"units": 4}, "conv2d": {"channels": 2, "kernel": 3}}[op]
    return parse_recipe(
        {
            "name": "a",
            "dataset": "own.npz",
            "network": {"time_steps": 8, "input": kind},
            "train": {"float_epochs": 0, "epochs": 1, **train},
            "layers": [{"name": "a", "op": op, **first}, {"name": "out", "op": "dense", "units": 2}],
        }
    )


def pictures(most: int) -> Dataset:
    x = np.random.default_rng(0).integers(0, most + 1, (20, 8, 6)).astype(np.uint8)
    y = np.arange(20) % 2
    return Dataset("own", x, y, x, y, most.bit_length())


@pytest.mark.parametrize(
    ("kind", "op", "most", "shape"),
    [
        ("direct", "dense", 9, (1, 8, 6)),
        ("direct", "conv2d", 9, (1, 8, 6)),
        ("spikes", "conv2d", 9, (1, 8, 6)),
        ("spikes", "conv2d", 1, (1, 8, 6)),
        ("spikes", "dense", 1, (6,)),  # steps
        ("counts", "dense", 9, (6,)),
    ],
)
def test_samples_of_two_dimensions_are_read_as_the_recipe_says(
    kind: str, op: str, most: int, shape: tuple[int, ...]
) -> None:
    made, data = recipe(kind, op), pictures(most)
    snn = build(made, data)
    assert snn.source.shape == shape
    told = look(fitted(made, data)).layout(of_recipe=True)
    assert told == ("1 channel of 8 x 6" if len(shape) == 3 else "8 steps of 6 inputs")
    assert look(data).layout(of_recipe=False) == "8 x 6 pixels in one channel, or 8 steps of 6 inputs"


def test_pictures_without_their_channel_are_encoded_alike() -> None:
    for source in (Input("x", (1, 3, 4), "direct", 4), Input("x", (1, 3, 4), "spikes", 1, encoding=encoding_of(16))):
        x = np.random.default_rng(0).integers(0, 16, (5, 1, 3, 4)).astype(np.uint8)
        np.testing.assert_array_equal(encoded(source, 6, x[:, 0]), encoded(source, 6, x))
    with pytest.raises(ArtifactError, match=r"must have the shape .* got \(5, 3, 4\)"):
        encoded(Input("x", (2, 3, 4), "direct", 4), 6, x[:, 0])


def test_class_weights() -> None:
    data = pictures(9)
    uneven = Dataset("own", data.train_x, (np.arange(20) % 5 == 0).astype(np.int64), data.test_x, data.test_y, 4)
    assert class_weights(recipe(), uneven) is None
    balanced = class_weights(recipe(class_weights="balanced"), uneven)
    assert balanced is not None
    assert balanced.tolist() == [20 / (2 * 16), 20 / (2 * 4)]
    given_ = class_weights(recipe(class_weights=[1, 2.5]), uneven)
    assert given_ is not None
    assert given_.tolist() == [1, 2.5]
    with pytest.raises(RecipeError, match=r"'train.class_weights' has 3 numbers, but the data has 2 classes"):
        class_weights(recipe(class_weights=[1, 1, 1]), uneven)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class_weights", "balance", "'train.class_weights"),
        ("class_weights", [1, 0], "'train.class_weights[1]' must be more than 0, got 0"),
        ("class_weights", [1, "a"], "'train.class_weights[1]' must be a number, got 'a'"),
        ("validation", 1, "'train.validation' must be less than 1, got 1"),
    ],
)
def test_bad_values_of_the_new_keys_are_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        recipe(**{key: value})


def test_validation_is_of_whole_groups() -> None:
    data = pictures(9)
    data.train_x[:, 0, 0] = np.arange(20)
    grouped = Dataset("own", data.train_x, data.train_y, data.test_x, data.test_y, 4, train_groups=np.arange(20) // 4)
    parts = parts_of(recipe(validation=0.2), grouped)
    assert parts.validation is not None
    kept = parts.validation[0][:, 0, 0]
    assert len(kept) == 4
    assert len(set(kept // 4)) == 1
    assert sorted([*kept, *parts.train.train_x[:, 0, 0]]) == list(range(20))
    assert parts.train.train_groups is not None
    assert len(parts.train.train_groups) == 16
    assert parts_of(recipe(), grouped).validation is None
    with pytest.raises(
        RecipeError, match=r"'train.validation' \(0.01\) keeps 0 of 20 training samples back to judge epoc"
    ):
        parts_of(recipe(validation=0.01), grouped)
    one = Dataset("own", data.train_x, data.train_y, data.test_x, data.test_y, 4, train_groups=np.zeros(20, int))
    with pytest.raises(RecipeError, match=r"'train.validation': 1 group cannot be split"):
        parts_of(recipe(validation=0.2), one)


def test_early_exit_calibrates_with_whole_groups() -> None:
    """Also beside a validation split: no group is in two of the parts."""
    data = pictures(9)
    data.train_x[:, 0, 0] = np.arange(20)
    grouped = replace(data, train_groups=np.arange(20) // 4)
    for plain, count in ((recipe(), 2), (recipe(validation=0.2), 3)):
        early = plain.model_copy(update={"compress": [Exit(method="exit", holdout=0.25)]})
        parts = parts_of(early, fitted(early, grouped))
        kept = [part[0] for part in (parts.validation, parts.calibration) if part is not None]
        groups = [np.unique(x.reshape(len(x), -1)[:, 0] // 4) for x in (parts.train.train_x, *kept)]
        assert len(groups) == count
        assert sorted(np.concatenate(groups)) == list(range(5))
    one = replace(data, train_groups=np.zeros(20, int))
    with pytest.raises(RecipeError, match=r"'compress.holdout': 1 group cannot be split"):
        parts_of(recipe().model_copy(update={"compress": [Exit(method="exit")]}), one)


# ---- what is said


def test_what_a_look_says() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(220) >= 200).astype(np.int64)
    data = Dataset("own", rng.integers(0, 9, (220, 12, 10, 3)), y, rng.integers(0, 9, (5, 12, 10, 3)), y[:5], 4)
    found = look(data)
    assert (found.train, found.test, found.low, found.high, found.constant, found.problem) == (220, 5, 0, 8, 0, None)
    assert [(each.train, each.test) for each in found.classes] == [(200, 5), (20, 0)]
    last, missing, imbalance = found.notes()
    assert "look like pictures with their channels last" in last
    assert "x = x.transpose(0, 3, 1, 2)" in last
    assert missing == "class 1 has no test sample"
    assert imbalance.startswith("class 1 has 20 training samples, class 0 has 200: a network may never answer the rare")
    assert found.notes(weighted=True) == (last, missing)
    one = Dataset("own", X, np.zeros(60, np.int64), X, np.zeros(60, np.int64), 4)
    assert look(one).problem == "all training samples have the same class (0), so there is nothing to tell apart"
    same = Dataset("own", np.ones((60, 6), np.uint8), np.arange(60) % 2, X, np.arange(60) % 2, 4)
    assert look(same).problem == "all training samples are the same, so there is nothing to learn"


def test_classes_that_are_never_predicted() -> None:
    counts = np.array([[90, 0, 3, 0], [3, 0, 0, 0], [0, 0, 7, 0]])  # an output more than classes
    found = class_results(counts, ("a", "b", "c"))
    assert [each.recall for each in found] == [90 / 93, 0, 1]
    assert [each.predicted for each in found] == [93, 0, 10]
    assert never_predicted(found) == (
        "class b (3 test samples) is never predicted: more epochs, or class_weights in [train], may help"
    )
    assert never_predicted(class_results(np.diag([3, 0]))) is None  # without samples none is missed


@pytest.mark.skipif(not CASES.is_dir(), reason="the inputs that failed are not beside the repository")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("d-gap", "the classes in y are 0, 500, 1000, so that 1 never occurs"),
        ("d-labels1", "the classes in y are 1, 2, 3, so that 0 never occurs"),
        ("d-ystr", "the classes in y are texts (a, b, c)"),
        ("d-u64", "y holds 9223372036854775813"),
        ("d-ragged", "'x' holds Python objects, which numpy makes of samples that differ in length"),
        ("zlib-small", "is no intact .npz file"),
    ],
)
def test_inputs_that_failed(name: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(CASES / f"{name}.npz")
