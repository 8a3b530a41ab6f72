"""Spikes times weights by gathering: a compiled loop that adds a row of weights per spike."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mintaka.snn.native import in_parts, library

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
        native = library()
        if native is None:
            return None
        x = np.ascontiguousarray(x)
        out, sops = torch.empty(len(x), self.size_out), np.empty(len(x), np.int64)

        def part(begin: int, end: int) -> None:
            native.mintaka_gather(
                *(ctypes.c_void_p(x[begin:].ctypes.data), ctypes.c_int64(end - begin), ctypes.c_int64(x.shape[1])),
                *(ctypes.c_void_p(self.weight.ctypes.data), ctypes.c_int64(self.weight.shape[1])),
                *(ctypes.c_int64(self.size_out), ctypes.c_void_p(self.fanout.ctypes.data)),
                *(ctypes.c_void_p(out[begin:].data_ptr()), ctypes.c_void_p(sops[begin:].ctypes.data)),
            )

        in_parts(len(x), part)
        return out, sops
