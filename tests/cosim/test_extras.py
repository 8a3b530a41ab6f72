"""An installation without the extras: what needs none of them works, and what needs one says which, in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from cosim.small import DIRECT, verdict_json

from mintaka.artifact import save
from mintaka.extras import EXTRAS

ROOT = Path(__file__).parents[2]
HIDDEN = """
import importlib.metadata, json, sys
from mintaka.extras import EXTRAS

packages = [package for found in EXTRAS.values() for package in found]

class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {package.module for package in packages}:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

def version(name, real=importlib.metadata.version):
    if name.lower() in {package.distribution for package in packages}:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)

sys.meta_path.insert(0, Hider())
importlib.metadata.version = version
from mintaka_cosim.cli import app

for words in json.loads(sys.argv[1]):
    sys.argv = ["mintaka", *words]
    try:
        app()
    except SystemExit as end:
        print("status", end.code, file=sys.stderr, flush=True)
"""
PYTORCH = "mintaka: this needs PyTorch, which is not installed: pip install 'mintaka[train]'"
SCIKIT_LEARN = "mintaka: this needs scikit-learn, which is not installed: pip install 'mintaka[train]'"
PYSERIAL = "mintaka: this needs pyserial, which is not installed: pip install 'mintaka[boards]'"
YOSYS = "Yosys is not installed: pip install 'mintaka[boards]'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an artifact and a verdict, and samples."""
    made = tmp_path_factory.mktemp("bare")
    save(DIRECT.network, made / "network.safetensors")
    (made / "cosim.json").write_text(json.dumps(verdict_json(DIRECT.network, lanes=DIRECT.lanes)))
    np.savez(made / "x.npz", x=DIRECT.inputs(20), y=np.arange(20) % 6)
    return made


def without_extras(folder: Path, *commands: str) -> list[tuple[int, str]]:
    """Run commands in one process in which no package of an extra is; of each the exit status and what stderr says."""
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run([sys.executable, "-c", HIDDEN, words], cwd=folder, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    *each, rest = done.stderr.split("status ")
    parts = [each[0], *(part.partition("\n")[2] for part in each[1:]), rest]
    codes = [int(part.partition("\n")[0]) for part in [*each[1:], rest]]
    return list(zip(codes, [part.strip() for part in parts[:-1]], strict=True))


def test_what_needs_no_extra_works(folder: Path) -> None:
    lanes = ",".join(f"{name}={number}" for name, number in DIRECT.lanes.items())
    commands = (
        "--help",
        "show network.safetensors --plan --graph network.svg",
        "generate network.safetensors --out verilog",
        "report .",
        f"cosim network.safetensors --data x.npz --lanes {lanes}",
        "run network.safetensors --input x.npz --out y.npz",
        "data check x.npz",
        "doctor",
    )
    for command, (status, said) in zip(commands, without_extras(folder, *commands), strict=True):
        assert status == 0, (command, said)
    assert {"network.svg", "verilog", "report.html", "y.npz"} <= {path.name for path in folder.iterdir()}


def test_what_needs_one_says_which(folder: Path) -> None:
    recipe = ROOT / "recipes" / "digits.toml"
    wanted = {
        f"train {recipe}": PYTORCH,
        "export .": PYTORCH,
        "demo": PYTORCH,
        "run network.safetensors --input x.npz --out y.npz --backend fast": PYTORCH,
        "cosim network.safetensors --data digits": SCIKIT_LEARN,
        "data check wdbc": SCIKIT_LEARN,
        "run network.safetensors --input x.npz --out y.npz --backend board --port /dev/null": PYSERIAL,
        "synth network.safetensors": YOSYS,
        "build network.safetensors --board ulx3s --out board": YOSYS,
    }
    for (command, sentence), (status, said) in zip(wanted.items(), without_extras(folder, *wanted), strict=True):
        assert status == 1, command
        assert said.splitlines()[-1].endswith(sentence), (command, said)


def test_the_extras_are_those_of_the_package() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {extra: {line.partition(">")[0] for line in lines} for extra, lines in stated.items()}
    assert {extra: {package.distribution for package in found} for extra, found in EXTRAS.items()} == {
        extra: names[extra] for extra in EXTRAS
    }
    assert f"mintaka[{','.join(EXTRAS)}]" in stated["dev"]
