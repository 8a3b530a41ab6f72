"""docs/studies/comparison.md is what its data say, and every figure of others has its source."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchmarks import comparison
from benchmarks.parts.store import ROOT


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    assert comparison.main(["--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == (ROOT / "docs" / "studies" / "comparison.md").read_text(), (
        "make comparison"
    )


def test_ours_are_those_of_the_pages_they_come_from() -> None:
    docs = ROOT / "docs" / "studies"
    pages = [(docs / f"{page}.md").read_text() for page in ("benchmarks", "results", "compression")]
    *on_spikes, on_pixels, synthesized = comparison.ours_of(*pages)
    assert [line["lanes"] for line in on_spikes] == ["16, 1", "32, 1", "64, 2", "128, 4"]
    assert all(line["DSP"] == "0" and float(line["BRAM"]) <= 18 for line in on_spikes)
    assert on_spikes[0]["cycles"] > on_spikes[1]["cycles"] > on_spikes[2]["cycles"] > on_spikes[3]["cycles"]
    assert on_pixels["steps"] == synthesized["steps"] == 4
    assert synthesized["lanes"] == "32, 2"
    assert float(synthesized["BRAM"]) <= 18
    assert int(synthesized["LUT"].replace(",", "")) < 7612, "Spiker+'s"
    assert on_pixels["accuracy"].endswith("%")


def test_theirs_have_a_source_and_what_differs() -> None:
    peers = tomllib.loads(comparison.PEERS.read_text())["system"]
    assert len({peer["name"] for peer in peers}) == len(peers)
    for peer in peers:
        assert peer["link"].startswith("https://")
        assert all(peer[key] for key in ("source", "read", "platform", "network", "data", "differs"))
        assert {"logic", "logic_unit", "bram"} <= peer.keys() or "logic" not in peer


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no table has a row 'nobody': make the page anew"):
        comparison.rows_of("| a | b |\n| --- | --- |\n| somebody | 1 |\n", "nobody")
    assert comparison.rows_of("| a | b |\n| --- | --- |\n| somebody | 1 |\n", "somebody") == [
        {"a": "somebody", "b": "1"}
    ]
