"""The page docs/studies/results.md."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results.figures import RunFigures

HEAD = """# Results

Made by `make results` from the trained runs; nothing here is written by hand. Each network was trained by its recipe,
exported, turned into Verilog with taps, and simulated in Verilator.

*Measured* figures come from software on the whole test split: *float* is the network as it was trained before
quantization, in PyTorch, as stated in the artifact; *integer* is the artifact itself in the fast integer engine.
*Simulated* figures come from the Verilog: its spikes, its counters of synaptic operations (SOPs), its cycles. They are
cycles of a clock, not seconds: no clock frequency is claimed here. What counts as a SOP:
[semantics](../reference/semantics.md).
"""


def render(runs: Sequence[RunFigures], missing: Sequence[str]) -> str:
    """Markdown. missing : names of runs that are not there."""
    parts = [HEAD, _networks(runs), _hardware(runs), _exactness(runs), _layers(runs)] if runs else [HEAD]
    if missing:
        parts.append(
            "## Missing\n\nNot trained yet, so not in the tables (`make results TRAIN=1` trains them): "
            + ", ".join(f"`{name}`" for name in missing)
            + ".\n"
        )
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    rule = ["---"] * left + ["--:"] * (len(columns) - left)
    return "".join("| " + " | ".join(row) + " |\n" for row in (columns, rule, *rows))


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.2%}"


def _range(numbers: tuple[int, ...]) -> str:
    return f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"


def _networks(runs: Sequence[RunFigures]) -> str:
    columns = ["run", "data", "weight bits", "membrane bits", "T"]
    columns += ["test samples", "float accuracy (measured)", "integer accuracy (measured)"]
    columns += [
        "samples in the Verilog",
        "the Verilog on them (simulated)",
        "integer on the same (measured)",
    ]
    rows = [
        [
            f"`{r.name}`",
            r.dataset,
            _range(r.weight_bits),
            _range(r.membrane_bits),
            str(r.time_steps),
            f"{r.test_samples:,}",
            _percent(r.float_accuracy),
            _percent(r.integer_accuracy),
            f"{r.samples:,}",
            _percent(r.hardware_accuracy),
            _percent(r.integer_accuracy_there),
        ]
        for r in runs
    ]
    return "## Accuracy\n\n" + _table(columns, rows, left=2)


def _hardware(runs: Sequence[RunFigures]) -> str:
    columns = ["run", "hidden spikes", "SOPs", "cycles per sample", "latency of the first, cycles", "lanes"]
    rows = [
        [
            f"`{r.name}`",
            f"{r.spikes:,.1f}",
            f"{r.sops:,.0f}",
            f"{r.interval_cycles:,.1f}",
            f"{r.latency_cycles:,}",
            ", ".join(f"{layer.name} {layer.lanes}" for layer in r.layers),
        ]
        for r in runs
    ]
    text = (
        "Per sample, mean over the samples in the Verilog, all simulated. Cycles per sample: the mean distance of"
        " results where samples come back to back. The lanes are those that `--lanes auto`"
        " chose when this page was made.\n\n"
    )
    return "## Activity and cycles\n\n" + text + _table(columns, rows)


def _exactness(runs: Sequence[RunFigures]) -> str:
    columns = [
        "run",
        "samples",
        "spikes",
        "membranes",
        "currents",
        "sums K",
        "logits",
        "differ",
        "cycles predicted for",
        "differ",
    ]
    rows = [
        [
            f"`{r.name}`",
            f"{r.compared.samples:,}",
            f"{r.compared.spikes:,}",
            f"{r.compared.membranes:,}",
            f"{r.compared.currents:,}",
            f"{r.compared.sums:,}",
            f"{r.compared.logits:,}",
            f"{r.differences:,}" + (f" ({r.first_difference})" if r.first_difference else ""),
            f"{r.predicted:,} samples",
            f"{r.cycles_differ:,}",
        ]
        for r in runs
    ]
    text = (
        "Every value that the taps of the simulated Verilog show (K, spikes, membranes and synaptic currents), in every"
        " layer and step, against the reference; also each layer's SOPs and spikes, every class and number of steps."
        " The fast C++ bench with taps, no stalls. Samples: the first of the test split, all of it where it is smaller"
        " than asked for. The cycle model is slow Python, so it predicts only the first samples; the cycles of those"
        " are compared one by one.\n\n"
    )
    return "## Bit-exactness\n\n" + text + _table(columns, rows)


def _layers(runs: Sequence[RunFigures]) -> str:
    columns = ["run", "layer", "op", "lanes", "channels", "spikes", "SOPs", "occupied cycles", "lane utilisation"]
    rows = [
        [
            f"`{r.name}`",
            layer.name,
            layer.op,
            str(layer.lanes),
            str(layer.channels),
            "head" if layer.spikes is None else f"{layer.spikes:,.1f}",
            f"{layer.sops:,.0f}",
            f"{layer.busy:,.1f}",
            f"{layer.utilisation:.1%}",
        ]
        for r in runs
        for layer in r.layers
    ]
    text = (
        "Per sample, simulated. Lane utilisation: the part of the cycles in which the layer is occupied that add an"
        " event's weights.\n\n"
    )
    return "## Layers\n\n" + text + _table(columns, rows, left=3)
