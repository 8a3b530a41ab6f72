"""Run folders: the checkpoint is the truth, one process at a time, and any place will do."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sw.killed import train_until

from mintaka.artifact import content_hash, load
from mintaka.train import RecipeError, TrainError, export, load_recipe, to_toml, train
from mintaka.train.lock import locked

RECIPE = """name = "mine"
dataset = "{data}"
seed = 3

[network]
time_steps = 2

[train]
float_epochs = 1
epochs = 2
batch = 16

[[layers]]
name = "hidden"
op = "dense"
units = 6

[[layers]]
name = "out"
op = "dense"
units = 3
"""


def write_data(path: Path, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    y = np.arange(90) % 3
    np.savez(path, x=(rng.integers(0, 9, (90, 6)) + 3 * y[:, None]).astype(np.uint8), y=y)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its data, a run that stopped in the middle (half) and a finished one (run)."""
    folder = tmp_path_factory.mktemp("made")
    write_data(folder / "good.npz")
    (folder / "r.toml").write_text(RECIPE.format(data="good.npz"))
    recipe = load_recipe(folder / "r.toml")
    train_until(recipe, folder / "half", ("qat", 2, 1))
    train(recipe, folder / "run")
    export(folder / "run")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it, as if it had been moved."""
    shutil.copytree(made, tmp_path / "moved")
    return tmp_path / "moved"


def test_an_edited_recipe_is_not_exported(place: Path) -> None:
    path, whole = place / "run" / "recipe.toml", load(place / "run" / "network.safetensors")
    text = path.read_text()
    for old, new, said in [
        ("seed = 3", "seed = 7", "'seed' is 3 in the checkpoint, 7 in the file"),
        ('leak = "V>>1"', 'leak = "V"', "'network.leak' is 'V>>1' in the checkpoint, 'V' in the file"),
        ('name = "mine"', 'name = "there"', "'name' is 'mine' in the checkpoint, 'there' in the file"),
    ]:
        path.write_text(text.replace(old, new))
        with pytest.raises(TrainError, match=rf"recipe\.toml was edited after the training \({re.escape(said)}\): "):
            export(place / "run")
    assert load(place / "run" / "network.safetensors").provenance == whole.provenance
    path.unlink()  # the checkpoint has it
    assert content_hash(export(place / "run")) == content_hash(whole)
    train(load_recipe(place / "r.toml"), place / "run")
    assert path.read_text() == text


def test_another_recipe_in_the_folder_is_named_by_its_keys(place: Path) -> None:
    recipe = load_recipe(place / "r.toml")
    with pytest.raises(
        TrainError, match=r"holds a run of another recipe \('seed' is 3 there, 4 here\): .*--run.*--fresh"
    ):
        train(recipe.model_copy(update={"seed": 4}), place / "half")
    layers = [recipe.layers[0].model_copy(update={"units": 7}), recipe.layers[1]]
    with pytest.raises(TrainError, match=r"\('layers\[0\].units' is 6 there, 7 here\)"):
        train(recipe.model_copy(update={"layers": layers}), place / "half")


# ---- places


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "data.json")


def test_nothing_but_the_note_holds_a_path(made: Path) -> None:
    assert str(made).encode() not in contents(made / "run")
    assert made.name.encode() not in contents(made / "run")
    note = json.loads((made / "run" / "data.json").read_text())
    assert note == {"absolute": str(made / "good.npz"), "relative": "../good.npz"}
    about = load(made / "run" / "network.safetensors").provenance
    assert (about["dataset"]["name"], about["recipe"]["dataset"]) == ("good", "good.npz")


@pytest.mark.parametrize("spelling", ["{t}/good.npz", "../{n}/good.npz", "~/good.npz", "./good.npz"])
def test_another_spelling_of_the_path_is_the_same_network(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setenv("HOME", str(made))
    (tmp_path / "r.toml").write_text(RECIPE.format(data=spelling.format(t=made, n=made.name)))
    train(load_recipe(tmp_path / "r.toml"), tmp_path / "run")
    assert content_hash(export(tmp_path / "run")) == content_hash(load(made / "run" / "network.safetensors"))


def test_from_another_folder(made: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the recipe or of the run's own copy of it, by relative and by absolute paths, with data that were moved along
    or stayed where they were."""
    wanted = content_hash(load(made / "run" / "network.safetensors"))
    (place / "else").mkdir()
    monkeypatch.chdir(place / "else")
    shutil.copytree(place / "half", place / "again")
    train(load_recipe("../r.toml"), "../half")
    assert content_hash(export("../half")) == wanted
    (place / "good.npz").unlink()  # it is still where it was trained with
    assert content_hash(export(place / "run")) == wanted
    train(load_recipe("../again/recipe.toml"), place / "again")
    assert content_hash(export("../again")) == wanted


def test_data_that_are_gone_are_asked_for(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (place / "good.npz").rename(tmp_path / "renamed.npz")
    (place / "run" / "data.json").unlink()
    with pytest.raises(TrainError, match=r"good\.npz, were not found: say where they are \(--data\)"):
        export(place / "run")
    whole = content_hash(load(place / "run" / "network.safetensors"))
    assert content_hash(export(place / "run", data="renamed.npz")) == whole
    write_data(tmp_path / "good.npz", seed=1)
    with pytest.raises(TrainError, match=r"good\.npz is not the data that .*run was trained with"):
        export(place / "run")
    with pytest.raises(TrainError, match="does not hold the data that"):
        export(place / "run", data=tmp_path / "good.npz")
    for odd in ("[" * 100_000, '{"absolute": 3}'):
        (place / "run" / "data.json").write_text(odd)
        with pytest.raises(TrainError, match="is not the data that"):
            export(place / "run")
    (tmp_path / "renamed.npz").rename(place / "good.npz")  # beside the run: taken by its digest
    assert content_hash(export(place / "run")) == whole


def test_checkpoints_with_paths_of_older_versions_go_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    for name in ("half", "run"):
        form = torch.load(place / name / "checkpoint.pt", weights_only=True)
        form["recipe"] = form["recipe"].replace('"good.npz"', '"/somewhere/else/good.npz"')
        torch.save(form, place / name / "checkpoint.pt")
        (place / name / "recipe.toml").write_text(form["recipe"])
    train(load_recipe(place / "r.toml"), place / "half")
    hashes = {content_hash(export(place / name)) for name in ("half", "run")}
    assert hashes == {content_hash(load(place / "run" / "network.safetensors"))}
    assert b"/somewhere/else" not in (place / "half" / "checkpoint.pt").read_bytes()


def test_folders_with_spaces_and_other_letters(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my runs" / "läufe 1"
    folder.parent.mkdir()
    shutil.copy(made / "good.npz", tmp_path / "my runs" / "good data.npz")
    (tmp_path / "my runs" / "r.toml").write_text(RECIPE.format(data="good data.npz"))
    train(load_recipe(tmp_path / "my runs" / "r.toml"), folder)
    export(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.pt", "data.json", "history.csv", "history.json", "network.safetensors", "recipe.toml"
    ]  # fmt: skip


# ---- the lock

HOLDER = """
import sys, time
from pathlib import Path
from mintaka.train.lock import locked
with locked(Path(sys.argv[1]), "training"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_in_use_is_refused_until_its_owner_dies(place: Path) -> None:
    recipe = load_recipe(place / "r.toml")
    before = contents(place / "run")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, place / "run"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    said = (
        rf"run is in use by process {holder.pid} on {os.uname().nodename} \(training, since 20\d\d-.*\): wait for its"
    )
    for use in (
        lambda: train(recipe, place / "run"),
        lambda: train(recipe, place / "run", resume=False),
        lambda: export(place / "run"),
    ):
        with pytest.raises(TrainError, match=said):
            use()
    (place / "run" / ".lock").write_text("[]")
    with pytest.raises(TrainError, match="run is in use by another process: "):
        export(place / "run")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    export(place / "run")
    assert contents(place / "run") == before


def test_two_trainings_in_one_folder_do_not_mix(made: Path, tmp_path: Path) -> None:
    """The second is refused while the first goes on, whatever it would train; the first ends as if alone."""
    recipe = load_recipe(made / "r.toml")
    refused = []

    def second(_: Any) -> None:
        for seed in (recipe.seed, 9):
            with pytest.raises(TrainError, match="is in use by process"):
                train(recipe.model_copy(update={"seed": seed}), tmp_path / "run", resume=False)
            refused.append(seed)

    train(recipe, tmp_path / "run", progress=second)
    assert len(refused) > 4
    assert content_hash(export(tmp_path / "run")) == content_hash(load(made / "run" / "network.safetensors"))


def test_a_new_folder_that_another_training_takes_while_the_data_load(made: Path, tmp_path: Path) -> None:
    recipe, folder = load_recipe(made / "r.toml"), tmp_path / "run"
    with ExitStack() as other, pytest.raises(TrainError, match=r"run is in use by process \d+ on .* \(export, since"):
        train(recipe, folder, see=lambda _: other.enter_context(locked(folder, "export")))
    assert list(folder.iterdir()) == []


def test_a_path_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"^the recipe must be a Recipe, as load_recipe\(path\) gives it, got 'r\.toml'$"
    ):
        train("r.toml", tmp_path / "run")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_not_a_file_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "victim")
    with (
        pytest.raises(TrainError, match=r"the run folder .*run cannot be written"),
        locked(tmp_path / "run", "training"),
    ):
        pass
    assert (tmp_path / "victim").read_text() == "mine"


# ---- checkpoints that are damaged or of somebody else


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(form: dict[str, Any]) -> None:
        at: Any = form
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value

    return change


def changed_spec(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(form: dict[str, Any]) -> None:
        first, *others = form["network"]["specs"]
        form["network"]["specs"] = (first | changes, *others)

    return change


def doubled(times: int) -> list[Any]:
    """Small in a pickle, endless for who walks through it."""
    found: list[Any] = []
    for _ in range(times):
        found = [found, found]
    return found


WEIGHT = "layers.0.synapses.weight"
STRANGE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no key": (lambda form: form.pop("model"), "is no checkpoint of this version of Mintaka"),
    "a key too many": (put("more", value=1), "unknown keys"),
    "no version": (lambda form: form.pop("version"), "was written by another version"),
    "recipe is a number": (put("recipe", value=3), "'recipe' is int"),
    "recipe is no TOML": (put("recipe", value="name = "), "is no checkpoint of this version"),
    "recipe of another version": (put("recipe", value='name = "x"\noptimizer = 3'), "is no checkpoint of this version"),
    "recipe with a path for a name": (
        lambda form: form.update(recipe=form["recipe"].replace('"mine"', '"../mine"')), "is no checkpoint of this"
    ),
    "history is a number": (put("history", value=3), "'history' is int"),
    "history of numbers": (put("history", value=[1, 2]), "is no checkpoint of this version"),
    "history with other keys": (put("history", 0, value={"phase": "float"}), "is no checkpoint of this version"),
    "history with a text": (put("history", 0, "loss", value="low"), "'loss' of an epoch is 'low'"),
    "history that is not finite": (put("history", 0, "loss", value=float("nan")), "'loss' of an epoch is nan"),
    "a shorter history": (lambda form: form["history"].pop(), "another history"),
    "another phase's history": (put("history", 0, "phase", value="slim"), "another history"),
    "another phase": (put("phase", value="slim"), "does not hold a network of its recipe|phase 'slim' are done"),
    "too many epochs": (put("done", value=99), "does not hold a network of its recipe"),
    "a negative number of epochs": (put("done", value=-1), "unknown keys or values"),
    "accuracy is a text": (put("float_accuracy", value="high"), "unknown keys or values"),
    "network of another structure": (put("network", value={"layers": []}), "does not hold a network of its recipe"),
    "network of no known part": (changed_spec(**{"is": "Popen"}), "does not hold a network of its recipe"),
    "network with more steps": (put("network", "time_steps", value=10**9), "other time steps"),
    "network with a text for steps": (put("network", "time_steps", value="2"), "does not hold a network of its recipe"),
    "endless values": (lambda form: form["network"].update(more=doubled(40)), "is no intact checkpoint"),
    "a tensor without end": (
        lambda form: form["model"].update({WEIGHT: torch.zeros(1).expand(2**20, 2**20)}), "is not finite"
    ),
    "a wide network": (changed_spec(units=10**7), "layer 'hidden' has other weights"),
    "wider network": (changed_spec(units=7), "does not hold a network of its recipe"),
    "impossible network": (changed_spec(units=-7), "does not hold a network of its recipe"),
    "huge network": (changed_spec(units=2**60), "does not hold a network of its recipe"),
    "network of other widths": (changed_spec(weight_bits=99), "does not hold a network of its recipe"),
    "model without a tensor": (lambda form: form["model"].popitem(), "does not hold a network of its recipe"),
    "model of numbers": (lambda form: form["model"].update(dict.fromkeys(form["model"], 1)), "is not finite"),
    "model that is not finite": (
        lambda form: next(iter(form["model"].values())).fill_(float("inf")), "is not finite"
    ),
    "model of another shape": (
        lambda form: form["model"].update({next(iter(form["model"])): torch.zeros(5, 5)}),
        "does not hold a network of its recipe",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STRANGE)
def test_a_strange_checkpoint_is_one_sentence(place: Path, case: str) -> None:
    change, message = STRANGE[case]
    recipe = load_recipe(place / "r.toml")
    for name, use in (("run", export), ("half", lambda folder: train(recipe, folder))):
        path = place / name / "checkpoint.pt"
        form = torch.load(path, weights_only=True)
        change(form)
        torch.save(form, path)
        with pytest.raises(TrainError, match=message) as caught:
            use(place / name)
        assert "\n" not in str(caught.value)
        assert re.search(r"train anew \(--fresh\)|train again", str(caught.value))


@pytest.mark.parametrize(
    "state", [{}, {"state": 3}, {"state": {0: {"exp_avg": torch.zeros(1, 99)}}}, {"state": {0: 3}}]
)
def test_a_strange_optimizer_is_one_sentence(place: Path, state: dict[str, Any]) -> None:
    path = place / "half" / "checkpoint.pt"
    form = torch.load(path, weights_only=True)
    form["optimizer"] = copy.deepcopy(state)
    torch.save(form, path)
    with pytest.raises(TrainError, match="the checkpoint does not hold a network of its recipe"):
        train(load_recipe(place / "r.toml"), place / "half")


class Bomb:
    def __reduce__(self) -> Any:
        return bytearray, (5 * 10**9,)


def test_pickles_of_other_objects_are_not_made(place: Path) -> None:
    """torch would make the 5 GB that this one asks for."""
    path = place / "run" / "checkpoint.pt"
    form = torch.load(path, weights_only=True)
    torch.save({**form, "more": Bomb()}, path)
    begin = time.process_time()
    with pytest.raises(TrainError, match="is no intact checkpoint: delete it"):
        export(place / "run")
    assert time.process_time() - begin < 2


def test_checkpoints_without_end(place: Path) -> None:
    path = place / "run" / "checkpoint.pt"
    with path.open("wb") as file:
        file.truncate(20 * 10**9)
    with pytest.raises(TrainError, match="is no checkpoint: it has more than 536,870,912 bytes: delete it"):
        export(place / "run")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**24))
    with pytest.raises(TrainError, match="is no intact checkpoint: delete it"):
        export(place / "run")


def test_damaged_checkpoints_are_refused_or_give_the_same_network(place: Path) -> None:
    """One byte changed, at many places: never a traceback, and never another network."""
    path = place / "run" / "checkpoint.pt"
    data, wanted = path.read_bytes(), content_hash(load(place / "run" / "network.safetensors"))
    rng, found = np.random.default_rng(0), []
    for at in rng.integers(0, len(data), 150):
        path.write_bytes(data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :])
        try:
            found.append(content_hash(export(place / "run")))
        except TrainError as error:
            found.append(str(error).partition("checkpoint.pt ")[2])
    refused = "is no intact checkpoint: delete it, or train anew (--fresh)"
    assert set(found) == {wanted, refused}
    assert found.count(refused) > 50


def test_a_file_of_holes_is_refused_at_once(place: Path) -> None:
    with (place / "run" / "checkpoint.pt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TrainError, match=r"checkpoint\.pt is no checkpoint: it has more than"):
        export(place / "run")


def test_the_recipe_is_written_for_people(made: Path) -> None:
    recipe = load_recipe(made / "run" / "recipe.toml")
    assert recipe.dataset == str(made / "good.npz")  # found by the note
    assert 'dataset = "good.npz"\n' in (made / "run" / "recipe.toml").read_text()
    assert to_toml(recipe) == to_toml(load_recipe(made / "r.toml"))
