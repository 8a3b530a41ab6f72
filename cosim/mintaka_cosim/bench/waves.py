"""Waves of a few samples, with the lanes of every tap as signals of their own, and layouts for two viewers.

The design is traced inside a wrapper that only passes its ports on and splits the taps: K, U and J as signed
numbers, one per lane, with the step, window and group that they belong to. So any viewer shows them by name.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
from vcd.gtkw import GTKWSave

from mintaka.artifact import check_inputs
from mintaka.artifact import run as run_reference
from mintaka.artifact.compare import compare
from mintaka.artifact.whole import open_whole, write_whole
from mintaka.system import children
from mintaka_cosim import toolchain
from mintaka_cosim.bench import native
from mintaka_cosim.bench.errors import CosimError
from mintaka_cosim.bench.job import NO_STALLS, Stalls
from mintaka_cosim.bench.layout import LayerPorts, Layout, layout_of
from mintaka_cosim.bench.processes import Processes
from mintaka_cosim.bench.recording import COUNTERS
from mintaka_cosim.bench.words import pack_beats
from mintaka_hw.plan import Plan
from mintaka_hw.verilog import Design, generate

FORMATS = ("fst", "vcd")
ROOT = "top"  # what native.cpp calls the model
PORT = re.compile(r"^  (input|output) +(?:wire|reg) +(\[\d+:0\])? *(\w+)(?: = [^,\n]+)?,?$", re.MULTILINE)
NUMBERS = (("step", 10), ("window", 24), ("group", 16))  # of a tapped word, and their widths in bits


@dataclass(frozen=True)
class Waves:
    """What was written. `layouts`: a save file of GTKWave and a command file of Surfer."""

    path: Path
    layouts: tuple[Path, Path]
    samples: int
    cycles: int
    bit_exact: bool


@dataclass(frozen=True)
class Signal:
    """A signal in the wave file: `scope` is where it is, `kind` "bits", "unsigned" or "signed"."""

    scope: str
    name: str
    width: int
    kind: str


def wave_format(path: Path) -> str:
    """ "fst" or "vcd". Raises CosimError where it is neither, or cannot be written on this machine."""
    suffix = path.suffix.removeprefix(".")
    if suffix not in FORMATS:
        raise CosimError(f"{path}: waves are written as .fst or .vcd, by the name of the file")
    if suffix == "fst" and (header := missing_header()) is not None:
        raise CosimError(
            f"{path}: Verilator's .fst needs {header}, which the C++ compiler does not find (on Debian or Ubuntu:"
            " apt install zlib1g-dev liblz4-dev); a .vcd needs nothing"
        )
    return suffix


def missing_header() -> str | None:
    """What Verilator's writer of .fst files includes and this machine does not have; other versions want other headers.

    Raises ToolchainError where there is no compiler or no Verilator.
    """
    include = toolchain.verilator_root() / "include"
    command = ["g++", "-E", "-w", f"-I{include}", f"-I{include / 'vltstd'}", "-o", os.devnull]
    toolchain.compiler_version()
    done = children.run([*command, str(include / "verilated_fst_c.cpp")], timeout=60)
    if done.returncode == 0:
        return None
    found = re.search(r"fatal error: (\S+): No such file", done.stderr)
    return found[1] if found else "something that it does not name"


def write_waves(
    plan: Plan, inputs: np.ndarray, path: Path | str, *, stalls: Stalls = NO_STALLS, seed: int = 0
) -> Waves:
    """Simulate the design with taps on `inputs` and write its waves to `path` and the layouts beside it.

    Raises CosimError, as `cosim` does, and where the format is none of FORMATS. A difference from the reference is no
    exception: the waves are there to look for it.
    """
    path = Path(path)
    check_inputs(plan.network, inputs)
    form = wave_format(path)
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        folder = Path(temporary).resolve()
        design = generate(plan, folder / "verilog", taps=True)
        layout = layout_of(design.info)
        top = f"{design.top}_waves"
        wrapper = folder / "verilog" / f"{top}.v"
        wrapper.write_text(wrapped(design, layout, top))
        parts = (design.verilog.with_suffix(".vlt"), design.verilog, *design.parts)
        outer = replace(layout, top=top)
        built = native.build(wrapper, outer, parts=parts, optimize=False, trace=form)
        beats = pack_beats(inputs, layout.elements, layout.bits, static=layout.static, order=layout.order)
        raw = folder / f"waves.{form}"
        found = native.run(built, outer, beats, stalls, seed, folder, Processes(), raw)
        with raw.open("rb") as traced, open_whole(path) as file:
            shutil.copyfileobj(traced, file)
    layouts = (path.with_suffix(".gtkw"), path.with_suffix(".sucl"))
    write_whole(layouts[0], gtkwave(path.name, layout, top).encode())
    write_whole(layouts[1], surfer(layout, top).encode())
    expected = run_reference(plan.network, inputs, trace=True)
    equal = compare(found.result, expected, plan.head.name, traces=True).differences == 0
    return Waves(path, layouts, len(inputs), found.total_cycles, equal)


def wrapped(design: Design, layout: Layout, top: str) -> str:
    """A module with the ports of the design's top, and a block of signals per layer."""
    head = design.verilog.read_text().partition(f"module {design.top} (\n")[2].partition("\n);\n")[0]
    ports = PORT.findall(head)
    listed = ",\n".join(f"  {direction} wire {bits} {name}" for direction, bits, name in ports)
    pins = ",\n".join(f"    .{name}({name})" for *_, name in ports)
    blocks = "".join(_block(layer, layout.time_steps) for layer in layout.tapped)
    return f"module {top} (\n{listed}\n);\n  {design.top} accelerator (\n{pins}\n  );\n{blocks}endmodule\n"


def _block(layer: LayerPorts, time_steps: int) -> str:
    """Counters that say which word of which step comes next, and a signal per lane and field."""
    last = [f"group == {layer.groups - 1}", f"window == {layer.windows - 1}", f"step == {time_steps - 1}"]
    lines = [f"reg [{width - 1}:0] {name} = 0;" for name, width in NUMBERS]
    lines += [
        "always @(posedge clk)",
        "  if (rst) begin group <= 0; window <= 0; step <= 0; end",
        f"  else if ({layer.name}_tap_valid) begin",
        f"    group <= {last[0]} ? 0 : group + 1;",
        f"    if ({last[0]}) window <= {last[1]} ? 0 : window + 1;",
        f"    if ({last[0]} && {last[1]}) step <= {last[2]} ? 0 : step + 1;",
        "  end",
    ]
    for signal in _lane_signals(layer):
        field, _, lane = signal.name.rpartition("_")
        at = int(lane) * signal.width
        sign = "signed " if signal.kind == "signed" else ""
        port = f"{layer.name}_tap_{field.lower()}"
        bits = f"[{signal.width - 1}:0] " if signal.width > 1 else ""
        lane_of = f"[{at + signal.width - 1}:{at}]" if layer.lanes * signal.width > 1 else ""
        lines.append(f"wire {sign}{bits}{signal.name} = {port}{lane_of};")
    inside = "".join(f"    {line}\n" for line in lines)
    return f"  generate if (1) begin : layer_{layer.name}\n{inside}  end endgenerate\n"


def _lane_signals(layer: LayerPorts) -> Iterator[Signal]:
    for field, (width, signed) in layer.fields.items():
        name = "s" if field == "s" else field.upper()
        for lane in range(layer.lanes):
            yield Signal(f"layer_{layer.name}", f"{name}_{lane}", width, "signed" if signed else "bits")


# ---- the layouts


def groups(layout: Layout) -> dict[str, list[Signal]]:
    """What the viewers show, in groups: the streams, then every layer with its counters and its lanes."""
    streams = [Signal("", name, 1, "bits") for name in ("clk", "rst", "i_valid", "i_ready")]
    streams.append(Signal("", "i_data", layout.elements * layout.bits, "hex"))
    streams += [Signal("", name, 1, "bits") for name in ("o_valid", "o_ready", "o_last")]
    streams.append(Signal("", "o_logit", layout.logit_width, "signed"))
    streams.append(Signal("", "o_class", max(1, (layout.classes - 1).bit_length()), "unsigned"))
    streams.append(Signal("", "o_cycles", 32, "unsigned"))
    found = {"streams": streams}
    for layer in layout.layers:
        mine = [Signal("", f"{layer.name}_done", 1, "bits")]
        mine += [Signal("", f"{layer.name}_{name}", 32, "unsigned") for name in COUNTERS]
        mine.append(Signal("", f"{layer.name}_tap_valid", 1, "bits"))
        mine += [Signal(f"layer_{layer.name}", name, width, "unsigned") for name, width in NUMBERS]
        found[layer.name] = mine + list(_lane_signals(layer))
    return found


def _place(top: str, signal: Signal) -> str:
    return ".".join(part for part in (ROOT, top, signal.scope, signal.name) if part)


def gtkwave(waves: str, layout: Layout, top: str) -> str:
    """A save file of GTKWave for the file `waves` beside it: a group per layer, numbers in decimal."""
    text = StringIO()
    save = GTKWSave(text)
    save.dumpfile(waves, abspath=False)
    formats = {"bits": "bin", "hex": "hex", "unsigned": "dec", "signed": "signed"}
    for name, signals in groups(layout).items():
        with save.group(name):
            for signal in signals:
                bits = f"[{signal.width - 1}:0]" if signal.width > 1 else ""
                save.trace(_place(top, signal) + bits, datafmt=formats[signal.kind])
    return text.getvalue()


def surfer(layout: Layout, top: str) -> str:
    """A command file of Surfer (`surfer -c`): a divider per layer, numbers in decimal."""
    formats = {"hex": "Hexadecimal", "unsigned": "Unsigned", "signed": "Signed"}
    lines = []
    for name, signals in groups(layout).items():
        lines.append(f"divider_add {name}")
        for signal in signals:
            lines.append(f"variable_add {_place(top, signal)}")
            if signal.kind in formats and signal.width > 1:
                lines.append(f"item_set_format {formats[signal.kind]}")
    return "\n".join([*lines, "zoom_fit"]) + "\n"
