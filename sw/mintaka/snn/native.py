"""Compiled loops for the fast engine: one shared library of the `.cpp` files beside this one.

Where a C++ compiler (`g++`) is found, it is built at its first use and kept in the cache folder; otherwise the engine
uses torch's operations. Both give the same integers: sums are exact, so nothing depends on which one runs.
"""

from __future__ import annotations

import ctypes
import platform
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import torch

from mintaka.system import children
from mintaka.system.cache import NoCacheError, cached

SOURCES = tuple(Path(__file__).with_name(name) for name in ("gather.cpp", "scan.cpp"))
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")
LIBRARY = "engine.so"
COMPILE_SECONDS = 120


@cache
def library() -> ctypes.CDLL | None:
    """The loops, or None where they cannot be built. For this kind of processor only, so its name is in the key.

    Raises CacheError where others may write into the cache.
    """
    compiler = children.which("g++")
    if compiler is None:
        return None
    info = Path("/proc/cpuinfo")
    flags = [line for line in info.read_text().splitlines() if line.startswith("flags")][:1] if info.is_file() else []
    texts = [source.read_text() for source in SOURCES]
    key = repr((texts, FLAGS, compiler, platform.machine(), platform.processor(), flags))

    def make(folder: Path) -> None:
        command = [compiler, *FLAGS, "-o", str(folder / LIBRARY), *map(str, SOURCES)]
        children.run(command, timeout=COMPILE_SECONDS).check_returncode()

    try:
        folder, _ = cached("engine", key, make)
        return ctypes.CDLL(str(folder / LIBRARY))
    except (NoCacheError, OSError, subprocess.SubprocessError):
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
