"""The page docs/studies/compression.md: an introduction, and a section per data set, which others leave as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from benchmarks.methods.datasets import DATA, Data
from benchmarks.methods.figures import Figures, Point, mean
from benchmarks.methods.plot import Dot, Panel, scatter
from benchmarks.methods.table import Entry
from benchmarks.methods.targets import TARGETS, Rows, loss
from mintaka.train import Recipe

HEAD = """# Compression: what it costs and what it saves

Made by `make bench-methods`; nothing here is written by hand. Every method is trained
from the same baseline on the same data with the same seeds, exported, turned into Verilog, and simulated in Verilator
on samples of the test split, where every logit, class, SOP count and cycle has to equal the reference and the cycle
model. A method that does not help on the data is shown as it is. What the methods do and their keys:
[recipes](../reference/recipes.md#compression), [adding a method](../guide/adding-a-method.md).

## How to read the tables

- Each row is one method on top of the data set's baseline, the recipe named above the table. Figures are means over
  the seeds; a range in brackets goes from the worst to the best of them.
- *Float*: accuracy on the test split in full precision, just before quantization. *Integer*: of the artifact. Both in
  percent (measured). *Against the baseline*: points of integer accuracy, each seed against its own baseline.
- *Neurons*: hidden ones that are left.
- *Widths*: W, bits of one weight, or of its place in a codebook; U, bits of one stored membrane.
- *Weight bits*, *membrane bits*: all of them, before any folding into lanes; codebooks are counted (exact). A network
  of one time step stores no membrane.
- *Synapses*: weights that are not 0 (exact). *T*: time steps of a sample.
- *Spikes*: of all hidden neurons. *SOPs*: additions caused by spikes and input bits, see
  [semantics](../reference/semantics.md). Both per sample of the test split (measured in the integer engine; the
  Verilog's counters equal it).
- *Cycles*: per sample, samples back to back, at the plan stated above the table (simulated).
- *LUT*, *block RAM* (in units of 36 kbit): Xilinx 7 cells of the whole design at that plan, of the first seed
  (synthesized by Yosys; nothing is placed or routed). The weight memory is dense, so that single zeros save SOPs, but
  neither bits nor cycles; only `slats-sparse` leaves out rows of zeros, which needs very many zeros or few lanes (its
  weight bits are those of all rows, what it saves is in the block RAMs).
- *Epochs*: of training, all phases together. Most methods train for longer than the baseline, and some of what they
  gain may be just that.
- *Published*: what the method's source reports, of other networks on other data. It is given only where it was read in
  the paper's abstract or in the authors' logs; which of them stands beside it.

Where half of the hidden neurons are pruned, compare with two rows that any choice of neurons has to win against:
`random` (by lot) and `small` (the narrow network trained directly, for as many epochs).

## How to repeat it

```sh
make bench-methods DATA=digits            # also DATA=mnist, DATA=watch
make bench-methods DATA=digits METHODS=slim,steps-1 SEEDS=1,2
```

Each run has a folder of its own below `runs/bench-methods`, with its whole recipe (`recipe.toml`), from which `mintaka
train` makes the same network. What is there is not repeated, and what was interrupted goes on where it stopped. Phases
that two runs have in common are trained once, which changes no bit.
"""

MARK = re.compile(r"<!-- data: ([a-z]+) -->\n.*?<!-- end: \1 -->\n", re.DOTALL)
EXIT_LABELS = "abcdefghij"
LEGEND = """The numbers are those of the table, the letters those of the table of early exit; a line goes from the worst
to the best seed. The horizontal axes are logarithmic.
"""


def page(sections: Mapping[str, str], before: str) -> str:
    """The whole page. sections : by data set. before : the page until now, whose other sections stay."""
    kept = {found[1]: found[0] for found in MARK.finditer(before)}
    new = {name: f"<!-- data: {name} -->\n{text}<!-- end: {name} -->\n" for name, text in sections.items()}
    both = {**kept, **new}
    return "\n".join([HEAD, *(both[name] for name in DATA if name in both)])


def section(
    data: Data,
    entries: Sequence[Entry],
    recipes: Mapping[str, Recipe],
    points: Mapping[str, Sequence[Point]],
    image: str,
) -> str:
    """One data set. recipes : of each method, of its first seed. image : file name of the plots, "" for none."""
    rows = _measured(entries, points)
    numbers = {name: str(index) for index, name in enumerate(rows, 1)}
    parts = [f"## {data.title}\n", _about(data, rows), _table(entries, rows, numbers)]
    if image:
        parts.append(f"![accuracy against bits, SOPs and LUTs]({image})\n\n" + LEGEND)
    parts.append(_exits(rows))
    if data.name in TARGETS:
        parts.append(_targets(data.name, rows))
    parts += [_methods(entries, recipes), _left_out(entries, points)]
    return "\n".join(part for part in parts if part)


def _measured(entries: Sequence[Entry], points: Mapping[str, Sequence[Point]]) -> dict[str, list[Point]]:
    """What has figures, in the table's order."""
    found = {e.name: [point for point in points[e.name] if point.figures is not None] for e in entries}
    return {name: row for name, row in found.items() if row}


def _about(data: Data, rows: Rows) -> str:
    points = [point for row in rows.values() for point in row]
    seeds = ", ".join(map(str, sorted({point.seed for point in points})))
    tests = max((point.figures.test_samples for point in points if point.figures is not None), default=0)
    built = [point.hardware for point in points if point.hardware is not None]
    wrong = sum(not hardware.equal for hardware in built)
    lanes = ", ".join(f"{name} {count}" for name, count in data.lanes.items())
    return f"""Baseline: `recipes/{data.recipe}`, {data.float_epochs} epochs in full precision, then {data.epochs} \
quantized. Seeds {seeds}; {tests:,} test samples. Methods train for {data.search} epochs while they search and for \
{data.tune} after that. Plan: lanes {lanes}, or as many as a layer has neurons. Simulated: {len(built)} designs with \
{data.samples} samples each, of which {len(built) - wrong} equal the reference in every logit, class, SOP count and \
cycle, and {wrong} do not.
"""


def _table(entries: Sequence[Entry], rows: Rows, numbers: Mapping[str, str]) -> str:
    columns = ["", "method", "seeds", "float", "integer", "against the baseline", "neurons", "widths", "weight bits"]
    columns += ["membrane bits", "synapses", "T", "spikes", "SOPs", "cycles", "LUT", "block RAM", "epochs", "published"]
    lines = [columns, ["--:", "---", *["--:"] * 16, "---"]]
    for entry in entries:
        if entry.name in rows:
            lines.append([numbers[entry.name], f"`{entry.name}`", *_row(rows, entry.name), entry.published])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _row(rows: Rows, name: str) -> list[str]:
    points = rows[name]
    (first, *_) = (point.figures for point in points if point.figures is not None)
    floats = [100 * f.float_accuracy for p in points if (f := p.figures) is not None and f.float_accuracy is not None]
    integers = [100 * p.figures.integer_accuracy for p in points if p.figures is not None]
    lost = None if name == "baseline" else loss(rows, name)

    def number(figure: Callable[[Figures], float], digits: int = 0) -> str:
        return f"{mean(points, figure):,.{digits}f}"

    missing = "no hardware" if any(point.unbuilt for point in points) else "not run"
    synthesis = next((point.synthesis for point in points if point.synthesis is not None), None)
    cycles = [point.hardware.cycles for point in points if point.hardware is not None]
    return [
        str(len(points)),
        _spread(floats),
        _spread(integers),
        "" if lost is None else f"{0.0 - round(lost, 2):+.2f}",
        number(lambda f: sum(count for layer, count in f.layers.items() if layer != _head(f))),
        f"W{first.widths[0]}U{first.widths[1]}",
        number(lambda f: f.weight_bits),
        number(lambda f: f.membrane_bits),
        number(lambda f: f.synapses),
        f"{mean(points, lambda f: f.mean_steps):.3g}",
        number(lambda f: f.spikes, 1),
        number(lambda f: f.sops),
        f"{sum(cycles) / len(cycles):,.0f}" if cycles else missing,
        f"{synthesis.LUT:,.0f}" if synthesis else missing,
        f"{synthesis.BRAM:g}" if synthesis else missing,
        f"{sum(first.epochs.values())}",
    ]


def _spread(values: Sequence[float]) -> str:
    """The mean, and from where to where."""
    if not values:
        return ""
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.2f}{spread}"


def _head(figures: Figures) -> str:
    return list(figures.layers)[-1]


def _exit_points(rows: Rows) -> list[tuple[float, float, list[float]]]:
    """Of early exit, by allowed loss: mean steps over the seeds, and their accuracies."""
    found = [p.figures.exits for row in rows.values() for p in row if p.figures is not None and p.figures.exits]
    return [
        (each[0][0], sum(steps for _, steps, _ in each) / len(each), [accuracy for *_, accuracy in each])
        for each in zip(*found, strict=True)
    ]


def _exits(rows: Rows) -> str:
    lines = [["", "allowed loss", "mean steps", "accuracy"], ["---", "--:", "--:", "--:"]]
    for label, (allowed, steps, accuracies) in zip(EXIT_LABELS, _exit_points(rows), strict=False):
        found = 100 * sum(accuracies) / len(accuracies)
        lines.append([label, f"{allowed:.1%}", f"{steps:.2f}", f"{found:.2f}"])
    if len(lines) == 2:
        return ""
    return (
        "Early exit (`exit`), by the loss that is allowed on the held-out training samples; steps and accuracy are "
        "those of the test split. A sample begins when the one before has left, while without early exit they overlap: "
        "steps that are saved are cycles saved only where they are more than that, which the cycles of `exit` in the "
        "table tell.\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
    )


def _targets(name: str, rows: Rows) -> str:
    lines = [["target", "reached", ""], ["---", "---", "---"]]
    for target in TARGETS[name]:
        found = target.met(rows)
        lines.append(
            [target.text, *(("", "not measured") if found is None else (found[0], "met" if found[1] else "missed"))]
        )
    return "Targets, by the means:\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _methods(entries: Sequence[Entry], recipes: Mapping[str, Recipe]) -> str:
    lines = [["method", "what it does", "what it adds to the recipe"], ["---", "---", "---"]]
    lines += [[f"`{e.name}`", e.what, _changes(recipes[e.name], recipes["baseline"])] for e in entries]
    return "The methods, with the numbers of this data set:\n\n" + "".join(
        "| " + " | ".join(line) + " |\n" for line in lines
    )


def _changes(recipe: Recipe, baseline: Recipe) -> str:
    """Keys that differ from the baseline's recipe, and the methods."""
    own, base = recipe.model_dump(exclude_none=True), baseline.model_dump(exclude_none=True)
    found = [f"{k} = {v}" for part in ("network", "train") for k, v in own[part].items() if base[part].get(k) != v]
    for layer, other in zip(own["layers"], base["layers"], strict=True):
        found += [f"{layer['name']}: {k} = {v}" for k, v in layer.items() if other.get(k) != v]
    for method in recipe.compress or []:
        form = method.model_dump(exclude_none=True, exclude_unset=True, exclude={"method"})
        found.append(f"{method.method} ({', '.join(f'{key} {_value(value)}' for key, value in form.items())})")
    return "; ".join(found)


def _value(value: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _left_out(entries: Sequence[Entry], points: Mapping[str, Sequence[Point]]) -> str:
    """Methods that are refused, have no hardware, or were not run."""
    lines = []
    for entry in entries:
        found = points[entry.name]
        refused = next((point.refused for point in found if point.refused), None)
        unbuilt = next((point.unbuilt for point in found if point.unbuilt), None)
        if refused:
            lines.append(f"- `{entry.name}` does not work on these data: {refused}.\n")
        elif unbuilt:
            lines.append(f"- `{entry.name}` has no hardware: {unbuilt}.\n")
        elif not found:
            lines.append(f"- `{entry.name}` was not run.\n")
    return "Not in the table, or not in all of its columns:\n\n" + "".join(lines) if lines else ""


def plots(entries: Sequence[Entry], points: Mapping[str, Sequence[Point]], title: str) -> str:
    """Integer accuracy against all bits, SOPs and LUTs; "" where there are no figures."""
    rows = _measured(entries, points)
    if not rows:
        return ""

    def dots(figure: Callable[[Sequence[Point]], float | None]) -> list[Dot]:
        found = []
        for number, row in enumerate(rows.values(), 1):
            x, y = figure(row), [p.figures.integer_accuracy for p in row if p.figures is not None]
            if x:
                found.append(Dot(str(number), x, sum(y) / len(y), min(y), max(y)))
        return found

    def luts(row: Sequence[Point]) -> float | None:
        return next((point.synthesis.LUT for point in row if point.synthesis is not None), None)

    panels = [
        Panel("weight and membrane bits", dots(lambda row: mean(row, lambda f: f.weight_bits + f.membrane_bits))),
        Panel("SOPs per sample", dots(lambda row: mean(row, lambda f: f.sops))),
        Panel("LUTs", dots(luts)),
        Panel(
            "mean steps by early exit",
            [
                Dot(label, steps, sum(found) / len(found), min(found), max(found))
                for label, (_, steps, found) in zip(EXIT_LABELS, _exit_points(rows), strict=False)
            ],
        ),
    ]
    return scatter([panel for panel in panels if panel.dots], f"{title}: accuracy against bits, SOPs and LUTs")
