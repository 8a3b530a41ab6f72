"""`make bench-methods`: the table of methods, stored points, the page, and one run from end to end."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.methods import page, run
from benchmarks.methods.__main__ import main, parse_seeds
from benchmarks.methods.datasets import DATA, quick
from benchmarks.methods.figures import (
    FIGURES,
    HARDWARE,
    REFUSED,
    SYNTHESIS,
    Figures,
    Hardware,
    Point,
    Synthesis,
    load_point,
)
from benchmarks.methods.plot import LABEL_HEIGHT, LABEL_WIDTH, SIDES, Dot, Panel, label_places, scatter
from benchmarks.methods.run import Job, point_key, seeds_of
from benchmarks.methods.table import METHODS, Entry, entries, recipe_of
from benchmarks.methods.targets import TARGETS
from mintaka.artifact import content_hash, load
from mintaka.train import RecipeError, to_toml
from mintaka.train.start import common_phases
from mintaka_cosim.flow.kept import keep
from mintaka_hw.plan import PlanError

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
FOUND = Figures(
    artifact="a",
    seconds=1.0,
    epochs={"float": 2, "qat": 3},
    float_accuracy=0.975,
    integer_accuracy=0.98,
    test_samples=450,
    layers={"hidden": 128, "output": 10},
    widths=(4, 4),
    weight_bits=37888,
    membrane_bits=512,
    weights=9472,
    synapses=8073,
    mean_steps=4.0,
    spikes=165.8,
    sops=8329.0,
)
BUILT = Hardware("d", {"hidden": 32, "output": 2}, 266.3, 50, True)
CELLS = Synthesis(1234.0, 900.0, 2.5, 0.0)


# ---- the table


@pytest.mark.parametrize("data", DATA.values(), ids=str)
def test_every_entry_is_a_recipe_that_begins_like_the_one_it_starts_from(data: run.Data) -> None:
    recipes: dict[str, run.Recipe] = {}
    for entry in entries(data):
        recipes[entry.name] = recipe_of(entry, data, 7, RECIPES)
        assert recipes[entry.name].seed == 7
        if entry.start:  # it stands above, or nothing would be there to start from
            assert common_phases(recipes[entry.name], recipes[entry.start]) >= 1
    assert len({to_toml(recipe.model_copy(update={"name": "x"})) for recipe in recipes.values()}) == len(recipes)
    assert list(recipes) == [e.name for e in METHODS if e.name in recipes]


def test_entries_bring_what_they_start_from() -> None:
    assert [e.name for e in entries(DATA["digits"], ["stack"])] == ["baseline", "slim", "stack"]
    assert "wide" in [e.name for e in entries(DATA["mnist"])]
    with pytest.raises(RecipeError, match="there is no method 'wide' for digits; there are baseline, w8"):
        entries(DATA["digits"], ["wide"])


def test_a_wrong_entry_is_named() -> None:
    with pytest.raises(RecipeError, match=r"method 'x': the key 'network.weight_bit' is unknown"):
        recipe_of(Entry("x", "", "network.weight_bit = 3"), DATA["digits"], 1, RECIPES)
    with pytest.raises(RecipeError, match=r"a method changes .*, not 'dataset'"):
        recipe_of(Entry("x", "", 'dataset = "mnist"'), DATA["digits"], 1, RECIPES)


# ---- points and the page


def test_stored_points_belong_to_their_key(tmp_path: Path) -> None:
    assert load_point(tmp_path, "k", 1) is None
    keep(tmp_path / FIGURES, "k", asdict(FOUND))
    assert load_point(tmp_path, "k", 1) == Point(1, FOUND)
    assert load_point(tmp_path, "other", 1) is None
    keep(tmp_path / HARDWARE, "a", asdict(BUILT))
    keep(tmp_path / SYNTHESIS, "d", asdict(CELLS))
    assert load_point(tmp_path, "k", 1) == Point(1, FOUND, BUILT, CELLS)
    keep(tmp_path / SYNTHESIS, "of another design", asdict(CELLS))
    assert load_point(tmp_path, "k", 1) == Point(1, FOUND, BUILT)
    keep(tmp_path / HARDWARE, "a", {"unbuilt": "no"})
    assert load_point(tmp_path, "k", 1) == Point(1, FOUND, unbuilt="no")
    keep(tmp_path / REFUSED, "k", {"sentence": "never"})
    assert load_point(tmp_path, "k", 1) == Point(1, refused="never")
    (tmp_path / REFUSED).write_text("{")
    assert load_point(tmp_path, "k", 1) == Point(1, FOUND, unbuilt="no")


def test_seeds_that_are_there(tmp_path: Path) -> None:
    for name in ("steps-1-3", "steps-1-12", "steps-1", "steps-1-x", "steps-2-1"):
        (tmp_path / name).mkdir()
    assert seeds_of(tmp_path, "steps-1") == [3, 12]
    assert seeds_of(tmp_path / "nowhere", "steps-1") == []


def rendered(points: dict[str, list[Point]], data: str = "digits") -> str:
    known = entries(DATA[data])
    recipes = {entry.name: recipe_of(entry, DATA[data], 1, RECIPES) for entry in known}
    return page.section(DATA[data], known, recipes, {e.name: points.get(e.name, []) for e in known}, "x.svg")


def test_the_page_says_what_was_found() -> None:
    worse = replace(
        FOUND, integer_accuracy=0.95, float_accuracy=None, layers={"hidden": 64, "output": 10}, mean_steps=2
    )
    text = rendered(
        {
            "baseline": [Point(1, FOUND, BUILT, CELLS), Point(2, replace(FOUND, integer_accuracy=0.97), BUILT)],
            "slim": [Point(2, worse, replace(BUILT, equal=False))],
            "small": [Point(1, FOUND, unbuilt="nobody built it")],
            "steps-2": [Point(1, refused="the data have steps")],
            "exit": [
                Point(1, replace(FOUND, exits=((0.0, 3.0, 0.98), (0.01, 2.0, 0.97)))),
                Point(2, replace(FOUND, exits=((0.0, 3.5, 0.99), (0.01, 2.5, 0.98)))),
            ],
        }
    )
    assert "| a | 0.0% | 3.25 | 98.50 |\n| b | 1.0% | 2.25 | 97.50 |\n" in text
    row = "| 1 | `baseline` | 2 | 97.50 (97.50 to 97.50) | 97.50 (97.00 to 98.00) |  | 128 | W4U4 | 37,888 "
    assert row + "| 512 | 8,073 | 4 | 165.8 | 8,329 | 266 | 1,234 | 2.5 | 5 |  |" in text
    assert re.search(r"\| 2 \| `slim` \| 1 \|  \| 95.00 \| -2.00 \| 64 .* \| 2 \| 165.8 ", text)
    assert re.search(r"`slim` .* \| not run \| not run \| 5 \|", text)
    assert re.search(r"\| 3 \| `small` .* \| no hardware \| no hardware \| no hardware \|", text)
    assert "Seeds 1, 2; 450 test samples." in text
    assert re.search(r"3 designs with\s+50 samples each, of which 2 equal .* and 1\s+do not", text, re.DOTALL)
    assert "- `steps-2` does not work on these data: the data have steps.\n" in text
    assert "- `small` has no hardware: nobody built it.\n" in text
    assert "- `w8` was not run.\n" in text
    assert "| `w2` | 2-bit (ternary)" in text
    assert "| weight_bits = 2; membrane_bits = 2 |" in text
    assert "slim (epochs 10, remove 0.5, multiple 32, sparse_epochs 15)" in text
    assert "![accuracy against bits, SOPs and LUTs](x.svg)" in text
    assert "Targets" not in text


def test_sections_of_other_data_stay() -> None:
    first = page.page({"digits": "before\n"}, "")
    both = page.page({"mnist": "more\n"}, first)
    assert both.index("\nbefore\n") < both.index("more\n")
    again = page.page({"digits": "new\n"}, both)
    assert "\nbefore\n" not in again
    assert again.index("new\n") < again.index("more\n")
    assert page.page({"digits": "new\n"}, again) == again


def test_targets() -> None:
    def row(accuracy: float, **changes: object) -> list[Point]:
        return [Point(1, replace(FOUND, integer_accuracy=accuracy, **changes))]  # type: ignore[arg-type]

    quiet, half = {"spikes": 80.0}, {"layers": {"hidden": 64, "output": 10}}
    good = {"plain": row(0.975), "baseline": row(0.981), "w2": row(0.97), "wide": row(0.985), "wide-w2": row(0.98)}
    good |= {"slim": row(0.9745, **half), "sca": row(0.9), "exit": row(0.979, mean_steps=2.2)}
    good |= {"activity": row(0.98, **quiet), "activity-membrane": row(0.981, spikes=90.0)}
    assert [target.met(good) for target in TARGETS["mnist"]][5:] == [
        ("`slim`: 50% of the neurons left, 0.65 points lost", True),
        ("`exit`: 45% fewer steps, 0.20 points lost", True),
        ("`activity`: 48% of the spikes left, 0.10 points lost", True),
    ]
    assert all(found is not None and found[1] for found in (target.met(good) for target in TARGETS["mnist"]))
    built = {"baseline": 2000.0, "exit": 2300.0}
    slower = good | {n: [replace(good[n][0], hardware=Hardware("x", {}, c, 50, True))] for n, c in built.items()}
    assert TARGETS["mnist"][6].met(slower) == ("`exit`: 45% fewer steps, 0.20 points lost; cycles +15%", True)
    bad = {name: row(0.9699) for name in good} | {"baseline": row(0.9799), "slim": row(0.9699, **half)}
    assert all(found is not None and not found[1] for found in (target.met(bad) for target in TARGETS["mnist"]))
    assert all(target.met({}) is None for target in TARGETS["mnist"])
    assert "| activity: half of the hidden spikes, less than 0.2 points lost |  | not measured |" in rendered(
        {}, "mnist"
    )


def test_plots_are_drawings_within_their_edges() -> None:
    dots = [Dot("1", 100, 0.9, 0.89, 0.91), Dot("2", 5000, 0.97, 0.97, 0.97)]
    text = scatter([Panel("bits", dots), Panel("<SOPs>", dots[:1])], "all & more")
    drawing = ElementTree.fromstring(text)
    width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    boxes = [each for each in drawing.iter("{http://www.w3.org/2000/svg}rect") if "rx" in each.attrib]
    assert len(boxes) == 3
    for each in boxes:
        assert 0 < float(each.attrib["x"]) < width - float(each.attrib["width"])
        assert 0 < float(each.attrib["y"]) < height - float(each.attrib["height"])
    assert float(boxes[0].attrib["y"]) > float(boxes[1].attrib["y"])  # less is lower
    everything = "".join(drawing.itertext())
    assert all(text in everything for text in ("90 %", "1k", "200", "<SOPs>"))
    assert not page.plots(entries(DATA["digits"]), {entry.name: [] for entry in METHODS}, "none")


def test_labels_leave_each_other_room() -> None:
    dots = [(100.0, 50.0)] * 7 + [(103.0, 52.0), (300.0, 50.0)]
    places = label_places(dots)
    assert places[-1] == (300 + SIDES[0], 50)
    for i, (x, y) in enumerate(places):
        for a, b in places[:i]:
            assert abs(x - a) >= LABEL_WIDTH or abs(y - b) >= LABEL_HEIGHT
        assert all(2 * abs(x - a) >= LABEL_WIDTH or 2 * abs(y - b) >= LABEL_HEIGHT for a, b in dots)


# ---- from end to end


def bench(
    capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str, status: int = 0, recipes: Path = RECIPES
) -> str:
    """The program with its own folders; what it said."""
    places = ["--runs", str(folder / "runs"), "--out", str(folder / "page.md"), "--recipes", str(recipes)]
    assert main([*places, *arguments]) == status
    return capsys.readouterr().err


def test_a_method_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--quick", "--no-synthesis", "--seeds", "4", "--methods", "activity", "--jobs", "1"]
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    text = (RECIPES / "digits.toml").read_text()
    assert "units = 128" in text
    (recipes / "digits.toml").write_text(text.replace("units = 128", "units = 16"))
    said = bench(capsys, tmp_path, *asked, recipes=recipes)
    assert "digits: 2 methods, seeds 4, 1 at a time" in said
    text = (tmp_path / "page.md").read_text()
    assert "Simulated: 2 designs with 4 samples each, of which 2 equal the reference" in text
    data, folder = quick(DATA["digits"]), tmp_path / "runs" / "digits"
    (entry,) = [entry for entry in METHODS if entry.name == "activity"]
    point = load_point(folder / "activity-4", point_key(recipe_of(entry, data, 4, recipes)), 4)
    assert point is not None
    assert point.figures is not None
    assert point.hardware is not None
    assert point.figures.artifact == content_hash(load(folder / "activity-4" / "network.safetensors"))
    assert point.figures.epochs == {"float": 2, "qat": 2, "activity": 1}
    assert point.figures.weight_bits == 4 * (64 * 16 + 16 * 10)
    assert point.hardware.equal
    assert point.hardware.lanes == {"hidden": 4, "output": 1}
    assert f"| {100 * point.figures.integer_accuracy:.2f} |" in text
    # What it has in common with the baseline was not trained again.
    assert (folder / "baseline-4" / "history.csv").read_text() in (folder / "activity-4" / "history.csv").read_text()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    bench(capsys, tmp_path, *asked, recipes=recipes)
    kept = {path for path, when in before.items() if path.stat().st_mtime_ns == when}
    assert {path.name for path in set(before) - kept} <= {"recipe.toml"}
    assert (tmp_path / "page.md").read_text() == text
    (tmp_path / "page.md").unlink()
    bench(capsys, tmp_path, "--quick", "--page", recipes=recipes)
    assert (tmp_path / "page.md").read_text() == text


def job(entry: Entry, folder: Path) -> Job:
    return Job(entry, quick(DATA["digits"]), 1, folder, RECIPES, None)


def test_what_cannot_be_is_stored_with_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = Entry("never", "", '[[compress]]\nmethod = "random"\nremove = 0.999\nepochs = 1', start="")
    run.train_and_measure(job(never, tmp_path), lambda _: None)
    point = load_point(tmp_path / "never-1", point_key(job(never, tmp_path).recipe), 1)
    assert point is not None
    assert point.refused is not None
    assert "would empty a layer" in point.refused
    run.simulate(job(never, tmp_path), lambda _: None)

    def unbuilt(*_: object) -> None:
        raise PlanError("no core for it")

    monkeypatch.setattr(run.flow, "plan", unbuilt)
    plain = job(Entry("plain", "", start=""), tmp_path)
    run.train_and_measure(plain, lambda _: None)
    run.simulate(plain, lambda _: None)
    run.synthesize(plain, lambda _: None)
    found = load_point(tmp_path / "plain-1", point_key(plain.recipe), 1)
    assert found is not None
    assert (found.unbuilt, found.hardware) == ("no core for it", None)
    # Another recipe in the same folder: trained anew.
    other = job(Entry("plain", "", "network.time_steps = 2", start=""), tmp_path)
    run.train_and_measure(other, lambda _: None)
    assert load(tmp_path / "plain-1" / "network.safetensors").time_steps == 2
    assert load_point(tmp_path / "plain-1", point_key(plain.recipe), 1) is None


def test_bad_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, sentence in (
        (["--data", "cifar"], "--data cifar: there are digits, mnist, watch"),
        (["--methods", "slimm"], "there is no method 'slimm' for digits; there are baseline"),
        (["--seeds", "1,x"], "--seeds 1,x: must be different numbers from 0, like 1,2,3"),
        (["--seeds", "1,1"], "--seeds 1,1: must be different numbers"),
        (["--recipes", str(tmp_path / "none")], "digits.toml: there is no such file"),
    ):
        said = bench(capsys, tmp_path, *arguments, status=2)
        assert sentence in said.replace("\n", "")
        assert "Traceback" not in said
    assert not (tmp_path / "page.md").exists()
    assert parse_seeds("3,0,12") == [3, 0, 12]
