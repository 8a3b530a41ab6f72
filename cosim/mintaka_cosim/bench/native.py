"""The fast bench: a C++ loop around the Verilated design, without Python in it. Millions of cycles per second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mintaka.artifact import Trace
from mintaka.artifact.compare import trace_of
from mintaka.system.disk import check_room
from mintaka_cosim import toolchain
from mintaka_cosim.bench.build import Build, build_native
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.job import Stalls
from mintaka_cosim.bench.layout import LayerPorts, Layout
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import COUNTERS, Recording, in_samples, per_sample
from mintaka_cosim.bench.words import WORD, arrange, unpack_fields, word_count

HARNESS = Path(__file__).with_name("native.cpp")


def build(
    verilog: Path, layout: Layout, *, parts: Sequence[Path] = (), optimize: bool = True, trace: str | None = None
) -> Build:
    """Compile the design with the harness (or take it from the cache). The options are those of `build_native`."""
    ports = ports_header(layout)
    return build_native(verilog, layout.top, HARNESS, ports, parts=parts, optimize=optimize, trace=trace)


def cpp_name(port: str) -> str:
    """How Verilator writes a port's name in C++."""
    return port.replace("__", "___05F")


def ports_header(layout: Layout) -> str:
    """What native.cpp must know: the layers' names and the widths of their taps."""

    def listed(macro: str, rows: list[str]) -> str:
        return f"#define {macro}(X) " + " ".join(f"X({row})" for row in rows)

    def row(layer: LayerPorts, *more: str) -> str:
        return ", ".join([cpp_name(f"{layer.name}_"), f'"{layer.name}"', *more])

    fields = [(x, name, width) for x in layout.tapped for name, (width, _) in x.fields.items()]
    return "\n".join(
        [
            "#pragma once",
            f"#define MINTAKA_LOGIT_WIDTH {layout.logit_width}",
            f"#define MINTAKA_EXITS {int(layout.exits)}",
            f"#define MINTAKA_RUN_TIME {int(layout.run_time)}",
            f"#define MINTAKA_MARGINS {', '.join(map(hex, _words_of(layout.margins)))}",
            listed("MINTAKA_LAYERS", [row(layer) for layer in layout.layers]),
            listed("MINTAKA_TAPPED", [row(layer) for layer in layout.tapped]),
            listed("MINTAKA_TAPS", [row(layer, name, str(layer.lanes * width)) for layer, name, width in fields]),
            "",
        ]
    )


def _words_of(value: int) -> list[int]:
    """32-bit words, least significant first; two at least, as for a port of up to 64 bits."""
    count = max(2, word_count(value.bit_length()))
    return [value >> WORD * n & (1 << WORD) - 1 for n in range(count)]


def run(
    built: Build,
    layout: Layout,
    beats: np.ndarray,
    stalls: Stalls,
    seed: int,
    folder: Path,
    processes: Processes,
    waves: Path | None = None,
    *,
    steps: Sequence[int] | None = None,
) -> Recording:
    """Stream one chunk.

    beats : uint32 (N, beats per sample, words), from `pack_beats`. Files go to `folder`, which exists.
    steps : of a design that takes them at run time, what the port `steps` gets with each sample's first beat, whose
        frames behind so many are not sent (0, and more than there are: all).
    waves : the file of a build that traces.
    Raises CosimError where the design hangs or breaks the protocol of its streams.
    """
    patience = stalls.patience(layout.patience)
    chances = [stalls.input_percent, stalls.output_percent, stalls.longest_cycles]
    N, most, words = beats.shape
    asked = [0] * N if steps is None else list(steps)
    taken = [each if 1 <= each <= layout.time_steps else layout.time_steps for each in asked]
    sent = [most if layout.static else each * layout.beats for each in taken]
    stimulus = folder / "stimulus.bin"
    with stimulus.open("wb") as file:
        file.write(np.array([N, words, layout.classes, patience, *chances, seed], "<u8").tobytes())
        file.write(np.array([sent, asked], "<u8").T.tobytes())
        for sample, number in zip(beats.astype("<u4"), sent, strict=True):
            file.write(sample[:number].tobytes())
    log = folder / "simulation.log"
    command = [str(built.program), str(stimulus), str(folder), str(folder / "progress")]
    command += [] if waves is None else [str(waves)]
    with log.open("w") as out:
        status = processes.run(command, cwd=folder, env=toolchain.simulation_env(), out=out)
    if status:
        check_room(folder)
        lines = log.read_text(errors="replace").splitlines()
        said = next((line.removeprefix("mintaka: ") for line in lines if line.startswith("mintaka: ")), None)
        raise CosimError(f"the simulation failed: {said or f'exit status {status}, see {log}'}")
    stimulus.unlink()
    return _read(folder, layout, np.array(taken, np.int64))


def _read(folder: Path, layout: Layout, steps: np.ndarray) -> Recording:
    samples = len(steps)
    words = np.fromfile(folder / "samples.bin", "<i8")
    rows = words[:-1].reshape(samples, 5 + layout.classes)
    counters = {
        layer.name: per_sample(
            _first(np.fromfile(folder / f"{layer.name}.counters", "<i8").reshape(-1, len(COUNTERS)), samples, layer)
        )
        for layer in layout.layers
    }
    return Recording(
        logits=rows[:, 5:].astype(np.int64),
        classes=rows[:, 0].copy(),
        accepted=rows[:, 2].copy(),
        finished=rows[:, 3].copy(),
        cycles=rows[:, 1].copy(),
        counters=counters,
        steps=rows[:, 4].copy() if layout.exits else steps,
        total_cycles=int(words[-1]),
        traces={layer.name: _read_taps(folder, layout, layer, steps) for layer in layout.tapped},
    )


def _first(rows: np.ndarray, wanted: int, layer: LayerPorts) -> np.ndarray:
    """The rows of all samples; only a layer that runs ahead may have given more."""
    if len(rows) < wanted or (len(rows) > wanted and not layer.runs_ahead):
        raise CosimError(f"layer '{layer.name}' gave {len(rows)} results; {wanted} were expected")
    return rows[:wanted]


def _read_taps(folder: Path, layout: Layout, layer: LayerPorts, steps: np.ndarray) -> Trace:
    counts = {name: word_count(layer.lanes * width) for name, (width, _) in layer.fields.items()}
    rows = np.fromfile(folder / f"{layer.name}.taps", "<u4").reshape(-1, sum(counts.values()))
    words = layout.time_steps * layer.words
    if layout.exits:
        ends = np.fromfile(folder / f"{layer.name}.ends", "<i8") // (4 * rows.shape[1])
        ends = _first(ends, len(steps), layer)
    else:
        ends = np.cumsum(steps) * layer.words
        rows = _first(rows, int(ends[-1]), layer)
    rows = in_samples(rows, ends.tolist(), words)
    found: dict[str, np.ndarray] = {}
    begin = 0
    for name, (width, signed) in layer.fields.items():
        part = rows[:, begin : begin + counts[name]]
        begin += counts[name]
        lanes = unpack_fields(part, layer.lanes, width, signed=signed)
        found[name] = arrange(lanes, layout.time_steps, layer.windows, layer.groups, layer.shape_out)
    return trace_of(found)
