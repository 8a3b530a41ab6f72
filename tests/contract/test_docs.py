"""The pages say what is true: their code runs, and their tables agree with the code."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import samples
from typer.main import get_command

from mintaka.artifact import Encoding, Input, LeakTerm, Quantizer, SynapticCurrent, run, save
from mintaka.artifact.document import to_document
from mintaka.artifact.encoding import encoded
from mintaka.compress import METHODS, Exit
from mintaka.train.keys import (
    ConvEdge,
    ConvRecipe,
    DenseRecipe,
    JoinEdge,
    JoinRecipe,
    NetworkRecipe,
    PoolRecipe,
    Recipe,
    TrainRecipe,
)
from mintaka.train.recipe import parse_recipe
from mintaka_cosim.cli.app import app
from mintaka_hw.plan import make_plan
from mintaka_hw.plan.edge import CHUNK_ELEMENTS
from mintaka_hw.plan.events import LIST_SLOTS
from mintaka_hw.rtl.collector import LIST_LATENCY, ROOM_LATENCY
from mintaka_hw.rtl.lif import lif_latency
from mintaka_hw.rtl.pipeline import ACCUMULATE, DECODE, OUTPUT_LATENCY
from mintaka_hw.rtl.walker import WALK_LATENCY
from mintaka_hw.verilog import generate

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *(ROOT / f"{name}.md" for name in ("README", "SECURITY", "CHANGELOG"))])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python blocks of a page run one after the other, in a folder that holds an artifact."""
    save(samples.everything(), tmp_path / "network.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(METHODS, "_registered", dict(METHODS._registered))  # a page may register one
    namespace: dict[str, Any] = {"__name__": page.stem}
    for index, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {index}", "exec", dont_inherit=True), namespace)


def test_the_printed_document_is_what_save_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "reference" / "artifact.md"
    monkeypatch.chdir(tmp_path)
    save(samples.everything(), tmp_path / "network.safetensors")
    namespace: dict[str, Any] = {}
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec"), namespace)
    header = (tmp_path / "tiny.safetensors").read_bytes()
    (printed,) = blocks(page, "json")
    assert json.dumps(printed.replace("\n", "")).encode() in header


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key != "provenance":
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_every_field_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "artifact.md").read_text()
    documented = set(re.findall(r"`(\w+)`", text)) | set(re.findall(r'"(\w+)":', text))
    makers = (samples.everything, samples.newer, samples.coded, samples.early, samples.stepped, samples.signed)
    for make in makers:
        assert set(keys(to_document(make())[0])) <= documented


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{page.name} links to {target}"
        if heading:
            assert heading in [anchor(h) for h in re.findall(r"^#+ (.*)$", place.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_named_files_exist(page: Path) -> None:
    """Every path in backquotes that begins with a folder of the project."""
    for path in re.findall(r"`((?:sw|hw|cosim|tests|recipes|docs|examples)/[\w./-]*)`", page.read_text()):
        assert (ROOT / path).exists(), f"{page.name} names {path}"
    for name in re.findall(r"`(mintaka(?:_hw|_cosim)?(?:\.\w+)+)[(`]", page.read_text()):
        module, _, attribute = name.rpartition(".")
        found = importlib.import_module(module)
        assert hasattr(found, attribute) or importlib.util.find_spec(name), f"{page.name} names {name}"


def commands(page: Path) -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_exist(page: Path) -> None:
    """Every command in a shell block or in backquotes exists, and takes the options it is shown with."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    inline = [shlex.split(text) for text in re.findall(r"`((?:mintaka|make) [^`]*)`", page.read_text())]
    for program, *arguments in [*commands(page), *inline]:
        if program == "make":
            assert {a for a in arguments if "=" not in a} <= targets, arguments
        elif program == "source":
            assert arguments == [".venv/bin/activate"]
        else:
            assert program == "mintaka"
            parse(get_command(app), arguments, strict=[program, *arguments] not in inline)


def parse(group: Any, arguments: list[str], *, strict: bool) -> None:
    """Parse as the command line would, without running anything; inline mentions may lack their arguments."""
    command, info = group, "mintaka"
    while hasattr(command, "commands"):
        info, *arguments = arguments
        assert info in command.commands, f"there is no command '{info}'"
        command = command.commands[info]
    command.make_context(info, arguments, resilient_parsing=not strict)


def test_the_page_of_recipes_is_whole() -> None:
    page = ROOT / "docs" / "reference" / "recipes.md"
    (example,) = blocks(page, "toml")
    recipe = parse_recipe(tomllib.loads(example))
    assert [layer.name for layer in recipe.layers] == ["hidden", "output"]
    rows = re.findall(r"^\| (`.*?) \|(.*)$", page.read_text(), re.MULTILINE)
    documented = {key: rest for keys, rest in reversed(rows) for key in re.findall(r"`(\w+)`", keys)}
    layers = (DenseRecipe, ConvRecipe, PoolRecipe, JoinRecipe)
    models = (Recipe, NetworkRecipe, TrainRecipe, *layers, ConvEdge, JoinEdge, *METHODS.values(), Exit)
    keys = {field.alias or key for model in models for key, field in model.model_fields.items()}
    fields = keys - {"network", "train", "compress"}
    assert set(documented) == fields
    compression = page.read_text().partition("## Compression")[2].partition("\n## ")[0]
    by_method = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", compression, re.MULTILINE))
    for name, method in {**METHODS, "exit": Exit}.items():
        own = {key for key, rest in by_method.items() if rest == "all" or name in rest.split(", ")}
        assert own == set(method.model_fields), name
    for model in (NetworkRecipe, TrainRecipe):
        for key, field in model.model_fields.items():
            default = documented[key].split("|")[1].strip().strip('`"')
            if key not in ConvRecipe.model_fields:  # those rows are the ones of the layers
                unsaid = field.is_required() or field.default is None
                assert default == ("" if unsaid else str(field.default).replace("0.002", "2e-3")), key


def test_the_worked_example_is_what_the_reference_computes() -> None:
    """The table of docs/reference/semantics.md, number by number."""
    text = (ROOT / "docs" / "reference" / "semantics.md").read_text()
    rows = re.findall(
        r"^\| \d+ \| ([01 ]+) \| (\S+) \| (.*?) \| ([01]) \| (\S+) \| (.*?) \| (\S+) \|", text, re.MULTILINE
    )
    assert len(rows) == 6
    leak = (LeakTerm(1, 0), LeakTerm(-1, 2))
    neuron = samples.lif([4], reset_by=[4], leak=leak, membrane_bits=3)
    network = samples.one_neuron(neuron, [[5, -2, 3]], bias=[-1], steps=6)
    result = run(network, np.array([[x.split() for x, *_ in rows]], np.uint8), trace=True)
    trace = result.trace["a"]
    assert trace.s is not None
    assert trace.u is not None
    for t, (_, current, k_sum, s, V, leaked, U) in enumerate(rows):
        before = 0 if t == 0 else int(rows[t - 1][-1])
        k_terms, K = k_sum.split(" = ")
        leak_terms, kept = leaked.split(" = ")
        assert eval(k_terms) == int(K) == before + int(current) - 1 == trace.k[0, t, 0]
        assert int(s) == trace.s[0, t, 0]
        assert int(V) == (int(K) - 4 if s == "1" else int(K))
        assert eval(leak_terms) == int(kept) == int(V) - (int(V) >> 2)
        assert int(U) == trace.u[0, t, 0]
    (stated,) = re.findall(r"In the worked example above: [\d+ ]+ = (\d+) SOPs", text)
    assert result.sops["a"].tolist() == [int(stated)]


def test_the_cuba_example_is_what_the_reference_computes() -> None:
    text = (ROOT / "docs" / "reference" / "semantics.md").read_text()
    rows = re.findall(
        r"^\| \d \| ([01]) \| (\d+) \| (.*?) \| (\d+) \| (.*?) \| ([01]) \| (\d+) \|$", text, re.MULTILINE
    )
    assert len(rows) == 5
    neuron = samples.lif([20], current=SynapticCurrent(samples.HALF, 4))
    network = samples.one_neuron(neuron, [[6]], steps=5)
    trace = run(network, np.array([[[int(x)] for x, *_ in rows]], np.uint8), trace=True).trace["a"]
    for t, (x, current, j_sum, stored, k_sum, s, U) in enumerate(rows):
        (j_terms, J), (k_terms, K) = j_sum.split(" = "), k_sum.split(" = ")
        assert int(current) == 6 * int(x)
        assert eval(j_terms) == int(J)
        assert eval(k_terms) == int(K) == trace.k[0, t, 0]
        for value, found in ((stored, trace.j), (s, trace.s), (U, trace.u)):
            assert found is not None
            assert int(value) == found[0, t, 0]


def test_the_encodings_of_the_page_are_what_encode_does() -> None:
    text = (ROOT / "docs" / "reference" / "semantics.md").read_text()
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (-?\d+) \| \| (\d+) \| ([01 ]+) \|$", text, re.MULTILINE)
    assert len(rows) == 5
    quantizer = Quantizer((0.5,), (1.0,))
    signed = Input("input", (5,), "direct", 3, True, Encoding("none", None, quantizer))
    reals = np.array([[float(x) for x, *_ in rows]])
    assert encoded(signed, 1, reals).tolist() == [[int(q) for _, _, q, *_ in rows]]
    assert ((reals - 1) / 0.5).tolist() == [[float(ratio) for _, ratio, *_ in rows]]
    warm = Input("input", (5,), "spikes", 1, encoding=Encoding("thermometer", 16))
    spikes = encoded(warm, 4, [[int(x) for *_, x, _ in rows]])
    assert spikes[0].T.tolist() == [[int(s) for s in steps.split()] for *_, steps in rows]


def test_the_ports_are_the_documented_ones(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reference" / "microarchitecture.md").read_text()
    table = text[text.index("## Ports") :]
    documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    cuba = samples.lif([4, 4], current=SynapticCurrent((LeakTerm(1, 1),), 4))
    made = samples.one_neuron(cuba, [[5, -2, 3], [1, 2, -3]])
    network = replace(made, output=replace(made.output, margins=(1,) * (made.time_steps - 1)))
    design = generate(make_plan(network, run_time=True), tmp_path, taps=True)
    verilog = design.verilog.read_text()
    ports = verilog.partition(f"module {design.top} (\n")[2].partition(");")[0]
    names = re.findall(r"^  (?:input|output) .*?(\w+)(?: = \S+?)?,?$", ports, re.MULTILINE)
    found = {re.sub("^(a|head)_", "L_", name) for name in names}
    assert found == documented | {"clk", "rst"}


def test_the_cycle_costs_are_the_documented_ones() -> None:
    text = " ".join((ROOT / "docs" / "reference" / "microarchitecture.md").read_text().split())
    result = DECODE + ACCUMULATE + lif_latency(cuba=False)
    for sentence in (
        f"a chunk is {CHUNK_ELEMENTS} spikes",
        f"a list is begun when fewer than {LIST_SLOTS} lists wait",
        f"counts as free from {ROOM_LATENCY} cycles after its last slot",
        f"a list can be replayed {LIST_LATENCY + WALK_LATENCY} cycles after its last word",
        f"its word leaves {result + OUTPUT_LATENCY} cycles after its last slot",
        f"starts at least {result + 1 - DECODE} cycles after the last slot",
        f"only with fewer than {result + 1 - DECODE} groups",
    ):
        assert sentence in text
