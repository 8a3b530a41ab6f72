"""The page docs/studies/benchmarks.md, from the stored points."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from benchmarks.parts.store import Store, Values

HEAD = """# Benchmarks

Made by `make bench`; nothing here is written by hand. Parts that were measured before, from the same sources, are not
repeated; `make bench PARTS="train infer"` runs some of them only.

Times are wall-clock, so they hold for the machine that is named; ratios travel better. Cycles come from the exact cycle
model, resources from synthesis, clock rates from place and route.
"""
WHAT = {
    "cycles": "Cycles and lane utilisation",
    "pairs": "Two events per cycle",
    "sparse": "A sparse weight memory",
    "synth": "Resources after synthesis",
    "fmax": "Clock after place and route",
    "train": "A training step",
    "infer": "Inference in software",
    "profile": "Where the time goes",
    "simulate": "Everything that runs a network",
}
DATA = {"mnist": "MNIST images", "made": "random pixels"}
PEERS = {"snnTorch", "snnTorch, no BatchNorm", "snnTorch, current once", "SpikingJelly"}


def render(store: Store) -> str:
    """Markdown; what was never measured is named."""
    sections = {
        "cycles": _cycles,
        "pairs": _pairs,
        "sparse": _sparse,
        "synth": _synthesis,
        "fmax": _fmax,
        "train": _train,
        "infer": _infer,
        "profile": _profile,
        "simulate": _simulate,
    }
    parts, missing = [HEAD], []
    for part, write in sections.items():
        points = store.all(part)
        if not points:
            missing.append(part)
            continue
        measured = sorted({(point["date"], point["machine"]) for point in points})
        where = "; ".join(f"{date} on {machine}" for date, machine in measured)
        parts.append(f"## {WHAT[part]}\n\n{write(points)}\nMade {where}.\n")
    if missing:
        names = ", ".join(f"`{part}` ({WHAT[part].lower()})" for part in missing)
        parts.append(f'## Not measured\n\n{names}: `make bench PARTS="{" ".join(missing)}"`.\n')
    return "\n".join(parts)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    rule = ["---"] * left + ["--:"] * (len(columns) - left)
    return "".join("| " + " | ".join(row) + " |\n" for row in (columns, rule, *rows))


def paragraph(text: str) -> str:
    """One paragraph of the page from a text that is wrapped for the source."""
    return fill(" ".join(text.split()), 118, break_on_hyphens=False) + "\n\n"


def _cycles(points: list[Values]) -> str:
    rows = []
    for point in points:
        v = point["values"]
        for layer in v["layers"]:
            T = v["steps"] * layer["windows"]
            rows.append(
                [
                    v["about"],
                    layer["name"],
                    f"{layer['lanes']}",
                    f"{layer['groups']}",
                    f"{layer['events'] / layer['groups'] / T:,.1f}",
                    f"{layer['busy'] / T:,.1f}",
                    *(f"{layer[what]:,.0f}" for what in ("events", "slots", "busy", "held")),
                    f"{layer['slots'] / (layer['busy'] - layer['held']):.1%}",
                    f"{v['interval']:,.0f}",
                    f"{layer['slots'] / v['interval']:.1%}",
                ]
            )
    columns = ["network and input", "layer", "lanes", "groups", "events per step", "occupied per step"]
    columns += ["events x groups", "bound", "occupied", "held", "utilisation", "cycles per sample", "bound / those"]
    text = """
        The bound is one cycle per event and group, and one per group for an empty list: what the lanes need if nothing
        ever waits. *Occupied* are the cycles in which a layer issues a slot or waits with one; *held* are those of them
        in which only its reader was waited for, which is a slower layer's time. Utilisation is bound / (occupied -
        held): what the core makes of its own time. "Per step" is per time step and window (a convolution has one window
        per output pixel). Cycles per sample is the distance of samples streamed back to back, which the slowest layer
        decides: *bound / those* says how near to its bound.
    """
    return paragraph(text) + table(columns, rows, left=2)


def _pairs(points: list[Values]) -> str:
    rows = []
    for point in points:
        v = point["values"]
        (one, two), (lut, least) = v["slots"], v["lut"]
        lanes = (v["lanes"], v["lanes"] // 2)
        cells = [
            v["about"],
            v["layer"],
            f"{v['events']:,.1f}",
            f"{lanes[0]} / {lanes[1]}",
            f"{one:,.0f}",
            f"{two:,.0f}",
        ]
        rows.append([*cells, f"{two / one:.2f}", f"{lut:,.0f}", f"{least:,.0f}", f"{two * least / (one * lut):.2f}"])
    columns = ["network and input", "layer", "events per list", "lanes, E = 1 / 2", "slots, E = 1", "slots, E = 2"]
    columns += ["time", "LUT, E = 1", "LUT, E = 2, at least", "LUT x time, at least"]
    text = """
        A second knob, weighed and left out: half the lanes, each adding the weights of two events per cycle, one of an
        even and one of an odd element, so that the weight memory is two banks of half the depth. Slots are those
        of real lists: a list takes as long as its larger half. LUTs (xc7) are those of the layer core with half the
        lanes and an adder more per lane; to them come a second list with its search for the next event, and the control
        of both, which are not counted (estimated, therefore: at least). What is gained on long lists does not pay for
        a second kind of gather, replay, cycle model and proof; the lists of convolutions are short, and gain less.
    """
    return paragraph(text) + table(columns, rows, left=2)


def _sparse(points: list[Values]) -> str:
    rows, costs = [], []
    for point in points:
        v = point["values"]
        dense, sparse = v["dense"], v["sparse"]
        if "LUT" in dense:
            cells = [f"{found[key]:,.10g}" for key in ("LUT", "FF", "BRAM") for found in (dense, sparse)]
            costs.append([f"{v['zeros']:.1%}", f"{v['lanes']}", *cells])
            continue
        cells = [f"{found['bits']:,}" for found in (dense, sparse)] + [f"{sparse['bits'] / dense['bits']:.2f}"]
        cells += [f"{found['busy']:,.0f}" for found in (dense, sparse)] + [f"{sparse['busy'] / dense['busy']:.2f}"]
        rows.append([f"{v['zeros']:.1%}", f"{v['lanes']}", f"{sparse['rows'] / dense['rows']:.2f}", *cells])
    text = """
        784-128-10 (direct input of 8 bits, T = 4, 4-bit weights) pruned by `slats`, its hidden layer with a dense and
        with a sparse weight memory. Rows are those with a weight that is not 0; bits are those of weights, index,
        fan-out table and event list; cycles those in which the layer is occupied, per image (MNIST test images, exact
        model).
    """
    columns = ["zeros", "lanes", "rows kept", "bits, dense", "bits, sparse", "ratio"]
    found = paragraph(text) + table([*columns, "cycles, dense", "cycles, sparse", "ratio"], rows, left=0)
    if not costs:
        return found
    text = "The layer core's resources (xc7), dense / sparse."
    heads = [f"{what}, {kind}" for what in ("LUT", "FF", "BRAM") for kind in ("dense", "sparse")]
    return found + "\n" + paragraph(text) + table(["zeros", "lanes", *heads], costs, left=0)


def _synthesis(points: list[Values]) -> str:
    def line(v: Values, what: str, found: dict[str, float]) -> list[str]:
        lanes = ", ".join(f"{count}" for count in v["lanes"].values())
        numbers = [f"{found[key]:,.10g}" for key in ("LUT", "FF", "BRAM", "DSP")]
        return [v["about"], v["family"], lanes, what, *numbers]

    rows = []
    for point in sorted(points, key=lambda p: (p["values"]["about"], p["values"]["family"] != "xc7", p["name"])):
        v = point["values"]
        rows.append(line(v, "whole", v["whole"]))
        rows += [line(v, name, found) for name, found in v.get("layers", {}).items()]
    columns = ["network", "family", "lanes", "part", "LUT", "FF", "BRAM", "DSP"]
    text = """
        Yosys (`synth_xilinx -family xc7 -flatten`, `synth_ecp5`). The layers are synthesized on their own, too; what
        lies between them and what is optimised across their borders makes the difference to the whole. xc7: LUTs
        include LUT memories, BRAM counts in units of RAMB36 (a RAMB18 is half of one). ecp5: 2 LUTs per carry cell and
        4 per LUT memory, BRAM counts DP16KD.
    """
    return paragraph(text) + table(columns, rows, left=4)


def _fmax(points: list[Values]) -> str:
    rows = []
    for v in (point["values"] for point in points):
        lanes = ", ".join(f"{count}" for count in v["lanes"].values())
        numbers = ", ".join(f"{mhz:.1f}" for mhz in v["fmax"])
        rows.append([v["about"], v["part"], lanes, numbers, v["slowest"]])
    text = """
        nextpnr's Fmax of the core with registers around it (`mintaka synth --pnr`, see synthesis.md), which depends on
        where the placement begins: of the seeds 1, 2, 3 and so on (1 is what the command takes unless told otherwise),
        and the part that has most of the slowest one's critical path. Block RAMs use the registers at their outputs.
    """
    columns = ["network", "device", "lanes", "MHz by seed", "critical path"]
    return paragraph(text) + table(columns, rows, left=3)


def _versions(v: Values) -> str:
    if not v["peers"]:
        return paragraph(f"The peers are missing: {v['missing']}.")
    return paragraph("Versions: " + ", ".join(f"{name} {number}" for name, number in v["peers"].items()) + ".")


def _compared(points: list[Values], per: float, unit: str) -> str:
    rows = []
    for point in points:
        subjects = point["values"]["subjects"]
        for name in sorted(subjects, key=lambda n: (n != "Mintaka", n in PEERS, n)):
            found = subjects[name]
            low, high = found["quartiles"]
            times, share = (f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})", f"{1 / found['ratio']:.2f}")
            rows.append([point["name"], name, f"{found['seconds'] * per:,.2f}", times, share])
    columns = ["input", "who", unit, "time / Mintaka's (quartiles)", "Mintaka's time / theirs"]
    return table(columns, rows, left=2)


def _train(points: list[Values]) -> str:
    v = points[0]["values"]
    s = v["settings"]
    text = f"""
        784-{s["hidden"]}-10, T = {s["steps"]}, batches of {s["batch"]}, {DATA[s["data"]]}, {s["threads"]} thread(s):
        forward, backward and Adam (fused, for all). Mintaka trains the integer network W{s["bits"]}U{s["bits"]}
        (weights quantized, BatchNorm folded into integers, every forward value an integer); the peers train in full
        precision. *ANN* is Linear, BatchNorm, ReLU, Linear over the same T x batch rows; *bare products* are the matrix
        products of a step and of its gradients over those rows, and nothing else. *rate*: other spikes at every step;
        *direct*: the same pixels at every step, whose current Mintaka computes once. All take turns in one run, in
        another order every round; times are medians, ratios medians over {s["rounds"]} rounds.
    """
    return paragraph(text) + _versions(v) + _compared(points, 1e3, "ms per step")


def _infer(points: list[Values]) -> str:
    v = points[0]["values"]
    s = v["settings"]
    text = f"""
        The network of the training step after {s["training"]} batches of quantization-aware training,
        {s["samples"]:,} images ({DATA[s["data"]]}), {s["threads"]} thread(s). Mintaka is the fast integer engine, from
        uint8 input to logits, classes, spike counts and SOPs. The peers have the same weights in real numbers
        (BatchNorm folded), float32 input ready in memory, batches of {s["inference_batch"]}, no gradients, and give
        logits only. snnTorch is written as in its tutorials, a loop over the steps; *current once* takes the direct
        input's current out of the loop. *Bare products*: both layers over all steps, in float32.
    """
    return paragraph(text) + _versions(v) + _compared(points, 1e6 / s["samples"], "µs per sample")


def _profile(points: list[Values]) -> str:
    rows = []
    for job, what in (("train", "training step"), ("infer", "inference")):
        for point in points:
            rows += [[what, point["name"], part, f"{share:.0%}"] for part, share in point["values"][job].items()]
    text = """
        Mintaka's side of both comparisons by torch's profiler (which slows small operations), one thread. What is left
        of a training step beside its products are many small operations on tensors of a batch. Tried against it and
        left: products of 8-bit integers (`torch._int_mm`, exact, but 30 times slower than float32 on a processor
        without VNNI), and a compiler at run time, which a laptop may not have.
    """
    return paragraph(text) + table(["work", "input", "part", "time"], rows, left=3)


def _simulate(points: list[Values]) -> str:
    names = {
        "reference": "reference (numpy)",
        "fast": "fast integer engine (torch)",
        "amaranth": "Amaranth's simulator, with taps",
        "cocotb": "Verilator with cocotb: every K, spike and membrane compared",
        "cpp": "Verilator with the C++ bench: logits, classes and counters compared",
    }
    found = {point["name"]: point["values"] for point in points}
    rows = [
        [title, f"{found[name]['samples']:,}", f"{found[name]['samples'] / found[name]['seconds']:,.2f}"]
        for name, title in names.items()
        if name in found
    ]
    lanes = ", ".join(f"{name} {count}" for name, count in points[0]["values"]["lanes"].items())
    text = f"""
        784-128-10, T = 8, spikes at a rate of 10 %, lanes: {lanes}; one process, building the simulation not counted.
        All gave the same classes. The co-simulations include the reference and the cycle model that they are compared
        with.
    """
    return paragraph(text) + table(["runner", "samples", "samples per second"], rows)
