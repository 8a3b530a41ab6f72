"""What comes from files and people, in every language that is generated: read back by the language itself."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from handmade import dense_network
from hypothesis import example, given
from hypothesis import strategies as st

from mintaka_hw import quoting
from mintaka_hw.implement import BoardError, load_board
from mintaka_hw.implement.board import boards_folder
from mintaka_hw.implement.board_design import board_top
from mintaka_hw.plan import make_plan
from mintaka_hw.targets import Project
from mintaka_hw.targets.vivado import ip_script, project_script
from mintaka_hw.verilog import generate
from mintaka_hw.verilog.corefile import core_file

HOSTILE = (
    "Nice\nexec rm -rf ~",
    "[exec touch /tmp/ran]",
    "$::env(HOME)",
    "}; exec touch x; {",
    '"; exec touch x; "',
    "ends in a backslash\\",
    "*/ endmodule /*",
    "`include \"/etc/passwd\"",
    "$(shell touch x)",
    "$$(touch x)`touch x`",
    "a b\tc",
    "#comment",
    "- list\nkey: value",
    "!!python/object:os.system",
    "emoji \U0001f600 ü",
    "\x1b]0;title\x07\u202e",
    "",
    "~",
    "%s%n",
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def hostile(*, lines: bool = True):  # type: ignore[no-untyped-def]
    """Hypothesis' texts, and each of HOSTILE."""

    def decorate(test):  # type: ignore[no-untyped-def]
        for text in HOSTILE if lines else (text for text in HOSTILE if "\n" not in text):
            test = example(text=text)(test)
        return given(text=TEXT)(test)

    return decorate


@hostile()
def test_yaml(text: str) -> None:
    """With both of PyYAML's readers; FuseSoC takes the quicker one."""
    line = f"a: {quoting.yaml_string(text)}\nb: 1\n"
    assert line.isascii()
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load(line, loader) == {"a": quoting.printable(text), "b": 1}


@hostile()
def test_comments(text: str) -> None:
    for quote in (quoting.verilog_comment, quoting.tcl_comment):
        line = quote(text)
        assert line.isprintable()
        assert not line.endswith("\\")
    assert not set(quoting.tcl_comment(text)) & set('{}[]\\"$;')


@hostile()
def test_shells(text: str) -> None:
    assert shlex.split(f"a {quoting.shell_word(text)} b") == ["a", text, "b"]


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="there is no tclsh")
def test_tcl() -> None:
    """By Tcl itself, in one run: every text is one word of itself, and nothing was run."""
    texts = [text.replace("\0", "") for text in HOSTILE]
    lines = [f"puts [string length {quoting.tcl_word(text)}]" for text in texts]
    lines += [f"# {quoting.tcl_comment(text)}\nputs {n}" for n, text in enumerate(texts)]
    # Lengths, as characters beyond 16 bits are two of Tcl's before version 9.
    done = subprocess.run(["tclsh"], input="\n".join(lines), capture_output=True, text=True, check=True)
    lengths = [len(text) for text in texts]
    found = list(map(int, done.stdout.split()))
    assert found[len(texts) :] == list(range(len(texts)))
    assert all(n in (size, size + 1) for n, size in zip(found, lengths, strict=False))


@hostile()
def test_tcl_words(text: str) -> None:
    """Without Tcl: what is not plain stands behind a backslash."""
    word = quoting.tcl_word(text)
    assert word.isascii()
    rest = re.sub(r"\\U[0-9a-f]{8}|\\[ -~]", "", word)
    assert rest == "{}" if not text else quoting.PLAIN.fullmatch(rest) or not rest


def test_make(tmp_path: Path) -> None:
    """By make itself: the value that it passes on."""
    (tmp_path / "Makefile").write_text("all:\n\t@printf '%s' \"$$FOUND\"\nexport FOUND := $(VALUE)\n")
    for text in (text for text in HOSTILE if "\n" not in text):
        env = {"PATH": "/usr/bin:/bin", "MAKEFLAGS": f"OTHER=1 VALUE={quoting.make_word(text)} MORE=2"}
        done = subprocess.run(["make", "-s"], cwd=tmp_path, env=env, capture_output=True, check=True)
        assert done.stdout.decode() == text, text
    with pytest.raises(quoting.QuotingError, match="make takes no line ends"):
        quoting.make_word("a\nb")


def test_paths_in_scripts_of_yosys(tmp_path: Path) -> None:
    assert quoting.yosys_path(tmp_path / "a b" / "x.v", tmp_path) == '"a b/x.v"'
    for name in ('a"b', "a;b", "a\nb", "a\\b", "*", "a#b", "[ab]"):
        with pytest.raises(quoting.QuotingError, match="Yosys' scripts cannot name"):
            quoting.yosys_path(tmp_path / name / "x.v", tmp_path)


# ---- where they are used


BOARD = load_board("arty-a7-35t")


@hostile()
def test_a_board_with_any_name(text: str) -> None:
    """A board that was made without its file's checks: the texts differ from those of a harmless one in words alone."""
    board = BOARD.model_copy(update={"name": text, "order": text})
    mine = Project(text, text, 1, "top", ("a.v",), text, "top", (text,))
    harmless = Project(BOARD.name, BOARD.order, 1, "top", ("a.v",), "p", "top", ("a.v",))
    for one, other in (
        (board_top(board, "top", "inner", "hash"), board_top(BOARD, "top", "inner", "hash")),
        (project_script(mine, "n"), project_script(harmless, "n")),
        (ip_script(mine, "n"), ip_script(harmless, "n")),
    ):
        assert one.count("\n") == other.count("\n")
        for line, known in zip(one.split("\n"), other.split("\n"), strict=True):
            assert line == known or line.startswith(("//", "#", "create_project", "add_files"))
    core = yaml.load(core_file("n", "top", text, ["a.v"], "a.vlt").partition("\n")[2], yaml.CSafeLoader)
    assert core["description"] == quoting.printable(text)
    assert list(core) == ["name", "description", "filesets", "targets"]


def test_a_network_with_any_name(tmp_path: Path) -> None:
    """Its Verilog differs in comments and in its hash."""
    texts = []
    for name in ('\U0001f600 ü `define x */ /* $display(1); // (* keep *) "x" ends in \\', "harmless"):
        network = replace(dense_network([3, 2]), name=name)
        folder = tmp_path / f"n{len(texts)}"
        design = generate(make_plan(network, 1), folder, top="same")
        text = design.verilog.read_text()
        assert "network: " + name.replace("\\", "/") in text
        texts.append(
            [line for line in text.splitlines() if not re.match(r"// (network|artifact): |.* artifact_hash = ", line)]
        )
        core = (folder / "same.core").read_text().partition("\n")[2]
        assert yaml.load(core, yaml.CSafeLoader)["description"] == name
    assert texts[0] == texts[1]


def changed(tmp_path: Path, old: str, new: str, suffix: str = "toml", board: str = "arty-a7-35t") -> str:
    for path in boards_folder().glob(f"{board}.*"):
        text = path.read_text()
        if path.suffix == f".{suffix}":
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / path.name).write_text(text)
    return str(tmp_path / f"{board}.toml")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "Arty A7-35T"', r'name = "Nice\nexec rm"', "name: must be a line of 1 to 200 printable characters"),
        ('name = "Arty A7-35T"', 'name = " "', "name: must be a line of 1 to 200 printable"),
        ('name = "Arty A7-35T"', f'name = "{"x" * 201}"', "name: must be a line of 1 to 200 printable"),
        ('order = "xc7a35ticsg324-1L"', 'order = "[exec touch x]"', "order: must be letters, digits and . / _ -, got"),
        ('package = "CSG324"', 'package = "--textcfg"', "package: must be letters, digits and . / _ -, got"),
        ('speed = "1L"', 'speed = "1 L"', "speed: must be letters, digits"),
        ('pin_file = "', 'pin_file = "../', "pin_file: must be the name of a file beside this one, got '../arty"),
        ("{bitstream}", "{bitstream} {x}", "program: 'openFPGALoader -b arty_a7_35t {bitstream} {x}' has '{x}' in it"),
        ("{bitstream}", "{bitstream} {0.__class__}", "program: "),
        ("{bitstream}", "{bitstream:>9999999999}", "has no {bitstream} in it"),
        ("{bitstream}", r"{bitstream}\u001b]0;x\u0007", "program: must be a line of"),
        ('pin = "E3"', r'pin = "E3\n"', "clock.pin: must be a pin of letters and digits, got"),
        ("hz = 100_000_000", "hz = 100_000_000_000_000", "clock.hz: must be at most 10,000,000,000, got"),
    ],
)  # fmt: skip
def test_board_files_are_refused_at_the_door(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=re.escape(sentence)) as error:
        load_board(changed(tmp_path, old, new))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "exec touch x",
        "set_property A B [exec touch x]",
        "set_property A $env(HOME) [get_ports clk]",
        'set_property A "B[exec touch x]" [get_ports clk]',
        "set_property A B [get_ports clk]; exec touch x",
        "set_property A B [get_ports [exec touch x]]",
        "set_property A \\\nB",
        "set_property A B [get_ports clk]\x0c# [exec touch x]",
        "# a comment that goes on \\\nexec touch x",
        "source other.tcl",
        "{*}[list exec touch x]",
    ],
)
def test_pin_files_of_vivado_only_set_something(line: str, tmp_path: Path) -> None:
    path = changed(tmp_path, "create_clock", f"{line}\ncreate_clock", "xdc")
    with pytest.raises(BoardError, match=r"arty-a7-35t\.xdc, line \d+: '.*' is no constraint that only sets something"):
        load_board(path)


def test_pin_files_are_small_texts(tmp_path: Path) -> None:
    path = Path(changed(tmp_path, "LOCATE", "LOCATE", "lpf", "ulx3s"))
    for content, sentence in ((b"\xff", "is no text in UTF-8"), (b" " * (2**20 + 1), "has more than 1,048,576 bytes")):
        path.with_suffix(".lpf").write_bytes(content)
        with pytest.raises(BoardError, match=sentence):
            load_board(str(path))
