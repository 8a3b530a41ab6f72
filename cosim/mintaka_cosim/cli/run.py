"""mintaka run"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mintaka_cosim.cli.support import (
    ArtifactArgument,
    JsonOption,
    LanesOption,
    SparseOption,
    check_file,
    console,
    emit_json,
    load_inputs,
    parse_lanes,
    parse_sparse,
    progress_bar,
    shown,
    written,
)

if TYPE_CHECKING:
    import numpy as np

    from mintaka.artifact import Network, Result


class Backend(StrEnum):
    """Who computes."""

    REFERENCE = "reference"
    FAST = "fast"
    RTL = "rtl"


def run(
    artifact: ArtifactArgument,
    input_: Annotated[Path, typer.Option("--input", help="An .npz file with an array x of samples.", metavar="X.npz")],
    out: Annotated[Path, typer.Option("--out", help="Where the results go.", metavar="OUT.npz")],
    backend: Annotated[
        Backend, typer.Option(help="numpy reference, fast torch engine, or the generated Verilog in Verilator.")
    ] = Backend.REFERENCE,
    trace: Annotated[bool, typer.Option("--trace", help="Also every layer's K, spikes and membranes.")] = False,
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    json: JsonOption = False,
) -> None:
    """Run samples through an artifact.

    OUT.npz holds int64 arrays: logits (N, classes), classes (N,), steps (N,), the time steps that each sample took,
    sops (N,) and sops/LAYER (N,). With --trace, per
    layer, k/LAYER (of the head the running sums), spikes/LAYER and membranes/LAYER, each (N, T, ...).

    Example: [b]mintaka run runs/demo/network.safetensors --input x.npz --backend rtl --out y.npz[/b]
    """
    from mintaka.artifact import load

    network = load(artifact)
    inputs = load_inputs(input_, network)
    check_file("--out", out)
    result = _compute(network, inputs, backend, trace, lanes, sparse, quiet=json)
    arrays = result_arrays(result)
    _save(out, arrays)
    facts: dict[str, Any] = {
        "backend": backend.value,
        "samples": len(inputs),
        "sops_per_sample": float(result.total_sops.mean()),
        "steps_per_sample": float(result.steps.mean()),
        "out": str(out),
        "arrays": {name: list(values.shape) for name, values in arrays.items()},
    }
    if json:
        emit_json(facts)
    else:
        early = f", {result.steps.mean():.2f} of {network.time_steps} steps" if network.output.margins else ""
        sops = f"{facts['sops_per_sample']:,.1f} SOPs{early} per sample"
        console().print(f"{len(inputs):,} samples by {backend.value}: {sops}; {shown(out)}")


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

    plan = make_plan(network, parse_lanes(lanes), parse_sparse(sparse))
    with progress_bar("simulating the Verilog", quiet=quiet) as progress:
        return simulate(network, inputs, lanes=plan, trace=trace, progress=progress)


def result_arrays(result: Result) -> dict[str, np.ndarray]:
    """What OUT.npz holds."""
    arrays = {"logits": result.logits, "classes": result.classes, "steps": result.steps, "sops": result.total_sops}
    arrays |= {f"sops/{name}": values for name, values in result.sops.items()}
    for name, values in result.trace.items():
        parts = {"k": values.k, "spikes": values.s, "membranes": values.u}
        arrays |= {f"{part}/{name}": array for part, array in parts.items() if array is not None}
    return arrays


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import numpy as np

    with written(path) as file:
        np.savez_compressed(file, **{name: values.astype(np.int64) for name, values in arrays.items()})  # type: ignore[arg-type]
