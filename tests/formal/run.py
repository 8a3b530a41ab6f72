"""`make formal`: every proof, and of each the broken variants that it must refute, two at a time.

    python -m formal.run [--list] [--jobs 2] [--out runs/formal] [NAME ...]

NAME picks the proofs whose names begin with it. One line per proof; the exit status is 1 where a proof fails, is not
decided in time, or lets a broken variant pass. What SymbiYosys said and its traces are in the folder of `--out`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from formal.prove import NoPath, Outcome, Proof

MODULES = ("lif", "width", "link", "streams", "layer", "ring", "walk", "axi", "packets", "uart")


def proofs() -> list[Proof | NoPath]:
    """All of them, in the order of the modules."""
    return [proof for name in MODULES for proof in importlib.import_module(f"formal.{name}").PROOFS]


def holds(proof: Proof | NoPath, folder: Path) -> tuple[bool, str]:
    """Proves it and refutes its broken variants. Returns whether all went well, and a line about it."""
    found = proof.run(folder / proof.name)
    if found.status != "PASS":
        return False, f"{_line(proof, found)}  {_why(found)}"
    refuted = 0
    for number, fault in enumerate(proof.broken):
        broken = proof.run(folder / f"{proof.name}-broken-{number + 1}", fault)
        if broken.status != "FAIL":
            return False, f"{_line(proof, found)}  but not refuted where {fault}: {_why(broken)}"
        refuted += 1
    return True, f"{_line(proof, found)}, {refuted} broken refuted"


def _line(proof: Proof | NoPath, found: Outcome) -> str:
    return f"{found.status:7} {proof.name:28} {found.seconds:6.1f} s  {proof.method}"


def _why(found: Outcome) -> str:
    traces = sorted(found.folder.glob("run/engine_*/*.vcd"))
    return f"{found.status}: see {traces[0] if traces else found.folder / 'log.txt'}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="formal", description="Proves what docs/reference/formal.md says.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="proofs whose names begin with it (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="proofs at a time (default: 2)")
    parser.add_argument("--out", type=Path, default=Path("runs/formal"), help="logs and traces (default: runs/formal)")
    parser.add_argument("--list", action="store_true", help="print what is claimed, and prove nothing")
    arguments = parser.parse_args()
    chosen = [p for p in proofs() if not arguments.names or p.name.startswith(tuple(arguments.names))]
    if not chosen:
        print(f"No proof has a name that begins with {' or '.join(arguments.names)}: see --list.", file=sys.stderr)
        return 2
    if arguments.list:
        for proof in chosen:
            print(f"{proof.name}: {proof.claim} ({proof.method})")
        return 0
    print("The first call of Yosys after its installation compiles it: a minute or more.", flush=True)
    started, failed = time.monotonic(), 0
    with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        for good, line in pool.map(lambda proof: holds(proof, arguments.out.resolve()), chosen):
            print(line, flush=True)
            failed += not good
    print(f"{len(chosen) - failed} of {len(chosen)} hold, {time.monotonic() - started:.0f} s")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
