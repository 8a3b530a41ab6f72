"""What is printed is harmless and complete: escapes of names and files, brackets, narrow terminals, ASCII."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cosim.small import DIRECT, call
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mintaka.artifact import save
from mintaka.errors import MAX_SENTENCE, MintakaError, printable, user_sentence
from mintaka_cosim.report import Comparison, Figure, LayerRow, Report, print_report
from mintaka_cosim.terminal import SafeConsole

Capture = pytest.CaptureFixture[str]
OSC = "\x1b]0;title\x07\x1b]52;c;ZWNobw==\x07\x1b[2J\x1b[1;1H\r\x08\x9b31m"
HOSTILE = f"{OSC}[/b][red]:cat:\u202e\u2066\ud800\nverdict: bit-exact"
PROVENANCE = {"note": HOSTILE, HOSTILE: {"[b]": [{"a": HOSTILE}, 1]}, "dataset": {"name": HOSTILE, "test_samples": 3}}
NETWORK = replace(DIRECT.network, name="[/b] [link=x]:cat:", provenance=PROVENANCE)


def harmless(text: str) -> None:
    """Nothing but what prints, and line ends."""
    assert all(line.isprintable() for line in text.split("\n")), text


@given(st.text() | st.text(st.characters(codec=None), max_size=9).map(lambda text: OSC + text))
def test_sentences_are_printable_and_of_one_line(text: str) -> None:
    for line in (printable(text), str(MintakaError(text))):
        assert line.isprintable()
        line.encode()
    assert len(str(MintakaError(text * 99))) <= MAX_SENTENCE
    assert not text.isprintable() or printable(text) == text


def test_whatever_is_shown(capsys: Capture) -> None:
    console = SafeConsole()
    table = Table("head" + OSC, title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(HOSTILE, Text(HOSTILE, "bold"), Panel(Text(HOSTILE), title=Text(HOSTILE)), table)
    found = capsys.readouterr().out
    harmless(found)
    assert found.count("[/b][red]:cat:") >= 2, "no brackets are styles, no words are pictures"


def test_colours_are_the_programs_own() -> None:
    from io import StringIO

    console = SafeConsole()
    console.file = StringIO()
    console._force_terminal = True
    console._color_system = SafeConsole(stderr=True)._color_system
    console.print(Text("a" + OSC, "bold red"))
    assert OSC not in console.file.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / f"[/b]{OSC}[red]"
    save(NETWORK, folder / "network.safetensors")
    (folder / "history.json").write_text(json.dumps({"epochs": []}))
    return folder


@pytest.mark.parametrize("words", [["show", "--plan"], ["report"], ["show", "--graph"], ["generate", "--out"]])
def test_commands_on_a_hostile_folder(words: list[str], run: Path, capsys: Capture) -> None:
    place = run if words[0] == "report" else run / "network.safetensors"
    out = {"--graph": run / "net.svg", "--out": run / "v"}
    done = call(capsys, words[0], place, *words[1:], *(out[word] for word in words if word in out))
    assert done.status == 0, done.err
    harmless(done.out + done.err)
    assert "[/b] [link=x]:cat:" in done.out or words[0] == "generate"


@pytest.mark.parametrize(
    "words",
    [
        ["show", "{t}/none{o}"],
        ["show", "{t}/network.safetensors", "--lanes", "{o}=3"],
        ["show", "{t}/network.safetensors", "--sparse", "{o}"],
        ["run", "{t}/network.safetensors", "--input", "{t}/{o}.npz", "--out", "{t}/y.npz"],
        ["data", "check", "{o}"],
        ["train", "{t}/{o}.toml"],
        ["cosim", "{t}/network.safetensors", "--data", "{o}"],
        ["build", "{t}/network.safetensors", "--board", "{o}", "--out", "{t}/b"],
        ["report", "{t}/{o}"],
    ],
)
def test_mistakes_are_harmless(words: list[str], run: Path, capsys: Capture) -> None:
    odd = OSC.replace("\r", "") + "[/b]\u202e"
    done = call(capsys, *(word.format(t=run, o=odd) for word in words))
    assert done.status != 0
    assert "[/b]" in done.err
    assert done.err.endswith("\n")
    harmless(done.out + done.err)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_streams_of_any_encoding(encoding: str, run: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    program = Path(sys.executable).with_name("mintaka")
    done = subprocess.run([program, "report", run], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode(encoding)
    harmless(text)
    assert {"ascii": "20-13-6", "latin-1": "20-13-6", "utf-8": "20-13-6"}[encoding] in text
    assert {"ascii": "20 -> 13", "latin-1": "20 -> 13", "utf-8": "20 → 13"}[encoding] in text


REPORT = Report(
    name="a network",
    hash="sha256:0",
    verdict="bit-exact: 10,000 samples, 123,456,789 spikes, 123,456,789 membrane values compared, 0 differ",
    bit_exact=True,
    cycles_as_predicted=True,
    description="1×28×28-16×26×26-10, T = 4, direct input of 8 bits, W4U4",
    figures=(
        Figure("a", "Hardware accuracy", 0.9876, "98.76%", "simulated", "10,000 test samples of a data set"),
        Figure("b", "SOPs per sample", 12345678.9, "12,345,678.9", "simulated", "counters of the hardware"),
        Figure("c", "Early exit, 0.1% lost", 0.5, "97.12% at 3.41 steps", "measured", "test samples; as exported"),
    ),
    layers=(
        LayerRow("convolution_of_the_first", "1×28×28 → 16×26×26", 4, 12, 1024, 12345678, 12345678.9, 2345678.9, 0.987),
        LayerRow("head", "16×26×26 → 10", 4, None, 10, 98765, 999999.9, None, 0.123),
    ),
    history=(),
    provenance={},
    paths={"Artifact": "a/long/path/to/the/run/of/somebody/who/likes/long/names/network.safetensors"},
    comparisons=(Comparison("every value (cocotb), back to back", "", True, 10, 1, 1, 1, 1, 1, 0, 0, True),),
    versions={},
)


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_narrow_terminals_keep_the_numbers(columns: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_report(REPORT, SafeConsole())
    text = capsys.readouterr().out
    words = re.findall(r"[\w.,%-]+", text)
    numbers = ["98.76%", "12,345,678.9", "1,024", "12,345,678", "2,345,678.9", "98.7%", "98,765", "999,999.9", "12.3%"]
    assert [number for number in numbers if number not in words] == []
    assert "97.12% at 3.41 steps" in text
    assert "direct input of 8 bits, W4U4" in " ".join(text.split())
    assert columns < 60 or max(map(len, text.splitlines()[:-1])) <= max(columns, 75)


def test_memory_that_runs_out_is_a_sentence() -> None:
    """As torch and numpy say it."""
    torch_says = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9663676416 bytes. Error code 12"  # fmt: skip # noqa: E501
    for error, amount in (
        (RuntimeError(torch_says), "9.0 GiB"),
        (MemoryError("Unable to allocate 12.3 GiB for an array with shape (9,) and data type int64"), "12.3 GiB"),
        (MemoryError(), ""),
    ):
        sentence = user_sentence(error)
        assert sentence is not None
        assert sentence.startswith("there is not enough memory")
        assert f"({amount} more were needed)" in sentence or not amount
    assert user_sentence(RuntimeError("a defect")) is None


def test_what_is_not_installed_is_a_sentence() -> None:
    for name in ("torch", "torch.nn"):
        error = ModuleNotFoundError(f"No module named '{name}'", name=name)
        assert user_sentence(error) == "this needs PyTorch, which is not installed: pip install 'mintaka[train]'"
    error = ModuleNotFoundError("No module named 'vcd'", name="vcd.gtkw")
    assert user_sentence(error) == "this needs the Python package 'vcd', which is not installed: pip install vcd"
    assert user_sentence(ModuleNotFoundError("No module named 'mintaka.x'", name="mintaka.x")) is None
