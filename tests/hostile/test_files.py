"""Damaged and hostile files of every kind: read, or refused in one sentence, within 2 s and 1 GB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields as attributes
from pathlib import Path

import pytest
from contract import files
from hostile import harness
from hostile.artifacts import fields
from hostile.harness import Kind, attack
from hostile.kinds import kinds

from mintaka.artifact import (
    ConvGeometry,
    Edge,
    Encoding,
    Input,
    LeakTerm,
    Neuron,
    Node,
    Output,
    Pool,
    Quantizer,
    SynapticCurrent,
)
from mintaka.errors import MintakaError

PLACES = 20
SEALED = 400
LONG_PLACES = 10_000
REFUSED = ("npy and csv",)  # whatever they hold


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    return kinds(tmp_path_factory.mktemp("files"))


def test_sound_files_are_read(made: list[Kind]) -> None:
    for kind in made:
        tally = attack(Kind(kind.name, kind.files, kind.read, lambda data, _, __: data), len(kind.files), 0)
        assert tally.faults == []
        assert tally.read == (0 if kind.name in REFUSED else len(kind.files)), kind.name


def test_damaged_files(made: list[Kind]) -> None:
    tallies = [attack(kind, SEALED if "sealed" in kind.name else PLACES, 1) for kind in made]
    assert [fault for tally in tallies for fault in tally.faults] == []
    assert all(tally.refused + tally.read == tally.places >= PLACES for tally in tallies)
    assert all(tally.refused for tally in tallies if not tally.name.startswith(("json of n", "json of f", "cache")))


@pytest.mark.long
def test_damaged_files_at_many_places(made: list[Kind], tmp_path: Path) -> None:
    for kind in made:
        tally = attack(kind, LONG_PLACES, 2, tmp_path)
        print(f"{kind.name}: {tally.places} places, {tally.seconds:.2f} s, {tally.megabytes:.0f} MB")
        assert tally.faults == []


def test_every_field_of_an_artifact_is_changed(made: list[Kind]) -> None:
    """The samples have all of them, and each field of each sample has its turn in the long test."""
    (kind,) = (kind for kind in made if kind.name == "artifact sealed again")
    names: set[str] = set()
    for path in kind.files:
        document, tensors = files.pull_apart(path)
        found = fields(document)
        names |= {field.rpartition(".")[2] for field in found}
        assert len(found) + len(tensors) < LONG_PLACES / len(kind.files)
    parts = (ConvGeometry, Edge, Encoding, Input, LeakTerm, Neuron, Node, Output, Pool, Quantizer, SynapticCurrent)
    wanted = {field.name for part in parts for field in attributes(part)}
    assert wanted - names == {"conv", "integrator"}  # which are fields of the edge, and a kind of neuron


def _ends_too_late(path: Path) -> None:
    while path:
        pass


FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a traceback": (lambda path: path.read_text().index("nothing"), "tracebacks", "ValueError: substring not found"),
    "time": (lambda _: sum(range(10**6)), "slow", "it took 0."),
    "no end": (_ends_too_late, "tracebacks", "EndlessError: no end within"),
    "memory": (lambda _: bytes(b"x" * 2**26), "large", "it took "),
    "no sentence": (lambda _: _raise(), "refused", "this is no sentence: 'short'"),
}


def _raise() -> None:
    raise MintakaError("short")


@pytest.mark.parametrize("name", FAULTS)
def test_the_harness_sees(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "ENDLESS_SECONDS", 0.1)
    monkeypatch.setattr(harness, "SECONDS", 0.01 if name == "time" else 2)
    monkeypatch.setattr(harness, "MEGABYTES", 40)
    (tmp_path / "sound.txt").write_text("text")
    read, column, fault = FAULTS[name]
    tally = attack(Kind("kind", [tmp_path / "sound.txt"], read), 1, 0, tmp_path / "kept")
    assert getattr(tally, column) == 1
    assert len(tally.faults) == 1
    assert fault in tally.faults[0]
    assert (tmp_path / "sound.txt").read_text() == "text"
    assert (tmp_path / "kept" / "kind-0-0.txt").is_file()
