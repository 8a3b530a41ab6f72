"""TOML files of people: what is wrong is said in one sentence, with the key and the line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mintaka.artifact.toml import MAX_BYTES, read_toml


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfseed = 1\r\n")
    assert read_toml(tmp_path / "a.toml") == {"seed": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name = 'a'\nseed = 1\nseed = 2\n", "the key 'seed' is given twice (the second time in line 3)"),
        (b"x = [\n1,\n]\nx = [\n2,\n]", "the key 'x' is given twice (the second time in line 4)"),
        (b"[a]\nx = 1\n[b]\n[a]\ny = 2\n", "the table [a] is declared twice (at line 4, column 3)"),
        (b"[[layers]]\nx = 1\n[layers]", "the table [layers] is declared twice (at line 3, column 8)"),
        (b"x = {a = 1, a = 2}", "duplicate inline table key 'a' (at line 1, column 18)"),
        (b"name = ", "is no TOML file: invalid value (at end of document)"),
        (b"name = \xff", "its bytes are no UTF-8 (at byte 7)"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "its values are nested too deeply"),
        (b"x = " + b"9" * 5000, "is no TOML file for people: a number in it has too many digits"),
        (b"a." * 500_000 + b"a = 1", "is no TOML file for people: a key in it has more than 64 parts"),
        (b"['a' . " + b'"b c".' * 64 + b"a]", "a key in it has more than 64 parts"),
        (b"x = {" + b"a ." * 64 + b"a = 1}", "a key in it has more than 64 parts"),
        (b"#" * (MAX_BYTES + 1), "it has more than 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


def test_long_keys_and_texts_with_dots_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text in (
        "a." * 63 + "a = 1",
        f"x = [{'0.5, ' * 1000}]",
        f"x = '{'a. ' * 50}{'.' * 1000}'",
        "x = '../../../y.z'",
    ):
        path.write_text(text)
        assert read_toml(path)


def test_a_folder_is_no_toml_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: is a directory"):
        read_toml(tmp_path)
