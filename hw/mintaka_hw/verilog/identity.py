"""What makes two designs the same: their Verilog and its memories, not what comments say of them."""

from __future__ import annotations

import hashlib
import re

from mintaka_hw.verilog.generate import Design


def without_comments(verilog: bytes) -> bytes:
    """The text without its comment lines, which name the artifact."""
    return re.sub(rb"^//.*\n", b"", verilog, flags=re.MULTILINE)


def design_hash(design: Design) -> str:
    """sha256 of all files in the design's folder but design.json, without comment lines."""
    digest = hashlib.sha256()
    for path in sorted(path for path in design.verilog.parent.iterdir() if path.name != "design.json"):
        digest.update(without_comments(path.read_bytes()))
    return digest.hexdigest()
