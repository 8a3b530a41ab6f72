"""Spikes times weights by gathering: a compiled loop that adds a row of weights per spike.

Where a C++ compiler (`g++`) is found, it is built at its first use and kept in the cache folder; otherwise the engine
uses matrix products. Both give the same integers: sums are exact, so nothing depends on which one runs.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mintaka.artifact.cache import cache_folder

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")
BLOCK = 64  # as in the source
LEAST_WORK = 2**30  # synapses times rows: below that matrix products are quick enough not to compile anything
MOST = 2**15 - 1


@dataclass(frozen=True)
class Gather:
    """weight int16 (N_in, width), width a multiple of BLOCK, `size_out` columns of it real. fanout int64 (N_in,)."""

    weight: np.ndarray
    size_out: int
    fanout: np.ndarray

    @classmethod
    def of(cls, W: np.ndarray, magnitude: int) -> Gather | None:
        """W (N_out, N_in), integers whose sums stay within `magnitude`; None where 16 bits do not hold them."""
        if magnitude > MOST:
            return None
        weight = np.zeros((W.shape[1], -(-len(W) // BLOCK) * BLOCK), np.int16)
        weight[:, : len(W)] = W.T
        return cls(weight, len(W), np.count_nonzero(W, axis=0).astype(np.int64))

    def product(self, x: np.ndarray) -> tuple[Tensor, np.ndarray] | None:
        """x (M, N_in), uint8 of 0 and 1 -> (M, N_out) in float32, and the crossed synapses (M,), int64.

        None where there is no compiler.
        """
        library = _library()
        if library is None:
            return None
        x = np.ascontiguousarray(x)
        out, sops = torch.empty(len(x), self.size_out), np.empty(len(x), np.int64)
        threads = torch.get_num_threads()
        edges = np.linspace(0, len(x), threads + 1).astype(int).tolist()

        def part(begin: int, end: int) -> None:
            library.mintaka_gather(
                *(ctypes.c_void_p(x[begin:].ctypes.data), ctypes.c_int64(end - begin), ctypes.c_int64(x.shape[1])),
                *(ctypes.c_void_p(self.weight.ctypes.data), ctypes.c_int64(self.weight.shape[1])),
                *(ctypes.c_int64(self.size_out), ctypes.c_void_p(self.fanout.ctypes.data)),
                *(ctypes.c_void_p(out[begin:].data_ptr()), ctypes.c_void_p(sops[begin:].ctypes.data)),
            )

        if threads == 1:
            part(0, len(x))
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(part, edges[:-1], edges[1:]))
        return out, sops


@cache
def _library() -> ctypes.CDLL | None:
    """The built loop, or None where it cannot be built. For this kind of processor only, so its name is in the key."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    info = Path("/proc/cpuinfo")
    flags = [line for line in info.read_text().splitlines() if line.startswith("flags")][:1] if info.is_file() else []
    key = repr((SOURCE.read_text(), FLAGS, compiler, platform.machine(), platform.processor(), flags))
    path = cache_folder() / f"gather-{hashlib.sha256(key.encode()).hexdigest()[:24]}.so"
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
                built = Path(folder) / path.name
                command = [compiler, *FLAGS, "-o", str(built), str(SOURCE)]
                subprocess.run(command, check=True, capture_output=True, timeout=120)
                built.replace(path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None
