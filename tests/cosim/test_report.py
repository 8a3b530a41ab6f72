"""Reports say what the files say, and refuse files that do not belong together."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cosim.small import DIRECT, call, verdict_json
from strategies import with_zeros

from mintaka.artifact import content_hash, save
from mintaka.artifact.compare import Counts
from mintaka_cosim.bench import NO_STALLS, RANDOM_STALLS, Stalls
from mintaka_cosim.flow.verdicts import file_name
from mintaka_cosim.report import ReportError, build_report, render_html
from mintaka_cosim.report.chart import Series, line_chart
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate

ABOUT = {"float_accuracy": 0.9, "integer_accuracy": 0.92, "dataset": {"name": "toys <b>", "test_samples": 40}}
NETWORK = replace(DIRECT.network, provenance=ABOUT)
LAYERS = {
    name: {"sops_per_sample": 9.5, "events_per_sample": events, "busy_per_sample": busy, "utilisation": events / busy}
    for name, events, busy in (("hidden1", 30.0, 40.0), ("head", 10.0, 10.0))
}


def cosim_json(**changes: Any) -> dict[str, Any]:
    return verdict_json(NETWORK, lanes={"hidden1": 4, "head": 6}, layers=LAYERS) | changes


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save(NETWORK, folder / "network.safetensors")
    generate(make_plan(NETWORK, DIRECT.lanes), folder / "verilog")
    return folder


@pytest.fixture
def run(generated: Path, tmp_path: Path) -> Path:
    shutil.copytree(generated, tmp_path, dirs_exist_ok=True)
    (tmp_path / "cosim-taps.json").write_text(json.dumps(cosim_json()))
    epochs = [
        {"phase": phase, "epoch": n, "loss": 1 / n, "train_accuracy": 0.8 + n / 100, "test_accuracy": 0.8}
        for phase in ("float", "qat")
        for n in (1, 2, 3)
    ]
    (tmp_path / "history.json").write_text(json.dumps({"epochs": epochs}))
    return tmp_path


def test_figures_and_their_kinds(run: Path) -> None:
    report = build_report(run, relative_to=run)
    assert report.bit_exact is True
    assert report.cycles_as_predicted is True
    found = {figure.key: (figure.text, figure.kind) for figure in report.figures}
    assert found["float_accuracy"] == ("90.00%", "measured")
    assert found["integer_accuracy"] == ("92.00%", "measured")
    assert found["cycles_per_sample"] == ("51.5", "simulated")
    assert found["sops_per_sample"] == ("120.0", "simulated")
    assert found["utilisation"] == (f"{(4 * 30 + 6 * 10) / (4 * 40 + 6 * 10):.1%}", "simulated")
    design = json.loads((run / "verilog" / "design.json").read_text())
    bits = sum(memory["depth"] * memory["width"] for stage in design["stages"] for memory in stage["memories"])
    assert found["memory_bits"] == (f"{bits:,} bits", "exact")
    assert report.paths["Artifact"] == "network.safetensors"
    assert report.paths["Verilog"] == "verilog/mintaka_handmade.v"
    assert [row.lanes for row in report.layers] == [4, 6]


class Page(HTMLParser):
    """Collects what a page would load, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "data", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_everything_that_was_compared_is_shown(run: Path) -> None:
    counts = {each.name: 1_000_001 + number for number, each in enumerate(fields(Counts))}
    (run / "cosim.json").write_text(json.dumps(cosim_json(compared=counts)))
    report = build_report(run)
    page = render_html(report)
    for name, count in counts.items():
        assert getattr(report.comparisons[0], name) == count
        assert f">{count:,}<" in page, name
    (run / "cosim.json").write_text(json.dumps(cosim_json()))  # of a version that did not count currents
    assert build_report(run).comparisons[0].currents == 0


def test_the_page_is_self_contained_and_escaped(run: Path) -> None:
    text = render_html(build_report(run, relative_to=run))
    page = Page(text)
    assert page.loads == []
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme: dark" in text
    assert page.tags.count("svg") == 2
    assert "integer network from here" in page.text
    assert "bit-exact: 40 samples" in page.text
    assert "toys <b>" in page.text  # escaped in the source
    assert "<b>" not in text.split("<h2>Provenance")[1]
    assert str(run) not in text


def test_recall_by_class(run: Path) -> None:
    form = json.loads((run / "history.json").read_text())
    rows = [("cat", 30, 30, 40), ("<dog>", 10, 0, 0)]
    form["classes"] = [dict(zip(("name", "samples", "right", "predicted"), row, strict=True)) for row in rows]
    for epoch in form["epochs"]:
        epoch["validation_accuracy"] = epoch.pop("test_accuracy")
    (run / "history.json").write_text(json.dumps(form))
    report = build_report(run)
    assert [each.recall for each in report.classes] == [1, 0]
    (warning,) = report.warnings
    assert warning.startswith("class <dog> (10 test samples) is never predicted")
    page = Page(render_html(report))
    assert warning in page.text
    assert "100.0%" in page.text
    assert "validation" in page.text
    for bad in ([3], [{}], [{**form["classes"][0], "samples": "30"}], [{**form["classes"][0], "right": 1e400}], 3):
        (run / "history.json").write_text(json.dumps({**form, "classes": bad}).replace("Infinity", "1e400"))
        with pytest.raises(ReportError, match=r"history\.json (holds no results by class|is not readable JSON)"):
            build_report(run)


def test_a_difference_is_shown_and_exits_with_1(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = "not bit-exact: sample 3, step 1, layer 'hidden1', neuron 2: expected K = 1; the hardware has K = 2"
    wrong = {key: value for key, value in cosim_json().items() if key != "layers"}
    wrong |= {"verdict": verdict, "bit_exact": False, "differences": 1, "taps": False}
    (run / "cosim.json").write_text(json.dumps(wrong))
    report = build_report(run)
    assert report.bit_exact is False
    assert report.verdict == verdict
    assert 'class="verdict bad"' in render_html(report)
    done = call(capsys, "report", run)
    assert done.status == 1
    assert "not bit-exact" in done.out


def test_without_a_cosimulation_nothing_is_claimed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "cosim-taps.json").unlink()
    report = build_report(run)
    assert report.bit_exact is None
    assert "not co-simulated yet" in report.verdict
    assert not [figure for figure in report.figures if figure.kind == "simulated"]
    assert "bit-exact" not in Page(render_html(report)).text
    assert call(capsys, "report", run).status == 0


def test_verilog_of_another_artifact_is_refused(run: Path) -> None:
    (run / "verilog/design.json").write_text(json.dumps(cosim_json(artifact_hash="sha256:" + "0" * 64)))
    with pytest.raises(ReportError, match="belongs to another artifact"):
        build_report(run)


def test_a_verdict_of_another_artifact_is_stale(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Listed, and counted for nothing: neither its proof nor its difference."""
    other = cosim_json(artifact_hash="sha256:" + "0" * 64, bit_exact=False, verdict="not bit-exact: something")
    other["compared"] = {**other["compared"], "samples": 4000}
    (run / "cosim-taps-0123abcd.json").write_text(json.dumps(other))
    report = build_report(run)
    assert report.bit_exact is True
    assert report.verdict.startswith("bit-exact: 40 samples")
    assert [(c.samples, c.is_stale, c.is_strongest) for c in report.comparisons] == [
        (40, False, True),
        (4000, True, False),
    ]
    assert "stale: of another artifact" in render_html(report)
    assert re.search(r"stale +4,000 samples", call(capsys, "report", run).out)
    (run / "cosim-taps.json").unlink()
    report = build_report(run)
    assert report.bit_exact is None
    assert report.verdict == "not co-simulated yet: run mintaka cosim (1 of another artifact is stale)"
    assert not [figure for figure in report.figures if figure.kind == "simulated"]


def test_the_strongest_verdict_is_named_and_the_others_are_listed(run: Path) -> None:
    """Every value before logits, then samples; a short one with other lanes hides nothing."""

    def more(name: str, samples: int, **changes: Any) -> None:
        compared = {**cosim_json()["compared"], "samples": samples}
        (run / name).write_text(json.dumps(cosim_json(compared=compared, verdict=f"bit-exact: {name}", **changes)))

    more("cosim-1.json", 4000, taps=False)
    more("cosim-taps-2.json", 12, lanes={"hidden1": 1, "head": 1}, data="toys <b>", sparse=["hidden1"])
    more("cosim-taps-3.json", 400, lanes={"hidden1": 2, "head": 2})
    report = build_report(run)
    assert report.verdict == "bit-exact: cosim-taps-3.json"
    assert [c.samples for c in report.comparisons] == [400, 40, 12, 4000]
    assert [c.is_strongest for c in report.comparisons] == [True, False, False, False]
    assert report.comparisons[2].plan == "lanes hidden1 1, head 1; sparse hidden1"
    figure = report.figure("cycles_per_sample")
    assert figure is not None
    assert figure.note == "samples back to back"  # of the lanes that the Verilog has, though others ran longer
    text = Page(render_html(report)).text
    assert "(the strongest)" in text
    assert "lanes hidden1 1, head 1; sparse hidden1; toys <b>; cosim-taps-2.json" in text
    for name in ("cosim-1.json", "cosim-taps.json"):
        (run / name).unlink()
    figure = build_report(run).figure("cycles_per_sample")
    assert figure is not None
    assert figure.note == "samples back to back; lanes hidden1 2, head 2, not those of verilog/"


def test_figures_are_of_one_plan_which_is_named(run: Path) -> None:
    """Without Verilog it is the plan of the verdict that the report begins with, though another ran without stalls."""
    shutil.rmtree(run / "verilog")
    strong, weak = {"hidden1": 4, "head": 6}, {"hidden1": 1, "head": 1}
    stalls = {"input_percent": 25, "output_percent": 25, "longest_cycles": 8}
    few = cosim_json()["compared"] | {"samples": 3}
    one = cosim_json(taps=False, compared=few, accuracy=0.0, lanes=weak, interval_cycles=128, memory_bits=7)
    (run / "cosim-2.json").write_text(json.dumps(one))
    (run / "cosim-taps.json").write_text(json.dumps(cosim_json(stalls=stalls, memory_bits=9)))
    report = build_report(run)
    found = {figure.key: figure.value for figure in report.figures if figure.kind in ("simulated", "exact")}
    assert {key: found[key] for key in ("hardware_accuracy", "memory_bits")} == {
        "hardware_accuracy": 0.92,
        "memory_bits": 9,
    }
    assert "cycles_per_sample" not in found  # none without stalls
    assert [(row.lanes, row.sops_per_sample, row.busy_per_sample) for row in report.layers] == [
        (4, 9.5, None),
        (6, 9.5, None),
    ]
    assert report.simulated == (
        "simulated figures: 40 samples, lanes hidden1 4, head 6, with random stalls and so without cycles "
        "(cosim-taps.json)"
    )
    steady = cosim_json(lanes=strong, compared=few, interval_cycles=77)
    (run / "cosim-taps-3.json").write_text(json.dumps(steady))
    report = build_report(run)
    assert "lanes hidden1 4, head 6 (cosim-taps-3.json); the verdict above is of 40 samples" in report.simulated
    assert report.simulated in Page(render_html(report)).text.replace("Simulated figures", "simulated figures")
    figure = report.figure("cycles_per_sample")
    assert figure is not None
    assert (figure.value, figure.note) == (77, "samples back to back; lanes hidden1 4, head 6")
    for name in ("cosim-taps.json", "cosim-taps-3.json"):
        figures = {key: value for key, value in cosim_json().items() if key != "layers"}
        (run / name).write_text(json.dumps(figures))  # the strongest has none
    report = build_report(run)
    assert [row.lanes for row in report.layers] == [1, 1]
    assert "3 samples, lanes hidden1 1, head 1 (cosim-2.json); the verdict above is of 40" in report.simulated


def test_a_folder_without_an_artifact(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "network.safetensors").unlink()
    done = call(capsys, "report", run)
    assert (done.status, "not exported yet: run mintaka export" in " ".join(done.err.split())) == (1, True)
    with pytest.raises(ReportError, match="there is no such run folder"):
        build_report(tmp_path / "missing")
    with pytest.raises(ReportError, match="this is no folder"):
        build_report(run / "history.json")
    (tmp_path / "other").mkdir()
    with pytest.raises(ReportError, match="this is no run folder"):
        build_report(tmp_path / "other")


def test_what_is_verified_names_its_file() -> None:
    """Two verdicts share a file only where everything about them is the same."""
    x = DIRECT.inputs(3)
    plan = make_plan(DIRECT.network, DIRECT.lanes)
    base: dict[str, Any] = {"plan": plan, "data": "toys", "inputs": x, "taps": True, "stalls": RANDOM_STALLS, "seed": 1}
    pruned = make_plan(with_zeros(DIRECT.network, 0.9, 1), DIRECT.lanes, ["hidden1"])
    changes: list[dict[str, Any]] = [
        {},
        {"plan": make_plan(DIRECT.network, 1)},
        {"plan": pruned},
        {"data": "others"},
        {"inputs": x[:2]},
        {"inputs": x[::-1]},
        {"taps": False},
        {"stalls": NO_STALLS},
        {"stalls": Stalls(25, 25, 16)},
        {"seed": 2},
    ]
    names = [file_name(**base | change) for change in changes]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"cosim(-taps)?(-stalls)?-[0-9a-f]{8}\.json", name) for name in names)
    assert file_name(**base) == names[0]
    unstalled = base | {"stalls": NO_STALLS}
    assert file_name(**unstalled | {"seed": 2}) == file_name(**unstalled)  # of no pauses there is no seed


def test_a_design_of_another_version_is_refused(run: Path) -> None:
    design = json.loads((run / "verilog" / "design.json").read_text())
    del design["stages"]
    (run / "verilog" / "design.json").write_text(json.dumps(design))
    with pytest.raises(ReportError, match=r"design\.json is not what .* \(stages: field required\): run mintaka gen"):
        build_report(run)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cosim.json", "{"),
        ("cosim.json", "[]"),
        ("history.json", "{}"),
        ("history.json", "[" * 100_000),
        *(("history.json", f'{{"epochs": [{{"phase": "qat", "loss": {value}}}]}}') for value in ("NaN", "1e999", "[]")),
        *(("history.json", f'{{"epochs": [{{"phase": "qat", "loss": {value}}}]}}') for value in ("-1e300", "9" * 400)),
    ],
)
def test_damaged_files_are_refused(run: Path, name: str, text: str) -> None:
    (run / name).write_text(text)
    with pytest.raises(ReportError, match=name):
        build_report(run)


@pytest.mark.parametrize(
    "about",
    [
        {"float_accuracy": "high", "integer_accuracy": [1], "dataset": {"name": 3, "test_samples": "many"}},
        {"integer_accuracy": True, "dataset": ["digits"], "exit": {"curve": [{"loss": 0}, 3, {"loss": []}]}},
        {"exit": {"curve": {"loss": 0.1}}, "recipe": {"": {"": [{"a": None}]}}},
        {"exit": {"curve": [{"loss": 0.1, "mean_steps": 2, "accuracy": "good"}]}, "float_accuracy": None},
    ],
)
def test_an_odd_provenance_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], about: Any) -> None:
    save(replace(DIRECT.network, provenance=about), tmp_path / "network.safetensors")
    done = call(capsys, "report", tmp_path, "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["provenance"] == about
    assert [figure["key"] for figure in found["figures"]] == ["artifact_bits"]


def test_chart_scales_are_round_and_hold_the_data() -> None:
    svg = line_chart([1, 2, 3], [Series("a", "first", [0.913, 0.95, 1.0])], x_label="epoch", percent=True)
    points = re.search(r'points="([^"]*)"', svg)
    assert points is not None
    heights = [float(pair.split(",")[1]) for pair in points[1].split()]
    assert heights == sorted(heights, reverse=True)  # up is smaller
    assert all(0 <= y <= 240 for y in heights)
    assert "100%" in svg
    assert line_chart([1], [Series("a", "first", [0.5])], x_label="epoch", percent=False) == ""
    flat = line_chart([1, 2], [Series("a", "first", [0.5, 0.5])], x_label="epoch", percent=False)
    assert "NaN" not in flat
    assert "nan" not in flat


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": 5}, "verdict: must be a text"),
        ({"compared": {}}, "compared.samples: field required"),
        ({"compared": None}, "compared: must be a table"),
        ({"interval_cycles": -1}, "interval_cycles: must be at least 0"),
        ({"seed": 10**400}, "seed: "),
        ({"lanes": {"hidden1": 4}}, "lacks lanes of 'head'"),
        ({"lanes": []}, "lanes: must be a table"),
        ({"sops_per_sample": None}, "lacks sops_per_sample"),
        ({"layers": {"hidden1": {}}}, "layers.hidden1.sops_per_sample: field required"),
        ({"bit_exact": "yes"}, "bit_exact: must be true or false"),
    ],
    ids=str,
)
def test_verdicts_of_other_forms_are_refused(changes: dict[str, Any], said: str, run: Path) -> None:
    (run / "cosim-taps.json").write_text(json.dumps(cosim_json() | changes))
    with pytest.raises(ReportError, match=rf"cosim-taps\.json .*{re.escape(said)}.*: delete it, or run mintaka cosi.*"):
        build_report(run)


def test_a_verdict_that_holds_only_a_hash(run: Path) -> None:
    (run / "cosim.json").write_text(json.dumps({"artifact_hash": content_hash(NETWORK)}))
    with pytest.raises(ReportError, match=r"cosim\.json is not what this version of Mintaka w.* \(verdict: field req"):
        build_report(run)


def test_verdicts_without_figures_may_say_so(run: Path) -> None:
    (run / "cosim-taps.json").write_text(json.dumps(cosim_json() | {"layers": None, "accuracy": None}))
    assert build_report(run).figure("cycles_per_sample") is None


@pytest.mark.parametrize("name", ["cosim.json", "history.json", "verilog/design.json"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 2**17, "not readable JSON"),
        (
            b"[" * 2**19,
            "not readable JSON (its JSON has 524288 brackets; at most 262144 objects",
        ),
        (b"\xff\xfe", "not readable JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not readable JSON"),
        (b" " * (2**24 + 1), "has more than 16,777,216 bytes"),
    ],
    ids=["deep", "many", "binary", "long", "large"],
)
def test_files_without_end_are_refused(name: str, content: bytes, said: str, run: Path) -> None:
    (run / name).write_bytes(content)
    with pytest.raises(ReportError, match=re.escape(said)):
        build_report(run)
