"""mintaka build"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mintaka_cosim.cli.support import (
    BAUD,
    ArtifactArgument,
    JsonOption,
    LanesOption,
    SparseOption,
    emit_json,
    parse_lanes,
    parse_sparse,
)
from mintaka_cosim.program import check_folder, console, shown, warn

if TYPE_CHECKING:
    from mintaka_hw.implement import Build


def build(
    artifact: ArtifactArgument,
    board: Annotated[
        str, typer.Option("--board", help="A board by name (ulx3s, icebreaker, ...), or its .toml.", metavar="BOARD")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder for all that is made.", metavar="DIR")],
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    baud: Annotated[int, typer.Option("--baud", help="Baud rate of the serial line.", min=1)] = BAUD,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the placement.", min=1)] = 1,
    fit: Annotated[
        bool, typer.Option("--fit", help="Where the lanes do not fit, build with the largest that do.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Build the bitstream of a board that runs the network behind a serial line.

    Generates the Verilog, synthesizes, places, routes and packs it; takes minutes. What cannot fit, whatever the lanes,
    is refused at once. Where fewer lanes fit, they are searched for and offered, or with --fit built. DIR then holds
    the bitstream, build.json, the Verilog and the tools' logs. For boards that only the vendor's program can build, as
    Vivado does for Xilinx, it holds scripts for that program instead.

    Example: [b]mintaka build runs/demo/network.safetensors --board ulx3s --out build/ulx3s[/b]
    """
    from mintaka.artifact import load
    from mintaka_hw.implement import build_board, load_board

    found = load_board(board)
    network = load(artifact)
    chosen, zeros = parse_lanes(lanes, network), parse_sparse(sparse)
    check_folder("--out", out)
    built = build_board(network, found, out, lanes=chosen, sparse=zeros, baud=baud, seed=seed, fit=fit, say=warn)
    if json:
        emit_json(built.to_json())
    else:
        _say(built, out)


def _say(built: Build, out: Path) -> None:
    say = console()
    board = built.board
    lanes = ", ".join(f"{name} {lanes}" for name, lanes in built.plan.lanes.items())
    say.print(f"{built.plan.network.name} on {board.name} ({board.part}), lanes: {lanes}")
    for unit, (used, there) in built.resources.items():
        say.print(f"  {unit:<5}{used:>9,g} of {there:>7,g}  {used / there:5.1%}  synthesized")
    clock = board.clock.hz / 1e6
    if built.vendor is not None:
        say.print(f"  clock {clock:g} MHz; Fmax is not known until {built.vendor.tool} has run")
        scripts = ", ".join(shown(path) for path in built.scripts)
        say.print(f"for {built.vendor.tool} (not run here): {scripts}")
        say.print(f"then load it:  {built.command}  (in {shown(out)})", soft_wrap=True)
    else:
        assert built.placed is not None
        assert built.bitstream is not None
        say.print(f"  Fmax {built.placed.fmax_mhz:.1f} MHz, placed and routed; the board's clock is {clock:g} MHz")
        if built.hold_violations:
            say.print(
                f"  {built.hold_violations} hold violations: see docs/guide/boards.md and {shown(out / 'nextpnr.log')}"
            )
        say.print(f"bitstream: {shown(built.bitstream)}", soft_wrap=True)
        say.print(f"load it:   {built.command}", soft_wrap=True)
    say.print(f"serial line: {built.baud} baud, {board.serial}", soft_wrap=True)
