"""A Verilated board behind a pseudo-terminal: what talks to boards can talk to it, unchanged."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mintaka_cosim import toolchain
from mintaka_cosim.bench.build import build_native
from mintaka_cosim.bench.errors import CosimError

HARNESS = Path(__file__).with_name("board.cpp")
STOP_SECONDS = 10


@contextmanager
def virtual_board(
    verilog: Path, top: str, cycles_per_bit: float, *, parts: Sequence[Path] = (), optimize: bool = True
) -> Iterator[str]:
    """The name of the serial port of a design with the ports clk, rx and tx, while the simulation runs.

    cycles_per_bit : on the harness' side of the line; a design may be a little off.
    parts : the other files of the design. optimize : as for `build_native`.
    Raises CosimError where the simulation cannot be built or does not start.
    """
    built = build_native(verilog, top, HARNESS, "", parts=parts, optimize=optimize)
    command = [str(built.program), str(round(1000 * cycles_per_bit))]
    child = subprocess.Popen(
        command, env=toolchain.simulation_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            port = child.stdout.readline().strip()
            if not port:
                raise CosimError(f"the simulated board does not start: exit status {child.wait(STOP_SECONDS)}")
            yield port
        finally:
            child.stdin.close()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
