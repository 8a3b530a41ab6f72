"""Memories' contents in files of their own, which `$readmemh` reads, instead of as lines of Verilog."""

from __future__ import annotations

import re

FOLDER = "MINTAKA_MEMORIES"  # the macro that says where the files are
GUARD = f'`ifndef {FOLDER}\n`define {FOLDER} "./"\n`endif\n'
BLOCK = re.compile(r"  initial begin\n((?:    \w+\[\d+\] = \d+'h[0-9a-f]+;\n)+)  end\n")
WORD = re.compile(r"    (\w+)\[(\d+)\] = \d+'h([0-9a-f]+);")


def in_files(module: str, text: str) -> tuple[str, dict[str, str]]:
    """The text of a tidied module with its memories' contents in files, and these by name: `module`__memory.hex.

    Memories of zeros stay as they are: they are written before they are read.
    """
    files: dict[str, str] = {}

    def one(block: re.Match[str]) -> str:
        words = [match.groups() for match in WORD.finditer(block[1])]
        memory = words[0][0]
        if not any(value.strip("0") for _, _, value in words):
            return block[0]
        if [(name, int(place)) for name, place, _ in words] != [(memory, place) for place in range(len(words))]:
            raise ValueError(f"the words of memory '{memory}' of {module} are not in order")
        file = f"{module}__{memory}.hex"
        files[file] = f"// {memory} of {module}\n" + "".join(f"{value}\n" for _, _, value in words)
        return f'  initial $readmemh({{`{FOLDER}, "{file}"}}, {memory}, 0, {len(words) - 1});\n'

    changed = BLOCK.sub(one, text)
    return (changed.replace(f"module {module} ", f"{GUARD}module {module} ", 1) if files else text), files
