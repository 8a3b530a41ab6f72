"""`mintaka synth` on a tiny network: one report, kept results, and refusals in one sentence."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cosim.small import call
from handmade import dense_network

from mintaka.artifact import save
from mintaka_cosim.synth import build
from mintaka_cosim.synth.model import KINDS
from mintaka_hw.implement import DEFAULT_PARTS, SynthesisError

LIBERTY = Path(__file__).parent.parent / "tiny.lib"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "tiny.safetensors"
    save(dense_network([2, 2, 2]), path)
    return path


@dataclass(frozen=True)
class Done:
    """What the first run on two targets gave."""

    report: dict[str, Any]
    out: Path
    said: str


@pytest.fixture(scope="module")
def done(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Both as processes at the same time; in a process of its own, because capsys is not for modules."""
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("out")
    words = ["synth", artifact, "--target", "ecp5,asic", "--pnr-is-not-asked-for"]
    words = ["synth", artifact, "--target", "ecp5,asic", "--liberty", LIBERTY, "--part", "LFE5U-25F", "--lanes", "2"]
    command = [sys.executable, "-m", "mintaka_cosim.cli", *map(str, words), "--jobs", "2", "--out", str(out), "--json"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return Done(json.loads(found.stdout), out, found.stderr)
