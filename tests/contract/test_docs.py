"""The pages say what is true: their code runs, and their tables agree with the code."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import samples

from mintaka.artifact import save
from mintaka.artifact.document import to_document

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python blocks of a page run one after the other, in a folder that holds an artifact."""
    save(samples.everything(), tmp_path / "network.safetensors")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for index, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {index}", "exec"), namespace)


def test_the_printed_document_is_what_save_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "artifact.md"
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
    text = (ROOT / "docs" / "artifact.md").read_text()
    documented = set(re.findall(r"`(\w+)`", text)) | set(re.findall(r'"(\w+)":', text))
    assert set(keys(to_document(samples.everything())[0])) <= documented


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
