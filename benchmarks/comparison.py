"""`make comparison`: docs/studies/comparison.md, our figures beside those that others publish.

    python -m benchmarks.comparison [--out docs/studies/comparison.md]

Ours are read from docs/studies: benchmarks.md (`make bench`), results.md (`make results`) and compression.md (`make
bench-methods`); theirs from `peers.toml` beside this file. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.parts.page import paragraph, table
from benchmarks.parts.store import ROOT, say
from mintaka.artifact.whole import write_whole
from mintaka_cosim.program import finish

DOCS = ROOT / "docs" / "studies"
PEERS, PAGE = Path(__file__).resolve().parent / "peers.toml", DOCS / "comparison.md"
RATE, SYNTHESIZED, TRAINED = "784-128-10, T = 8, spikes at 10 %", "784-128-10 W4U4", "`mnist-dense`"
STEPS = 8  # of the first two
FAMILY = "xc7"
MHZ = 100  # at which the cycles are told in microseconds, as the others do
HEAD = """# Beside other systems

Made by `make comparison` from [benchmarks.md](benchmarks.md), [results.md](results.md),
[compression.md](compression.md) and `benchmarks/peers.toml`; nothing here is written by hand.

"""


def rows_of(page: str, first: str) -> list[dict[str, str]]:
    """The rows of all tables of a page whose first column is `first`, each by its columns' names."""
    found: list[dict[str, str]] = []
    columns: list[str] = []
    for line in page.splitlines():
        parts = [part.strip() for part in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not parts:
            columns = []
        elif not columns:
            columns = parts
        elif parts[0] == first:
            found.append(dict(zip(columns, parts, strict=True)))
    if not found:
        raise ValueError(f"no table has a row {first!r}: make the page anew")
    return found


def ours_of(benchmarks: str, results: str, compression: str) -> list[dict[str, Any]]:
    """Our lines: what reads spikes at every number of lanes, then twice the network that was trained on MNIST."""
    lines = []
    cycles = [row for row in rows_of(benchmarks, RATE) if "cycles per sample" in row]
    sizes = {r["lanes"]: r for r in rows_of(benchmarks, SYNTHESIZED) if r["family"] == FAMILY and r["part"] == "whole"}
    for hidden, output in zip(cycles[::2], cycles[1::2], strict=True):
        lanes = f"{hidden['lanes']}, {output['lanes']}"
        per_sample = float(hidden["cycles per sample"].replace(",", ""))
        lines.append({"what": "W4U4 on spikes", "lanes": lanes, "steps": STEPS, "cycles": per_sample, **sizes[lanes]})
    accuracy, activity = (_of(rows_of(results, TRAINED), key) for key in ("integer accuracy (measured)", "SOPs"))
    lines.append(
        {
            "what": f"W{accuracy['weight bits']}U{accuracy['membrane bits']} on pixels",
            "lanes": ", ".join(part.split()[-1] for part in activity["lanes"].split(", ")),
            "steps": int(accuracy["T"]),
            "cycles": float(activity["cycles per sample"].replace(",", "")),
            "latency": activity["latency of the first, cycles"],
            "accuracy": accuracy["integer accuracy (measured)"],
            "tested": f"{accuracy['test samples']} test images",
            "simulated": accuracy["samples in the Verilog"],
        }
    )
    return [*lines, _synthesized(compression)]


def _synthesized(compression: str) -> dict[str, Any]:
    """The same network as the baseline of all compression on MNIST: cycles, size and accuracy at one plan."""
    part = next((p for p in compression.split("<!-- data: ") if p.startswith("mnist -->")), "")
    plan = re.search(r"; ([\d,]+) test samples.*lanes hidden (\d+), output (\d+).* with (\d+) samples each", part)
    if plan is None:
        raise ValueError("docs/studies/compression.md has no MNIST: make the page anew")
    row = next(row for row in rows_of(part, "1") if row["method"] == "`baseline`")
    return {
        "what": f"{row['widths']} on pixels",
        "lanes": f"{plan[2]}, {plan[3]}",
        "steps": int(row["T"]),
        "cycles": float(row["cycles"].replace(",", "")),
        "latency": "-",
        "LUT": row["LUT"],
        "BRAM": row["block RAM"],
        "DSP": "0",  # of every design: mintaka_hw.implement refuses to count another
        "accuracy": f"{row['integer'].split()[0]}%",
        "tested": f"{plan[1]} test images, the mean of {row['seeds']} trainings",
        "simulated": f"{plan[4]} each",
    }


def _of(rows: list[dict[str, str]], column: str) -> dict[str, str]:
    return next(row for row in rows if column in row)


# ---- the page


def render(ours: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    """Markdown, from what was read and from nothing else."""
    return HEAD + _cycles(ours, peers) + _logic(ours, peers) + _accuracy(ours, peers) + _differs(peers)


def _name(line: dict[str, Any]) -> str:
    """Of a line of ours."""
    return f"Mintaka, 784-128-10 {line['what']}, {line['lanes'].replace(', ', ' + ')} lanes"


def _system(peer: dict[str, Any]) -> str:
    return f"[{peer['name']}]({peer['link']}), {peer['network']}"


def _cycles(ours: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    rows = []
    for line in ours:
        how = "simulated; MNIST" if "latency" in line else "estimated by the exact cycle model; random spikes at 10 %"
        per_step, per_image, us = line["cycles"] / line["steps"], line["cycles"], line["cycles"] / MHZ
        told = [f"{line['steps']}", f"{per_step:,.1f}", f"{per_image:,.1f}", line.get("latency", "-")]
        rows.append([_name(line), *told, f"{us:,.1f} if at {MHZ} MHz", how])
    for peer in peers:
        steps, clock, latency = peer.get("steps"), peer.get("clock_mhz"), peer.get("latency_us")
        count = None if latency is None or clock is None else latency * clock
        cycles = "-" if count is None else f"{count:,}"
        per_step = f"about {count / steps:,.0f}" if count is not None and steps else "-"
        us = "-" if latency is None else f"{latency:,}"
        source = f"stated ({peer['read']})" + ("; cycles = time x clock" if count is not None else "")
        if "images_per_s" in peer:
            source += f": {peer['images_per_s']:,} images/s"
        rows.append([_system(peer), f"about {steps}" if steps else "-", per_step, "-", cycles, us, source])
    columns = [
        "system, network",
        "steps",
        "cycles per step",
        "cycles per image",
        "cycles of latency",
        "us",
        "how known",
    ]
    text = """Cycles per image are the distance of images that follow one another, latency is from the first input to
        the last result of one image; us is the latency, of ours the distance. Ours are cycles: 100 MHz only makes the
        column readable, and what clocks are reached on ECP5 after place and route stands in
        [benchmarks.md](benchmarks.md). The others state times on their boards. A step of ours costs
        a cycle per event and group of lanes, so it depends on the input; where pixels of 8 bits come in, the first step
        costs most of it, and the mean is given."""
    return "## Cycles\n\n" + paragraph(text) + table(columns, rows) + "\n"


def _logic(ours: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    rows = [
        [_name(line), f"{line['LUT']} LUT", line["BRAM"], line["DSP"], f"synthesized ({FAMILY})"]
        for line in ours
        if "LUT" in line
    ]
    for peer in peers:
        if "logic" in peer:
            logic = f"{peer['logic']:,} {peer['logic_unit']}"
            rows.append(
                [_system(peer), logic, f"{peer['bram']:g}", str(peer.get("dsp", "-")), f"stated ({peer['read']})"]
            )
    text = """Ours after synthesis with Yosys, for the core with its streams and without a host interface; nothing is
        placed. LUTs include LUT memories, a block RAM is a RAMB36 and a RAMB18 half of one. The others count what a
        vendor's tool reports, perhaps with what surrounds the network; their logic cells may be LUTs, and their block
        RAMs 18 or 36 kbit, where they do not say."""
    columns = ["system, network", "logic", "BRAM", "DSP", "how known"]
    return "## Resources\n\n" + paragraph(text) + table(columns, rows) + "\n"


def _accuracy(ours: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    rows = []
    for line in ours:
        if "accuracy" in line:
            how = f"measured on {line['tested']}; {line['simulated']} of them simulated, the same integers"
            rows.append([_name(line), "MNIST", line["accuracy"].replace("%", " %"), how])
    for peer in peers:
        stated = peer.get("accuracy_text") or (f"{peer['accuracy_percent']} %" if "accuracy_percent" in peer else None)
        if stated is not None:
            rows.append([_system(peer), peer["data"], stated, f"stated ({peer['read']})"])
    return "## Accuracy\n\n" + table(["system, network", "data", "accuracy", "how known"], rows) + "\n"


def _differs(peers: list[dict[str, Any]]) -> str:
    text = """Networks, encodings, steps, widths, chips and tools differ from line to line, so no column is a ranking.
        FireFly (a peak rate), DeepFire2 (ImageNet) and hls4ml's spiking networks (spoken digits) have no line: they
        state nothing that stands beside a network like this one. What to know of each:"""
    mine = """- *Mintaka*: the lines on spikes are for cycles and size; what such a network would reach on MNIST is not
        measured here, and the spikes are random. The network on pixels has four steps, and its lines are of two
        trainings and plans: one that is simulated on more images, one that is synthesized. No power is given, as none
        was measured."""
    found = [mine]
    found += [f"- *{p['name']}* ({p['platform']}): {p['differs']} Source: {p['source']}, {p['link']}." for p in peers]
    return (
        "## What is not comparable\n\n" + paragraph(text) + "\n".join(" ".join(each.split()) for each in found) + "\n"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make comparison", description="Writes docs/studies/comparison.md.")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    chosen = parser.parse_args(arguments)
    ours = ours_of(*((DOCS / f"{page}.md").read_text() for page in ("benchmarks", "results", "compression")))
    write_whole(chosen.out, render(ours, tomllib.loads(PEERS.read_text())["system"]).encode())
    say(f"{chosen.out}: written")
    return 0


if __name__ == "__main__":
    sys.exit(finish("comparison", "the page is as it was", main))
