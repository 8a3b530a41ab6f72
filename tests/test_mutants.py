"""`make mutants`: each planted bug fits its file; what is caught, survives or cannot be tried is told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mutants.planted import ListError, Mutant, load, missing_test
from mutants.run import ROOT, run

MUTANTS = load()
BUG = Mutant("area", "a sum is a difference", "sw/thing.py", "a + b", "a - b", ("tests/test_thing.py::test_sum",))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of one function."""
    root = tmp_path / "project"
    (root / "sw").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "sw/thing.py").write_text("def total(a, b):\n    return a + b\n")
    calls = "def test_sum():\n    assert total(2, 2) == 4\n\n\ndef test_zero():\n    assert total(2, 0) == 2\n"
    (root / "tests/test_thing.py").write_text(f"from thing import total\n\n\n{calls}")
    return root


def test_every_bug_fits_its_file_and_names_tests_that_exist() -> None:
    assert len(MUTANTS) >= 300
    for mutant in MUTANTS:
        mutant.applied((ROOT / mutant.file).read_text(encoding="utf-8"))
        assert [missing_test(ROOT, test) for test in mutant.tests] == [None] * len(mutant.tests), mutant.name


def test_every_part_has_bugs() -> None:
    files = {mutant.file for mutant in MUTANTS}
    parts = ("rtl", "host", "plan", "estimate", "verilog", "implement")
    wanted = [f"hw/mintaka_hw/{part}/" for part in parts] + ["sw/mintaka/artifact/", "sw/mintaka/snn/"]
    wanted += ["cosim/mintaka_cosim/bench/", "sw/mintaka/train/"]
    assert [part for part in wanted if not any(file.startswith(part) for file in files)] == []


def test_caught_and_survived(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weak = replace(BUG, name="nobody adds", tests=("tests/test_thing.py::test_zero",))
    same = replace(BUG, name="a sum the other way round", new="b + a", tests=(), equivalent="a + b = b + a")
    text = (tree / "sw/thing.py").read_text()
    assert run([BUG, weak, same], tree, tmp_path, jobs=2) == 1
    told = capsys.readouterr().out
    assert "SURVIVED" in told
    assert "sw/thing.py, tried with tests/test_thing.py::test_zero" in told
    assert told.endswith("planted 3, caught 1, equivalent 1, survived 1\n")
    assert (tree / "sw/thing.py").read_text() == text
    assert run([BUG, same], tree, tmp_path, jobs=1) == 0
    assert "(found before)" in capsys.readouterr().out
    (tree / "tests/test_thing.py").write_text((tree / "tests/test_thing.py").read_text() + "\n")
    assert run([BUG], tree, tmp_path, jobs=1) == 0
    assert "(found before)" not in capsys.readouterr().out


def test_what_a_stopped_run_caught_is_checked_by_the_next_one(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mutants.run._without_bugs", stopped)
        with pytest.raises(KeyboardInterrupt):
            run([BUG], tree, tmp_path, jobs=1)
    checked = "the 1 tests that noticed, without a bug\n"
    assert checked not in capsys.readouterr().out
    assert run([BUG], tree, tmp_path, jobs=1) == 0
    told = capsys.readouterr().out
    assert "(found before)" in told
    assert checked in told
    assert run([BUG], tree, tmp_path, jobs=1) == 0
    assert checked not in capsys.readouterr().out


def test_a_test_that_fails_anyway_proves_nothing(tree: Path, tmp_path: Path) -> None:
    (tree / "sw/thing.py").write_text("def total(a, b):\n    return a + b + 1\n")
    for _ in range(2):  # nor is its failure kept
        with pytest.raises(ListError, match=r"^tests fail without any bug: tests/test_thing.py::test_sum$"):
            run([BUG], tree, tmp_path, jobs=1)


def test_a_case_that_only_the_bug_has_confirms_nothing(tree: Path, tmp_path: Path) -> None:
    """It is kept as caught, but looked at again by every run."""
    case = '@pytest.mark.parametrize("n", [total(1, 1)])\ndef test_sum(n):\n    assert n == 2\n'
    (tree / "tests/test_thing.py").write_text(f"import pytest\nfrom thing import total\n\n\n{case}")
    for _ in range(2):
        with pytest.raises(ListError, match=r"(?s)^tests fail without any bug: .*not found: .*::test_sum"):
            run([BUG], tree, tmp_path, jobs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"old": "a * b"}, r"its text occurs 0 times, not once: 'a \* b'"),
        ({"new": "a +"}, "it makes no Python"),
        ({"new": "a + b"}, "it changes nothing"),
        ({"tests": ("tests/test_thing.py::test_product",)}, "tests/test_thing.py has no test test_product"),
    ],
)
def test_a_list_that_no_longer_fits_is_refused(change: dict[str, str], message: str, tree: Path) -> None:
    with pytest.raises(ListError, match=message):
        run([replace(BUG, **change)], tree, tree.parent, jobs=1)
