"""Folders with spaces, relative ones, and `~`: they work, or the real reason is given before anything is built."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cosim.small import call
from sw.test_runs import RECIPE, write_data

from mintaka.system.cache import SUMS
from mintaka_cosim import toolchain
from mintaka_cosim.bench import CosimError, build

Capture = pytest.CaptureFixture[str]


def compiled(seen: list[Path]) -> Callable[[Path, Callable[[], None]], None]:
    """What Verilator and make leave, without them; `seen` gets the folder."""

    def make(folder: Path, before_make: Callable[[], None]) -> None:
        seen.append(folder)
        before_make()
        for name in ("top", "build.log", "Vtop.mk", "verilated.o"):
            (folder / name).write_text(f"{folder}")

    return make


@pytest.mark.parametrize("name", ["my builds", "builds", "$HOME;x"])
def test_builds_are_made_where_make_can_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINTAKA_CACHE", name)  # relative, too
    seen: list[Path] = []
    made = build._built("plain-key", "top", "native", compiled(seen))
    assert build._built("plain-key", "top", "native", compiled(seen)) == build.Build(made.folder, made.program, 0.0)
    assert made.program.parent.parent == tmp_path / name / "simulation"
    assert sorted(path.name for path in made.folder.iterdir()) == [SUMS, "build.log", "top"]
    (place,) = seen
    assert place.is_relative_to(tmp_path / name) is (name == "builds")
    assert not set(" $;") & set(str(place))
    assert not place.exists()
    assert len(list((tmp_path / name / "simulation-runtime").glob("*/verilated.o"))) == 1


def test_what_failed_is_logged_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path / "my builds"))

    def make(folder: Path, before_make: Callable[[], None]) -> None:  # noqa: ARG001
        (folder / "build.log").write_text("%Error: no\n")
        raise RuntimeError("exit status 1")

    with pytest.raises(CosimError, match=r"failed: %Error: no \(all of it: .*/my builds/simulation/\w+\.log\)"):
        build._built("plain-key", "top", "native", make)
    (log,) = (tmp_path / "my builds" / "simulation").glob("*.log")
    assert log.read_text() == "%Error: no\n"


def test_tools_in_a_path_with_a_space_are_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*_: object) -> None:
        pytest.fail("it was built")

    monkeypatch.setattr(toolchain, "verilator_root", lambda: Path("/my tools/verilator"))
    with pytest.raises(CosimError, match="Verilator is in /my tools/verilator, where make cannot use it: install it"):
        build._built("plain-key", "top", "native", make)
    monkeypatch.undo()
    monkeypatch.setenv("MINTAKA_CACHE", str(tmp_path / "my builds"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "my scratch"))
    (tmp_path / "my scratch").mkdir()
    with pytest.raises(CosimError, match=r"make can build neither in .*my builds.* nor in .*: set MINTAKA_CACHE to a"):
        build._built("plain-key", "top", "native", make)


def test_paths_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A shell leaves `--run=~/x` as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_data(tmp_path / "good.npz")
    (tmp_path / "r.toml").write_text(RECIPE.format(data="~/good.npz"))
    assert call(capsys, "train", "~/r.toml", "--run=~/run").status == 0
    assert call(capsys, "export", "~/run", "--data=~/good.npz").status == 0
    assert (tmp_path / "run" / "network.safetensors").is_file()
    assert json.loads(call(capsys, "data", "check", "~/good.npz", "--json").out)["test"] == 18
    done = call(capsys, "export", "~nobody-of-this-name/run")
    assert (done.status, done.err) == (1, "mintaka: ~nobody-of-this-name/run: there is no such home folder\n")
    done = call(capsys, "data", "check", "~nobody-of-this-name/good.npz")
    assert (done.status, done.err) == (1, "mintaka: ~nobody-of-this-name/good.npz: there is no such home folder\n")
