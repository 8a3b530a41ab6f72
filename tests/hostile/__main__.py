"""`make fuzz-files`: damaged and hostile files of every kind, N places of each; exit status 1 where one did harm.

PYTHONPATH=tests python -m hostile -n 10000
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from hostile.harness import Tally, attack
from hostile.kinds import kinds

COLUMNS = ("files", "places", "read", "refused", "tracebacks", "slow", "large")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10_000, help="places of each kind of file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="", help="those whose names begin so, apart by commas (default: all)")
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz-files"), help="for the files that do harm")
    chosen = parser.parse_args()
    if chosen.n < 1 or chosen.seed < 0:
        parser.error(f"N={chosen.n} SEED={chosen.seed}: N must be at least 1, SEED at least 0")
    warnings.simplefilter("error")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MINTAKA_CACHE"] = str(Path(scratch) / "cache")
        found = kinds(Path(scratch) / "files")
        wanted = tuple(filter(None, chosen.kinds.split(",")))
        found = [kind for kind in found if not wanted or kind.name.startswith(wanted)]
        if not found:
            parser.error(f"KINDS={chosen.kinds}: no kind of file begins so")
        print(f"{'kind':24}" + "".join(f"{column:>11}" for column in COLUMNS) + f"{'slowest':>10}{'memory':>10}")
        total = Tally("all kinds", 0)
        for kind in found:
            tally = attack(kind, chosen.n, chosen.seed, chosen.folder)
            _print(tally)
            for fault in tally.faults[:5]:
                print(f"    {fault}")
            for column in COLUMNS:
                setattr(total, column, getattr(total, column) + getattr(tally, column))
            total.faults += tally.faults
            total.seconds = max(total.seconds, tally.seconds)
            total.megabytes = max(total.megabytes, tally.megabytes)
    _print(total)
    kept = f" (the files are in {chosen.folder})" if total.faults else ""
    print(f"{len(total.faults)} faults in {time.monotonic() - begin:,.0f} s{kept}")
    return int(bool(total.faults))


def _print(tally: Tally) -> None:
    counts = "".join(f"{getattr(tally, column):11,}" for column in COLUMNS)
    print(f"{tally.name:24}{counts}{tally.seconds:8.2f} s{tally.megabytes:7.0f} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
