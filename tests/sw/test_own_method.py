"""Methods from outside: registered by a program or by an installed package, trained from recipes, resumed, exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from sw.killed import train_until
from torch import Tensor, nn

from mintaka.compress import METHODS, CompressError, Method, Phase, PhaseHooks, Task, register_method, registry
from mintaka.snn.network import SNN, ForwardRecord
from mintaka.train import Recipe, RecipeError, TrainError, export, load_recipe, parse_recipe, train
from mintaka.train.checkpoint import load_checkpoint


class Shrink(Method):
    """Weights pulled to 0 by a strength that the phase learns, and that is halved after each epoch."""

    method: Literal["shrink"]
    strength: float = 0.1

    def phases(self) -> list[Phase]:
        return [Phase("shrink", 2, _Shrink(self)), Phase("shrink-tune", self.epochs, PhaseHooks())]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        if self.strength <= 0:
            raise CompressError(f"'strength' must be more than 0, got {self.strength}")


class _Shrink(PhaseHooks):
    def __init__(self, method: Shrink) -> None:
        self.method = method

    def attach(self, snn: SNN) -> None:
        snn.shrinking = nn.ParameterDict({"factor": nn.Parameter(torch.tensor(self.method.strength))})

    def penalty(self, snn: SNN, seen: ForwardRecord) -> Tensor:  # noqa: ARG002
        weights = torch.cat([p.flatten() for name, p in snn.named_parameters() if name.endswith("weight")])
        return snn.get_parameter("shrinking.factor") * weights.abs().mean()

    def after_epoch(self, snn: SNN, task: Task, done: int, epochs: int) -> None:  # noqa: ARG002
        with torch.no_grad():
            snn.get_parameter("shrinking.factor").mul_(0.5)

    def finish(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        del snn.shrinking
        return snn


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(METHODS, "_registered", dict(METHODS._registered))
    monkeypatch.setattr(METHODS, "_compared", set())
    yield
    registry._entry_points.cache_clear()


def recipe(folder: Path, *compress: dict[str, Any]) -> Recipe:
    rng = np.random.default_rng(1)
    y = np.arange(64) % 2
    data = folder / "own.npz"
    np.savez(data, x=(rng.integers(0, 9, (64, 6)) + 4 * y[:, None]).astype(np.uint8), y=y)
    layers = [{"name": "hidden", "op": "dense", "units": 4}, {"name": "out", "op": "dense", "units": 2}]
    return parse_recipe(
        {
            "name": "own",
            "dataset": str(data),
            "network": {"time_steps": 2},
            "train": {"float_epochs": 1, "epochs": 1, "batch": 16},
            "compress": list(compress),
            "layers": layers,
        }
    )


def test_a_method_of_a_program_trains_resumes_and_exports(tmp_path: Path) -> None:
    assert register_method(Shrink) is Shrink
    register_method(Shrink)  # a cell that is run again
    asked = recipe(tmp_path, {"method": "shrink", "strength": 0.5, "epochs": 1})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = train(asked, whole)
    assert [epoch.phase for epoch in result.history] == ["float", "shrink", "shrink", "shrink-tune", "qat"]
    train_until(asked, killed, ("shrink", 2, 1))
    middle = load_checkpoint(killed)
    assert middle is not None
    assert "shrinking.factor" in middle.model
    assert load_recipe(killed / "recipe.toml").methods == asked.methods
    train(load_recipe(killed / "recipe.toml"), killed)
    networks = [export(folder) for folder in (whole, killed)]
    assert (whole / "network.safetensors").read_bytes() == (killed / "network.safetensors").read_bytes()
    told: Any = networks[0].provenance["recipe"]
    assert told["compress"] == [{"method": "shrink", "epochs": 1, "at": "float", "strength": 0.5}]

    del METHODS._registered["shrink"]
    with pytest.raises(RecipeError, match=r"compress\[0\]\.method is 'shrink'; possible: slim, .*, mixed, exit$"):
        load_recipe(whole / "recipe.toml")
    sentence = (
        r"checkpoint\.pt was trained with a method that is not known here \(.*\): install the package that has it, "
        r"or call mintaka\.compress\.register_method first$"
    )
    with pytest.raises(TrainError, match=sentence):
        export(whole)


def test_its_keys_are_checked_as_those_of_every_method(tmp_path: Path) -> None:
    register_method(Shrink)
    with pytest.raises(RecipeError, match=r"^the key 'compress\[0\]\.strenght' is unknown; did you mean 'compress"):
        recipe(tmp_path, {"method": "shrink", "strenght": 1.0, "epochs": 1})
    with pytest.raises(RecipeError, match=r"^'compress\[0\]\.strength' must be a number, got 'much'$"):
        recipe(tmp_path, {"method": "shrink", "strength": "much", "epochs": 1})
    with pytest.raises(RecipeError, match=r"^the key 'compress\[1\]\.epochs' is missing$"):
        recipe(tmp_path, {"method": "shrink", "epochs": 1}, {"method": "shrink"})
    with pytest.raises(RecipeError, match=r"^compress\[0\] \(shrink\): 'strength' must be more than 0, got 0\.0$"):
        train(recipe(tmp_path, {"method": "shrink", "strength": 0.0, "epochs": 1}), tmp_path / "run")


class NoPhase(Method):
    method: Literal["nophase"]

    def phases(self) -> list[Phase]:
        return []


class Stray(Method):
    method: Literal["stray"]

    def phases(self) -> list[Phase]:
        return [Phase("../elsewhere", 1, PhaseHooks())]


def test_what_its_phases_say_is_looked_at_before_training(tmp_path: Path) -> None:
    for model in (NoPhase, Stray):
        register_method(model)
    for name, sentence in (
        ("nophase", r"^compress\[0\] \(nophase\): it trains nothing: its `phases` is empty$"),
        ("stray", r"^compress\[0\] \(stray\): its phase '\.\./elsewhere' must be named 'stray' or 'stray-\.\.\.'$"),
    ):
        with pytest.raises(RecipeError, match=sentence):
            train(recipe(tmp_path, {"method": name, "epochs": 1}), tmp_path / "run")


class Unnamed(Method):
    def phases(self) -> list[Phase]:
        return []


class Exits(Unnamed):
    method: Literal["exit"]


class Slim(Unnamed):
    method: Literal["slim"]


class Idle(Method):
    method: Literal["idle"]


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Unnamed, r"Unnamed needs a name: method: Literal\[\"\.\.\.\"\], lower-case letters, digits and _, at most 32"),
        (Exits, r"Exits needs a name: .* and none of float, qat, end, exit$"),
        (Slim, r"\.Slim and mintaka\.compress\.structured\.Slim are both named 'slim': rename one$"),
        (Idle, r"^the method 'idle' of .*\.Idle has no `phases`: say what is trained$"),
        (PhaseHooks, r"^a method must be a subclass of mintaka\.compress\.Method, got <class"),
    ],
)
def test_what_is_no_method_is_refused(model: Any, sentence: str) -> None:
    known = list(METHODS)
    with pytest.raises(CompressError, match=sentence):
        register_method(model)
    assert list(METHODS) == known


PACKAGE = """
from typing import Literal
from mintaka.compress import Method, Phase, PhaseHooks

class Plain(Method):
    method: Literal["plain"]

    def phases(self) -> list[Phase]:
        return [Phase("plain", self.epochs, PhaseHooks())]
"""


def install(folder: Path, name: str, **points: str) -> None:
    """A distribution as pip would leave it, by its entry points."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "".join(f"{key} = {value}\n" for key, value in points.items())
    (about / "entry_points.txt").write_text(f"[mintaka.methods]\n{lines}")


def test_methods_of_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plainly.py").write_text(PACKAGE)
    install(
        tmp_path, "plainly", plain="plainly:Plain", other="plainly:Plain", gone="plainly:Gone", slim="plainly:Plain"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry._entry_points.cache_clear()
    assert {"plain", "gone", "slim"} < set(METHODS)
    asked = recipe(tmp_path, {"method": "plain", "epochs": 1})
    assert [phase.name for phase in asked.methods[0].phases()] == ["plain"]
    train(asked, tmp_path / "run")
    assert export(tmp_path / "run").name == "own"
    for name, sentence in (
        (
            "gone",
            r"^compress\[0\]\.method: the method 'gone' of the package 'plainly' cannot be used \(Attr",
        ),
        ("other", r"the package 'plainly' has the method 'plain' under the name 'other': rename one of them$"),
        ("slim", r"the package 'plainly' has the method 'plain' under the name 'slim': rename one of them$"),
    ):
        with pytest.raises(RecipeError, match=sentence):
            recipe(tmp_path, {"method": name, "epochs": 1})


def test_a_name_is_one_package_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        (tmp_path / f"plainly{number}.py").write_text(PACKAGE)
        install(tmp_path, f"plainly{number}", plain=f"plainly{number}:Plain")
    monkeypatch.syspath_prepend(tmp_path)
    registry._entry_points.cache_clear()
    with pytest.raises(RecipeError, match=r"more than one method is named 'plain' \(plainly1, plainly2\): remove one$"):
        recipe(tmp_path, {"method": "plain", "epochs": 1})
