"""mintaka run"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mintaka_cosim.cli.support import (
    BAUD,
    ArtifactArgument,
    JsonOption,
    LanesOption,
    LevelsOption,
    SparseOption,
    emit_json,
    load_inputs,
    parse_lanes,
    parse_sparse,
    progress_bar,
)
from mintaka_cosim.program import RequestError, check_file, console, shown

if TYPE_CHECKING:
    import numpy as np

    from mintaka.artifact import Network, Result
    from mintaka.artifact.compare import Compared
    from mintaka.host import BoardResult, Identity


class Backend(StrEnum):
    """Who computes."""

    REFERENCE = "reference"
    FAST = "fast"
    RTL = "rtl"
    BOARD = "board"


def run(
    artifact: ArtifactArgument,
    input_: Annotated[Path, typer.Option("--input", help="An .npz file with an array x of samples.", metavar="X.npz")],
    out: Annotated[Path, typer.Option("--out", help="Where the results go.", metavar="OUT.npz")],
    backend: Annotated[
        Backend,
        typer.Option(
            help="numpy reference, fast torch engine, the generated Verilog in Verilator, or a board on a serial port."
        ),
    ] = Backend.REFERENCE,
    levels: LevelsOption = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also every layer's K, spikes, membranes and synaptic currents.")
    ] = False,
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    port: Annotated[
        str | None, typer.Option("--port", help="The board's serial port.", metavar="/dev/ttyUSB0|COM3")
    ] = None,
    baud: Annotated[
        int, typer.Option("--baud", help="The baud rate that the board's bitstream was built for.", min=1)
    ] = BAUD,
    json: JsonOption = False,
) -> None:
    """Run samples through an artifact.

    The samples hold numbers as the network was trained with: the artifact says how they become its input (see
    [b]mintaka show[/b]), each sample on its own. Where that is spikes, x may also hold the spikes, (N, T, ...).

    OUT.npz holds int64 arrays: logits (N, classes), classes (N,), steps (N,), the time steps that each sample took,
    sops (N,) and sops/LAYER (N,). With --trace, per layer and as far as its neurons have them, k/LAYER (of the head the
    running sums), spikes/LAYER, membranes/LAYER and currents/LAYER, each (N, T, ...). From a board also cycles (N,).
    What a board and the Verilog give is compared with the reference, every value, and the exit status is 1 where they
    differ. Where X.npz has an array y of classes, the accuracy is said.

    Example: [b]mintaka run runs/demo/network.safetensors --input x.npz --backend rtl --out y.npz[/b]
    """
    from mintaka.artifact import load
    from mintaka.data.recall import accuracy as share_right
    from mintaka_cosim.flow.arrays import result_arrays, save_arrays

    network = load(artifact)
    inputs, labels, beyond = load_inputs(input_, network, levels)
    check_file("--out", out, ".npz")
    found: BoardResult | None = None
    if backend is Backend.BOARD:
        found, identity = _on_board(network, inputs, port, baud, trace, quiet=json)
        result = found.result
    else:
        result = _compute(network, inputs, backend, trace, lanes, sparse, quiet=json)
    arrays = result_arrays(result) | ({} if found is None else {"cycles": found.cycles})
    save_arrays(out, arrays)
    facts: dict[str, Any] = {
        "backend": backend.value,
        "samples": len(inputs),
        "clipped": beyond,
        "sops_per_sample": float(result.total_sops.mean()),
        "steps_per_sample": float(result.steps.mean()),
        "accuracy": None if labels is None else share_right(result.classes, labels),
        "out": str(out),
        "arrays": {name: list(values.shape) for name, values in arrays.items()},
    }
    same = None
    if backend in (Backend.BOARD, Backend.RTL):
        same = _compared(network, inputs, result, traces=trace)
        facts["differences"] = same.differences
    if found is not None and same is not None:
        facts["board"] = {
            "port": port,
            "clock_hz": identity.clock_hz,
            "cycles_per_sample": float(found.cycles.mean()),
            "retries": found.retries,
            "differences": same.differences,
        }
    if json:
        emit_json(facts)
    else:
        early = f", {result.steps.mean():.2f} of {network.time_steps} steps" if network.output.margins else ""
        sops = f"{facts['sops_per_sample']:,.1f} SOPs{early} per sample"
        right = "" if labels is None else f", accuracy {facts['accuracy']:.2%}"
        say = console()
        say.print(f"{len(inputs):,} samples by {backend.value}: {sops}{right}; {shown(out)}", soft_wrap=True)
        if found is not None:
            cycles, clock = float(found.cycles.mean()), identity.clock_hz
            again = f", {found.retries} requests sent again" if found.retries else ""
            at = f"{1e6 * cycles / clock:,.1f} µs at {clock / 1e6:g} MHz"
            say.print(f"  {cycles:,.1f} cycles per sample, {at}{again}")
        if same is not None and same.first is None:
            more = ", and every traced value" if trace else ""
            say.print(f"  equal to the reference: all logits, classes, steps and SOPs{more}")
    if same is not None and same.first is not None:
        who = "board" if found is not None else "Verilog"
        raise RequestError(f"the {who} differs from the reference in {same.differences} values, first {same.first}")


def _on_board(
    network: Network, inputs: np.ndarray, port: str | None, baud: int, trace: bool, *, quiet: bool
) -> tuple[BoardResult, Identity]:
    from mintaka.host import Board

    if port is None:
        raise RequestError("--backend board needs --port, the serial port of the board")
    if trace:
        raise RequestError("--trace: a board gives logits and counts alone; take another backend")
    with Board(port, baud=baud) as board, progress_bar(f"running on {port}", quiet=quiet) as progress:
        return board.run(network, inputs, progress), board.identity


def _compared(network: Network, inputs: np.ndarray, found: Result, *, traces: bool) -> Compared:
    from mintaka.artifact import run as run_reference
    from mintaka.artifact.compare import compare

    return compare(found, run_reference(network, inputs, trace=traces), network.output.node, traces=traces)


def _compute(
    network: Network, inputs: np.ndarray, backend: Backend, trace: bool, lanes: str, sparse: str, *, quiet: bool
) -> Result:
    if backend is Backend.REFERENCE:
        from mintaka.artifact import run as run_reference

        return run_reference(network, inputs, trace=trace)
    if backend is Backend.FAST:
        from mintaka.snn.fast import run_fast

        return run_fast(network, inputs, trace=trace)
    from mintaka_cosim.bench import simulate
    from mintaka_hw.plan import make_plan

    plan = make_plan(network, parse_lanes(lanes, network), parse_sparse(sparse))
    with progress_bar("simulating the Verilog", quiet=quiet) as progress:
        return simulate(network, inputs, lanes=plan, trace=trace, progress=progress)
