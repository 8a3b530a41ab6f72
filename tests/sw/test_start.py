"""Runs that start from what another run has trained: the bits are those of a run that trains all of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sw.killed import train_until

from mintaka.artifact import content_hash
from mintaka.train import Recipe, TrainError, export, load_recipe, parse_recipe, train
from mintaka.train.start import common_phases

SLIM = {"method": "slim", "remove": 0.5, "sparse_epochs": 1, "epochs": 1}
STEPS = {"method": "steps", "at": "qat", "time_steps": 2, "epochs": 1}
ONE = {"method": "steps", "at": "qat", "time_steps": 1, "epochs": 1}


def recipe(data: Path, *compress: dict[str, Any], **changes: Any) -> Recipe:
    """A tiny one; `changes` go to [network]."""
    form = {
        "name": "start",
        "dataset": str(data),
        "network": {"time_steps": 3, **changes},
        "train": {"float_epochs": 2, "epochs": 2, "batch": 16},
        "layers": [{"name": "hidden", "op": "dense", "units": 12}, {"name": "output", "op": "dense", "units": 3}],
    }
    return parse_recipe(form | ({"compress": list(compress)} if compress else {}))


def write(path: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 120)
    np.savez(path, x=(rng.integers(0, 12, (120, 10)) + 2 * y[:, None]).astype(np.uint8), y=y)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "made.npz")


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that others may take from it."""
    folder = tmp_path_factory.mktemp("base") / "run"
    train(recipe(data, STEPS), folder, keep=True)
    return folder


CASES: list[tuple[list[dict[str, Any]], dict[str, Any], int]] = [
    ([], {}, 2),
    ([], {"weight_bits": 2, "membrane_bits": 2}, 1),
    ([], {"membrane_rule": "mint"}, 1),
    ([], {"weight_scale": "mint"}, 0),
    ([SLIM], {}, 1),
    ([STEPS, ONE], {}, 3),
    ([ONE], {}, 2),
    ([], {"leak": "V"}, 0),
]


@pytest.mark.parametrize(("compress", "changes", "common"), CASES)
def test_the_bits_are_those_of_a_whole_run(
    compress: list[dict[str, Any]], changes: dict[str, Any], common: int, data: Path, base: Path, tmp_path: Path
) -> None:
    wanted = recipe(data, *compress, **changes)
    assert common_phases(wanted, load_recipe(base / "recipe.toml")) == common
    whole = train(wanted, tmp_path / "whole")
    phases: list[str] = []
    started = train(wanted, tmp_path / "started", start=base, progress=lambda step: phases.append(step.phase))
    names = list(dict.fromkeys(epoch.phase for epoch in whole.history))
    assert list(dict.fromkeys(phases)) == names[common:]
    for a, b in zip(whole.history, started.history, strict=True):
        assert (a.phase, a.epoch, a.loss, a.test_accuracy) == (b.phase, b.epoch, b.loss, b.test_accuracy)
    networks = [content_hash(export(tmp_path / name)) for name in ("whole", "started")]
    assert networks[0] == networks[1]


def test_a_started_run_is_killed_and_resumed(data: Path, base: Path, tmp_path: Path) -> None:
    wanted = recipe(data, STEPS, ONE)
    train(wanted, tmp_path / "whole")
    train_until(wanted, tmp_path / "killed", ("steps-2", 1, 2), start=base)
    train(wanted, tmp_path / "killed", start=base)
    assert content_hash(export(tmp_path / "killed")) == content_hash(export(tmp_path / "whole"))


def test_folders_that_cannot_be_started_from(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="empty cannot be started from: it holds no run"):
        train(recipe(data), tmp_path / "run", start=tmp_path / "empty")
    changed = write(tmp_path / "made.npz", seed=1)
    train(recipe(changed), tmp_path / "other", keep=True)
    write(tmp_path / "made.npz", seed=2)
    with pytest.raises(TrainError, match="other was trained on other data of the same name"):
        train(recipe(changed), tmp_path / "run", start=tmp_path / "other")


def test_starting_anew_forgets_what_was_kept(data: Path, tmp_path: Path) -> None:
    train(recipe(data), tmp_path, keep=True)
    assert sorted(path.name for path in tmp_path.glob("after-*")) == ["after-float.pt", "after-qat.pt"]
    train(recipe(data, leak="V"), tmp_path, resume=False)
    assert not list(tmp_path.glob("after-*"))
