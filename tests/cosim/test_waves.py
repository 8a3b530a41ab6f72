"""Waves: the file holds what the layouts name, and the values are the reference's."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from cosim.small import COUNTS, call
from vcd.reader import TokenKind, tokenize

from mintaka.artifact import run, save
from mintaka_cosim.bench import CosimError, Waves, wave_format, write_waves
from mintaka_hw.plan import make_plan

SAMPLES = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Waves of COUNTS, written once."""
    path = tmp_path_factory.mktemp("waves")
    found = write_waves(make_plan(COUNTS.network, COUNTS.lanes), COUNTS.inputs(SAMPLES), path / "run.vcd")
    assert found.bit_exact
    assert (found.samples, found.path) == (SAMPLES, path / "run.vcd")
    assert found.layouts == (path / "run.gtkw", path / "run.sucl")
    assert found.cycles > 20
    return path


def read(path: Path) -> tuple[dict[str, str], dict[str, list[tuple[int, str]]]]:
    """Signal with its range -> code, and code -> changes (time, bits)."""
    scope: list[str] = []
    codes: dict[str, str] = {}
    changes: dict[str, list[tuple[int, str]]] = {}
    time = 0
    for token in tokenize(BytesIO(path.read_bytes())):
        if token.kind is TokenKind.SCOPE:
            scope.append(token.scope.ident)
        elif token.kind is TokenKind.UPSCOPE:
            scope.pop()
        elif token.kind is TokenKind.VAR:
            at = token.var.bit_index
            codes[".".join([*scope, token.var.reference]) + (f"[{at[0]}:{at[1]}]" if isinstance(at, tuple) else "")] = (
                token.var.id_code
            )
        elif token.kind is TokenKind.CHANGE_TIME:
            time = token.time_change
        elif token.kind is TokenKind.CHANGE_SCALAR:
            changes.setdefault(token.scalar_change.id_code, []).append((time, token.scalar_change.value))
        elif token.kind is TokenKind.CHANGE_VECTOR:
            value = token.vector_change.value
            changes.setdefault(token.vector_change.id_code, []).append((time, str(value)))
    return codes, changes


class Recorded:
    """Values of a VCD file by signal and time."""

    def __init__(self, path: Path) -> None:
        self.codes, self._changes = read(path)

    def at(self, name: str, time: int, width: int = 1, *, signed: bool = False) -> int:
        bits = "0"
        for when, value in self._changes[self.codes[name]]:
            if when > time:
                break
            bits = value
        number = int(bits, 2) if set(bits) <= {"0", "1"} and len(bits) > 1 else int(bits)
        return number - (1 << width) if signed and number >> (width - 1) else number

    @property
    def last(self) -> int:
        return max(changes[-1][0] for changes in self._changes.values())


def test_the_layouts_name_signals_that_exist(folder: Path) -> None:
    names = read(folder / "run.vcd")[0].keys()
    gtkwave = [line for line in (folder / "run.gtkw").read_text().splitlines() if line.startswith("top.")]
    surfer = re.findall(r"^variable_add (\S+)$", (folder / "run.sucl").read_text(), re.MULTILINE)
    assert set(gtkwave) <= names
    assert [re.sub(r"\[\d+:0\]$", "", name) for name in gtkwave] == surfer
    top = "top.mintaka_handmade_waves"
    for lane in range(COUNTS.lanes["hidden1"]):
        assert {f"{top}.layer_hidden1.{field}_{lane}" for field in ("K", "s", "U")} <= set(surfer)
    assert {f"{top}.{name}" for name in ("hidden1_tap_valid", "head_sops", "o_logit", "clk")} <= set(surfer)
    for field in ("k", "s", "u", "valid"):  # the taps themselves are there too
        assert any(name.startswith(f"{top}.hidden1_tap_{field}") for name in names)


def test_numbers_are_shown_as_numbers(folder: Path) -> None:
    text = (folder / "run.gtkw").read_text()
    assert '[dumpfile] "run.vcd"' in text
    groups = re.findall(r"^@800200\n-(\w+)$", text, re.MULTILINE)
    assert groups == ["streams", "hidden1", "head"]
    formats: dict[str, str] = {}
    now = ""
    for line in text.splitlines():
        now = line if line.startswith("@") else now
        formats[line] = now
    surfer = (folder / "run.sucl").read_text()
    for signal in (r"layer_hidden1\.K_0", r"layer_hidden1\.U_2", "o_logit"):
        (name,) = [line for line in formats if re.search(rf"{signal}\[", line)]
        assert formats[name] == "@420"  # signed decimal, right-justified
        assert re.search(rf"variable_add \S*{signal}\nitem_set_format Signed\n", surfer)


def test_values_are_the_references(folder: Path) -> None:
    """Every K, spike and U of the hidden layer, where its tap is valid before a rising clock edge."""
    expected = run(COUNTS.network, COUNTS.inputs(SAMPLES), trace=True).trace["hidden1"]
    assert expected.s is not None
    assert expected.u is not None
    recorded = Recorded(folder / "run.vcd")
    top = "top.mintaka_handmade_waves"
    lanes = COUNTS.lanes["hidden1"]
    layer = make_plan(COUNTS.network, COUNTS.lanes).layer("hidden1")
    seen = []
    for time in range(0, recorded.last, 2):  # the clock is low at even times
        if not recorded.at(f"{top}.hidden1_tap_valid", time) or recorded.at(f"{top}.rst", time):
            continue
        block = f"{top}.layer_hidden1"
        step, group = (recorded.at(f"{block}.{name}", time) for name in ("step[9:0]", "group[15:0]"))
        for lane in range(lanes):
            if group * lanes + lane < layer.folding.channels:
                k = recorded.at(
                    f"{block}.K_{lane}[{layer.datapath.k_width - 1}:0]", time, layer.datapath.k_width, signed=True
                )
                u = recorded.at(
                    f"{block}.U_{lane}[{layer.datapath.state_width - 1}:0]",
                    time,
                    layer.datapath.state_width,
                    signed=True,
                )
                seen.append((step, group * lanes + lane, k, recorded.at(f"{block}.s_{lane}", time), u))
    T, N = COUNTS.network.time_steps, layer.folding.channels
    wanted = [
        (t, n, int(expected.k[i, t, n]), int(expected.s[i, t, n]), int(expected.u[i, t, n]))
        for i in range(SAMPLES)
        for t in range(T)
        for n in range(N)
    ]
    assert seen == wanted
    assert len({k for *_, k, _, _ in seen}) > 3


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(COUNTS.network, tmp_path / "network.safetensors")
    x = COUNTS.inputs(5)
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(5, int), x_test=x, y_test=run(COUNTS.network, x).classes)
    words = ["cosim", tmp_path / "network.safetensors", "--data", tmp_path / "x.npz", "--lanes", "hidden1=3,head=1"]
    done = call(capsys, *words, "--waves", tmp_path / "new" / "w.vcd", "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)["waves"]
    assert (facts["samples"], facts["bit_exact"]) == (1, True)
    assert facts["file"] == str(tmp_path / "new" / "w.vcd")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["w.gtkw", "w.sucl", "w.vcd"]
    done = call(capsys, *words, "--waves", tmp_path / "w.png")
    assert (done.status, done.out) == (1, "")
    assert "w.png: waves are written as .fst or .vcd" in done.err
    path = tmp_path / "new" / "w.vcd"
    wrong = Waves(path, (path, path), samples=1, cycles=9, bit_exact=False)
    monkeypatch.setattr("mintaka_cosim.bench.write_waves", lambda *_, **__: wrong)
    done = call(capsys, *words, "--waves", path)  # what the other bench compared is equal
    assert (done.status, "bit-exact: 5 samples" in done.out) == (1, True)
    assert "the samples in " in done.err
    assert "w.vcd differ from the reference" in done.err


def test_fst_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The headers that Verilator's writer wants are looked for with the compiler itself."""
    root = tmp_path / "verilator"
    (root / "include").mkdir(parents=True)
    monkeypatch.setenv("VERILATOR_ROOT", str(root))
    source = root / "include" / "verilated_fst_c.cpp"
    source.write_text("#include <cstdint>\n")
    assert wave_format(tmp_path / "x.fst") == "fst"
    source.write_text("#include <no_such_library.h>\n")
    with pytest.raises(CosimError, match=r"x\.fst: Verilator's \.fst needs no_such_library\.h, which"):
        wave_format(tmp_path / "x.fst")
    assert wave_format(tmp_path / "x.vcd") == "vcd"


def test_fst_is_written_where_it_can_be(tmp_path: Path) -> None:
    plan = make_plan(COUNTS.network, COUNTS.lanes)
    try:
        wave_format(tmp_path / "x.fst")
    except CosimError as error:
        with pytest.raises(CosimError, match=re.escape(str(error))):
            write_waves(plan, COUNTS.inputs(1), tmp_path / "x.fst")
        assert list(tmp_path.iterdir()) == []
        return
    found = write_waves(plan, COUNTS.inputs(1), tmp_path / "x.fst")
    assert found.bit_exact
    head = (tmp_path / "x.fst").read_bytes()
    assert head[0] == 0  # a block of kind "header"
    assert int.from_bytes(head[1:9], "big") == 329  # whose length is fixed
    assert '[dumpfile] "x.fst"' in (tmp_path / "x.gtkw").read_text()
