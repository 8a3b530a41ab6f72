"""A Verilated board behind a pseudo-terminal: what talks to boards can talk to it, unchanged."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mintaka.system import children
from mintaka_cosim import toolchain
from mintaka_cosim.bench.build import build_native
from mintaka_cosim.bench.errors import CosimError
from mintaka_hw.implement import BoardDesign

HARNESS = Path(__file__).with_name("board.cpp")
STOP_SECONDS = 10


@contextmanager
def virtual_board(design: BoardDesign, *, skew: float = 0.0, optimize: bool = True) -> Iterator[str]:
    """The name of the serial port of a simulated board, while the simulation runs.

    skew : how much longer than the board's are the bits at the other end of the line. optimize : as for `build_native`.
    Raises CosimError where the simulation cannot be built or does not start.
    """
    button = design.board.reset
    ports = "" if button is None else f"#define MINTAKA_BUTTON {int(button.active_low)}\n"  # not pressed
    built = build_native(design.verilog, design.top, HARNESS, ports, parts=design.parts, optimize=optimize)
    period = round(1000 * design.cycles_per_bit * (1 + skew))
    command = [str(built.program), str(period)]
    env = toolchain.simulation_env()
    child = children.start(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
                children.end(child)
