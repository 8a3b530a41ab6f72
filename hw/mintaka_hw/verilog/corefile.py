"""The FuseSoC core file beside a design: what its files are, and how to lint and to simulate it."""

from __future__ import annotations

from collections.abc import Sequence

from mintaka_hw.quoting import yaml_string

Options = dict[str, str | list[str]]


def core_file(
    name: str,
    top: str,
    description: str,
    verilog: Sequence[str],
    waivers: str,
    memories: Sequence[str] = (),
    testbench: Sequence[str] = (),
) -> str:
    """CAPI=2 text. name : of the core, among others in one library. top : the module.

    verilog, waivers, memories : names of the design's files, the top's first. testbench : the bench's Verilog and the
    memory files of its own, or nothing.
    """
    filesets = [_fileset("rtl", verilog, memories), _fileset("waivers", [waivers], ())]
    targets = [
        _target("default", ["rtl"], top),
        _target("lint", ["rtl", "waivers"], top, "lint", {"tool": "verilator", "verilator_options": ["-Wall"]}),
    ]
    if testbench:
        filesets.append(_fileset("tb", testbench[:1], testbench[1:]))
        bench = testbench[0].removesuffix(".v")
        verilator: Options = {"tool": "verilator", "mode": "binary", "verilator_options": ["--timing"]}
        icarus: Options = {"tool": "icarus", "iverilog_options": ["-g2005"]}
        targets += [
            _target("sim", ["rtl", "waivers", "tb"], bench, "sim", verilator),
            _target("sim_icarus", ["rtl", "tb"], bench, "sim", icarus),
        ]
    lines = ["CAPI=2:", f"name: ::{name}:0", f"description: {yaml_string(description)}", "", "filesets:"]
    return "\n".join([*lines, *filesets, "", "targets:", *targets]) + "\n"


def _fileset(name: str, files: Sequence[str], memories: Sequence[str]) -> str:
    """Memory files are copied to where the tools run, which is where `$readmemh` looks for them."""
    kind = "vlt" if files[0].endswith(".vlt") else "verilogSource-2005"
    lines = [f"  {name}:", "    files:", *(f"      - {file}" for file in files)]
    lines += [f"      - {file}: {{file_type: user, copyto: {file}}}" for file in memories]
    return "\n".join([*lines, f"    file_type: {kind}"])


def _target(
    name: str,
    filesets: Sequence[str],
    top: str,
    flow: str | None = None,
    options: Options | None = None,
) -> str:
    lines = [f"  {name}:", f"    filesets: [{', '.join(filesets)}]", f"    toplevel: {top}"]
    if flow is not None and options is not None:
        lines += [f"    flow: {flow}", "    flow_options:"]
        for key, value in options.items():
            lines.append(f"      {key}: {value if isinstance(value, str) else '[' + ', '.join(value) + ']'}")
    return "\n".join(lines)
