"""`make bench`: measure, and write docs/studies/benchmarks.md from all that was measured so far.

    python -m benchmarks.bench [PART ...] [--quick] [--fresh] [--out docs/studies/benchmarks.md]

Parts: cycles (cycle model), pairs (what two events per cycle would bring), sparse (what a sparse weight memory brings),
synth (Yosys), fmax (nextpnr), train and infer (beside snnTorch and SpikingJelly), profile (where our time goes),
simulate (samples per second of everything that runs a network). Without a part all are measured; one that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.parts import cycles, fmax, hotspots, page, pairs, simulators, sparse, synthesis, timing
from benchmarks.parts.store import ROOT, Store, say
from mintaka.artifact.whole import write_whole
from mintaka.errors import MintakaError
from mintaka_cosim.program import finish

PARTS = ("cycles", "pairs", "sparse", "synth", "fmax", "train", "infer", "profile", "simulate")
LANES = (16, 32, 64, 128)
PLACED = (32, 64)  # of them, those that are placed
SAMPLES = {"reference": 100, "fast": 4000, "amaranth": 2, "cocotb": 20, "cpp": 200}
QUICK_SAMPLES = {"reference": 10, "fast": 200, "cpp": 10}
QUICK = timing.Settings(data="made", batch=16, samples=64, inference_batch=32, rounds=2, repeats=1, training=3)


def parser() -> argparse.ArgumentParser:
    settings = timing.Settings()
    p = argparse.ArgumentParser(prog="make bench", description="Measure, and write docs/studies/benchmarks.md.")
    p.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (all of them if none is given)")
    p.add_argument("--out", type=Path, default=ROOT / "docs" / "studies" / "benchmarks.md", help="the page")
    p.add_argument("--store", type=Path, default=ROOT / "runs" / "bench", help="folder of the measured points")
    p.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="the peers' environment, made if missing")
    p.add_argument("--no-peers", action="store_true", help="measure Mintaka's side only, install nothing")
    p.add_argument("--data-root", type=Path, default=None, help="the data folder, for MNIST")
    p.add_argument("--data", choices=("mnist", "made"), default=settings.data, help="images of train and infer")
    conv = ROOT / "runs" / "mnist-conv" / "network.safetensors"
    p.add_argument("--conv", type=Path, default=conv, help="the conv net's artifact; its untrained recipe if missing")
    p.add_argument("--no-conv", action="store_true", help="leave the conv net out (it needs MNIST)")
    p.add_argument("--lanes", type=int, nargs="+", default=list(LANES), help="of the hidden layer, cycles and synth")
    p.add_argument("--bits", type=int, nargs="+", default=[2, 4, 8], help="weights and membranes, synth")
    p.add_argument("--families", nargs="+", choices=("xc7", "ecp5"), default=["xc7", "ecp5"], help="synth")
    p.add_argument("--threads", type=int, default=settings.threads, help="of torch, for all sides alike")
    p.add_argument("--rounds", type=int, default=settings.rounds, help="turns of every side in train and infer")
    p.add_argument("--samples", type=int, default=settings.samples, help="images of infer")
    p.add_argument("--quick", action="store_true", help="tiny settings, to see that it works")
    p.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    return p


def measure(chosen: argparse.Namespace, store: Store) -> None:
    parts = chosen.parts or list(PARTS)
    conv = None if chosen.no_conv or chosen.quick else chosen.conv
    settings = timing.Settings(data=chosen.data, rounds=chosen.rounds, samples=chosen.samples)
    settings = replace(QUICK if chosen.quick else settings, threads=chosen.threads)
    for part in parts:
        if part == "cycles":
            samples, training = (2, 2) if chosen.quick else (20, 200)
            cycles.measure(store, chosen.lanes, samples, conv, chosen.data_root, training)
        elif part == "pairs":
            samples, training = (2, 2) if chosen.quick else (20, 200)
            pairs.measure(store, samples, conv, chosen.data_root, training)
        elif part == "sparse":
            sparse.measure(store, 5 if chosen.quick else 100, chosen.data_root, quick=chosen.quick)
        elif part == "synth":
            synthesis.measure(store, chosen.lanes, chosen.bits, chosen.families, conv, chosen.data_root)
        elif part == "fmax":
            fmax.measure(store, [count for count in chosen.lanes if count in PLACED])
        elif part == "profile":
            training = 3 if chosen.quick else 200
            hotspots.measure(store, settings.data, settings.batch, settings.samples, training, chosen.data_root)
        elif part == "simulate":
            simulators.measure(store, QUICK_SAMPLES if chosen.quick else SAMPLES, 2 if chosen.quick else 200)
        else:
            peers = None if chosen.no_peers else chosen.peers
            missing = timing.measure(store, part, settings, chosen.data_root, peers)
            if missing and not chosen.no_peers:
                say(f"{part}: without the peers: {missing}")


def main(arguments: list[str] | None = None) -> int:
    p = parser()
    chosen = p.parse_args(arguments)
    unknown = [part for part in chosen.parts if part not in PARTS]
    if unknown:
        p.error(f"there is no part '{unknown[0]}'; there are {', '.join(PARTS)}")
    for name in ("threads", "rounds", "samples", "lanes", "bits"):
        values = getattr(chosen, name)
        if min(values if isinstance(values, list) else [values]) < 1:
            p.error(f"--{name} is 1 or more")
    return finish("bench", "what is measured is kept, the page is as it was", lambda: write(chosen))


def write(chosen: argparse.Namespace) -> int:
    """Measure, then the page; 1 where a tool fails or implementations differ."""
    store = Store(chosen.store, chosen.fresh)
    try:
        measure(chosen, store)
    except (MintakaError, timing.PeersError, simulators.UnequalError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    write_whole(chosen.out, page.render(store).encode())
    say(f"{chosen.out}: written ({store.measured} points measured now)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
