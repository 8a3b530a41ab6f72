"""mintaka cosim"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mintaka_cosim.cli.support import (
    ArtifactArgument,
    JsonOption,
    LanesOption,
    LevelsOption,
    SparseOption,
    class_labels,
    emit_json,
    encoded_samples,
    parse_lanes,
    parse_sparse,
    progress_bar,
)
from mintaka_cosim.program import RequestError, check_file, check_folder, console, shown, warn

if TYPE_CHECKING:
    import numpy as np

    from mintaka_cosim.bench import Stalls
    from mintaka_hw.plan import Plan


def cosim(
    artifact: ArtifactArgument,
    data: Annotated[str, typer.Option("--data", help="A data set's name, or an .npz file; its test split is used.")],
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="The first N samples of the test split (default: all).")
    ] = None,
    lanes: LanesOption = "auto",
    sparse: SparseOption = "none",
    taps: Annotated[
        bool, typer.Option("--taps", help="Compare every spike, membrane and K, not only logits and counters.")
    ] = False,
    levels: LevelsOption = None,
    stalls: Annotated[bool, typer.Option("--stalls", help="Random pauses on both streams.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the pauses.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the figures go (default: beside the artifact, cosim*.json).")
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="A folder that keeps Verilog, jobs and logs (default: temporary).")
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option("--waves", help="Also write waves, .fst or .vcd, with layouts for two viewers.", metavar="FILE"),
    ] = None,
    waves_samples: Annotated[int, typer.Option(min=1, help="How many samples the waves show, from the first on.")] = 1,
    json: JsonOption = False,
) -> None:
    """Simulate the generated Verilog on a data set and compare it with the reference.

    Exit status 0 only where everything asked for was compared and nothing differs, cycles and waves included. What
    other lanes, samples or modes have shown stays: each has a file of its own.

    Example: [b]mintaka cosim runs/demo/network.safetensors --data digits --samples 50 --taps --stalls[/b]
    """
    from mintaka.artifact import load
    from mintaka.data import load_dataset
    from mintaka_cosim.bench import NO_STALLS, RANDOM_STALLS, wave_format
    from mintaka_cosim.bench import cosim as simulate_and_compare
    from mintaka_cosim.flow.verdicts import file_name, save_verdict
    from mintaka_cosim.flow.verification import problem_of
    from mintaka_hw.plan import make_plan

    network = load(artifact)
    plan = make_plan(network, parse_lanes(lanes, network), parse_sparse(sparse))
    dataset = load_dataset(data, labels=class_labels(network))
    available = len(dataset.test_x)
    if samples is not None and samples > available:
        raise RequestError(f"--samples {samples}: the test split of {dataset.name} has {available}")
    inputs, beyond = encoded_samples(network, dataset.test_x[:samples], levels, dataset.name)
    mode = RANDOM_STALLS if stalls else NO_STALLS
    name = file_name(plan, dataset.name, inputs, taps=taps, stalls=mode, seed=seed)
    path = out if out is not None else artifact.parent / name
    check_file("--out", path, ".json")
    if work is not None:
        check_folder("--work", work)
    if waves is not None:
        wave_format(waves)
        check_file("--waves", waves)
    with progress_bar("co-simulating", quiet=json) as progress:
        result = simulate_and_compare(
            network,
            plan,
            inputs,
            taps=taps,
            stalls=mode,
            seed=seed,
            work_dir=work,
            progress=progress,
        )
    figures = {**save_verdict(result, path, dataset, inputs), "clipped": beyond}
    if waves is not None:
        figures["waves"] = _write_waves(plan, inputs[:waves_samples], mode, seed, waves, quiet=json)
    if json:
        emit_json(figures)
    else:
        _print(figures, path)
    wrong = []
    if waves is not None and not figures["waves"]["bit_exact"]:
        wrong.append(f"the samples in {shown(waves)} differ from the reference")
    if not result.verified:
        wrong.append(problem_of(result))
    for sentence in wrong:
        warn(sentence)
    if wrong:
        raise typer.Exit(1)


def _write_waves(
    plan: Plan, inputs: np.ndarray, stalls: Stalls, seed: int, path: Path, *, quiet: bool
) -> dict[str, Any]:
    from mintaka_cosim.bench import write_waves

    with progress_bar("tracing the waves", quiet=quiet):
        found = write_waves(plan, inputs, path, stalls=stalls, seed=seed)
    layouts = [str(each) for each in found.layouts]
    return {
        "file": str(found.path),
        "samples": found.samples,
        "cycles": found.cycles,
        "layouts": layouts,
        "bit_exact": found.bit_exact,
    }


def _print(figures: dict[str, Any], path: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from mintaka_cosim.terminal import print_whole

    out = console()
    colour = "green" if figures["bit_exact"] else "red"
    out.print(Text(figures["verdict"], f"bold {colour}"))
    if "waves" in figures:
        found = figures["waves"]
        layouts = " or ".join(shown(Path(each)) for each in found["layouts"])
        count = f"{found['samples']:,} sample{'s' * (found['samples'] > 1)}"
        out.print(f"waves of {count}: {shown(Path(found['file']))}; open with {layouts}", soft_wrap=True)
    if "layers" not in figures:
        out.print(f"figures: {shown(path)}", soft_wrap=True)
        return
    models: dict[bool | None, str | tuple[str, str]] = {
        True: "exactly as predicted",
        False: ("not as predicted", "red"),
        None: "stalled: no prediction applies",
    }
    model = models[figures["cycles_as_predicted"]]
    interval, latency = figures["interval_cycles"], figures["latency_cycles"]
    out.print(Text.assemble(f"{interval:,.1f} cycles per sample, latency {latency:,} (simulated; ", model, ")"))
    out.print(f"{figures['sops_per_sample']:,.1f} SOPs per sample (counted by the hardware)")
    if figures["early_exit"]:
        out.print(f"{figures['steps_per_sample']:.2f} steps per sample: early exit")
    if figures["resets"]:
        out.print(f"{figures['resets']} resets in mid-sample, each followed by equal values")
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "lanes", "SOPs per sample", "busy cycles", "utilisation"):
        table.add_column(name, justify="left" if name == "layer" else "right")
    for name, row in figures["layers"].items():
        cells = (f"{row['sops_per_sample']:,.1f}", f"{row['busy_per_sample']:,.1f}", f"{row['utilisation']:.1%}")
        table.add_row(name, str(figures["lanes"][name]), *cells)
    print_whole(out, table)
    out.print(
        f"accuracy {figures['accuracy']:.2%} of {figures['requested']:,} samples of {figures['data']} (test split)"
    )
    out.print(
        f"{figures['seconds']:.1f} s, of which {figures['build_seconds']:.1f} s build; figures: {shown(path)}",
        soft_wrap=True,
    )
