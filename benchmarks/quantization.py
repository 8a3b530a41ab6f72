"""What widths, scales and membrane rules are worth on digits, and what membranes cost: docs/studies/quantization.md.

    python -m benchmarks.quantization [TABLE ...] [--seeds 3] [--runs runs/quantization]

Tables: rules, binary, mixed (recipes/digits.toml and changes of it, each with several seeds), area (Yosys). Without one
all are printed. Finished runs are not repeated, interrupted ones are resumed.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import reduce
from itertools import pairwise
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import C, Module, Mux, Signal, signed

from mintaka.artifact import Edge, LeakTerm, Network
from mintaka.train import Recipe, load_recipe, parse_recipe
from mintaka_cosim import flow
from mintaka_hw.implement.resources import resources
from mintaka_hw.implement.yosys import cells
from mintaka_hw.rtl.arithmetic import clipped, leaked
from mintaka_hw.targets import find_family

RECIPE = Path(__file__).parent.parent / "recipes" / "digits.toml"
TABLES = ("rules", "binary", "mixed", "area")
MEMBRANE_WIDTH = 12  # bits of V in the area's table


def changed(
    recipe: Recipe, epochs: int | None = None, methods: list[dict[str, Any]] | None = None, **keys: Any
) -> Recipe:
    """The recipe with other keys of [network], so many epochs and these methods."""
    form = recipe.model_dump(exclude_none=True, by_alias=True)
    form["network"] |= keys
    form["train"] |= {} if epochs is None else {"epochs": epochs}
    return parse_recipe(form | ({} if methods is None else {"compress": methods}))


def variants(recipe: Recipe, table: str) -> dict[str, Recipe]:
    """What a table compares, by its name there. All of `binary` and `mixed` train for as many epochs."""
    if table == "rules":
        return {
            f"W{bits}U{bits}, {rule}, {scale}": changed(
                recipe, weight_bits=bits, membrane_bits=bits, membrane_rule=rule, weight_scale=scale
            )
            for bits in (4, 2)
            for rule in ("shift", "mint")
            for scale in ("step", "mint")
        }
    if table == "binary":
        return {
            "W4U4": changed(recipe, 80),
            "W2U4": changed(recipe, 80, weight_bits=2),
            "W1U4": changed(recipe, 80, weight_bits=1),
            "W4U4, then binary": changed(recipe, 40, [{"method": "binary", "epochs": 40}]),
        }
    searched = {"method": "mixed", "search_epochs": 20, "epochs": 20}
    return {
        "W2U2": changed(recipe, 80, weight_bits=2, membrane_bits=2),
        "mixed, 19,200 memory bits": changed(recipe, 40, [searched | {"memory_bits": 19_200}]),
        "W1U2": changed(recipe, 80, weight_bits=1, membrane_bits=2),
        "mixed, 14,000 memory bits": changed(recipe, 40, [searched | {"memory_bits": 14_000}]),
        "W2U2, T = 2": changed(recipe, 80, weight_bits=2, membrane_bits=2, time_steps=2),
        "mixed, 12,000 bit-SOPs": changed(recipe, 40, [searched | {"bit_sops": 12_000, "time_steps": [1, 2, 3, 4]}]),
    }


def widths(network: Network) -> str:
    """For example "W2.1 U4": the weights of each layer, the membranes of the hidden one."""
    edges: list[Edge] = [node.inputs[0] for node in network.nodes]
    weights = ".".join(str(edge.weight.bits) for edge in edges if edge.weight is not None)
    membranes = ".".join(str(node.neuron.membrane_bits) for node in network.nodes if node.neuron is not None)
    return f"W{weights} U{membranes} T{network.time_steps}"


def accuracies(recipe: Recipe, table: str, seeds: int, runs: Path) -> None:
    print("\n| network | widths | memory bits | integer, each seed | mean | SOPs | bit-SOPs |")
    print("|---|---|---|---|---|---|---|")
    for title, made in variants(recipe, table).items():
        found, right, sops, bit_sops, memory = [], [], [], [], []
        for seed in range(1, seeds + 1):
            folder = runs / f"{title.replace(', ', '-').replace(',', '').replace(' ', '-')}-{seed}"
            fitted = flow.fit(made.model_copy(update={"seed": seed}), folder)
            network = flow.export(fitted)
            result = flow.evaluate(network, fitted.dataset.test_x, fitted.dataset.test_y)
            right.append(100 * result.accuracy)
            found.append(widths(network))
            bits = {node.name: node.inputs[0].weight.bits for node in network.nodes if node.inputs[0].weight}
            sops.append(result.sops_per_sample)
            bit_sops.append(sum(count / result.samples * bits[name] for name, count in result.sops.items()))
            stored = [
                edge.weight.values.size * edge.weight.bits for n in network.nodes for edge in n.inputs if edge.weight
            ]
            kept = [n.size_out * n.neuron.membrane_bits for n in network.nodes if n.neuron is not None]
            memory.append(sum(stored) + (sum(kept) if network.time_steps > 1 else 0))
        each = ", ".join(f"{value:.2f}" for value in right)
        costs = f"{np.mean(sops):,.0f} | {np.mean(bit_sops):,.0f}"
        print(
            f"| {title} | {'; '.join(dict.fromkeys(found))} | {np.mean(memory):,.0f} | {each} | "
            f"**{np.mean(right):.2f}** | {costs} |",
            flush=True,
        )


def shift_and_clip(bits: int) -> tuple[Module, list[Signal]]:
    """What a lane does with V by the shift rule: V >> 1, clipped."""
    m, V, U = Module(), Signal(signed(MEMBRANE_WIDTH), name="v"), Signal(signed(bits), name="u")
    m.d.comb += U.eq(clipped(leaked(V, (LeakTerm(1, 1),)), 2 ** (bits - 1) - 1))
    return m, [V, U]


def compare(bits: int) -> tuple[Module, list[Signal]]:
    """The same by boundaries: of each channel 2 Qu numbers come out of a memory, and their comparisons are counted."""
    most = 2 ** (bits - 1) - 1
    m, V, U = Module(), Signal(signed(MEMBRANE_WIDTH), name="v"), Signal(signed(bits), name="u")
    steps = [Signal(signed(MEMBRANE_WIDTH), name=f"b{index}") for index in range(2 * most)]
    reached = [step <= V for step in steps]  # ascending: behind a 0 there is no 1
    levels = [C(index - most, signed(bits)).as_unsigned() for index in range(2 * most + 1)]
    last = [~reached[0], *(now & ~after for now, after in pairwise(reached)), reached[-1]]
    m.d.comb += U.eq(reduce(or_, (Mux(here, level, 0) for here, level in zip(last, levels, strict=True))).as_signed())
    return m, [V, *steps, U]


def area() -> None:
    print(f"\n| V of {MEMBRANE_WIDTH} bits to U of | rule | LUT (xc7) | LUT (ecp5) | boundaries per channel |")
    print("|---|---|---|---|---|")
    for bits in (2, 4):
        for rule, make in (("shift", shift_and_clip), ("mint", compare)):
            counts = []
            for family in map(find_family, ("xc7", "ecp5")):
                m, ports = make(bits)
                with tempfile.TemporaryDirectory(prefix="mintaka-") as folder:
                    text = verilog.convert(m, name="lane", ports=ports, emit_src=False)
                    (Path(folder) / "lane.v").write_text(text)
                    found = resources(family, cells(Path(folder), "lane.v", "lane", family.synthesis.script))
                counts.append(f"{found['LUT']:.0f}")
            number = 2 * (2 ** (bits - 1) - 1)
            stored = f"{number} of {MEMBRANE_WIDTH} bits" if rule == "mint" else "none"
            print(f"| {bits} bits | {rule} | {' | '.join(counts)} | {stored} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the tables of docs/studies/quantization.md.")
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)} (all of them if none is given)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/quantization"))
    given = parser.parse_args()
    unknown = [table for table in given.tables if table not in TABLES]
    if unknown:
        parser.error(f"there is no table '{unknown[0]}'; there are {', '.join(TABLES)}")
    for table in given.tables or TABLES:
        if table == "area":
            area()
        else:
            accuracies(load_recipe(RECIPE), table, given.seeds, given.runs)


if __name__ == "__main__":
    main()
