"""Yosys's Verilog made readable: plain identifiers, one port per line, named next values, nothing that is not read.

The meaning cannot change: signals are renamed consistently, and only what no output and no instance depends on is
dropped, which is mostly Amaranth's second names for the same wires.
"""

from __future__ import annotations

import re
from collections import Counter

from mintaka_hw.verilog.text import ASSIGNMENT, WHOLE, Declared, Outputs, Text, plain, read, renamed

SLICE = re.compile(rf"{WHOLE.pattern}\[(\d+)(?::(\d+))?\] ?")
NEXT_VALUE = re.compile(rf"    {WHOLE.pattern}<= (\\\$\d+ );")
MEMORY_WORD = re.compile(rf"    (_\d+_) <= {WHOLE.pattern}\[.*\];")
PRIVATE = re.compile(r"\\\$\d+|_\d+_|\\\$auto\$.*")
LINE_WIDTH = 116
UNUSED = "(unused)"  # no identifier of Yosys's
# The register that every `always @*` of Yosys's reads, so that each runs once at time 0. In SystemVerilog a value in
# its declaration would be there before any process: no event, and what a block gives stays x. A nonblocking assignment
# comes when all processes wait.
AT_START = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+")


def tidy(text: str, ports: list[str], outputs: Outputs) -> str:
    """One module of `backend.verilog_of`.

    ports : all its ports, in the order wanted.
    outputs : of every module that may be instantiated, the names of its output ports.
    """
    module = read(text, outputs)
    _note_fields(module)
    unused = _drop_dead(module)
    same = _memory_words(module)
    names = _names(module, [plain(port) for port in ports])
    names.update({wire: names[register] for wire, register in same.items()})
    lines = [f"module {plain(module.name)} (", *_port_lines(module, ports, names), ");"]
    if unused:
        names.give(UNUSED, "unused")
        listed = ", ".join(sorted(names[raw] for raw in unused))
        lines.append(
            f"  wire {names[UNUSED]} = &{{ 1'b0, {listed} }}; // inputs of every such component, not needed here"
        )
    lines += _signal_lines(module, names)
    for statement in module.statements:
        lines += [renamed(line, names) for line in _with_defaults(statement.lines)]
    return "\n".join(lines) + "\nendmodule\n"


def _note_fields(module: Text) -> None:
    """`assign \\slot.first = slot[7]` says that bit 7 of slot is called first: a comment where slot is declared."""
    for statement in module.statements:
        match = ASSIGNMENT.fullmatch(statement.lines[0])
        source = SLICE.fullmatch(match[2]) if match else None
        if match is None or source is None or source[1].strip() not in module.declared:
            continue
        whole = source[1].strip()
        name, _, part = match[1].strip().removeprefix("\\").partition(whole.removeprefix("\\") + ".")
        if not name and part and "[" not in part:
            bits = source[2] if source[3] is None else f"{source[2]}:{source[3]}"
            module.declared[whole].fields.append(f"{part} [{bits}]")


def _drop_dead(module: Text) -> set[str]:
    """Drop statements that nothing depends on, and their signals; open the pins of instances that nothing reads.

    Returns the inputs that nothing depends on.
    """
    live = {raw for raw, signal in module.declared.items() if signal.direction == "output"}
    kept: list[bool] = [bool(statement.module) for statement in module.statements]
    live.update(name for statement in module.statements if statement.module for name in statement.reads)
    grown = True
    while grown:
        grown = False
        for index, statement in enumerate(module.statements):
            if not kept[index] and not live.isdisjoint(statement.writes):
                kept[index] = grown = True
                live |= statement.reads
    module.statements = [each for each, keep in zip(module.statements, kept, strict=True) if keep]
    named = Counter(name for each in module.statements for name in each.writes | each.reads)
    for statement in module.statements:
        for number, pin, wire in statement.pins:
            whole = WHOLE.fullmatch(wire)
            if whole and pin and whole[1].strip() not in live and named[whole[1].strip()] == 1:
                statement.lines[number] = statement.lines[number].replace(f"({wire})", "()")
                statement.writes.discard(whole[1].strip())
                del named[whole[1].strip()]
    module.declared = {raw: signal for raw, signal in module.declared.items() if signal.direction or raw in named}
    read_by_nothing = {raw for raw, signal in module.declared.items() if signal.direction == "input"} - live
    return {raw for raw in read_by_nothing if not any(raw in each.reads for each in module.statements)}


def _memory_words(module: Text) -> dict[str, str]:
    """Wires that are just the register behind a memory's read port, by wire; their assignments are dropped."""
    lines = [line for statement in module.statements for line in statement.lines]
    registers = {match[1] for line in lines if (match := MEMORY_WORD.fullmatch(line))}
    same: dict[str, str] = {}
    kept = []
    for statement in module.statements:
        match = ASSIGNMENT.fullmatch(statement.lines[0])
        whole = WHOLE.fullmatch(match[1]) if match else None
        wire = whole[1].strip() if whole else ""
        if match and wire and match[2] in registers and not module.declared[wire].direction:
            same[wire] = match[2]
            module.declared[match[2]].fields += module.declared.pop(wire).fields
        else:
            kept.append(statement)
    module.statements = kept
    return same


# ---- names


class _Names(dict[str, str]):
    """Raw -> plain identifier, each given once."""

    def __init__(self) -> None:
        super().__init__()
        self._taken: set[str] = set()

    def give(self, raw: str, wanted: str) -> None:
        if raw in self:
            return
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        self[raw] = name


def _names(module: Text, ports: list[str]) -> _Names:
    """Names by what a signal is: a port, what an instance gives or takes, as Amaranth names it, a memory's word, a
    next value; only other intermediate values are numbered."""
    names = _Names()
    by_name = {plain(raw): raw for raw, signal in module.declared.items() if signal.direction}
    for port in ports:
        names.give(by_name[port], port)
    instances = [each for each in module.statements if each.module]
    for each in instances:
        names.give(each.instance, plain(each.instance))
    for given in (True, False):  # what gives a value names it before those who take it
        for each in instances:
            for _, pin, wire in each.pins:
                whole = WHOLE.fullmatch(wire)
                if whole and (whole[1].strip() in each.writes) == given:
                    names.give(whole[1].strip(), f"{names[each.instance]}_{pin}")
    for raw in module.declared:
        if not PRIVATE.fullmatch(raw):
            names.give(raw, plain(raw))
    for statement in module.statements:
        for line in statement.lines:
            if match := MEMORY_WORD.fullmatch(line):
                names.give(match[1], f"{names[match[2].strip()]}_word")
            elif match := NEXT_VALUE.fullmatch(line):
                names.give(match[2].strip(), f"{names[match[1].strip()]}_next")
    for raw in module.declared:
        if raw not in names:
            names.give(raw, "at_start" if AT_START.fullmatch(raw) else "n" + re.findall("[0-9]+", raw)[-1])
    return names


# ---- lines


def _port_lines(module: Text, ports: list[str], names: dict[str, str]) -> list[str]:
    by_name = {names[raw]: signal for raw, signal in module.declared.items() if signal.direction}
    signals = [by_name[plain(port)] for port in ports]
    widest = max(len(signal.bits) for signal in signals)
    lines = []
    for signal in signals:
        bits = f" {signal.bits.ljust(widest)}" if widest else ""
        kind = "reg " if signal.register else "wire"
        comma = "" if signal is signals[-1] else ","
        lines += signal.attributes
        lines.append(f"  {signal.direction.ljust(6)} {kind}{bits} {names[signal.raw]}{_init(signal)}{comma}")
        lines += _field_lines(signal)
    return lines


def _signal_lines(module: Text, names: dict[str, str]) -> list[str]:
    """Declarations of what is inside, by name; memories are declared among the statements."""
    lines = []
    inside = [signal for signal in module.declared.values() if not signal.direction and not signal.words]
    for signal in sorted(inside, key=lambda signal: _natural(names[signal.raw])):
        bits = f" {signal.bits}" if signal.bits else ""
        lines += signal.attributes
        if AT_START.fullmatch(signal.raw):
            lines += [f"  reg {names[signal.raw]};", f"  initial {names[signal.raw]} <= 1'b0;"]
            continue
        lines.append(f"  {'reg' if signal.register else 'wire'}{bits} {names[signal.raw]}{_init(signal)};")
        lines += _field_lines(signal)
    return lines


def _init(signal: Declared) -> str:
    return f" = {signal.init}" if signal.init else ""


def _natural(name: str) -> list[str]:
    """Numbers by value: n2 before n10."""
    return [part.zfill(12) if part.isdigit() else part for part in re.findall(r"\d+|\D+", name)]


def _field_lines(signal: Declared) -> list[str]:
    """The fields of a struct, lowest bits first."""
    lines: list[str] = []
    for part in sorted(signal.fields, key=lambda text: int(re.findall(r"(\d+)\]$", text)[0])):
        if lines and len(lines[-1]) + len(part) + 2 <= LINE_WIDTH:
            lines[-1] += f", {part}"
        else:
            lines.append(f"    // {part}")
    return lines


def _with_defaults(lines: list[str]) -> list[str]:
    """An empty default for every case that does not cover all values: what it leaves is assigned before it."""
    found: list[str] = []
    complete: list[bool] = []
    for line in lines:
        word = line.strip()
        if re.match(r"(\(\*.*\*\) )?case[xz]? \(", word):
            complete.append(bool(found) and "full_case" in found[-1])
        elif word.startswith("default:"):
            complete[-1] = True
        elif word == "endcase" and not complete.pop():
            found.append(line.removesuffix("endcase") + "  default: ;")
        found.append(line)
    return found
