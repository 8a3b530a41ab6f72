"""The IMU recordings: read without trust, encoded by the written rule, split by subject, found and fetched."""

import hashlib
import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mintaka.data import DataError, fetch, load_dataset, status
from mintaka.data import sources as source_module
from mintaka.data.sources import SOURCES, WATCH_FILE, WATCH_PACK
from mintaka.data.watch import DELTA, FINE, STEPS, delta_spikes, quantized, read_recordings, windows


def recordings(seed: int = 0) -> dict[str, object]:
    """Twenty short recordings, two of each subject."""
    rng = np.random.default_rng(seed)
    x = [np.cumsum(rng.normal(0, 0.2, (int(rng.integers(150, 260)), 6)), axis=0) for _ in range(20)]
    return {"X": x, "y": np.arange(20) % 7, "subject": np.arange(20) % 10 + 1}


def stored(content: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(content, dtype=object), allow_pickle=True)
    return file.getvalue()


def test_spikes_follow_the_rule() -> None:
    """One channel by hand: up, a pause within the hysteresis, a jump that takes two steps, and down."""
    q = np.array([[15, 16, 30, 31, 64, 64, 64, 48, 47, 31, -1]])[..., None]
    up, down = delta_spikes(q)[0].T
    assert up.tolist() == [0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert down.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1]


def test_spikes_rebuild_the_signal() -> None:
    """Where a signal is slow, the sum of the spikes stays within one step of it."""
    rng = np.random.default_rng(1)
    q = np.cumsum(rng.integers(-15, 16, (5, 200, 3)), axis=1)
    s = delta_spikes(q).astype(np.int64)
    assert s.shape == (5, 200, 6)
    assert not (s[..., :3] & s[..., 3:]).any()
    rebuilt = FINE * (s[..., :3] - s[..., 3:]).cumsum(1)
    assert np.abs(rebuilt - q).max() < FINE


def test_quantized_halves_the_rate() -> None:
    x = np.tile(np.array([DELTA]), (5, 1)) * np.array([[1, 3, 5, 7, 9]]).T
    assert quantized(x).tolist() == [[2 * FINE] * 6, [6 * FINE] * 6]


def test_windows_and_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recordings()
    content = stored(made)
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(SOURCES, "watch", replace(SOURCES["watch"], sha256=(digest,), places=tuple))
    monkeypatch.setattr(source_module.children, "which", lambda _: None)
    with pytest.raises(DataError, match=r"watch cannot be fetched because .* pip install seglearn==1\.2\.5"):
        load_dataset("watch", tmp_path)
    with zipfile.ZipFile(tmp_path / "watch" / WATCH_PACK, "w") as pack:
        pack.writestr(f"seglearn/data/{WATCH_FILE}", content)
    assert not status("watch", tmp_path).available
    assert fetch("watch", tmp_path).available
    data = load_dataset("watch", tmp_path)
    assert (data.bits, data.train_x.dtype, data.train_x.shape[1:]) == (1, np.uint8, (STEPS, 12))
    x, y, subjects = windows(made)
    assert set(subjects) == set(range(1, 11))
    np.testing.assert_array_equal(data.test_x, x[subjects >= 9])
    np.testing.assert_array_equal(data.test_y, y[subjects >= 9])
    np.testing.assert_array_equal(data.train_x, x[subjects < 9])


def test_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an installed seglearn the file is read; the package itself is never imported."""
    content = stored(recordings())
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(SOURCES, "watch", replace(SOURCES["watch"], sha256=(digest,)))
    package = tmp_path / "site" / "seglearn"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "data" / WATCH_FILE).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert status("watch", tmp_path / "data").where == str(package / "data")
    assert load_dataset("watch", tmp_path / "data").train_x.shape[1:] == (STEPS, 12)


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 / 0",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (stored({"X": [_Harm()]}), "it names builtins.eval"),
        (stored({"y": []}), "not the recordings"),
        (stored({"X": [np.zeros((4, 5))], "y": [0], "subject": [1]}), "other shapes"),
        (stored({"X": [np.zeros((4, 6))], "y": [], "subject": [1]}), "other shapes"),
        (stored(recordings())[:-50], "not the recordings"),
        (b"nothing", "not the recordings"),
        (pickle.dumps({"X": []}), "not the recordings"),
    ],
)
def test_other_content_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_recordings(content)
