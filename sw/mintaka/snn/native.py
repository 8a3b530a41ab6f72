"""Compiled loops for the fast engine: one shared library of the `.cpp` files beside this one.

Where a C++ compiler (`g++`) is found, it is built at its first use and kept in the cache folder; otherwise the engine
uses torch's operations. Both give the same integers: sums are exact, so nothing depends on which one runs.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import torch

from mintaka.artifact.cache import cache_folder

SOURCES = tuple(Path(__file__).with_name(name) for name in ("gather.cpp", "scan.cpp"))
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")


@cache
def library() -> ctypes.CDLL | None:
    """The loops, or None where they cannot be built. For this kind of processor only, so its name is in the key."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    info = Path("/proc/cpuinfo")
    flags = [line for line in info.read_text().splitlines() if line.startswith("flags")][:1] if info.is_file() else []
    texts = [source.read_text() for source in SOURCES]
    key = repr((texts, FLAGS, compiler, platform.machine(), platform.processor(), flags))
    path = cache_folder() / f"engine-{hashlib.sha256(key.encode()).hexdigest()[:24]}.so"
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
                built = Path(folder) / path.name
                command = [compiler, *FLAGS, "-o", str(built), *map(str, SOURCES)]
                subprocess.run(command, check=True, capture_output=True, timeout=120)
                built.replace(path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def in_parts(rows: int, part: Callable[[int, int], None]) -> None:
    """`part(begin, end)` for all rows, on torch's number of threads."""
    threads = torch.get_num_threads()
    if threads == 1:
        part(0, rows)
        return
    edges = np.linspace(0, rows, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, edges[:-1], edges[1:]))
