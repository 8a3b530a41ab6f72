"""A Verilog module as Yosys writes it: declarations, then statements; read, not interpreted.

Yosys puts every declaration, pin and assignment on a line of its own and indents what a statement holds, so lines
and identifiers are all that must be understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

WORDS = """
    always and assign automatic before begin bind bit break buf bufif0 bufif1 byte case casex casez cell checker
    class clocking cmos config const constraint context continue cover covergroup cross deassign default defparam
    design disable dist do edge else end endcase endfunction endmodule endtask enum event expect export extends
    extern final first_match for force forever fork function generate genvar global highz0 highz1 if iff import
    include initial inout input inside instance int integer interface intersect join large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor not
    notif0 notif1 null or output package packed parameter pmos posedge primitive priority program property protected
    pulldown pullup pure rand randc randcase real realtime ref reg reject_on release repeat restrict return rnmos
    rpmos rtran scalared sequence shortint shortreal signed small soft solve specify specparam static string strong
    strong0 strong1 struct super supply0 supply1 table tagged task this throughout time timeprecision timeunit tran
    tri tri0 tri1 triand trior trireg type typedef union unique unsigned until untyped use uwire var vectored virtual
    void wait wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
KEYWORDS = frozenset(WORDS.split())
IDENTIFIER = r"(?:\\\S+ |[A-Za-z_][A-Za-z0-9_$]*)"
# An identifier with the dot of a pin; or what is none although it has letters in it: strings, sized numbers, system
# functions, attributes.
TOKEN = re.compile(rf'"(?:\\.|[^"\\])*"|\d*\'s?[a-zA-Z][0-9a-fA-FxzXZ?_]+|\$[a-z]+|\(\*.*?\*\)|(\.?)({IDENTIFIER})')
DECLARATION = re.compile(rf"  (input|output|wire|reg) (\[[^]]+\] )?({IDENTIFIER})( \[[^]]+\])?( = [^;]+)?;")
ASSIGNMENT = re.compile(r"\s+(?:assign )?(.*?) <?= (.*);")
TARGET = re.compile(rf"({IDENTIFIER})|\[.*?\]")  # what is written, and the index into it, which is read
INSTANCE = re.compile(rf"  ({IDENTIFIER}) ({IDENTIFIER}) ?\(")
PIN = re.compile(rf"    \.({IDENTIFIER})\((.*)\),?")
WHOLE = re.compile(rf"({IDENTIFIER}) ?")

Outputs = Mapping[str, frozenset[str]]  # names of the output ports, by module


@dataclass
class Declared:
    """A signal: `words` is the range of a memory, `init` the value at power-up, `fields` what a struct's bits are."""

    raw: str
    bits: str
    register: bool = False
    words: str = ""
    init: str = ""
    direction: str = ""
    attributes: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)


@dataclass
class Statement:
    """An assignment, a block or an instance.

    writes, reads : raw identifiers. pins : of an instance, each one's line number, name, and what it is connected to.
    """

    lines: list[str]
    writes: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    module: str = ""
    instance: str = ""
    pins: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass
class Text:
    """One module. Raw identifiers are Yosys's, without the blank that ends an escaped one."""

    name: str
    declared: dict[str, Declared]
    statements: list[Statement]


def read(text: str, outputs: Outputs) -> Text:
    """One module of `backend.verilog_of`."""
    head, _, rest = text.partition(");\n")
    module = Text(head.removeprefix("module ").partition("(")[0].strip(), {}, [])
    chunks: list[list[str]] = []
    attributes: list[str] = []
    for line in rest.splitlines()[:-1]:
        if line.startswith("  (*") and line.endswith("*)"):
            attributes += [line] if not line.startswith("  (* init = ") else []
        elif match := DECLARATION.fullmatch(line):
            signal = _declare(module, *match.groups())
            if signal.words:  # a memory's declaration stays before the lines that fill it
                chunks.append([*attributes, line])
            else:
                signal.attributes += attributes
            attributes = []
        elif line.startswith("   ") or line in ("  end", "  );"):  # inside a statement
            chunks[-1].append(line)
        else:
            chunks.append([*attributes, line])
            attributes = []
    module.statements = [_statement(lines, outputs) for lines in chunks]
    return module


def _declare(module: Text, kind: str, bits: str | None, raw: str, words: str | None, init: str | None) -> Declared:
    name = raw.strip()
    signal = module.declared.setdefault(name, Declared(name, (bits or "").strip()))
    if kind in ("input", "output"):
        signal.direction = kind
        return signal
    signal.register = kind == "reg"
    signal.words, signal.init = (words or "").strip(), (init or "").removeprefix(" = ")
    return signal


def _statement(lines: list[str], outputs: Outputs) -> Statement:
    if match := DECLARATION.fullmatch(lines[-1]):
        return Statement(lines, writes={match[3].strip()})
    if match := INSTANCE.fullmatch(lines[0]):
        return _instance(match[1].strip(), match[2].strip(), lines, outputs)
    found = Statement(lines)
    for line in lines:
        match = ASSIGNMENT.fullmatch(line)
        if match is None:
            found.reads.update(identifiers(line))
            continue
        for part in TARGET.finditer(match[1]):
            (found.reads if part[1] is None else found.writes).update(identifiers(part[0]))
        found.reads.update(identifiers(match[2]))
    return found


def _instance(module: str, name: str, lines: list[str], outputs: Outputs) -> Statement:
    found = Statement(lines, module=module, instance=name)
    for number, line in enumerate(lines):
        if match := PIN.fullmatch(line):
            pin = plain(match[1])
            found.pins.append((number, pin, match[2]))
            used = found.writes if pin in outputs[module] else found.reads
            used.update(identifiers(match[2]))
    return found


def identifiers(line: str) -> Iterator[str]:
    """Raw identifiers that a line names; pins of instances are none."""
    return (match[2].strip() for match in TOKEN.finditer(line) if match[2] is not None and not match[1])


def plain(raw: str) -> str:
    """An identifier of the language: no escape, no keyword, no dollar, without the number that made it unique."""
    text = re.sub(r"[^A-Za-z0-9_]+", "_", re.sub(r"\$\d+", "", raw.strip().removeprefix("\\").removeprefix("$")))
    if text in KEYWORDS:
        text += "_"
    return text if re.match(r"[A-Za-z_]", text) else f"n{text}"


def renamed(line: str, names: Mapping[str, str]) -> str:
    """The line with every identifier by its name, and every pin by `plain`."""

    def one(match: re.Match[str]) -> str:
        if match[2] is None:
            return match[0]
        return f".{plain(match[2])}" if match[1] else names.get(match[2].strip(), match[2])

    return TOKEN.sub(one, line)
