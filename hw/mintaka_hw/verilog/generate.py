"""Writes the accelerator as Verilog with a `design.json` that says what the ports carry."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mintaka.artifact.whole import write_whole
from mintaka_hw.host import Host, make_host
from mintaka_hw.plan import Plan, PlanError, listing
from mintaka_hw.rtl import Accelerator
from mintaka_hw.verilog.backend import verilog_of
from mintaka_hw.verilog.corefile import core_file
from mintaka_hw.verilog.header import header
from mintaka_hw.verilog.hierarchy import modules_of
from mintaka_hw.verilog.memories import in_files
from mintaka_hw.verilog.testbench import testbench
from mintaka_hw.verilog.text import KEYWORDS, plain
from mintaka_hw.verilog.tidy import tidy
from mintaka_hw.verilog.waivers import waivers

FILE_LIST = "files.f"
MEMORIES = ("inline", "hex")
TOP_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*")  # without a double underscore, which ends it in names of modules inside


@dataclass(frozen=True)
class Design:
    """A generated design.

    verilog : the file with the top module. top : its name. info : what `design.json` holds.
    parts : the other files, where the design is split. memory_files : with the contents of its memories.
    testbench : the self-checking bench, where one was wanted.
    """

    verilog: Path
    top: str
    info: dict[str, Any]
    parts: tuple[Path, ...] = ()
    memory_files: tuple[Path, ...] = ()
    testbench: Path | None = None


def generate(
    plan: Plan,
    out_dir: Path | str,
    *,
    taps: bool = False,
    split: bool = False,
    top: str | None = None,
    host: str | Host = "none",
    memories: str = "inline",
    vectors: int = 0,
) -> Design:
    """Write the Verilog, `files.f` (its files, top first), `<top>.vlt` (Verilator's waivers), `<top>.core` (for
    FuseSoC) and `design.json`.

    out_dir : is made if missing.
    split : a file per module instead of one file of the same text.
    top : name of the top module, with which those of all others begin; by default from the network's name.
    host : the interface around the accelerator, which then is the top: a name in `HOSTS`, or one that was made
        for this plan; what it needs beside the Verilog is written too. "none" is the accelerator alone.
    memories : "hex" puts the contents of memories into files that `$readmemh` reads.
    vectors : so many of the artifact's test vectors make a self-checking test bench, `<top>_tb.v`; 0 is none.

    The same plan gives the same bytes; no path is in them. Raises PlanError where `top` cannot name a module, where
    there is no such host interface or place for memories, where taps or a test bench are wanted behind a host
    interface, or more test vectors than the artifact has.
    """
    out_dir = Path(out_dir)
    top = module_name(plan.network.name) if top is None else checked_name(top)
    if memories not in MEMORIES:
        raise PlanError(f"memories are '{memories}'; possible are {' and '.join(MEMORIES)}")
    if vectors and host != "none":
        raise PlanError("a test bench drives the accelerator alone: generate with vectors, or with a host interface")
    bench = {f"{top}_tb": testbench(plan, top, vectors, taps=taps)} if vectors else {}
    info = describe(plan, top, taps)
    if host == "none":
        texts = module_texts(plan, top, taps=taps)
    else:
        if taps:
            raise PlanError("taps are ports of the accelerator alone: generate with taps, or with a host interface")
        made = make_host(host, plan) if isinstance(host, str) else host
        info["host"] = made.info()
        texts = texts_of(made, plan, top)
        for name, text in made.files(top).items():
            write_whole(out_dir / name, text.encode())
    contents: dict[str, str] = {}
    if memories == "hex":
        texts, contents = _apart(texts)
    listed = tuple(contents)
    files = {f"{name}.v": text for name, text in texts.items()} if split else {f"{top}.v": "\n".join(texts.values())}
    if memories == "hex":
        bench, more = _apart(bench)
        contents |= more
    benches = [f"{name}.v" for name in bench]
    name = f"{top}_{info['host']['kind']}" if "host" in info else top
    more_benches = [*benches, *list(contents)[len(listed) :]]
    core = core_file(name, top, plan.network.name, [*files], f"{top}.vlt", listed, more_benches)
    info |= {"memory_files": list(listed), "testbench": benches[0] if benches else None}
    written = {**files, **{f"{name}.v": text for name, text in bench.items()}, **contents, f"{top}.core": core}
    for name, text in written.items():
        write_whole(out_dir / name, text.encode())
    write_whole(out_dir / FILE_LIST, "".join(f"{name}\n" for name in files).encode())
    write_whole(out_dir / f"{top}.vlt", waivers(top, split=split, more=[*bench]).encode())
    write_whole(out_dir / "design.json", (json.dumps(info, indent=2) + "\n").encode())
    first, *parts = (out_dir / name for name in files)
    return Design(
        first,
        top,
        info,
        tuple(parts),
        tuple(out_dir / name for name in listed),
        out_dir / benches[0] if benches else None,
    )


def _apart(texts: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Modules with their memories' contents in files, by name each."""
    changed: dict[str, str] = {}
    contents: dict[str, str] = {}
    for module, text in texts.items():
        changed[module], files = in_files(module, text)
        contents |= files
    return changed, contents


def module_texts(plan: Plan, top: str, *, taps: bool) -> dict[str, str]:
    """Every module of the accelerator with its header, by name, the top first."""
    return texts_of(Accelerator(plan, taps=taps), plan, top)


def texts_of(component: Any, plan: Plan, top: str) -> dict[str, str]:
    """The same of any component that holds the accelerator of `plan`."""
    modules = modules_of(component, top)
    texts = verilog_of("\n".join(module.rtlil for module in modules))
    outputs = {m.name: frozenset(plain(port.name) for port in m.ports if not port.is_input) for m in modules}
    return {
        module.name: header(module, plan.artifact_hash)
        + tidy(texts[module.name], ["clk", "rst", *(port.name for port in module.ports)], outputs)
        for module in modules
    }


def checked_name(top: str) -> str:
    """`top`, where a module may be called so."""
    if not TOP_NAME.fullmatch(top) or top in KEYWORDS:
        raise PlanError(
            f"'{top}' cannot name the top module: expected small letters, digits and single underscores,"
            " a letter first, and no word of Verilog"
        )
    return top


def module_name(name: str) -> str:
    """A Verilog identifier from a network's name."""
    return "mintaka_" + (re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "network")


def describe(plan: Plan, top: str, taps: bool) -> dict[str, Any]:
    """What a test bench or a driver needs to know of the design."""
    source = plan.network.input
    return {
        "top": top,
        "name": plan.network.name,
        "artifact_hash": plan.artifact_hash,
        "time_steps": plan.network.time_steps,
        "run_time": plan.run_time,
        "input": {
            "kind": source.kind,
            "shape": list(source.shape),
            "bits": source.bits,
            "signed": source.signed,
            "encoding": None if source.encoding is None else asdict(source.encoding),
            "order": plan.input_order,
            "elements": plan.input.word_elements,
            "beats": plan.input.words,
        },
        "output": {
            "node": plan.head.name,
            "read": plan.network.output.read,
            "classes": plan.network.classes,
            "logit_width": plan.logit_width,
            "margins": list(plan.network.output.margins),
        },
        "layers": [
            {
                "name": layer.name,
                "op": layer.node.op,
                "lanes": layer.folding.lanes,
                "groups": layer.folding.groups,
                "windows": layer.folding.windows,
                "sparse_rows": None if layer.weights.sparse is None else len(layer.weights.sparse.rows),
                "shape_in": list(layer.node.shape_in),
                "shape_out": list(layer.node.shape_out),
                "fan_in": sum(edge.lists.elements for edge in layer.edges),
                "element_bits": max(edge.element_bits for edge in layer.edges),
                "size_in": layer.node.size_in,
                "size_out": layer.node.size_out,
                "k_width": layer.datapath.k_width,
                "spikes": layer.datapath.fires,
                "membrane_bits": None if layer.datapath.membrane is None else layer.datapath.state_width,
                "current_bits": None if layer.datapath.current is None else layer.datapath.current.bits,
                "accumulator_width": layer.datapath.accumulator_width,
                "tapped": taps,
                "runs_ahead": layer.name in plan.running_ahead,
            }
            for layer in plan.layers
        ],
        "stages": [stage.to_json() for stage in listing(plan)],
        "memory_bits": plan.memory_bits,
        "taps": taps,
    }
