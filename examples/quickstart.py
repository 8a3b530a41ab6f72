"""The demo in Python: train digits, export, generate Verilog, compare every spike with the reference, report.

Run it in the project's folder: .venv/bin/python examples/quickstart.py
"""

from __future__ import annotations

from pathlib import Path

from mintaka.artifact import encode
from mintaka.data import load_dataset
from mintaka.train import export, load_recipe, train
from mintaka_cosim.bench import CosimResult, cosim
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate


def main(recipe_file: str = "recipes/digits.toml", run: Path = Path("runs/quickstart")) -> CosimResult:
    recipe = load_recipe(recipe_file)
    trained = train(recipe, run)
    print(f"float {trained.float_accuracy:.2%}, integer {trained.integer_accuracy:.2%} of the test digits")

    network = export(run)  # an integer network, also written to run/network.safetensors
    plan = make_plan(network, lanes="auto")
    design = generate(plan, run / "verilog")
    print(f"{design.verilog}: {plan.memory_bits:,} bits of memory, lanes {plan.lanes}")

    data = load_dataset(recipe.dataset)
    inputs = encode(network, data.test_x)
    result = cosim(network, plan, inputs, taps=True)  # taps: every spike, membrane and sum
    print(result.sentence)
    if result.bit_exact:
        print(f"{result.interval_cycles:.1f} cycles and {result.sops_per_sample:.1f} SOPs per sample (simulated)")
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main().verified else 1)
